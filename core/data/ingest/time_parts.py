"""Timestamps spread over several columns: date and time of day, date and hour, or year, month, day and hour."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from core.data.ingest.date_parsing import ParsedDates, parse_dates
from core.data.ingest.number_parsing import parse_numbers
from core.data.ingest.timestamp_text import make_days, split_timestamps
from core.errors import UnreadableFileError
from core.messages import N_

PART_RANGES = {
    "year": (1700, 2200),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 24),
    "hour_ending": (1, 25),
    "minute": (0, 59),
    "second": (0, 59),
}
"""Part of a timestamp in whole numbers → smallest and largest value."""

PART_SECONDS = {"hour": 3600, "hour_ending": 3600, "minute": 60, "second": 1}
REPEATED_HOUR = 25  # the second hour 01:00 to 02:00 on the day of the autumn clock change
CLOCK_TEXT = r"^\s*\d{1,2}\s*(?:[:h]\s*\d{0,2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[ap]\.?m\.?)?|[ap]\.?m\.?)\s*(?:[-–].*)?$"
"""Time of day as text: 7:30, 19h, 7:30 PM, or the start of a range."""


def assemble_times(parts: Mapping[str, pd.Series], file: str, order: str = "") -> ParsedDates:
    """Return the timestamps of columns with the roles date, time_of_day, year, month, day, hour and minute.

    Hour k of the role hour_ending covers k − 1 to k, and its timestamp is the start; hour 25 is the second pass of
    01:00 to 02:00. `order` is the order of day and month where a person decided it. Raises UnreadableFileError with
    file, column, row and value for a cell that is no such part.

    Example:
        >>> table = pd.DataFrame({"day": ["2024-01-30", "2024-01-30"], "HE": [1, 24]})
        >>> times = assemble_times({"date": table["day"], "hour_ending": table["HE"]}, "load.csv").times
        >>> times.strftime("%H:%M").tolist()
        ['00:00', '23:00']
    """
    if "date" in parts:
        parsed = parse_dates(parts["date"], file, order)
    else:
        parsed = ParsedDates(_assemble_days(parts, file), ("year, month, day",))
    seconds = np.zeros(len(parsed.times), dtype=np.int64)
    fold = parsed.fold
    for role, scale in PART_SECONDS.items():
        if role in parts:
            numbers = _read_part(parts[role], role, file)
            if role == "hour_ending":
                fold = numbers == REPEATED_HOUR
                numbers = np.where(fold, 1, numbers - 1)
            seconds += numbers * scale
    times = parsed.times + pd.to_timedelta(seconds, unit="s")
    if "time_of_day" in parts:
        times += pd.to_timedelta(_read_clock_times(parts["time_of_day"], file), unit="ns")
    return replace(parsed, times=pd.DatetimeIndex(times).as_unit("ns"), fold=fold)


def _assemble_days(parts: Mapping[str, pd.Series], file: str) -> pd.DatetimeIndex:
    year = _read_part(parts["year"], "year", file)
    month = _read_part(parts["month"], "month", file) if "month" in parts else np.ones_like(year)
    day = _read_part(parts["day"], "day", file) if "day" in parts else np.ones_like(year)
    days = make_days(year, month, day)
    bad_rows = np.flatnonzero(np.isnat(days))
    if len(bad_rows):
        row = int(bad_rows[0])
        _raise_bad_part(parts["day"], "day", file, row, f"{year[row]}-{month[row]}-{day[row]}", "1 … 28/29/30/31")
    return pd.DatetimeIndex(days.astype("datetime64[ns]"))


def _read_part(column: pd.Series, role: str, file: str) -> NDArray[np.int64]:
    values, _ = parse_numbers(column)
    lowest, highest = PART_RANGES[role]
    is_valid = (values >= lowest) & (values <= highest) & (values == np.trunc(values))
    bad_rows = np.flatnonzero(~is_valid)
    if len(bad_rows):
        row = int(bad_rows[0])
        _raise_bad_part(column, role, file, row, column.iloc[row], f"{lowest} … {highest}")
    return values.astype(np.int64)


def _read_clock_times(column: pd.Series, file: str) -> NDArray[np.int64]:
    """Return times of day in ns."""
    codes, texts = pd.factorize(column, use_na_sentinel=True)
    parts = split_timestamps(pa.array([f"2000-01-01 {str(text).strip()}" for text in texts], pa.string()))
    is_valid = np.append(~np.isnat(parts.days["ymd"]), False)[codes]
    bad_rows = np.flatnonzero(~is_valid)
    if len(bad_rows):
        row = int(bad_rows[0])
        _raise_bad_part(column, "time_of_day", file, row, column.iloc[row], "00:00 … 24:00")
    return np.append(parts.clock, 0)[codes]


def _raise_bad_part(column: pd.Series, role: str, file: str, row: int, value: object, accepted: str) -> None:
    raise UnreadableFileError(
        N_("{file}, column {column!r}, row {row}: {value!r} is not accepted as {part}. Accepted: {accepted}."),
        file=file,
        column=str(column.name),
        row=row + 1,
        value="" if pd.isna(value) else str(value),
        part=role,
        accepted=accepted,
    )
