"""Lines and cells of the first part of a delimited text: what lies above the table, and the delimiter."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice

from core.data.ingest.readers.base import MAX_PREAMBLE_LINES, VALUE_START, is_header, is_preamble

LINE_END = re.compile(r"\r\n|\r|\n")


def split_preamble(sample: str) -> tuple[int, int, str]:
    """Return the number of lines above the header, how many of them are not empty, and the text below them.

    Such lines are empty lines, Excel's `sep=;`, comments, titles, and a small table with another number of columns.
    """
    lines = _split_lines(sample[:64_000])
    preamble_lines = line_count = 0
    delimiter = detect_delimiter("".join(lines))
    if not _has_usual_length(lines, delimiter):  # many lines of titles
        delimiter = detect_delimiter("".join(lines[MAX_PREAMBLE_LINES:]) or sample[:64_000])
    usual_count = _find_usual_length(list(split_rows("".join(lines), delimiter)))
    rows = [next(split_rows(line, delimiter), []) for line in lines[:MAX_PREAMBLE_LINES]]
    if _ends_with_delimiter(rows, usual_count):
        usual_count -= 1
    header_row = _find_header_row(rows, usual_count)
    for number, (line, row) in enumerate(zip(lines, rows, strict=False)):
        filled_count = sum(bool(cell.strip()) for cell in row)
        is_above = number < header_row or not filled_count or is_preamble(line, len(row), filled_count, usual_count)
        if not is_above:
            break
        preamble_lines, line_count = preamble_lines + bool(filled_count), number + 1
    above = "".join(lines[:line_count])
    return len(LINE_END.findall(above)), preamble_lines, sample[len(above) :]


def _split_lines(sample: str) -> list[str]:
    """Return the lines of a text with their ends; a line break inside quotation marks ends no line."""
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", sample)
    joined: list[str] = []
    is_open = False
    for line in lines:
        joined[-1:] = [joined[-1] + line] if is_open else [*joined[-1:], line]
        is_open ^= line.count('"') % 2 == 1
    return lines if is_open else joined  # a mark that is never closed is an error, which is located later


def count_header_lines(text: str, delimiter: str, row_count: int) -> int:
    """Return the number of lines of the first rows; a cell in quotation marks may hold several."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    filled_rows = (row for row in reader if row)
    cells = [cell for row in islice(filled_rows, row_count) for cell in row]
    return reader.line_num if any("\n" in cell or "\r" in cell for cell in cells) else row_count


def _find_header_row(rows: list[list[str]], usual_count: int) -> int:
    """Return the position of the first row with the usual number of cells if it is a header below other rows, else 0.

    A wider first row above data is no preamble: a row of data with too few cells is an error.
    """
    position = next((number for number, row in enumerate(rows) if len(row) == usual_count), 0)
    filled_above = [row for row in rows[:position] if any(cell.strip() for cell in row)]
    is_name_row = bool(rows[position:]) and is_header(rows[position]) and not VALUE_START.match(rows[position][0])
    return position if len(filled_above) > 1 and is_name_row else 0


def _ends_with_delimiter(rows: list[list[str]], usual_count: int) -> bool:
    """Tell whether the rows, but not the header, end with a delimiter: their last cell is empty and has no name."""
    last_cells = [row[-1].strip() for row in rows if len(row) == usual_count]
    has_shorter_header = any(len(row) == usual_count - 1 for row in rows)
    return usual_count > 2 and bool(last_cells) and not any(last_cells) and has_shorter_header


def _has_usual_length(lines: list[str], delimiter: str) -> bool:
    """Tell whether 90 % of the lines have the same number of cells."""
    lengths = [len(row) for row in split_rows("".join(lines), delimiter)][:200]
    return bool(lengths) and lengths.count(max(set(lengths), key=lengths.count)) >= 0.9 * len(lengths)


def _find_usual_length(rows: list[list[str]]) -> int:
    lengths = [len(row) for row in rows[:200]]
    return max(set(lengths), key=lengths.count, default=1)


def split_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the cells of every row that is not empty."""
    try:
        yield from (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
    except csv.Error:
        yield from (line.split(delimiter) for line in text.splitlines() if line)


def detect_delimiter(sample: str) -> str:
    """Return the delimiter that splits most lines, the header among them, into the same number of clean cells.

    A cell is clean if it contains no semicolon, tab or bar. A comma is the answer for a single column.
    """

    def measure_agreement(delimiter: str) -> tuple[float, float, int]:
        rows = list(islice(split_rows(sample[:64_000], delimiter), 100))
        lengths = [len(row) for row in rows]
        common = max(set(lengths), key=lengths.count, default=1)
        if common == 1:
            return 0.0, 0.0, 1
        cells = [cell for row in rows for cell in row]
        clean_count = sum(not any(mark in cell for mark in ";\t|") for cell in cells)
        return round(lengths.count(common) / len(lengths), 2), clean_count / len(cells), common

    best_delimiter = max(";\t|,", key=measure_agreement)
    return best_delimiter if measure_agreement(best_delimiter)[2] > 1 else ","
