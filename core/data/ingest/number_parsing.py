"""Conversion of text cells to numbers: decimal commas, thousands separators, units, true/false words."""

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.ingest.units import get_conversion_factor, split_cell_unit

MAX_MAGNITUDE = 1e30  # above any physical quantity; single precision, used by forests, ends at 3e38
NUMBER_PATTERNS = {
    mark: re.compile(rf"[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][+-]?\d+)?") for mark in ".,"
}
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "-", "--", "#n/a", "nd", "n.d.")
BLANKS = re.compile(r"[\s\u00a0\u2007\u2009\u202f'’]")
MINUS_SIGNS = re.compile("^[\u2212\u2013\ufe63\uff0d](?=[\\d.,])")
THOUSANDS_PATTERN = {mark: re.compile(rf"[+-]?[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}") for mark in ".,"}


def detect_decimal_mark(texts: Iterable[str]) -> tuple[str, bool]:
    """Return the decimal mark of `texts` ("" if no number has a mark), and True if it has two readings.

    Cells with a single reading decide: 1,234.5, 1,234,567 and 12.5 have a decimal point. Without such cells, whole
    numbers below 1000 show that the mark separates thousands: decimals do not alternate between none and three. Else
    the mark is a decimal mark: 1,234 alone has two readings.

    Example:
        >>> detect_decimal_mark(["1,234.5", "1,234"])
        ('.', False)
        >>> detect_decimal_mark(["12,5", "1,234"])
        (',', False)
        >>> detect_decimal_mark(["1,234"])  # 1.234 or 1234
        (',', True)
        >>> detect_decimal_mark(["987", "1.012"])  # 1012 rather than 1.012
        (',', True)
    """
    return detect_table_mark([texts])


def detect_table_mark(columns: Iterable[Iterable[str]]) -> tuple[str, bool]:
    """Return the decimal mark of a table from the cells of its columns (see `detect_decimal_mark`).

    Example:
        >>> detect_table_mark([["987", "1.012"], ["8,5", "9,5"]])  # the second column decides
        (',', False)
        >>> detect_table_mark([["3", "4"], ["1.012", "1.250"]])  # whole numbers of another column do not count
        ('.', True)
    """
    stripped = [
        [cell for cell in map(_strip_cell, texts) if "," in cell or "." in cell or cell.isdigit()] for texts in columns
    ]
    point_count, comma_count = (
        sum(bool(UNAMBIGUOUS_PATTERNS[mark].fullmatch(cell)) for cells in stripped for cell in cells) for mark in ".,"
    )
    if point_count != comma_count:
        return ("," if comma_count > point_count else "."), False
    marks = [mark for cells in stripped if (mark := _find_thousands_mark(cells))]
    if not marks:
        return "", False
    for cells in stripped:
        mark = _find_thousands_mark(cells)
        if mark and any(cell.isdigit() and len(cell) < 4 for cell in cells):
            return ("." if mark == "," else ","), True
    return marks[0], True


def _find_thousands_mark(cells: list[str]) -> str:
    """Return the mark in a number such as 1,234 or 1.234, or "" if the column has none."""
    return next((mark for mark in ",." if any(THOUSANDS_PATTERN[mark].fullmatch(cell) for cell in cells)), "")


def _compile_unambiguous(mark: str, separator: str) -> re.Pattern[str]:
    """Compile a pattern of numbers with `mark` as the only possible decimal mark and `separator` between thousands."""
    mark, separator = re.escape(mark), re.escape(separator)
    grouped = rf"\d{{1,3}}(?:{separator}\d{{3}})+{mark}\d*|\d{{1,3}}(?:{separator}\d{{3}}){{2,}}"
    return re.compile(rf"[+-]?(?:{grouped}|(?:0*|\d{{4,}}){mark}\d+|\d+{mark}(?:\d{{1,2}}|\d{{4,}}))(?:e[+-]?\d+)?")


UNAMBIGUOUS_PATTERNS = {".": _compile_unambiguous(".", ","), ",": _compile_unambiguous(",", ".")}


def parse_numbers(column: pd.Series, default_mark: str = "") -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the column as float64, shape (rows,), and the positions of unusable cells.

    An unusable cell is neither a number nor missing, or its magnitude exceeds `MAX_MAGNITUDE`. It becomes NaN.
    Accepted are decimal commas, true/false words, blanks, commas or dots between thousands, and a unit after the number
    (see `find_cell_unit`). One decimal mark applies to the whole column; `default_mark` is used where the cells do not
    determine it.

    Example:
        >>> values, rows = parse_numbers(pd.Series(["1 234,5", "n/a", "vrai", "broken"]))
        >>> values.tolist(), rows.tolist()
        ([1234.5, nan, 1.0, nan], [3])
        >>> parse_numbers(pd.Series(["1.2 kW", "800 W"]))[0].tolist()
        [1.2, 0.8]
    """
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        unusable_rows = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE) & ~np.isnan(values))
    else:
        codes, texts = pd.factorize(column, use_na_sentinel=True)
        cells = list(map(str, texts))
        unit = _find_usual_unit(cells)
        mark, ambiguous = detect_decimal_mark(cells)
        mark = default_mark if default_mark and (ambiguous or not mark) else mark or "."
        numbers = np.array([_parse_number(cell, mark, unit) for cell in cells] + [np.nan])
        missing = np.array([cell.strip().lower() in MISSING_WORDS for cell in cells] + [True])
        values = numbers[codes]
        unusable_rows = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE) & ~missing[codes])
    if len(unusable_rows):
        values = values.copy()
        values[unusable_rows] = np.nan
    return values, unusable_rows


def find_cell_unit(column: pd.Series) -> str:
    """Return the unit that the cells of a column carry, the most frequent one, or "".

    Example:
        >>> find_cell_unit(pd.Series(["40.5%", "41 %"])), find_cell_unit(pd.Series(["40.5", "41"]))
        ('%', '')
    """
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return ""
    return _find_usual_unit(list(map(str, pd.unique(column.dropna()))))


def _find_usual_unit(cells: list[str]) -> str:
    units = Counter(unit for cell in cells if (unit := split_cell_unit(cell)[1]))
    return max(units, key=lambda unit: (units[unit], unit)) if units else ""


def _strip_cell(text: str) -> str:
    """Return a cell without blanks and unit, in lower case, with an ASCII minus sign."""
    if text[-1:].isdigit() and text.isascii() and " " not in text and "'" not in text:  # the frequent case
        return text.lower()
    return MINUS_SIGNS.sub("-", BLANKS.sub("", split_cell_unit(text)[0])).lower()


def _parse_number(text: str, mark: str, column_unit: str = "") -> float:
    """Return the number in a cell in the unit of the column; NaN for other text and for another quantity."""
    number_text, unit = split_cell_unit(text) if column_unit else (text, "")
    factor = get_conversion_factor(unit, column_unit) if unit else 1.0
    word, separator = _strip_cell(number_text), "," if mark == "." else "."
    if word in ("true", "vrai", "oui", "yes", "false", "faux", "non", "no"):
        return float(word in ("true", "vrai", "oui", "yes"))
    if re.fullmatch(rf"[+-]?\d{{1,3}}({re.escape(separator)}\d{{3}})+({re.escape(mark)}\d*)?(e[+-]?\d+)?", word):
        word = word.replace(separator, "")
    word = word.replace(",", ".")
    if factor is None or not NUMBER_PATTERNS["."].fullmatch(word):
        return np.nan
    return float(word) * factor
