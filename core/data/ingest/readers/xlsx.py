"""Reader of Excel workbooks: the sheets with the same table, read cell by cell within limits."""

import warnings
from contextlib import closing
from typing import Any

import openpyxl
import pandas as pd

from core.data.ingest.files import Source
from core.data.ingest.readers.base import (
    MAX_COLUMNS,
    MAX_PREAMBLE_LINES,
    ProgressCallback,
    RawTable,
    check_width,
    find_header,
    find_stated_unit,
    is_preamble,
)
from core.errors import OptionError, UnreadableFileError
from core.messages import N_

MAX_WORKBOOK_CELLS = 30_000_000  # read cell by cell; a sheet has at most 1,048,576 rows


def read_xlsx(source: Source, progress: ProgressCallback) -> RawTable:
    """Read the first sheet with measurements, and the sheets with the same header below it.

    A note names the other sheets. Raises UnreadableFileError for damaged or empty workbooks.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and validations that openpyxl does not know
            rows_by_sheet = _read_sheets(source)
    except UnreadableFileError:
        raise
    except Exception as error:  # openpyxl raises errors of many types for damaged files
        raise UnreadableFileError(N_("{file}: damaged workbook ({reason})."), file=source.name, reason=error) from error
    if not rows_by_sheet:
        raise UnreadableFileError(N_("{file}: the file has a header but no rows."), file=source.name)
    tables = _build_tables(rows_by_sheet, source.name)
    if source.options.sheet:
        return _choose_sheet(tables, source.options.sheet, list(rows_by_sheet), source.name)
    main_sheet = next((sheet for sheet, table in tables.items() if _has_measurements(table.frame)), next(iter(tables)))
    return _join_sheets(tables, main_sheet, [sheet for sheet in rows_by_sheet if sheet != main_sheet])


def _choose_sheet(tables: dict[str, RawTable], sheet: str, sheets: list[str], file: str) -> RawTable:
    """Return the table of the sheet that a person chose. Raises OptionError if it does not exist or holds no table."""
    if sheet not in tables:
        raise OptionError(
            N_("{file}: there is no table in the sheet {value!r}. Accepted: {accepted}."),
            file=file,
            value=sheet,
            accepted=", ".join(tables) or ", ".join(sheets),
        )
    return tables[sheet]


def _build_tables(rows_by_sheet: dict[str, list[tuple[Any, ...]]], file: str) -> dict[str, RawTable]:
    """Return the table of every sheet that holds one. Raises UnreadableFileError if none does."""
    tables: dict[str, RawTable] = {}
    errors = []
    for sheet, rows in rows_by_sheet.items():
        try:
            tables[sheet] = _build_table(rows, file)
        except UnreadableFileError as error:
            errors.append(error)
    if not tables:
        raise errors[0]
    return tables


def _build_table(rows: list[tuple[Any, ...]], file: str) -> RawTable:
    width = max(map(len, rows))
    text_rows = [["" if cell is None else str(cell) for cell in row] for row in rows[:MAX_PREAMBLE_LINES]]
    preamble_rows = 0
    for row in text_rows:
        filled_count = sum(map(bool, row))
        if not is_preamble("", len(row), filled_count, width) or preamble_rows == len(rows) - 1:
            break
        preamble_rows += 1
    header = find_header([[*cells, *[""] * (width - len(cells))] for cells in text_rows[preamble_rows:]], file)
    body = rows[preamble_rows + header.row_count :]
    frame = pd.DataFrame([[*row, *[None] * (width - len(row))] for row in body], columns=header.names)
    unit = find_stated_unit(text_rows[:preamble_rows])
    table = RawTable(file, frame, unit=unit, repeated=header.repeated)
    if preamble_rows:
        table.add_note(
            "skipped_lines",
            preamble_rows,
            N_(
                "{file}: {count} line above the header was skipped.",
                "{file}: {count} lines above the header were skipped.",
            ),
        )
    return table


def _has_measurements(frame: pd.DataFrame) -> bool:
    """Tell whether a sheet has two columns, one of them with numbers: no cover sheet."""
    return frame.shape[1] > 1 and any(pd.to_numeric(frame[column], errors="coerce").notna().any() for column in frame)


def _join_sheets(tables: dict[str, RawTable], main_sheet: str, other_sheets: list[str]) -> RawTable:
    """Return the table of the main sheet with the rows of the sheets with the same header."""
    table = tables[main_sheet]
    same = [
        sheet
        for sheet in other_sheets
        if sheet in tables and list(tables[sheet].frame.columns) == list(table.frame.columns)
    ]
    ignored = [sheet for sheet in other_sheets if sheet not in same]
    if same:
        table.frame = pd.concat([table.frame, *(tables[sheet].frame for sheet in same)], ignore_index=True)
        table.add_note(
            "joined_sheets",
            len(same) + 1,
            N_("{file}: {count} sheets with the same columns were joined: {sheets}."),
            sheets=", ".join([main_sheet, *same])[:200],
        )
    if ignored:
        table.add_note(
            "ignored_sheets",
            len(ignored),
            N_("{file}: the sheet {sheet!r} was read. Sheets with other columns were not read: {sheets}."),
            sheet=main_sheet,
            sheets=", ".join(ignored)[:200],
        )
    return table


def _read_sheets(source: Source) -> dict[str, list[tuple[Any, ...]]]:
    """Return the filled rows of the filled sheets, each row cut after its last filled cell.

    The declared size of a sheet is ignored, because it can be wrong.
    """
    with (
        source.path.open("rb") as stream,
        closing(openpyxl.load_workbook(stream, read_only=True, data_only=True)) as book,
    ):
        sheets = {sheet.title: _read_filled_rows(sheet, source.name) for sheet in book.worksheets}
        return {title: rows for title, rows in sheets.items() if rows}


def _read_filled_rows(sheet: Any, file: str) -> list[tuple[Any, ...]]:
    sheet.reset_dimensions()
    rows, cells = [], 0
    for padded in sheet.iter_rows(values_only=True):
        row = padded[: max((number for number, cell in enumerate(padded, start=1) if cell is not None), default=0)]
        cells += len(row)
        if len(row) > MAX_COLUMNS:
            check_width(len(row), file)
        if cells > MAX_WORKBOOK_CELLS:
            raise UnreadableFileError(
                N_("{file}: the table has {count} cells. At most {accepted} are accepted."),
                file=file,
                count=cells,
                accepted=MAX_WORKBOOK_CELLS,
            )
        if row:
            rows.append(row)
    return rows
