"""Seasonal naive: the last known amount a season before, such as that of the same weekday."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset
from typing_extensions import override

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.frequencies import WEEK, list_seasons
from core.data.panel import Panel
from core.data.regular_series import RegularSeries
from core.forecasters.base import Forecaster
from core.forecasters.panels.covariate_panel import CovariatePanel, shift_periods
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
        0,
        low=0,
        high=366,
        help=N_(
            "Period of the series in days. With 7, the forecast is the same weekday. "
            "0: a week, or a year for weeks and months."
        ),
        label=N_("Season, days"),
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        self.season_steps_ = self._count_season_steps(series)
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        return shift_periods(series.last_known, step + -step % self._get_season_steps(series))[first_day:]

    @override
    def predict_steps(
        self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int, end_day: int
    ) -> Floats:
        return Forecaster.predict_steps(self, series, covariates, horizon, first_day, end_day)

    @override
    def predict_next(self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int) -> Floats:
        return Forecaster.predict_next(self, series, covariates, horizon, first_day)

    @override
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        self.season_steps_ = season_steps = self._count_season_steps(series)
        require_history(series, math.ceil(horizon / season_steps) * season_steps + max(series.day_steps, RECENT_STEPS))
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        season_steps = self._get_season_steps(series)
        medians, multiples = _find_seasonal_values(series, horizon, season_steps)
        medians[:, ~mark_known_entities(series)] = np.nan
        forecasts = np.full((horizon, len(series.entities), len(quantiles)), np.nan)
        for multiple in np.unique(multiples[multiples > 0]):
            distances = _compute_distance_quantiles(series, multiple * season_steps, quantiles)
            candidates = medians[:, :, None] + distances
            forecasts = np.where((multiples == multiple)[:, :, None], candidates, forecasts)
        return bound_quantiles(forecasts, series)

    def _get_season_steps(self, series: Panel | RegularSeries) -> int:
        """Return the season in steps: that of the training data, of this series without training."""
        return getattr(self, "season_steps_", 0) or self._count_season_steps(series)

    def _count_season_steps(self, series: Panel | RegularSeries) -> int:
        """Return the season in steps, rounded up.

        An automatic one is a week; for steps shorter than a day with less than two weeks, a day; for weeks, months …
        with two years, a year. Without a whole season, it is one step.
        """
        if self.season:
            return math.ceil(self.season * DAY / series.step)
        seasons = list_seasons(series.frequency or str(to_offset(series.step).freqstr))
        week = int(WEEK // series.step) if WEEK % series.step == pd.Timedelta(0) else 0
        if week > 1 and (series.step >= DAY or len(series) >= 2 * week):
            return week
        return next((season for season in seasons if len(series) >= 2 * season or season < week), 1)


def _find_seasonal_values(series: RegularSeries, horizon: int, season_steps: int) -> tuple[Floats, NDArray[np.intp]]:
    """Return the last known values of the same clock, and how many seasons before they are, (horizon, entities).

    NaN and 0 where no value is known.
    """
    extended_series, start = series.extend(horizon), len(series)
    values = np.full((horizon, len(series.entities)), np.nan)
    multiples = np.zeros(values.shape, dtype=np.intp)
    max_multiple = math.ceil(horizon / season_steps) + MAX_OLDER_SEASONS
    for multiple in range(1, max_multiple + 1):
        positions = _find_lag_positions(extended_series, multiple * season_steps)[start:]
        lagged_values = np.where((positions < 0)[:, None], np.nan, extended_series.values[positions])
        is_new = np.isnan(values) & np.isfinite(lagged_values)
        values[is_new], multiples[is_new] = lagged_values[is_new], multiple
    return values, multiples


def _find_lag_positions(series: RegularSeries, lag_steps: int) -> NDArray[np.intp]:
    """Return the position `lag_steps` before every step, −1 before the first; whole days go by the local clock."""
    lag = lag_steps * series.step
    if series.step <= DAY and lag % DAY == pd.Timedelta(0):
        return series.compute_lag_positions(lag)
    return np.maximum(np.arange(len(series)) - lag_steps, -1)


def _compute_distance_quantiles(series: RegularSeries, lag_steps: int, quantiles: Floats) -> Floats:
    """Return the quantiles of the differences to the values so many steps before, (entities, quantiles).

    The differences count in both directions, so their median is 0.
    """
    positions = _find_lag_positions(series, lag_steps)
    rows = np.flatnonzero(positions >= 0)
    sizes = np.abs(series.values[rows] - series.values[positions[rows]])
    distances = np.full((len(series.entities), len(quantiles)), np.nan)
    has_sizes = np.isfinite(sizes).any(axis=0)
    if has_sizes.any():
        size_quantiles = np.nanquantile(sizes[:, has_sizes], np.abs(2 * quantiles - 1), axis=0).T
        distances[has_sizes] = np.sign(quantiles - 0.5) * size_quantiles
    return distances
