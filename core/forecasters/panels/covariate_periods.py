"""Covariates of days, and of the times of a day, on the periods of a panel."""

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


def list_timed_columns(covariates: Covariates, panel: Panel) -> list[str]:
    """Return the covariates that are known at the times of the day of `panel`; [] where its clock is another one.

    These times are the slots of days, or steps that are parts of a day.
    """
    intraday = covariates.intraday
    if intraday is None or _count_slots(panel) != intraday.slots or panel.day_start != intraday.day_start:
        return []
    return list(intraday.columns) if intraday.zone in ("", panel.zone) else []


def read_deviations(covariates: Covariates, panel: Panel, periods: pd.DatetimeIndex, name: str) -> Floats:
    """Return a timed covariate in `periods` of `panel`, less the value of its day (periods, entities, slots)."""
    return select_slots(covariates.read_deviations(name, panel.entities, list_days(periods)), panel, periods)


def list_days(periods: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the days from the first to the last of `periods`."""
    return pd.date_range(periods[0].normalize(), periods[-1].normalize(), freq="D")


def select_slots(values: Floats, panel: Panel, periods: pd.DatetimeIndex) -> Floats:
    """Return values of days (days, entities, slots) in `periods` of `panel`: all slots, or the single one of a step.

    The days are those of `list_days`.
    """
    if len(panel.slots) > 1:
        return values
    midnights = periods.normalize()
    slots = np.asarray((periods - midnights) // panel.step, dtype=np.intp)
    return values[list_days(periods).get_indexer(midnights), :, slots][:, :, None]


def _count_slots(panel: Panel) -> int:
    """Return the slots of a day of `panel`; 0 where its periods are no parts of a day."""
    if len(panel.slots) > 1:
        return len(panel.slots)
    is_part = panel.step < DAY and DAY % panel.step == pd.Timedelta(0)
    return int(DAY / panel.step) if is_part else 0
