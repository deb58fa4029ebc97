"""Facts about the columns of a table, from a sample of their cells: the kind of cells, and the range of numbers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from core.data.columns import Role
from core.data.ingest.date_parsing import looks_like_dates
from core.data.ingest.layouts.base import normalise_name
from core.data.ingest.number_parsing import parse_numbers
from core.data.ingest.time_parts import CLOCK_TEXT, PART_RANGES
from core.data.ingest.timestamp_text import split_timestamps

Kind = Literal["empty", "bool", "timestamp", "date", "clock", "number", "text"]

SAMPLE_ROWS = 500
MAX_DENSE_RATIO = 4  # possible codes per row, up to which an array of all of them is faster than a hash table
TIME_PART_NAMES: dict[Role, tuple[str, ...]] = {
    "year": ("year", "yr", "yyyy", "annee", "an", "jahr", "anno", "ano"),
    "month": ("month", "mon", "mm", "mois", "monat", "mes", "mese"),
    "day": ("day", "dd", "jour", "tag", "dia", "giorno", "dayofmonth"),
    "hour": ("hour", "hours", "hr", "hh", "h", "heure", "heures", "stunde", "hora", "ora", "hourofday"),
    "hour_ending": ("hourending", "hourend", "he", "hourended", "heurefin"),
    "minute": ("minute", "minutes", "min", "mn"),
    "second": ("second", "seconds", "sec", "seconde", "secondes"),
}


@dataclass(frozen=True)
class ColumnFacts:
    """Facts about a column, from a sample of its cells."""

    name: str
    cells: pd.Series
    kind: Kind
    is_whole: bool = False
    lowest: float = np.nan
    highest: float = np.nan

    @property
    def plain_name(self) -> str:
        """Name in lower case without accents and punctuation."""
        return normalise_name(self.name)

    def is_part(self, role: Role) -> bool:
        """Tell whether the column holds the whole numbers of a part of a timestamp, by name and range."""
        lowest, highest = PART_RANGES[role]
        return (
            self.kind == "number"
            and self.plain_name in TIME_PART_NAMES[role]
            and self.is_whole
            and self.lowest >= lowest
            and self.highest <= highest
        )

    def encode(self) -> NDArray[np.int64]:
        """Return one code per distinct cell."""
        if isinstance(self.cells.dtype, pd.CategoricalDtype):
            return self.cells.cat.codes.to_numpy(dtype=np.int64)
        is_dense = self.is_whole and self.highest - self.lowest < MAX_DENSE_RATIO * len(self.cells)
        if is_dense and pd.api.types.is_numeric_dtype(self.cells) and not self.cells.hasnans:
            return (self.cells.to_numpy() - self.lowest).astype(np.int64)
        return pd.factorize(self.cells)[0].astype(np.int64)


def describe_column(cells: pd.Series, name: str) -> ColumnFacts:
    """Return the kind of a column's cells, and the range of its numbers.

    Example:
        >>> describe_column(pd.Series(["07:00", "08:00"]), "time").kind
        'clock'
        >>> facts = describe_column(pd.Series([1, 24]), "Hour Ending")
        >>> facts.kind, facts.is_whole, facts.lowest, facts.highest
        ('number', True, 1.0, 24.0)
    """
    sample = cells.iloc[:: max(1, len(cells) // SAMPLE_ROWS)].dropna()
    if not len(sample):
        sample = cells.dropna().head(SAMPLE_ROWS)
    if not len(sample):
        return ColumnFacts(name, cells, "empty")
    if pd.api.types.is_bool_dtype(cells):
        return ColumnFacts(name, cells, "bool")
    if pd.api.types.is_datetime64_any_dtype(cells):
        return ColumnFacts(name, cells, "timestamp")
    if not pd.api.types.is_numeric_dtype(cells):
        texts = pd.Series(pd.unique(sample)).astype(str)
        if texts.str.fullmatch(CLOCK_TEXT, case=False).mean() > 0.9:
            return ColumnFacts(name, cells, "clock")
        if looks_like_dates(texts):
            parts = split_timestamps(pa.array(texts.tolist(), pa.string()))
            has_clock = any(":" in shape or "h" in shape for shape in parts.shapes) or bool(parts.clock.any())
            return ColumnFacts(name, cells, "timestamp" if has_clock else "date")
        values, bad_rows = parse_numbers(texts)
        if not len(values) or len(bad_rows) >= 0.5 * len(values):
            return ColumnFacts(name, cells, "text")
        return ColumnFacts(name, cells, "number", *_measure_range(values))
    facts = _measure_range(sample.to_numpy(dtype=np.float64))
    if facts[0]:  # whole numbers may be keys or times, which every cell decides
        facts = _measure_range(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    return ColumnFacts(name, cells, "number", *facts)


def _measure_range(values: NDArray[np.float64]) -> tuple[bool, float, float]:
    filled = values[~np.isnan(values)]
    if not len(filled):
        return False, np.nan, np.nan
    return bool((filled == np.trunc(filled)).all()), float(filled.min()), float(filled.max())


def count_unique(columns: list[ColumnFacts]) -> int:
    """Return the number of distinct combinations of cells.

    Example:
        >>> days = describe_column(pd.Series(["2024-01-30", "2024-01-30", "2024-01-31"]), "day")
        >>> meters = describe_column(pd.Series([101, 102, 101]), "meter")
        >>> count_unique([days]), count_unique([days, meters])
        (2, 3)
    """
    row_count = len(columns[0].cells)
    codes, limit = np.zeros(row_count, dtype=np.int64), 1
    for column in columns:
        column_codes = column.encode() + 1
        width = int(column_codes.max(initial=0)) + 1
        codes, limit = codes * width + column_codes, limit * width
        if limit > MAX_DENSE_RATIO * max(row_count, 1):  # few of the combinations exist: number those that do
            codes, uniques = pd.factorize(codes)
            codes, limit = codes.astype(np.int64), len(uniques)
    return int(np.count_nonzero(np.bincount(codes, minlength=limit)))
