"""What an event changes, told apart from the season it falls in."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 2000
LEAST_DAYS = 3  # with the event
GAP = pd.Timedelta(days=3)  # days with the event that lie closer belong to one episode


@dataclass(frozen=True)
class Effect:
    """A relative change with its 95 % interval (−0.04 is 4 % less); NaN where there are too few days.

    episodes   runs of days with the event: what the interval is drawn from, because neighbouring days repeat each other
    """

    method: str
    change: float
    low: float
    high: float
    days: int
    episodes: int


def raw_effect(amounts: pd.Series, event: pd.Series) -> Effect:
    """Mean with over mean without, minus 1: what confounds the event with the season it falls in.

    `amounts` and `event` (bool) have the index (entity, day).
    """
    without = float(amounts[~event].mean())
    return _bootstrapped("raw", amounts[event].dropna(), lambda draw: float(draw.mean()) / without - 1)


def matched_effect(amounts: pd.Series, event: pd.Series, method: str = "matched") -> Effect:
    """Median ratio of days with the event to like days without: same entity, year, month, and working day or week-end.

    Compared with the median of the like days, as logarithms; days without any like day are left out. Amounts from
    which the weather has been taken out (divided by what the weather makes of a day) are welcome.
    """
    days = pd.DatetimeIndex(amounts.index.get_level_values("day"))
    kind = [amounts.index.get_level_values("entity"), days.year, days.month, days.dayofweek >= 5]
    growth = np.log(amounts.where(amounts > 0))
    usual = growth.mask(event).groupby(kind, observed=True).transform("median")
    change = (growth - usual)[event].dropna()
    return _bootstrapped(method, change, lambda draw: float(np.exp(np.median(draw)) - 1))


def _bootstrapped(method: str, values: pd.Series, statistic: Callable[[Floats], float]) -> Effect:
    """Return the statistic of `values` and its percentile interval over draws of whole episodes.

    An episode is all entities of a day together.
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
