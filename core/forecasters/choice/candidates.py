"""Forecasters that the automatic choice compares, with the work that each of them means."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from core.data.panel import Panel
from core.forecasters.base import Forecaster
from core.forecasters.exponential_smoothing import ExponentialSmoothing
from core.forecasters.gradient_boosting import GradientBoosting
from core.forecasters.random_forest import RandomForest
from core.forecasters.ridge import Ridge
from core.forecasters.season_line import SeasonLine
from core.forecasters.seasons import list_repeated_seasons
from core.forecasters.series.auto_ets import AutoEts
from core.forecasters.series.gradient_boosting_quantiles import GradientBoostingQuantiles
from core.forecasters.series.zero_shot import ZeroShot

NETWORK_BLOCK = 48  # steps that the zero-shot network gives at once


@dataclass(frozen=True)
class PanelSize:
    """Size of a panel, and of the forecasts that are made for it.

    origins  forecast origins of the comparison and of the backtest that follows
    """

    periods: int
    entities: int
    horizon: int
    origins: int


@dataclass(frozen=True)
class Candidate:
    """Forecaster to compare.

    label    name that people read
    build    returns an unfitted instance
    seconds  returns the seconds that fit and forecasts take on one core of a usual machine, counted from the size.
             They decide what is tried, and no clock does, so the same data give the same choice on every machine
    """

    label: str
    build: Callable[[], Forecaster]
    seconds: Callable[[PanelSize], float]

    @property
    def is_naive(self) -> bool:
        """True for a line that nothing is learnt for."""
        return isinstance(self.build(), SeasonLine)


def list_candidates(series: Panel) -> list[Candidate]:
    """Return the naive lines of every season of `series`, then the forecasters, cheap ones first.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> series = Panel(pd.date_range("2024-01-01", periods=30), ("Lyon",), ("day",), np.ones((30, 1, 1)))
        >>> [candidate.label for candidate in list_candidates(series)][:3]
        ['season-line 1', 'season-line 7', 'exponential-smoothing']
    """
    return [*(_build_line(season) for season in (1, *list_repeated_seasons(series))), *_FORECASTERS]


def _build_line(season: int) -> Candidate:
    return Candidate(f"{SeasonLine.name} {season}", lambda: SeasonLine(season), lambda size: 0.0)


def _estimate_smoothing(size: PanelSize) -> float:
    return 2e-4 * size.periods * (1 + size.entities / 20)


def _estimate_ridge(size: PanelSize) -> float:
    return 1e-5 * size.periods * size.entities * size.horizon


def _estimate_boosting(size: PanelSize) -> float:
    rows = size.periods * size.entities * size.horizon
    return 1e-4 * min(rows, GradientBoosting.max_train_rows) + 3e-6 * (rows + size.origins * size.entities)


def _estimate_forest(size: PanelSize) -> float:
    rows = size.periods * size.entities * size.horizon
    return 4e-4 * min(rows, RandomForest.max_train_rows) + 3e-6 * rows


def _estimate_daily_smoothing(size: PanelSize) -> float:
    return 0.01 * size.origins * size.entities


def _estimate_boosted_quantiles(size: PanelSize) -> float:
    return 3.0 + size.origins * (2e-3 + 4e-5 * size.entities * size.horizon)


def _estimate_network(size: PanelSize) -> float:
    return 0.04 * size.origins * size.entities * ceil(size.horizon / NETWORK_BLOCK)


_FORECASTERS = (
    Candidate(ExponentialSmoothing.name, ExponentialSmoothing, _estimate_smoothing),
    Candidate(Ridge.name, Ridge, _estimate_ridge),
    Candidate(GradientBoosting.name, GradientBoosting, _estimate_boosting),
    Candidate(AutoEts.name, AutoEts, _estimate_daily_smoothing),
    Candidate(GradientBoostingQuantiles.name, GradientBoostingQuantiles, _estimate_boosted_quantiles),
    Candidate(ZeroShot.name, ZeroShot, _estimate_network),
    Candidate(RandomForest.name, RandomForest, _estimate_forest),
)
