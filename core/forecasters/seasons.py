"""Seasons that forecasters repeat: the day and the week of short periods, the year of weeks and longer ones."""

from core.data.dataset import DAY
from core.data.panel import Panel


def list_repeated_seasons(series: Panel) -> list[int]:
    """Return the lengths of the seasons in periods, the shortest first; [1] for periods without a season.

    The year of days and shorter periods is left out: its length in them is no whole number, and its course follows the
    weather.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> def make_panel(frequency: str) -> Panel:
        ...     periods = pd.date_range("2024-01-01", periods=3, freq=frequency)
        ...     return Panel(periods, ("Lyon",), ("day",), np.ones((3, 1, 1)), frequency=frequency)
        >>> frequencies = ("30min", "D", "W-MON", "MS", "QS-JAN", "YS-JAN")
        >>> [list_repeated_seasons(make_panel(frequency)) for frequency in frequencies]
        [[48, 336], [7], [52], [12], [4], [1]]
    """
    seasons = series.seasons[:-1] if series.step <= DAY else series.seasons
    return list(seasons) or [1]
