"""Common base of the forecasters that model the daily remainder of a series without its usual week."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.forecasters.series.base import SeriesForecaster, bound_quantiles, mark_known_entities, require_history
from core.forecasters.series.lag_features import LagTable, compute_mean
from core.forecasters.series.quantile_levels import compute_normal_scores
from core.forecasters.series.step_remainder import MIN_STEPS, forecast_steps, forecast_values
from core.messages import N_
from core.progress import Progress

MIN_DAYS = 10  # of remainder, for a model
MAX_DAYS = 200  # the last days of remainder that are modelled
MAX_ENTITIES = 200  # a model is fitted for each of them at every forecast


class DailyRemainderForecaster(SeriesForecaster):
    """Contract of a forecaster of daily remainders by a statistical model of one series.

    A season of 672 quarter-hours is too long for exponential smoothing and ARIMA. The mean of the same clock in the
    weeks before is therefore subtracted. The model forecasts the daily means of the remainder. The variance of a step
    is that of the model plus that of the remainder around its daily mean, at the same time of day. Quantiles are those
    of a normal distribution.

    Where a week is no whole number of steps (months), or one step, or where the history is shorter than that needs, the
    steps themselves are modelled, see `forecast_steps`.

    The model is fitted anew at every origin, so that `fit_series` only checks the series.
    """

    @abstractmethod
    def build_model(self, season: int = 1) -> Any:
        """Return a model of statsforecast for a series with a season of so many steps; 1 for none."""

    @override
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        if len(series.entities) > MAX_ENTITIES:
            raise DataError(
                N_("This forecasting method takes at most {accepted} series. The data have {value}."),
                accepted=MAX_ENTITIES,
                value=len(series.entities),
            )
        require_history(series, MIN_STEPS)
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        if series.week_steps <= 1 or len(series) < series.week_steps + MIN_DAYS * max(series.day_steps, 1):
            return self._predict_steps(series, horizon, quantiles)
        table, origin = LagTable(series, horizon), len(series)
        baseline = table.build_features(origin, np.arange(1, horizon + 1)).baseline
        remainder = _cut_days(series.values - table.compute_week_ahead_baseline(), table.day_steps)
        daily_means = compute_mean(remainder.swapaxes(0, 1))  # (days, entities)
        noise = np.sqrt(compute_mean((remainder - daily_means[:, None]) ** 2))  # (times of day, entities)
        days, clocks = np.divmod(np.arange(horizon), table.day_steps)
        forecasts = np.full((horizon, len(series.entities), len(quantiles)), np.nan)
        scores = compute_normal_scores(quantiles)
        for entity in np.flatnonzero(mark_known_entities(series)):
            level = self._forecast_days(daily_means[:, entity], int(days[-1]) + 1)
            if level is not None:
                mean, deviation = level
                spread = np.hypot(deviation[days], np.nan_to_num(noise[clocks, entity]))
                centre = baseline[:, entity] + mean[days]
                forecasts[:, entity] = centre[:, None] + spread[:, None] * scores
        return bound_quantiles(forecasts, series)

    def _predict_steps(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        """Return the quantiles from models of the steps themselves."""
        forecasts = np.full((horizon, len(series.entities), len(quantiles)), np.nan)
        for entity in np.flatnonzero(mark_known_entities(series)):
            mean, deviation = forecast_steps(series, int(entity), horizon, self.build_model)
            forecasts[:, entity] = mean[:, None] + deviation[:, None] * compute_normal_scores(quantiles)
        return bound_quantiles(forecasts, series)

    def _forecast_days(self, daily_means: Floats, day_count: int) -> tuple[Floats, Floats] | None:
        """Return mean and standard deviation of the next days; None for too short a remainder."""
        known = np.flatnonzero(np.isfinite(daily_means))
        if len(known) == 0 or len(daily_means) - known[0] < MIN_DAYS:
            return None
        days = np.arange(known[0], len(daily_means))
        values = np.interp(days, known, daily_means[known])[-MAX_DAYS:]
        return forecast_values(values, day_count, self.build_model())


def _cut_days(values: Floats, day_steps: int) -> Floats:
    """Return whole days up to the last step, (days, times of day, entities)."""
    day_count = len(values) // day_steps
    return values[len(values) - day_count * day_steps :].reshape(day_count, day_steps, values.shape[1])
