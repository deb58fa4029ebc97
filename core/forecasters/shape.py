"""Hours from days: how an entity spreads a day's amount over its moments.

It is learnt from the same weekday of recent weeks.
"""

import numpy as np
from numpy.typing import NDArray

from core.data.panel import Panel
from core.forecasters.features import same_weekday
from core.forecasters.known import shifted

Floats = NDArray[np.float64]

WEEKS = 4


def spread_over_day(amounts: Floats, series: Panel, step: int, first: int) -> Floats:
    """Daily `amounts` (days from `first` on, entities) as moments of the day, (days, entities, slots).

    The share of each moment is its mean share on the last four known days of the same weekday, `step` days before.
    """
    count = len(series.slots)
    if count == 1:
        return amounts[:, :, None]
    return amounts[:, :, None] * shares(series, step)[first:] * (count if series.averaged else 1)


def shares(series: Panel, step: int) -> Floats:
    """The share of every moment in its day as expected `step` days before, (days, entities, slots); sums to 1."""
    total = series.values.sum(axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(np.abs(total) > 0, series.values / total, np.nan)
    weeks, empty = (_weeks(each, step) for each in (own, np.where(total == 0, 1.0, np.nan)))
    known = np.isfinite(weeks)
    mean = np.where(known, weeks, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    level = np.where(
        np.isfinite(empty).any(axis=0), 1 / len(series.slots), np.nan
    )  # nothing but empty days: no shape to tell
    mean = np.where(known.any(axis=0), mean, level)
    found: Floats = mean / mean.sum(axis=2, keepdims=True)
    return found


def _weeks(values: Floats, step: int) -> Floats:
    """What stood on the last days of the same weekday known `step` days before, on one axis more."""
    return np.stack([shifted(values, same_weekday(step) + 7 * week) for week in range(WEEKS)])
