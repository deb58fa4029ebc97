"""What can go wrong, by name.

VigieError                 everything Vigie says no to; its text names the thing, the value found and what is accepted
├── InputError               the user can mend it: a file, a column, an option (command line: exit code 2)
│   ├── UnreadableFileError     the bytes are not what they claim, or break a limit
│   ├── UnknownLayoutError      a readable table whose columns no layout recognises
│   ├── DataError            readable and recognised, but not fit for the question asked
│   └── OptionError          an option outside what is accepted
├── NotFoundError            a dataset, run or model that is not (or no longer) stored
├── AccessDeniedError                whoever asks is not who they say, or may not
└── ServiceUnavailableError            a service did not answer in time; what was to be written is kept
"""

from core.messages import Text


class VigieError(Exception):
    """A sentence with values, translated where it is shown."""

    def __init__(self, template: str, **values: object) -> None:
        self.text = Text(template, values)
        super().__init__(template, values)

    def __str__(self) -> str:
        return str(self.text)


class InputError(VigieError):
    """Something the user gave; the text says what is accepted."""


class UnreadableFileError(InputError):
    """The bytes are not what they claim to be, or break a limit."""


class UnknownLayoutError(InputError):
    """The columns fit no known layout; the page opens the mapping editor."""


class DataError(InputError):
    """The rows cannot answer the question asked."""


class OptionError(InputError):
    """An option's value is outside what is accepted."""


class NotFoundError(VigieError):
    """A dataset, run or model that is not, or no longer, stored here."""


class AccessDeniedError(VigieError):
    """Whoever asks is not who they say, or may not do this."""


class ServiceUnavailableError(VigieError):
    """A service did not answer in time."""
