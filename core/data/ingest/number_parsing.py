"""Conversion of text cells to numbers: decimal commas, thousands separators, true/false words, missing values."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MAX_MAGNITUDE = 1e30  # above any physical quantity; single precision, used by forests, ends at 3e38
NUMBER_PATTERNS = {
    mark: re.compile(rf"[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][+-]?\d+)?") for mark in ".,"
}
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "-", "--", "#n/a", "nd", "n.d.")


def detect_decimal_mark(texts: Iterable[str], default: str = ",") -> tuple[str, bool]:
    """Return the decimal mark of `texts`, and True if the same mark could also separate thousands.

    Cells with a single reading decide: 1,234.5, 1,234,567 and 12.5 have a decimal point. Without such cells, `default`
    is the decimal mark: 1,234 alone has two readings.

    Example:
        >>> detect_decimal_mark(["1,234.5", "1,234"])
        ('.', False)
        >>> detect_decimal_mark(["12,5", "1,234"])
        (',', False)
        >>> detect_decimal_mark(["1,234"])  # 1.234 or 1234
        (',', True)
    """
    cells = [text for text in map(_strip_blanks, texts) if "," in text or "." in text or text.isdigit()]
    point_count, comma_count = (
        sum(bool(UNAMBIGUOUS_PATTERNS[mark].fullmatch(cell)) for cell in cells) for mark in ".,"
    )
    if point_count != comma_count or not any("," in cell for cell in cells):
        return ("," if comma_count > point_count else "."), False
    if any(cell.isdigit() and len(cell) < 4 for cell in cells):  # decimals do not alternate between none and three
        return ".", True
    return default, True


def _compile_unambiguous(mark: str, separator: str) -> re.Pattern[str]:
    """Compile a pattern of numbers with `mark` as the only possible decimal mark and `separator` between thousands."""
    mark, separator = re.escape(mark), re.escape(separator)
    grouped = rf"\d{{1,3}}(?:{separator}\d{{3}})+{mark}\d*|\d{{1,3}}(?:{separator}\d{{3}}){{2,}}"
    return re.compile(rf"[+-]?(?:{grouped}|(?:0*|\d{{4,}}){mark}\d+|\d+{mark}(?:\d{{1,2}}|\d{{4,}}))(?:e[+-]?\d+)?")


UNAMBIGUOUS_PATTERNS = {".": _compile_unambiguous(".", ","), ",": _compile_unambiguous(",", ".")}


def parse_numbers(column: pd.Series, default_mark: str = "") -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the column as float64, shape (rows,), and the positions of unusable cells.

    An unusable cell is neither a number nor missing, or its magnitude exceeds `MAX_MAGNITUDE`. It becomes NaN.
    Accepted are decimal commas, true/false words, and blanks, commas or dots between thousands. One decimal mark
    applies to the whole column; `default_mark` is used where the cells do not determine it.

    Example:
        >>> values, rows = parse_numbers(pd.Series(["1 234,5", "n/a", "vrai", "broken"]))
        >>> values.tolist(), rows.tolist()
        ([1234.5, nan, 1.0, nan], [3])
    """
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        unusable_rows = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE) & ~np.isnan(values))
    else:
        codes, texts = pd.factorize(column, use_na_sentinel=True)
        mark, _ = detect_decimal_mark(map(str, texts), default_mark or ",")
        numbers = np.array([_parse_number(str(text), mark) for text in texts] + [np.nan])
        missing = np.array([str(text).strip().lower() in MISSING_WORDS for text in texts] + [True])
        values = numbers[codes]
        unusable_rows = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE) & ~missing[codes])
    if len(unusable_rows):
        values = values.copy()
        values[unusable_rows] = np.nan
    return values, unusable_rows


def _strip_blanks(text: str) -> str:
    return re.sub(r"[\s\u00a0\u202f']", "", text).lower()


def _parse_number(text: str, mark: str) -> float:
    word, separator = _strip_blanks(text), "," if mark == "." else "."
    if word in ("true", "vrai", "oui", "yes", "false", "faux", "non", "no"):
        return float(word in ("true", "vrai", "oui", "yes"))
    if re.fullmatch(rf"[+-]?\d{{1,3}}({re.escape(separator)}\d{{3}})+({re.escape(mark)}\d*)?(e[+-]?\d+)?", word):
        word = word.replace(separator, "")
    word = word.replace(",", ".")
    return float(word) if NUMBER_PATTERNS["."].fullmatch(word) else np.nan
