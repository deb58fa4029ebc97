"""What can go wrong, by name.

VigieError                 everything Vigie says no to; its text names the thing, the value found and what is accepted
├── BadInput               the user can mend it: a file, a column, an option (command line: exit code 2)
│   ├── UnreadableFile     the bytes are not what they claim, or break a limit
│   ├── UnknownLayout      a readable table whose columns no layout recognises
│   ├── BadData            readable and recognised, but not fit for the question asked
│   └── BadOption          an option outside what is accepted
├── NotOnRecord            a dataset, run or model that is not (or no longer) stored
├── Refused                whoever asks is not who they say, or may not
└── Unreachable            a service did not answer in time; what was to be written is kept
"""

from core.text import Text


class VigieError(Exception):
    """A sentence with values, translated where it is shown."""

    def __init__(self, template: str, **values: object) -> None:
        self.text = Text(template, values)
        super().__init__(template, values)

    def __str__(self) -> str:
        return str(self.text)


class BadInput(VigieError):
    """Something the user gave; the text says what is accepted."""


class UnreadableFile(BadInput):
    """The bytes are not what they claim to be, or break a limit."""


class UnknownLayout(BadInput):
    """The columns fit no known layout; the page opens the mapping editor."""


class BadData(BadInput):
    """The rows cannot answer the question asked."""


class BadOption(BadInput):
    """An option's value is outside what is accepted."""


class NotOnRecord(VigieError):
    """A dataset, run or model that is not, or no longer, stored here."""


class Refused(VigieError):
    """Whoever asks is not who they say, or may not do this."""


class Unreachable(VigieError):
    """A service did not answer in time."""
