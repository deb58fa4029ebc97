"""Timestamps written as numbers: 20240131, seconds since 1970, serial days of Excel."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import AnyFloats
from core.data.ingest.timestamp_text import Days, make_days

Times = NDArray[np.datetime64]

EPOCH_UNITS = {"s": 1, "ms": 10**3, "µs": 10**6, "ns": 10**9}
"""Unit of the time since 1970 → its number per second."""

EPOCH_FORMATS = tuple(f"{unit} since 1970" for unit in EPOCH_UNITS)
EPOCH_RANGE_S = (631_152_000, 4_102_444_800)  # 1990 to 2100
EXCEL_RANGE_DAYS = (20_000, 80_000)  # 1954 to 2119
EXCEL_EPOCH = np.datetime64("1899-12-30", "us")
COMPACT_FORMATS = {"YYYYMM": 6, "YYYYMMDD": 8, "YYYYMMDDhh": 10, "YYYYMMDDhhmm": 12, "YYYYMMDDhhmmss": 14}
"""Format of whole numbers → number of digits."""

MICROSECONDS_PER_DAY = 86_400 * 10**6


def read_numeric_times(values: AnyFloats) -> tuple[str, Times]:
    """Return the format of numbers that are all times, and the times in µs; an empty format if there is none.

    NaN becomes NaT. A compact date is preferred to seconds since 1970: few numbers are dates by chance.

    Example:
        >>> name, times = read_numeric_times(np.array([1704067200000.0, 1704070800000.0]))
        >>> name, times.astype("datetime64[h]").astype(str).tolist()
        ('ms since 1970', ['2024-01-01T00', '2024-01-01T01'])
        >>> read_numeric_times(np.array([20240131.0]))[0], read_numeric_times(np.array([45321.5]))[0]
        ('YYYYMMDD', 'Excel days')
        >>> read_numeric_times(np.array([1.0, 2.0]))[0]
        ''
    """
    values = np.asarray(values, dtype=np.float64)
    filled = values[~np.isnan(values)]
    no_times = np.full(len(values), np.datetime64("NaT", "us"))
    if not len(filled):
        return "", no_times
    lowest, highest = filled.min(), filled.max()
    is_whole = bool((filled == np.trunc(filled)).all())
    for name, digits in COMPACT_FORMATS.items():
        if is_whole and 10 ** (digits - 1) <= lowest and highest < 10**digits:
            times = _read_compact(values, digits)
            if not np.isnat(times[~np.isnan(values)]).any():
                return name, times
    for unit, per_second in EPOCH_UNITS.items():
        if EPOCH_RANGE_S[0] * per_second <= lowest and highest <= EPOCH_RANGE_S[1] * per_second:
            return f"{unit} since 1970", _read_scaled(values, 10**6 / per_second, np.datetime64(0, "us"))
    if EXCEL_RANGE_DAYS[0] <= lowest and highest <= EXCEL_RANGE_DAYS[1]:
        times = _read_scaled(values, MICROSECONDS_PER_DAY, EXCEL_EPOCH)
        return "Excel days", _round_to_seconds(times)
    return "", no_times


def _read_compact(values: AnyFloats, digits: int) -> Times:
    is_missing = np.isnan(values)
    numbers = np.where(is_missing, 0, values).astype(np.int64)
    clock_digits = max(digits - 8, 0)
    dates, clock = numbers // 10**clock_digits, numbers % 10**clock_digits
    if digits == 6:
        dates = dates * 100 + 1
    days: Days = make_days(dates // 10_000, dates // 100 % 100, dates % 100)
    hour, minute, second = (clock * 10 ** (6 - clock_digits) // 10**power % 100 for power in (4, 2, 0))
    seconds = (hour * 60 + minute) * 60 + second
    is_valid = (hour < 24) & (minute < 60) & (second < 60) & ~is_missing
    times = days.astype("datetime64[us]") + (seconds * 10**6)
    return np.where(is_valid, times, np.datetime64("NaT", "us"))


def _read_scaled(values: AnyFloats, microseconds: float, start: np.datetime64) -> Times:
    is_missing = np.isnan(values)
    offsets = np.rint(np.where(is_missing, 0, values) * microseconds).astype(np.int64)
    return np.where(is_missing, np.datetime64("NaT", "us"), start + offsets.astype("timedelta64[us]"))


def _round_to_seconds(times: Times) -> Times:
    """Round to seconds: a serial day has too few digits for more."""
    return np.asarray(pd.DatetimeIndex(times).round("s").as_unit("us"))
