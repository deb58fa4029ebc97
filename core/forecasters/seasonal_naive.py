"""Seasonal naive: the last known amount of the same weekday."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import override

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.panel import Panel
from core.data.regular_series import RegularSeries
from core.forecasters.base import Forecaster
from core.forecasters.covariate_panel import CovariatePanel, shift_days
from core.forecasters.series.base import (
    RECENT_STEPS,
    SeriesForecaster,
    bound_quantiles,
    mark_known_entities,
    require_history,
)
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

MAX_OLDER_SEASONS = 3  # looked at where the value of the last season is missing


@dataclass
class SeasonalNaive(SeriesForecaster):
    """Last known amount one or more whole seasons before; a missing amount is filled from the days before it.

    It is the baseline of all forecasters: no weather, nothing to fit. The quantiles of a series lie around the value of
    the same clock some seasons before. Their distances are those of all past values to the value as many seasons
    before, in both directions. Hyndman, Athanasopoulos: Forecasting: Principles and Practice, 3rd edition, section 5.5.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=14)
        >>> series = Panel(days, ("Lyon",), ("day",), np.arange(14.0)[:, None, None])
        >>> known = CovariatePanel(days.append(days[-1:] + pd.Timedelta(days=1)), {}, np.zeros((15, 1), dtype=bool))
        >>> SeasonalNaive().predict(series, known, 1, 10).ravel().tolist()  # 7 days before
        [3.0, 4.0, 5.0, 6.0]
        >>> SeasonalNaive().predict(series, known, 8, 10).ravel().tolist()  # 14 days before
        [nan, nan, nan, nan]
        >>> weeks = RegularSeries(days, ("Lyon",), np.arange(14.0)[:, None], DAY)  # each day is 7 above the week before
        >>> SeasonalNaive().predict_quantiles(weeks, 2, np.array([0.05, 0.5, 0.95])).tolist()
        [[[0.0, 7.0, 14.0]], [[1.0, 8.0, 15.0]]]
    """

    name = "seasonal-naive"
    label = N_("Seasonal naive")

    season: int = hyperparameter(
        7, low=1, high=366, help=N_("Period of the series in days. With 7, the forecast is the same weekday.")
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        return shift_days(series.last_known, step + (-step) % self.season)[first_day:]

    @override
    def predict_steps(
        self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int, end_day: int
    ) -> Floats:
        return Forecaster.predict_steps(self, series, covariates, horizon, first_day, end_day)

    @override
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        season_steps = int(self._get_season(series.step) // series.step)
        require_history(series, math.ceil(horizon / season_steps) * season_steps + max(series.day_steps, RECENT_STEPS))
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        season = self._get_season(series.step)
        medians, multiples = _find_seasonal_values(series, horizon, season)
        medians[:, ~mark_known_entities(series)] = np.nan
        forecasts = np.full((horizon, len(series.entities), len(quantiles)), np.nan)
        for multiple in np.unique(multiples[multiples > 0]):
            distances = _compute_distance_quantiles(series, multiple * season, quantiles)
            candidates = medians[:, :, None] + distances
            forecasts = np.where((multiples == multiple)[:, :, None], candidates, forecasts)
        return bound_quantiles(forecasts, series)

    def _get_season(self, step: pd.Timedelta) -> pd.Timedelta:
        """Return the season, rounded up to whole steps."""
        return math.ceil(self.season * DAY / step) * step


def _find_seasonal_values(series: RegularSeries, horizon: int, season: pd.Timedelta) -> tuple[Floats, NDArray[np.intp]]:
    """Return the last known values of the same clock, and how many seasons before they are, (horizon, entities).

    NaN and 0 where no value is known.
    """
    extended_series, start = series.extend(horizon), len(series)
    values = np.full((horizon, len(series.entities)), np.nan)
    multiples = np.zeros(values.shape, dtype=np.intp)
    max_multiple = math.ceil(horizon * series.step / season) + MAX_OLDER_SEASONS
    for multiple in range(1, max_multiple + 1):
        positions = extended_series.compute_lag_positions(multiple * season)[start:]
        lagged_values = np.where((positions < 0)[:, None], np.nan, extended_series.values[positions])
        is_new = np.isnan(values) & np.isfinite(lagged_values)
        values[is_new], multiples[is_new] = lagged_values[is_new], multiple
    return values, multiples


def _compute_distance_quantiles(series: RegularSeries, lag: pd.Timedelta, quantiles: Floats) -> Floats:
    """Return the quantiles of the differences to the values `lag` before, (entities, quantiles).

    The differences count in both directions, so their median is 0.
    """
    positions = series.compute_lag_positions(lag)
    rows = np.flatnonzero(positions >= 0)
    sizes = np.abs(series.values[rows] - series.values[positions[rows]])
    distances = np.full((len(series.entities), len(quantiles)), np.nan)
    has_sizes = np.isfinite(sizes).any(axis=0)
    if has_sizes.any():
        size_quantiles = np.nanquantile(sizes[:, has_sizes], np.abs(2 * quantiles - 1), axis=0).T
        distances[has_sizes] = np.sign(quantiles - 0.5) * size_quantiles
    return distances
