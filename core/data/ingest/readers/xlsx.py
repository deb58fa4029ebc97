"""Reader of Excel workbooks: the first sheet with a filled cell, read cell by cell within limits."""

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
    check_columns,
    is_header,
    is_preamble,
    split_header,
)
from core.errors import UnreadableFileError
from core.messages import N_

MAX_WORKBOOK_CELLS = 30_000_000  # read cell by cell; a sheet has at most 1,048,576 rows


def read_xlsx(source: Source, progress: ProgressCallback) -> RawTable:
    """Read the first sheet with a filled cell. Raises UnreadableFileError for damaged or empty workbooks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and validations that openpyxl does not know
            rows = _read_first_sheet(source)
    except UnreadableFileError:
        raise
    except Exception as error:  # openpyxl raises errors of many types for damaged files
        raise UnreadableFileError(N_("{file}: damaged workbook ({reason})."), file=source.name, reason=error) from error
    if not rows:
        raise UnreadableFileError(N_("{file}: the file has a header but no rows."), file=source.name)
    width = max(map(len, rows))
    text_rows = [["" if cell is None else str(cell) for cell in row] for row in rows[:MAX_PREAMBLE_LINES]]
    preamble_rows = 0
    for row in text_rows:
        filled_count = sum(map(bool, row))
        if not is_preamble("", len(row), filled_count, width) or preamble_rows == len(rows) - 1:
            break
        preamble_rows += 1
    names, _ = split_header(
        [[*cells, *[""] * (width - len(cells))] for cells in text_rows[preamble_rows:]], source.name
    )
    body = rows[preamble_rows + is_header(text_rows[preamble_rows]) :]
    table = RawTable(source.name, pd.DataFrame([[*row, *[None] * (width - len(row))] for row in body], columns=names))
    if preamble_rows:
        table.add_note("skipped_lines", preamble_rows, N_("{file}: {count} lines above the header were skipped."))
    return table


def _read_first_sheet(source: Source) -> list[tuple[Any, ...]]:
    """Return the filled rows of the first filled sheet, each cut after its last filled cell.

    The declared size of a sheet is ignored, because it can be wrong.
    """
    with (
        source.path.open("rb") as stream,
        closing(openpyxl.load_workbook(stream, read_only=True, data_only=True)) as book,
    ):
        sheets = (_read_filled_rows(sheet, source.name) for sheet in book.worksheets)
        return next(filter(None, sheets), [])


def _read_filled_rows(sheet: Any, file: str) -> list[tuple[Any, ...]]:
    sheet.reset_dimensions()
    rows, cells = [], 0
    for padded in sheet.iter_rows(values_only=True):
        row = padded[: max((number for number, cell in enumerate(padded, start=1) if cell is not None), default=0)]
        cells += len(row)
        if len(row) > MAX_COLUMNS:
            check_columns([str(number) for number in range(len(row))], file)
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
