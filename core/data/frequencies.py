"""Frequencies of series, from parts of a second to years: calendar of the periods, nominal step, and seasons."""

import math
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset

from core.data.dataset import DAY

Positions = NDArray[np.int64]

WEEK = 7 * DAY
YEAR = pd.Timedelta(days=365.25)
MONTH = YEAR / 12
MIN_MONTH = pd.Timedelta(days=28)
YEAR_MONTHS, QUARTER_MONTHS = 12, 3
WEEKDAY_ALIASES = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTH_ALIASES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MAX_MONTH_DAY = 28  # the last day that every month has


def infer_frequency(times: pd.DatetimeIndex, step: pd.Timedelta) -> str:
    """Return the alias of the frequency of `times`, whose usual distance is `step`.

    Times on the same day of every month, or on the last one, have a frequency of months, quarters or years. A period
    of months begins on the first day of its first month; a time on the last day of a month ends its period. Weeks begin
    on the weekday of the data.

    Example:
        >>> infer_frequency(pd.to_datetime(["2024-01-31", "2024-02-29", "2024-03-31"]), pd.Timedelta(days=31))
        'MS'
        >>> infer_frequency(pd.to_datetime(["2024-01-03", "2024-01-10"]), pd.Timedelta(days=7))
        'W-WED'
        >>> infer_frequency(pd.to_datetime(["2024-01-03 00:00", "2024-01-03 00:15"]), pd.Timedelta(minutes=15))
        '15min'
    """
    if step >= MIN_MONTH and (months := _count_months(times)):
        start = _start_months(times, months)
        return _name_months(months, int(start.min()) % months)
    if step == WEEK:
        return f"W-{WEEKDAY_ALIASES[times[0].dayofweek]}"
    return str(to_offset(step).freqstr)


@lru_cache(maxsize=256)
def get_month_count(frequency: str) -> int:
    """Return the months of a period; 0 for a frequency of days or of parts of a day.

    Example:
        >>> [get_month_count(frequency) for frequency in ("D", "MS", "QS-FEB", "YS-JAN", "6MS")]
        [0, 1, 3, 12, 6]
    """
    offset = to_offset(frequency)
    factor = {"MS": 1, "QS": QUARTER_MONTHS, "YS": YEAR_MONTHS}.get(offset.name.partition("-")[0], 0)
    return int(factor * offset.n)


@lru_cache(maxsize=256)
def get_step(frequency: str) -> pd.Timedelta:
    """Return the time between two periods; the mean one for months, quarters and years.

    Example:
        >>> [str(get_step(frequency)) for frequency in ("15min", "W-MON", "MS")]
        ['0 days 00:15:00', '7 days 00:00:00', '30 days 10:30:00']
    """
    months = get_month_count(frequency)
    if months:
        return MONTH * months
    offset = to_offset(frequency)
    return pd.Timedelta(WEEK * offset.n if frequency.startswith("W") else offset)


@lru_cache(maxsize=256)
def list_seasons(frequency: str) -> tuple[int, ...]:
    """Return the lengths in periods of the day, the week and the year, where they are at least two whole periods.

    A year of days, hours … is rounded to whole periods.

    Example:
        >>> [list_seasons(frequency) for frequency in ("h", "D", "W-MON", "MS", "QS-JAN", "YS-JAN")]
        [(24, 168, 8766), (7, 365), (52,), (12,), (4,), ()]
    """
    months = get_month_count(frequency)
    if months:
        return (YEAR_MONTHS // months,) if YEAR_MONTHS % months == 0 and months < YEAR_MONTHS else ()
    step = get_step(frequency)
    whole = [int(span // step) for span in (DAY, WEEK) if span % step == pd.Timedelta(0) and span > step]
    year = round(YEAR / step)
    return (*whole, *((year,) if year >= 2 else ()))


def locate_periods(times: pd.DatetimeIndex, frequency: str) -> tuple[pd.DatetimeIndex, Positions, NDArray[np.bool_]]:
    """Return the periods from the first to the last of `times`, the position of every time, and which are off the grid.

    The grid begins with the first time. Days and longer periods begin at midnight.

    Example:
        >>> times = pd.to_datetime(["2024-03-31", "2024-01-31"])
        >>> periods, positions, is_off = locate_periods(times, "MS")
        >>> periods.strftime("%Y-%m-%d").tolist(), positions.tolist(), is_off.any()
        (['2024-01-01', '2024-02-01', '2024-03-01'], [2, 0], np.False_)
    """
    months = get_month_count(frequency)
    if months:
        numbers = _start_months(times, months)
        positions, remainders = np.divmod(numbers - numbers.min(), months)
        first = pd.Timestamp(year=int(numbers.min()) // YEAR_MONTHS, month=int(numbers.min()) % YEAR_MONTHS + 1, day=1)
    else:
        step = get_step(frequency)
        starts = times.as_unit("ns").normalize() if step % DAY == pd.Timedelta(0) else times.as_unit("ns")
        first = starts.min()
        positions, remainders = np.divmod(starts.asi8 - first.value, step.value)
    count = int(positions.max()) + 1
    return pd.date_range(first, periods=count, freq=frequency, unit="ns"), positions, remainders != 0


def count_range(times: pd.DatetimeIndex, frequency: str) -> int:
    """Return the number of periods from the first to the last of `times`, without building them."""
    return math.ceil((times.max() - times.min()) / get_step(frequency)) + 1


def extend_periods(periods: pd.DatetimeIndex, count: int, frequency: str) -> pd.DatetimeIndex:
    """Return the `count` periods after the last of `periods`.

    Example:
        >>> extend_periods(pd.to_datetime(["2024-01-01"]), 2, "MS").strftime("%Y-%m-%d").tolist()
        ['2024-02-01', '2024-03-01']
    """
    return pd.date_range(periods[-1], periods=count + 1, freq=frequency)[1:]


def _count_months(times: pd.DatetimeIndex) -> int:
    """Return the months between two times that all lie on one day of the month, or on the last; else 0."""
    days = times.normalize().unique()
    is_same_day = (days.day == days[0].day).all() and days[0].day <= MAX_MONTH_DAY
    if not is_same_day and not days.is_month_end.all():
        return 0
    numbers = np.unique(days.year.to_numpy() * YEAR_MONTHS + days.month.to_numpy())
    return int(np.gcd.reduce(np.diff(numbers))) if len(numbers) > 1 else 0


def _start_months(times: pd.DatetimeIndex, months: int) -> Positions:
    """Return the number of the first month of every period, counted from year 0."""
    numbers = np.asarray(times.year * YEAR_MONTHS + times.month - 1, dtype=np.int64)
    return numbers - (months - 1 if times.is_month_end.all() else 0)


def _name_months(months: int, phase: int) -> str:
    """Return the alias of periods of `months`, the first of which begins `phase` months after one of year 0."""
    if months == 1:
        return "MS"
    if months == QUARTER_MONTHS:
        return f"QS-{MONTH_ALIASES[phase]}"
    return f"YS-{MONTH_ALIASES[phase]}" if months == YEAR_MONTHS else f"{months}MS"
