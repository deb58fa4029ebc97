"""Seasons of a panel, in periods, by the length of a period."""

import pandas as pd

from core.data.panel import Panel

DAY, YEAR_DAYS, WEEK_DAYS = pd.Timedelta(days=1), 365.25, 7


def list_seasons(series: Panel) -> list[int]:
    """Return the lengths of the seasons in periods, the shortest first: day and week, week, or year.

    Example:
        >>> import numpy as np
        >>> def make_panel(frequency: str) -> Panel:
        ...     periods = pd.date_range("2024-01-01", periods=3, freq=frequency)
        ...     return Panel(periods, ("Lyon",), ("day",), np.ones((3, 1, 1)), frequency=frequency)
        >>> [list_seasons(make_panel(frequency)) for frequency in ("30min", "D", "W-MON", "MS", "QS", "YS")]
        [[48, 336], [7], [52], [12], [4], [1]]
    """
    offset = pd.tseries.frequencies.to_offset(series.frequency)
    start = pd.Timestamp("2001-01-01")
    period = (start + 12 * offset - start) / 12
    if period < 0.75 * DAY:
        day = max(round(DAY / period), 2)
        return [day, WEEK_DAYS * day]
    if period < 1.5 * DAY:
        return [WEEK_DAYS]
    return [max(round(YEAR_DAYS * DAY / period), 1)]
