"""Effect of an event on the amounts, separated from the season of the event."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.array_types import Floats

BOOTSTRAP_DRAWS = 2000
MIN_EVENT_DAYS = 3  # days with the event, at least
MAX_EPISODE_GAP = pd.Timedelta(days=3)  # largest distance between two days of one episode


@dataclass(frozen=True)
class Effect:
    """Relative change with its 95 % interval (−0.04 is 4 % less); NaN for too few days.

    episodes   runs of days with the event; the bootstrap draws whole runs, because their days are correlated
    """

    method: str
    change: float
    low: float
    high: float
    days: int
    episodes: int


def compute_raw_effect(amounts: pd.Series, event: pd.Series) -> Effect:
    """Return the mean with the event over the mean without, minus 1; it includes the effect of the season.

    `amounts` and `event` (bool) have the index (entity, day).

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=60)
        >>> index = pd.MultiIndex.from_product([["a"], days], names=["entity", "day"])
        >>> event = pd.Series([day in (35, 36, 50) for day in range(60)], index)  # in February
        >>> season = pd.Series([100.0 if day.month == 1 else 200.0 for day in days], index)
        >>> amounts = season.mask(event, 180.0)  # 10 % less than usual
        >>> round(compute_raw_effect(amounts, event).change, 2), round(compute_matched_effect(amounts, event).change, 2)
        (0.24, -0.1)
    """
    normal_mean = float(amounts[~event].mean())
    return _bootstrap_effect("raw", amounts[event].dropna(), lambda draw: float(draw.mean()) / normal_mean - 1)


def compute_matched_effect(amounts: pd.Series, event: pd.Series, method: str = "matched") -> Effect:
    """Return the median ratio of days with the event to similar days without, minus 1.

    Similar days have the same entity, year, month and kind (working day or weekend). Each day is compared with the
    median of its similar days, in logarithms; days without any similar day are left out. `amounts` may be adjusted
    for the weather (divided by the effect of the weather on the day).

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=31)
        >>> index = pd.MultiIndex.from_product([["a"], days], names=["entity", "day"])
        >>> event = pd.Series([day in (1, 2, 16) for day in range(31)], index)
        >>> effect = compute_matched_effect(pd.Series(100.0, index).mask(event, 80.0), event)
        >>> round(effect.change, 2), effect.days, effect.episodes
        (-0.2, 3, 2)
    """
    days = pd.DatetimeIndex(amounts.index.get_level_values("day"))
    group_keys = [amounts.index.get_level_values("entity"), days.year, days.month, days.dayofweek >= 5]
    log_amounts = np.log(amounts.where(amounts > 0))
    typical = log_amounts.mask(event).groupby(group_keys, observed=True).transform("median")
    change = (log_amounts - typical)[event].dropna()
    return _bootstrap_effect(method, change, lambda draw: float(np.exp(np.median(draw)) - 1))


def _bootstrap_effect(method: str, values: pd.Series, statistic: Callable[[Floats], float]) -> Effect:
    """Return the statistic of `values` and its percentile interval over draws of whole episodes.

    An episode holds all entities of its days.
    """
    days = pd.DatetimeIndex(values.index.get_level_values("day"))
    event_days = days.unique().sort_values()
    if len(event_days) < MIN_EVENT_DAYS:
        return Effect(method, float("nan"), float("nan"), float("nan"), len(event_days), 0)
    episode = pd.Series((event_days.to_series().diff() > MAX_EPISODE_GAP).cumsum().to_numpy(), index=event_days)
    row_episodes = episode.reindex(days).to_numpy()
    row_values = values.to_numpy()
    groups = [row_values[row_episodes == episode_number] for episode_number in np.unique(row_episodes)]
    rng = np.random.default_rng(0)
    draws = [
        statistic(np.concatenate([groups[pick] for pick in rng.integers(len(groups), size=len(groups))]))
        for _ in range(BOOTSTRAP_DRAWS)
    ]
    low, high = np.quantile(draws, [0.025, 0.975]) if len(groups) > 1 else (np.nan, np.nan)
    return Effect(method, statistic(row_values), float(low), float(high), len(event_days), len(groups))
