"""Common base of the forecasters that model the daily remainder of a series without its usual week."""

import warnings
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.forecasters.series.base import SeriesForecaster, bound_quantiles, mark_known_entities, require_history
from core.forecasters.series.lag_features import LagTable, compute_mean, require_whole_week
from core.forecasters.series.quantile_levels import compute_normal_scores
from core.messages import N_
from core.progress import Progress

MIN_DAYS = 10  # of remainder, for a model
MAX_DAYS = 200  # the last days of remainder that are modelled
MAX_ENTITIES = 200  # a model is fitted for each of them at every forecast
ONE_SIGMA_LEVEL = 68.27  # %, level whose bounds are one standard deviation away


class DailyRemainderForecaster(SeriesForecaster):
    """Contract of a forecaster of daily remainders by a statistical model of one series.

    A season of 672 quarter-hours is too long for exponential smoothing and ARIMA. The mean of the same clock in the
    weeks before is therefore subtracted. The model forecasts the daily means of the remainder. The variance of a step
    is that of the model plus that of the remainder around its daily mean, at the same time of day. Quantiles are those
    of a normal distribution.

    The model is fitted anew at every origin, so that `fit_series` only checks the series.
    """

    @abstractmethod
    def build_model(self) -> Any:
        """Return a model of statsforecast for a series without season."""

    @override
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        require_whole_week(series)
        if len(series.entities) > MAX_ENTITIES:
            raise DataError(
                N_("This forecaster takes at most {accepted} series. The data have {value}."),
                accepted=MAX_ENTITIES,
                value=len(series.entities),
            )
        require_history(series, series.week_steps + MIN_DAYS * max(series.day_steps, 1))
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
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

    def _forecast_days(self, daily_means: Floats, day_count: int) -> tuple[Floats, Floats] | None:
        """Return mean and standard deviation of the next days; None for too short a remainder."""
        known = np.flatnonzero(np.isfinite(daily_means))
        if len(known) == 0 or len(daily_means) - known[0] < MIN_DAYS:
            return None
        days = np.arange(known[0], len(daily_means))
        values = np.interp(days, known, daily_means[known])[-MAX_DAYS:]
        if np.ptp(values) <= 1e-9 * max(np.abs(values).max(), 1.0):
            return np.full(day_count, values[-1]), np.zeros(day_count)
        scale = float(values.std())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about orders whose search did not converge
            forecast = self.build_model().forecast(y=values / scale, h=day_count, level=[ONE_SIGMA_LEVEL])
        deviation = np.asarray(forecast[f"hi-{ONE_SIGMA_LEVEL}"]) - forecast["mean"]
        return scale * np.asarray(forecast["mean"]), scale * np.maximum(deviation, 0.0)


def _cut_days(values: Floats, day_steps: int) -> Floats:
    """Return whole days up to the last step, (days, times of day, entities)."""
    day_count = len(values) // day_steps
    return values[len(values) - day_count * day_steps :].reshape(day_count, day_steps, values.shape[1])
