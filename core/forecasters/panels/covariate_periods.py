"""Covariates of days on the periods of a panel."""

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.dataset import DAY
from core.data.frequencies import extend_periods
from core.data.panel import Panel


def read_periods(covariates: Covariates, panel: Panel, periods: pd.DatetimeIndex) -> Floats:
    """Return the values of `covariates` in `periods` of `panel`, (periods, entities, columns); NaN where unknown.

    A step shorter than a day has the value of its day. A week, a month … has the mean of its known days, so that a flag
    becomes a share of days.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=14, name="day")
        >>> index = pd.MultiIndex.from_product([["Lyon"], days], names=["entity", "day"])
        >>> holidays = Covariates(pd.DataFrame({"holiday": [1.0] + [0.0] * 13}, index=index))
        >>> weeks = pd.date_range("2024-01-01", periods=2, freq="W-MON")
        >>> panel = Panel(weeks, ("Lyon",), ("day",), np.ones((2, 1, 1)), frequency="W-MON")
        >>> read_periods(holidays, panel, weeks).round(3).ravel().tolist()
        [0.143, 0.0]
    """
    if panel.step <= DAY:
        return covariates.to_array(panel.entities, periods)
    end = extend_periods(periods, 1, panel.frequency)[0]
    days = pd.date_range(periods[0], end - DAY, freq="D")
    values = covariates.to_array(panel.entities, days)
    known = np.isfinite(values)
    starts = days.searchsorted(periods)
    sums, counts = (np.add.reduceat(array, starts, axis=0) for array in (np.where(known, values, 0.0), known * 1.0))
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)
