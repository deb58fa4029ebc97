"""Tables for other programs: CSV that a spreadsheet cannot be made to execute, and Parquet."""

import io
from pathlib import Path

import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def neutralised(table: pd.DataFrame) -> pd.DataFrame:
    """Text cells and column names that a spreadsheet would take for a formula get an apostrophe in front."""
    safe = table.rename(columns=_safe)
    for column in safe.columns:
        cells = safe[column]
        if isinstance(cells.dtype, pd.CategoricalDtype):
            safe[column] = cells.astype(object).map(_safe)
        elif cells.dtype == object or pd.api.types.is_string_dtype(cells):
            safe[column] = cells.map(_safe)
    return safe


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.lstrip(" \n").startswith(FORMULA) else value


def written_csv(table: pd.DataFrame, target: Path | io.BytesIO) -> None:
    """UTF-8 with a mark that spreadsheets understand, formulas neutralised."""
    neutralised(table).to_csv(target, index=False, encoding="utf-8-sig", lineterminator="\n")


def as_csv(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    written_csv(table, buffer)
    return buffer.getvalue()


def as_parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()
