"""Profile of the day: hourly amounts from daily amounts, by the shares of recent days of the same weekday."""

import numpy as np

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.covariate_panel import shift_days
from core.forecasters.features import find_weekday_lag

PROFILE_WEEKS = 4


def disaggregate_days(amounts: Floats, series: Panel, step: int, first_day: int) -> Floats:
    """Return daily `amounts` (days from `first_day` on, entities) as amounts per slot, (days, entities, slots).

    The share of a slot is its mean share on the last four days of the same weekday known `step` days before.
    """
    slot_count = len(series.slots)
    if slot_count == 1:
        return amounts[:, :, None]
    return (
        amounts[:, :, None]
        * compute_intraday_shares(series, step)[first_day:]
        * (slot_count if series.is_averaged else 1)
    )


def compute_intraday_shares(series: Panel, step: int) -> Floats:
    """Return the expected share of every slot in its day, (days, entities, slots); the shares of a day sum to 1.

    Only days known `step` days before are used.

    Example:
        >>> import pandas as pd
        >>> values = np.tile([30.0, 10.0], (8, 1, 1))  # eight days, one entity, two slots
        >>> series = Panel(pd.date_range("2024-01-01", periods=8), ("Lyon",), ("00:00", "12:00"), values)
        >>> compute_intraday_shares(series, 1)[7].tolist()
        [[0.75, 0.25]]
    """
    total = series.values.sum(axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        day_shares = np.where(np.abs(total) > 0, series.values / total, np.nan)
    weeks, empty_shares = (_stack_weeks(values, step) for values in (day_shares, np.where(total == 0, 1.0, np.nan)))
    known = np.isfinite(weeks)
    mean = np.where(known, weeks, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    fallback_share = np.where(
        np.isfinite(empty_shares).any(axis=0), 1 / len(series.slots), np.nan
    )  # only days of amount 0: equal shares
    mean = np.where(known.any(axis=0), mean, fallback_share)
    shares: Floats = mean / mean.sum(axis=2, keepdims=True)
    return shares


def _stack_weeks(values: Floats, step: int) -> Floats:
    """Return `values` on the last four days of the same weekday known `step` days before, on a new first axis."""
    return np.stack([shift_days(values, find_weekday_lag(step) + 7 * week) for week in range(PROFILE_WEEKS)])
