"""Effect of an event on the amounts, separated from the season of the event."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 2000
LEAST_DAYS = 3  # days with the event, at least
GAP = pd.Timedelta(days=3)  # largest distance between two days of one episode


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


def raw_effect(amounts: pd.Series, event: pd.Series) -> Effect:
    """Return the mean with the event over the mean without, minus 1; it includes the effect of the season.

    `amounts` and `event` (bool) have the index (entity, day).

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=60)
        >>> index = pd.MultiIndex.from_product([["a"], days], names=["entity", "day"])
        >>> event = pd.Series([day in (35, 36, 50) for day in range(60)], index)  # in February
        >>> season = pd.Series([100.0 if day.month == 1 else 200.0 for day in days], index)
        >>> amounts = season.mask(event, 180.0)  # 10 % less than usual
        >>> round(raw_effect(amounts, event).change, 2), round(matched_effect(amounts, event).change, 2)
        (0.24, -0.1)
    """
    without = float(amounts[~event].mean())
    return _bootstrapped("raw", amounts[event].dropna(), lambda draw: float(draw.mean()) / without - 1)


def matched_effect(amounts: pd.Series, event: pd.Series, method: str = "matched") -> Effect:
    """Return the median ratio of days with the event to similar days without, minus 1.

    Similar days have the same entity, year, month and kind (working day or weekend). Each day is compared with the
    median of its similar days, in logarithms; days without any similar day are left out. `amounts` may be adjusted
    for the weather (divided by the effect of the weather on the day).

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=31)
        >>> index = pd.MultiIndex.from_product([["a"], days], names=["entity", "day"])
        >>> event = pd.Series([day in (1, 2, 16) for day in range(31)], index)
        >>> effect = matched_effect(pd.Series(100.0, index).mask(event, 80.0), event)
        >>> round(effect.change, 2), effect.days, effect.episodes
        (-0.2, 3, 2)
    """
    days = pd.DatetimeIndex(amounts.index.get_level_values("day"))
    kind = [amounts.index.get_level_values("entity"), days.year, days.month, days.dayofweek >= 5]
    growth = np.log(amounts.where(amounts > 0))
    usual = growth.mask(event).groupby(kind, observed=True).transform("median")
    change = (growth - usual)[event].dropna()
    return _bootstrapped(method, change, lambda draw: float(np.exp(np.median(draw)) - 1))


def _bootstrapped(method: str, values: pd.Series, statistic: Callable[[Floats], float]) -> Effect:
    """Return the statistic of `values` and its percentile interval over draws of whole episodes.

    An episode holds all entities of its days.
    """
    days = pd.DatetimeIndex(values.index.get_level_values("day"))
    unique = days.unique().sort_values()
    if len(unique) < LEAST_DAYS:
        return Effect(method, float("nan"), float("nan"), float("nan"), len(unique), 0)
    episode = pd.Series((unique.to_series().diff() > GAP).cumsum().to_numpy(), index=unique)
    number = episode.reindex(days).to_numpy()
    numbers = values.to_numpy()
    groups = [numbers[number == each] for each in np.unique(number)]
    random = np.random.default_rng(0)
    draws = [
        statistic(np.concatenate([groups[pick] for pick in random.integers(len(groups), size=len(groups))]))
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(draws, [0.025, 0.975]) if len(groups) > 1 else (np.nan, np.nan)
    return Effect(method, statistic(numbers), float(low), float(high), len(unique), len(groups))
