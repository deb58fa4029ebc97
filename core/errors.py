"""Errors of the product.

VigieError                      base class; the text names the subject, the value found and the accepted values
├── InputError                  the user can correct it: a file, a column, an option (command line: exit code 2)
│   ├── UnreadableFileError     the file is damaged, of another type than its name says, or beyond a limit
│   ├── UnknownLayoutError      a readable table with columns that match no layout
│   ├── DataError               readable rows that do not suit the task
│   └── OptionError             an option outside the accepted values
│       └── WeakPasswordError   a new password that is too easy to guess
├── NotFoundError               a dataset, run or model that is not, or no longer, stored
├── AccessDeniedError           the user is not authenticated or not authorised
└── ServiceUnavailableError     a service did not answer in time; data to be written are kept locally
"""

from core.messages import Message


class VigieError(Exception):
    """Base class of all errors: a message template with values, translated where it is shown."""

    def __init__(self, template: str, **values: object) -> None:
        self.message = Message(template, values)
        super().__init__(template, values)

    def __str__(self) -> str:
        return str(self.message)


class InputError(VigieError):
    """A file, column or option that the user can correct. The text names the accepted values."""


class UnreadableFileError(InputError):
    """A file that is damaged, of another type than its name says, or beyond a limit."""


class UnknownLayoutError(InputError):
    """A table with columns that match no known layout; the page opens the mapping editor."""


class DataError(InputError):
    """Rows that do not suit the task."""


class OptionError(InputError):
    """An option with a value outside the accepted ones."""


class WeakPasswordError(OptionError):
    """A new password that is too short or too easy to guess. Events of this error are counted on *Monitoring*."""


class NotFoundError(VigieError):
    """A dataset, run or model that is not, or no longer, stored."""


class AccessDeniedError(VigieError):
    """A user who is not authenticated or not authorised."""


class ServiceUnavailableError(VigieError):
    """A service that did not answer in time."""
