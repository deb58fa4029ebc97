"""Conversion of text cells to numbers: decimal commas, thousands separators, true/false words, missing values."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MAX_MAGNITUDE = 1e30  # above any physical quantity; single precision, used by forests, ends at 3e38
NUMBER = {mark: re.compile(rf"[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][+-]?\d+)?") for mark in ".,"}
MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "--", "#n/a", "nd", "n.d.")


def decimal_mark(texts: Iterable[str], usual: str = ",") -> tuple[str, bool]:
    """Return the decimal mark of `texts`, and True if the same mark could also separate thousands.

    Cells with a single reading decide: 1,234.5, 1,234,567 and 12.5 have a decimal point. Without such cells, `usual`
    is the decimal mark: 1,234 alone has two readings.

    Example:
        >>> decimal_mark(["1,234.5", "1,234"])
        ('.', False)
        >>> decimal_mark(["12,5", "1,234"])
        (',', False)
        >>> decimal_mark(["1,234"])  # 1.234 or 1234
        (',', True)
    """
    cells = [text for text in map(_compact, texts) if "," in text or "." in text or text.isdigit()]
    points, commas = (sum(bool(CLEAR[mark].fullmatch(cell)) for cell in cells) for mark in ".,")
    if points != commas or not any("," in cell for cell in cells):
        return ("," if commas > points else "."), False
    if any(cell.isdigit() and len(cell) < 4 for cell in cells):  # decimals do not alternate between none and three
        return ".", True
    return usual, True


def _clear(mark: str, other: str) -> re.Pattern[str]:
    """Compile a pattern of numbers with `mark` as the only possible decimal mark and `other` between thousands."""
    mark, other = re.escape(mark), re.escape(other)
    grouped = rf"\d{{1,3}}(?:{other}\d{{3}})+{mark}\d*|\d{{1,3}}(?:{other}\d{{3}}){{2,}}"
    return re.compile(rf"[+-]?(?:{grouped}|(?:0*|\d{{4,}}){mark}\d+|\d+{mark}(?:\d{{1,2}}|\d{{4,}}))(?:e[+-]?\d+)?")


CLEAR = {".": _clear(".", ","), ",": _clear(",", ".")}


def numbers(column: pd.Series, decimal: str = "") -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the column as float64, shape (rows,), and the positions of unusable cells.

    An unusable cell is neither a number nor missing, or its magnitude exceeds `MAX_MAGNITUDE`. It becomes NaN.
    Accepted are decimal commas, true/false words, and blanks, commas or dots between thousands. One decimal mark
    applies to the whole column; `decimal` is used where the cells do not determine it.

    Example:
        >>> values, rows = numbers(pd.Series(["1 234,5", "n/a", "vrai", "broken"]))
        >>> values.tolist(), rows.tolist()
        ([1234.5, nan, 1.0, nan], [3])
    """
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        beyond = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE) & ~np.isnan(values))
    else:
        codes, texts = pd.factorize(column, use_na_sentinel=True)
        mark, _ = decimal_mark(map(str, texts), decimal or ",")
        parsed = np.array([_number(str(text), mark) for text in texts] + [np.nan])
        missing = np.array([str(text).strip().lower() in MISSING for text in texts] + [True])
        values = parsed[codes]
        beyond = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE) & ~missing[codes])
    if len(beyond):
        values = values.copy()
        values[beyond] = np.nan
    return values, beyond


def _compact(text: str) -> str:
    return re.sub(r"[\s\u00a0\u202f']", "", text).lower()


def _number(text: str, mark: str) -> float:
    word, other = _compact(text), "," if mark == "." else "."
    if word in ("true", "vrai", "oui", "yes", "false", "faux", "non", "no"):
        return float(word in ("true", "vrai", "oui", "yes"))
    if re.fullmatch(rf"[+-]?\d{{1,3}}({re.escape(other)}\d{{3}})+({re.escape(mark)}\d*)?(e[+-]?\d+)?", word):
        word = word.replace(other, "")
    word = word.replace(",", ".")
    return float(word) if NUMBER["."].fullmatch(word) else np.nan
