"""Raw table, the result of every reader, and the checks of its column names."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from core.data.ingest.number_parsing import MISSING_WORDS, NUMBER_PATTERNS
from core.data.ingest.units import normalise_unit, parse_unit
from core.data.quality.findings import Finding
from core.data.read_options import DETECT_ALL, ReadOptions
from core.errors import UnreadableFileError
from core.messages import N_, Message

ProgressCallback = Callable[[float], None]

MAX_COLUMNS = 5000
MAX_CELLS = 400_000_000
MAX_PREAMBLE_LINES = 50
MAX_HEADER_ROWS = 4
MIN_DATA_COLUMN_SHARE = 0.6
MISSING_CELLS = frozenset(MISSING_WORDS) - {""}
DATE_PATTERN = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{6,}|\d{1,2}\.? ?[^\W\d]{3,10}\.? ?\d{4}")
NAMELESS_COLUMN = re.compile(r"(unnamed.*|_id|__index_level_\d+__|)", re.IGNORECASE)
"""Name of a column without a name, as programs export it."""
VALUE_START = re.compile(r"[\s\"']*[+\-\u2212]?[.,]?\d")
"""Start of a cell that is no name: a number, a date or a time."""


def ignore_progress(share: float) -> None:
    """Ignore the progress."""


@dataclass
class RawTable:
    """Table of a file as read: its name, its columns (text as categories, numbers as float64) and the reader's notes.

    decimal_mark  decimal mark of text columns if the file determines it, else ""
    date_order    order of day and month ("dmy") if the file determines it, known after the dates are parsed
    unit          unit that the lines above the header state
    repeated      columns that were numbered because their name is used twice
    options       choices of a person about the file
    """

    name: str
    frame: pd.DataFrame
    notes: list[Finding] = field(default_factory=list)
    decimal_mark: str = ""
    date_order: str = ""
    unit: str = ""
    repeated: tuple[str, ...] = ()
    options: ReadOptions = DETECT_ALL

    def add_note(self, kind: str, count: int, template: str, **values: object) -> None:
        """Add a note about this file; `template` may contain {file}, {count} and the names of `values`."""
        self.notes.append(Finding(kind, count, Message(template, {"file": self.name, "count": count, **values})))


def check_columns(names: list[str], file: str) -> None:
    """Raise UnreadableFileError for too many columns and for repeated names."""
    check_width(len(names), file)
    repeated = pd.Index(names)[pd.Index(names).duplicated()].difference([""])
    if len(repeated):
        raise UnreadableFileError(
            N_("{file}: the column {column!r} appears more than once. Every column needs a unique name."),
            file=file,
            column=repeated[0],
        )


def check_width(count: int, file: str) -> None:
    """Raise UnreadableFileError for too many columns."""
    if count > MAX_COLUMNS:
        raise UnreadableFileError(
            N_("{file}: the table has {count} columns. At most {accepted} are accepted."),
            file=file,
            count=count,
            accepted=MAX_COLUMNS,
        )


def make_unique(names: Sequence[str]) -> list[str]:
    """Add a number to each name that was used before.

    Example:
        >>> make_unique(["date", "MW", "MW"])
        ['date', 'MW', 'MW (2)']
    """
    unique: dict[str, None] = {}
    for name in names:
        number = 1
        while (numbered := name if number == 1 else f"{name} ({number})") in unique:
            number += 1
        unique[numbered] = None
    return list(unique)


@dataclass(frozen=True)
class Header:
    """Header of a table: unique column names, the number of rows it takes, and the names that were repeated."""

    names: list[str]
    row_count: int
    repeated: tuple[str, ...] = ()


def find_header(rows: list[list[str]], file: str) -> Header:
    """Find the header in the first rows of a table; columns without a header are numbered.

    A header may have several rows, whose names are joined, and a row of units, which are added in brackets. Columns
    without a name are called "Unnamed" with their position. Raises UnreadableFileError for a file without rows.

    Example:
        >>> find_header([["date", "T", "wind"], ["", "degC", "m/s"], ["2024-01-30", "5", "1"]], "weather.csv").names
        ['date', 'T [°C]', 'wind [m/s]']
        >>> rows = [["", "north", "", "south"], ["time", "MW", "T", "MW"], ["2024-01-30", "5", "1", "7"]]
        >>> find_header(rows, "sites.csv").names
        ['time', 'north MW', 'north T', 'south MW']
    """
    if not rows:
        raise UnreadableFileError(N_("{file}: the file is empty."), file=file)
    check_width(len(rows[0]), file)
    row_count = int(is_header(rows[0]))
    if row_count and len(rows) == 1:
        raise UnreadableFileError(N_("{file}: the file has a header but no rows."), file=file)
    width = len(rows[0])
    if not row_count:
        return Header([f"column_{number}" for number in range(1, width + 1)], 0)
    while row_count < MAX_HEADER_ROWS and _is_further_header(rows, row_count):
        row_count += 1
    names = _join_header(rows[:row_count], width)
    names[0] = re.sub(r"^#\s*", "", names[0])
    named = [name or f"Unnamed {number}" for number, name in enumerate(names)]
    unique = make_unique(named)
    return Header(unique, row_count, tuple(new for old, new in zip(named, unique, strict=True) if old != new))


def _is_further_header(rows: list[list[str]], position: int) -> bool:
    """Tell whether the row at `position` still belongs to the header: no numbers, above columns of numbers."""
    if position + 1 >= len(rows) or len(rows[position]) != len(rows[0]):
        return False
    if _is_title_row(rows[position - 1]) and is_header(rows[position]) and not VALUE_START.match(rows[position][0]):
        return True
    row = [cell.strip() for cell in rows[position]]
    body = [[cell.strip() for cell in later] for later in rows[position + 1 : position + 12]]
    has_words = any(row) and not any(VALUE_START.match(cell) or cell.lower() in MISSING_CELLS for cell in row if cell)
    if not has_words or not is_header(rows[position]):
        return False
    if _is_units_row(row):
        return True
    data_columns = sum(
        any(number < len(later) and is_data(later[number]) for later in body) for number in range(len(row))
    )
    is_whole_header = all(row[1:]) or not any(row[1:])  # pandas writes the names of the index in a row of their own
    return data_columns >= MIN_DATA_COLUMN_SHARE * len(row) and is_whole_header


def _is_title_row(row: list[str]) -> bool:
    """Tell whether all cells but the first say the same, or only one is filled: a title over all columns."""
    titles = {cell.strip() for cell in row[1:]} - {""}
    return len(row) > 2 and len(titles) == 1 and not row[0].strip() and not _is_units_row(row)


def _is_units_row(cells: list[str]) -> bool:
    units = [cell for cell in cells[1:] if cell]
    return bool(units) and all(normalise_unit(cell.strip("()[]")) for cell in units)


def _join_header(rows: list[list[str]], width: int) -> list[str]:
    """Return one name per column; a merged cell above several columns counts for all of them."""
    names = [""] * width
    for number, row in enumerate(rows):
        cells = [re.sub(r"\s*[\r\n]+\s*", " ", cell.strip().lstrip("\ufeff")) for cell in row]
        if number + 1 < len(rows) and _is_title_row(row):
            continue
        if number and _is_units_row(cells):
            for position, cell in enumerate(cells):
                unit = normalise_unit(cell.strip("()[]"))
                names[position] += f" [{unit}]" if unit and not parse_unit(names[position]) else ""
            continue
        if number + 1 < len(rows) and not _is_units_row([cell.strip() for cell in rows[number + 1]]):
            for position in range(1, width):
                cells[position] = cells[position] or (cells[position - 1] if position > 1 or cells[0] else "")
            cells[0] = "" if len(rows[number + 1]) and rows[number + 1][0].strip() else cells[0]
        names = [f"{name} {cell}".strip() for name, cell in zip(names, cells, strict=True)]
    return names


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


def find_stated_unit(rows: Sequence[Sequence[str]]) -> str:
    """Return the unit that lines above a table state, or "": in the cell behind or below the word unit.

    Example:
        >>> find_stated_unit([["Meter", "Unit"], ["000", "W"]]), find_stated_unit([["Unité : MWh"]])
        ('W', 'MWh')
    """
    for number, row in enumerate(rows):
        below = rows[number + 1] if number + 1 < len(rows) else []
        for position, cell in enumerate(row):
            name, _, text = cell.strip(" #").partition(":")
            if re.fullmatch(r"unit|units|unité|unités|unite|einheit|unidad|uom", name.strip().casefold()):
                behind = row[position + 1] if position + 1 < len(row) else ""
                candidates = [text, behind, below[position] if position < len(below) else ""]
                unit = next(filter(None, map(normalise_unit, candidates)), "")
                if unit:
                    return unit
    return ""


def is_data(cell: str) -> bool:
    """Tell whether a cell is a number or starts with a date."""
    return any(pattern.fullmatch(cell) for pattern in NUMBER_PATTERNS.values()) or bool(DATE_PATTERN.match(cell))


def is_header(row: list[str]) -> bool:
    """Tell whether a first row is a header: it has a word and does not start with a date."""
    cells = [cell.strip().lstrip("\ufeff") for cell in row if cell.strip()]
    return not all(map(is_data, cells)) and not (DATE_PATTERN.match(cells[0]) if cells else False)


def note_ambiguous_mark(table: RawTable, mark: str) -> None:
    """Add a note that the decimal mark is ambiguous, with the reading that was chosen."""
    templates = {
        ",": N_(
            "{file}: 1,234 or 1.234 can mean 1.234 or 1 234. Commas were read as decimal marks, dots as thousands "
            "separators."
        ),
        ".": N_(
            "{file}: 1,234 or 1.234 can mean 1.234 or 1 234. Dots were read as decimal marks, commas as thousands "
            "separators."
        ),
    }
    table.add_note("ambiguous_numbers", 1, templates[mark])
