"""Profile of the day: hourly amounts from daily amounts, by the shares of recent days of the same weekday."""

import numpy as np
from numpy.typing import NDArray

from core.data.panel import Panel
from core.forecasters.features import same_weekday
from core.forecasters.known import shifted

Floats = NDArray[np.float64]

WEEKS = 4


def spread_over_day(amounts: Floats, series: Panel, step: int, first: int) -> Floats:
    """Return daily `amounts` (days from index `first` on, entities) as amounts of the slots, (days, entities, slots).

    The share of a slot is its mean share on the last four days of the same weekday known `step` days before.
    """
    count = len(series.slots)
    if count == 1:
        return amounts[:, :, None]
    return amounts[:, :, None] * shares(series, step)[first:] * (count if series.averaged else 1)


def shares(series: Panel, step: int) -> Floats:
    """Return the expected share of every slot in its day, (days, entities, slots); the shares of a day sum to 1.

    Only days known `step` days before are used.

    Example:
        >>> import pandas as pd
        >>> values = np.tile([30.0, 10.0], (8, 1, 1))  # eight days, one entity, two slots
        >>> series = Panel(pd.date_range("2024-01-01", periods=8), ("Lyon",), ("00:00", "12:00"), values)
        >>> shares(series, 1)[7].tolist()
        [[0.75, 0.25]]
    """
    total = series.values.sum(axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(np.abs(total) > 0, series.values / total, np.nan)
    weeks, empty = (_weeks(each, step) for each in (own, np.where(total == 0, 1.0, np.nan)))
    known = np.isfinite(weeks)
    mean = np.where(known, weeks, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    level = np.where(
        np.isfinite(empty).any(axis=0), 1 / len(series.slots), np.nan
    )  # only days of amount 0: equal shares
    mean = np.where(known.any(axis=0), mean, level)
    found: Floats = mean / mean.sum(axis=2, keepdims=True)
    return found


def _weeks(values: Floats, step: int) -> Floats:
    """Return `values` on the last four days of the same weekday known `step` days before, on a new first axis."""
    return np.stack([shifted(values, same_weekday(step) + 7 * week) for week in range(WEEKS)])
