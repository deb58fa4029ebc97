"""Prediction intervals from past errors: split conformal prediction, recalibrated as days pass."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.array_types import Floats

ErrorScale = Literal["root", "level", "plain"]

MIN_ERRORS = 50  # errors that an entity's own quantiles need; with fewer it gets those of all entities
REFIT_INTERVAL_DAYS = {
    True: 7,
    False: 28,
}  # days between two recalibrations of a backtest: daily amounts (True), hours (False)


@dataclass(frozen=True)
class ConformalConfig:
    """Past errors that an interval is computed from.

    window   days of errors, counted back from the forecast origin
    own      True: each entity uses its own errors; False: all entities use the errors of all
    scale    unit of the errors: "plain" (as they are), "level" (share of the forecast), or "root" (share of the square
             root of the forecast, for errors that grow with the amount, but less than in proportion)
    """

    window: int = 365
    per_entity: bool = True
    scale: ErrorScale = "root"


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


def compute_conformal_quantiles(errors: Floats, quantiles: Floats, per_entity: bool = True) -> Floats:
    """Return conformal quantiles of past `errors` (past, entities, slots): (entities, slots, quantiles).

    The rank of quantile q among n errors is (n + 1) q, rounded outwards, so that exchangeable errors reach the
    nominal coverage for finite n. Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World, 2005, chapter 2.
    An entity with fewer than 50 errors gets the quantiles of all entities. NaN without errors.

    Example:
        >>> import numpy as np
        >>> errors = np.arange(1.0, 101.0).reshape(100, 1, 1)
        >>> compute_conformal_quantiles(errors, np.array([0.05, 0.95])).ravel().tolist()
        [5.0, 96.0]
    """
    is_sparse = np.isfinite(errors).sum(axis=0) < MIN_ERRORS
    entity_quantiles = (
        _select_ranks(errors, quantiles) if per_entity else np.full((*errors.shape[1:], len(quantiles)), np.nan)
    )
    if per_entity and not is_sparse.any():
        return entity_quantiles
    shared_quantiles = _select_ranks(errors.reshape(-1, 1, errors.shape[2]), quantiles)
    return np.where(
        (is_sparse if per_entity else np.ones_like(is_sparse))[:, :, None], shared_quantiles, entity_quantiles
    )


def _select_ranks(errors: Floats, quantiles: Floats) -> Floats:
    """Return the quantiles along the first axis, as the last axis."""
    if not len(errors):
        return np.full((*errors.shape[1:], len(quantiles)), np.nan)
    ordered = np.sort(errors, axis=0)  # NaN last
    count = np.isfinite(errors).sum(axis=0)
    rank = (count[:, :, None] + 1) * quantiles
    rank = np.where(quantiles < 0.5, np.floor(rank), np.ceil(rank)) - 1
    index = np.clip(rank, 0, np.maximum(count[:, :, None] - 1, 0)).astype(np.intp)
    values = np.take_along_axis(np.moveaxis(ordered, 0, 2), index, axis=2)
    return np.where(count[:, :, None] > 0, values, np.nan)


DEFAULT_CONFIG = ConformalConfig()


@dataclass(frozen=True)
class ResidualHistory:
    """Errors of past forecasts, by forecast step (days ahead).

    forecast   (steps, days, entities, slots), NaN without a forecast
    actual     (days, entities, slots), NaN without a measurement

    Example:
        >>> import numpy as np
        >>> actual = 100.0 + np.arange(100.0).reshape(100, 1, 1) % 10
        >>> errors = ResidualHistory(np.full((1, 100, 1, 1), 104.5), actual)
        >>> quantiles = np.array([0.1, 0.9])
        >>> errors.compute_quantiles(np.array([[200.0]]), step=1, quantiles=quantiles).round(1).ravel().tolist()
        [193.8, 206.2]
    """

    forecast: Floats
    actual: Floats
    calibration: ConformalConfig = DEFAULT_CONFIG

    @property
    def typical_level(self) -> Floats:
        """Usual amount, (entities, slots)."""
        with np.errstate(all="ignore"):
            total = np.nansum(np.abs(self.actual), axis=0)
            return np.asarray(total / np.maximum(np.isfinite(self.actual).sum(axis=0), 1), dtype=np.float64)

    def normalise_errors(self, step: int) -> Floats:
        """Return the errors `step` days ahead in their unit (see `compute_error_scale`), (days, entities, slots)."""
        forecast = self.forecast[step - 1]
        normalised: Floats = (self.actual - forecast) / compute_error_scale(
            forecast, self.typical_level, self.calibration.scale
        )
        return normalised

    def select_last_days(self, days: int) -> "ResidualHistory":
        """Return the errors of the last `days` days."""
        return ResidualHistory(self.forecast[:, -days:], self.actual[-days:], self.calibration)

    def compute_quantiles(self, forecast: Floats, step: int, quantiles: Floats) -> Floats:
        """Return the quantiles around `forecast` (…, entities, slots), made `step` days ahead of the last day.

        The shape is (…, entities, slots, quantiles).
        """
        errors = self.normalise_errors(step)[-self.calibration.window :]
        spread = compute_conformal_quantiles(errors, quantiles, self.calibration.per_entity)
        return apply_quantiles(
            forecast, spread, compute_error_scale(forecast, self.typical_level, self.calibration.scale)
        )

    def compute_rolling_quantiles(self, step: int, quantiles: Floats, first: int) -> Floats:
        """Return the quantiles of every day from number `first` on, (days, entities, slots, quantiles).

        Each day uses only the errors known `step` days before. The quantiles are recomputed every 7 days (daily
        amounts) or 28 days (hours).
        """
        errors, level = self.normalise_errors(step), self.typical_level
        forecast = self.forecast[step - 1]
        bounds = np.full((forecast.shape[0] - first, *forecast.shape[1:], len(quantiles)), np.nan)
        refit_days = REFIT_INTERVAL_DAYS[forecast.shape[2] == 1]
        for start in range(first, len(forecast), refit_days):
            days = slice(start, min(start + refit_days, len(forecast)))
            known_days = max(start - step + 1, 0)
            past_errors = errors[max(known_days - self.calibration.window, 0) : known_days]
            spread = compute_conformal_quantiles(past_errors, quantiles, self.calibration.per_entity)
            scale = compute_error_scale(forecast[days], level, self.calibration.scale)
            bounds[start - first : days.stop - first] = apply_quantiles(forecast[days], spread, scale)
        return bounds


def apply_quantiles(forecast: Floats, spread: Floats, scale: Floats) -> Floats:
    """Return `forecast` plus the quantiles of its error, ascending; clipped at 0 where the forecast is not negative.

    Example:
        >>> import numpy as np
        >>> spread = np.array([[[-20.0, 5.0]]])
        >>> apply_quantiles(np.array([[10.0]]), spread=spread, scale=np.array([[1.0]])).ravel().tolist()
        [0.0, 15.0]
    """
    bounds = forecast[..., None] + spread * scale[..., None]
    bounds = np.where(forecast[..., None] >= 0, np.maximum(bounds, 0), bounds)
    return np.sort(bounds, axis=-1)
