"""Prediction intervals from past errors of forecasts."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.array_types import Floats
from core.evaluation.error_quantiles import ErrorWindow, roll_error_quantiles
from core.evaluation.error_volatility import Cycles

ErrorScale = Literal["root", "level", "plain"]


@dataclass(frozen=True)
class ConformalConfig:
    """Past errors that an interval is computed from.

    window      periods of errors, counted back from the forecast origin; of periods shorter than a day as many
                quarters of a day
    per_entity  True: each entity uses its own errors; False: all entities use the errors of all
    scale       unit of the errors: "plain" (as they are), "level" (share of the forecast), or "root" (share of the
                square root of the forecast, for errors that grow with the amount, but less than in proportion)
    adaptation  how far the width follows the season and the last errors: 1 in full, 0 not at all
    """

    window: int = 365
    per_entity: bool = True
    scale: ErrorScale = "root"
    adaptation: float = 1.0


DEFAULT_CONFIG = ConformalConfig()
ROUNDING_SHARE = 1e-9  # of the distance between a forecast and a bound, which is less than it can be computed to


def compute_error_scale(forecast: Floats, level: Floats, scale: ErrorScale) -> Floats:
    """Return the unit of the errors of `forecast` (…, entities, slots).

    `level` (entities, slots) is the usual amount.

    Example:
        >>> import numpy as np
        >>> forecast, typical_level = np.array([[4.0]]), np.array([[16.0]])
        >>> scales = ("level", "root", "plain")
        >>> [float(compute_error_scale(forecast, typical_level, scale)[0, 0]) for scale in scales]
        [4.0, 8.0, 16.0]
    """
    if scale == "plain":
        return np.broadcast_to(np.maximum(level, 1e-12), forecast.shape)
    floor = np.maximum(np.abs(forecast), 0.02 * level)
    return np.maximum(floor if scale == "level" else np.sqrt(floor * level), 1e-12)


@dataclass(frozen=True)
class ResidualHistory:
    """Errors of past forecasts, by forecast step (periods ahead).

    forecast   (steps, periods, entities, slots), NaN without a forecast
    actual     (periods, entities, slots), NaN without a measurement
    frequency  of the periods, as an alias of pandas

    Example:
        >>> import numpy as np
        >>> actual = 100.0 + np.arange(100.0).reshape(100, 1, 1) % 10
        >>> errors = ResidualHistory(np.full((1, 100, 1, 1), 104.5), actual)
        >>> quantiles = np.array([0.1, 0.9])
        >>> errors.compute_quantiles(np.array([[200.0]]), step=1, quantiles=quantiles).round(1).ravel().tolist()
        [194.0, 207.1]
    """

    forecast: Floats
    actual: Floats
    calibration: ConformalConfig = DEFAULT_CONFIG
    frequency: str = "D"

    def select_last(self, periods: int) -> "ResidualHistory":
        """Return the errors of the last `periods` periods."""
        return replace(self, forecast=self.forecast[:, -periods:], actual=self.actual[-periods:])

    def count_periods(self, step: int) -> int:
        """Return the number of periods with a known error `step` periods ahead."""
        return int(np.isfinite(self.actual - self.forecast[step - 1]).any(axis=(1, 2)).sum())

    def compute_quantiles(self, forecast: Floats, step: int, quantiles: Floats) -> Floats:
        """Return the quantiles around `forecast` (…, entities, slots), made `step` periods ahead of the last period.

        The shape is (…, entities, slots, quantiles).
        """
        level = self._measure_level(len(self.actual), step)
        errors = self._normalise_errors(step, level)
        errors = np.concatenate([errors, np.full((step, *errors.shape[1:]), np.nan)])
        spread = self._roll_quantiles(errors, step, quantiles, len(errors) - 1)[0]
        return apply_quantiles(forecast, spread, compute_error_scale(forecast, level, self.calibration.scale))

    def compute_rolling_quantiles(self, step: int, quantiles: Floats, first: int) -> Floats:
        """Return the quantiles of every period from number `first` on, (periods, entities, slots, quantiles).

        Each period uses only the errors known `step` periods before, see `roll_error_quantiles`.
        """
        level = self._measure_level(first - step + 1, step)
        spread = self._roll_quantiles(self._normalise_errors(step, level), step, quantiles, first)
        forecast = self.forecast[step - 1, first:]
        return apply_quantiles(forecast, spread, compute_error_scale(forecast, level, self.calibration.scale))

    def _measure_level(self, end: int, step: int) -> Floats:
        """Return the usual amount before number `end`, (entities, slots); without any that of the first forecasts."""
        level, forecast_level = (
            _average_sizes(values) for values in (self.actual[: max(end, 0)], self.forecast[step - 1, : max(end, step)])
        )
        return np.where(level > 0, level, forecast_level)

    def _normalise_errors(self, step: int, level: Floats) -> Floats:
        """Return the errors `step` periods ahead in their unit (see `compute_error_scale`), same shape as `actual`."""
        forecast = self.forecast[step - 1]
        scale = compute_error_scale(forecast, level, self.calibration.scale)
        return np.asarray((self.actual - forecast) / scale, dtype=np.float64)

    def _roll_quantiles(self, errors: Floats, step: int, quantiles: Floats, first: int) -> Floats:
        cycles = Cycles.from_frequency(self.frequency)
        past = ErrorWindow(self.calibration.window, self.calibration.per_entity, self.calibration.adaptation)
        return roll_error_quantiles(errors, step, quantiles, first, past, cycles)


def _average_sizes(values: Floats) -> Floats:
    """Return the mean of the absolute values over the first axis; 0 without a known value."""
    is_known = np.isfinite(values)
    mean: Floats = np.where(is_known, np.abs(values), 0.0).sum(axis=0) / np.maximum(is_known.sum(axis=0), 1)
    return mean


def apply_quantiles(forecast: Floats, spread: Floats, scale: Floats) -> Floats:
    """Return `forecast` plus the quantiles of its error, ascending; clipped at 0 where the forecast is not negative.

    Example:
        >>> import numpy as np
        >>> spread = np.array([[[-20.0, 5.0]]])
        >>> apply_quantiles(np.array([[10.0]]), spread=spread, scale=np.array([[1.0]])).ravel().tolist()
        [0.0, 15.0]
    """
    distance = spread * scale[..., None]
    bounds = forecast[..., None] + distance
    bounds = np.where(np.abs(bounds) < ROUNDING_SHARE * np.abs(distance), 0.0, bounds)  # constant errors end at 0
    bounds = np.where(forecast[..., None] >= 0, np.maximum(bounds, 0), bounds)
    return np.sort(bounds, axis=-1)
