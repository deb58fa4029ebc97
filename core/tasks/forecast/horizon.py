"""Default horizon of a forecast, by the length of the periods."""

import math
from typing import Literal

import pandas as pd

from core.data.dataset import DAY, Dataset
from core.data.frequencies import WEEK, get_month_count, get_step, infer_frequency
from core.data.panel import Resolution
from core.tasks.forecast.data_choices import choose_resolution

DAYS = 7  # ahead, of daily amounts
MAX_SHORT_PERIODS = 96  # of less than a day: a day of quarter-hours
SHORT_SPANS = tuple(pd.Timedelta(span) for span in ("1D", "12h", "6h", "3h", "1h", "30min", "10min", "1min", "1s"))
MONTHS_PERIODS = {1: 6, 3: 4, 6: 2}  # half a year of months, a year of quarters and half-years
YEARS, WEEKS = 2, 4
MIN_SHORT_PERIODS, HISTORY_SHARE = 7, 8  # a default is at most an eighth of the history, but for the least


def choose_horizon(frequency: str, period_count: int) -> int:
    """Return the periods ahead for a history of `period_count` periods: a day of hours, a week of days, four weeks.

    For shorter steps it is the longest round time of at most 96 of them: an hour of minutes, six hours of five minutes.

    Example:
        >>> frequencies = ("min", "5min", "15min", "30min", "h", "6h", "D", "2D", "W-MON", "MS", "QS-JAN", "YS-JAN")
        >>> [choose_horizon(frequency, 10_000) for frequency in frequencies]
        [60, 72, 96, 48, 24, 7, 7, 4, 4, 6, 4, 2]
        >>> choose_horizon("h", 80)  # three days
        10
    """
    months, step = get_month_count(frequency), get_step(frequency)
    if months:
        return MONTHS_PERIODS.get(months, YEARS)
    if step > DAY:
        return WEEKS if step == WEEK else max(math.ceil(WEEK / step), 1)
    if step == DAY:
        return DAYS
    longest = next((span for span in SHORT_SPANS if span / step <= MAX_SHORT_PERIODS), step)
    return max(min(int(longest // step), period_count // HISTORY_SHARE), MIN_SHORT_PERIODS)


def suggest_horizon(resolution: Literal["auto"] | Resolution, dataset: Dataset) -> int:
    """Return the default horizon of a dataset, in periods of a resolution."""
    step = DAY / len(dataset.columns) if dataset.profile else dataset.step
    if step is None or choose_resolution(resolution, dataset)[0] != "step":
        return DAYS
    times = pd.DatetimeIndex(dataset.time).unique()
    count = len(times) * (len(dataset.columns) if dataset.profile else 1)
    return choose_horizon(infer_frequency(times, step), count)
