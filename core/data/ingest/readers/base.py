"""Raw table, the result of every reader, and the checks of its column names."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from core.data.ingest.number_parsing import NUMBER_PATTERNS
from core.data.quality.findings import Finding
from core.errors import UnreadableFileError
from core.messages import N_, Message

ProgressCallback = Callable[[float], None]

MAX_COLUMNS = 5000
MAX_CELLS = 400_000_000
MAX_PREAMBLE_LINES = 50
DATE_PATTERN = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")


def ignore_progress(share: float) -> None:
    """Ignore the progress."""


@dataclass
class RawTable:
    """Table of a file as read: its name, its columns (text as categories, numbers as float64) and the reader's notes.

    `decimal_mark` is the decimal mark of text columns if the format determines it, else "".
    """

    name: str
    frame: pd.DataFrame
    notes: list[Finding] = field(default_factory=list)
    decimal_mark: str = ""

    def add_note(self, kind: str, count: int, template: str, **values: object) -> None:
        """Add a note about this file; `template` may contain {file}, {count} and the names of `values`."""
        self.notes.append(Finding(kind, count, Message(template, {"file": self.name, "count": count, **values})))


def check_columns(names: list[str], file: str) -> None:
    """Raise UnreadableFileError for too many columns and for repeated names."""
    if len(names) > MAX_COLUMNS:
        raise UnreadableFileError(
            N_("{file}: the table has {count} columns. At most {accepted} are accepted."),
            file=file,
            count=len(names),
            accepted=MAX_COLUMNS,
        )
    repeated = pd.Index(names)[pd.Index(names).duplicated()].difference([""])
    if len(repeated):
        raise UnreadableFileError(
            N_("{file}: the column {column!r} appears more than once. Every column needs a unique name."),
            file=file,
            column=repeated[0],
        )


def split_header(rows: list[list[str]], file: str) -> tuple[list[str], list[list[str]]]:
    """Return the column names and the rows below the header; columns without a header are numbered.

    Raises UnreadableFileError for a file without rows.
    """
    if not rows:
        raise UnreadableFileError(N_("{file}: the file is empty."), file=file)
    has_header = is_header(rows[0])
    if has_header and len(rows) == 1:
        raise UnreadableFileError(N_("{file}: the file has a header but no rows."), file=file)
    names = rows[0] if has_header else [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
    names = [name.strip().lstrip("\ufeff") for name in names]
    names[0] = re.sub(r"^#\s*", "", names[0])
    check_columns(names, file)
    return [name or f"Unnamed {number}" for number, name in enumerate(names)], rows[has_header:]


def is_preamble(line: str, cell_count: int, filled_count: int, usual_count: int) -> bool:
    """Tell whether the line lies above the header: a title, a comment or `sep=;`.

    `cell_count` and `filled_count` count its cells and its filled cells; `usual_count` is the most frequent number of
    cells of a row.
    """
    if re.fullmatch(r"sep=.", line.strip()):
        return True
    if line.startswith("#"):
        return usual_count == 1 or cell_count != usual_count
    return (cell_count < usual_count and cell_count <= max(1, usual_count // 2)) or (
        filled_count == 1 and usual_count > 2
    )


def is_header(row: list[str]) -> bool:
    """Tell whether a first row is a header: it has a word and does not start with a date."""
    cells = [cell.strip().lstrip("\ufeff") for cell in row if cell.strip()]
    is_data = [
        any(pattern.fullmatch(cell) for pattern in NUMBER_PATTERNS.values()) or DATE_PATTERN.match(cell)
        for cell in cells
    ]
    return not all(is_data) and not (DATE_PATTERN.match(cells[0]) if cells else False)


def note_ambiguous_mark(table: RawTable, mark: str) -> None:
    """Add a note that the commas are ambiguous, with the reading that was chosen."""
    before_decimals = N_(
        "{file}: the commas can be decimal marks or thousands separators. They were read as decimal marks."
    )
    between_thousands = N_(
        "{file}: the commas can be decimal marks or thousands separators. They were read as thousands separators."
    )
    table.add_note("ambiguous_numbers", 1, before_decimals if mark == "," else between_thousands)
