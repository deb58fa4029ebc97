"""Prediction intervals from past errors: split conformal prediction, recalibrated as days pass."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scale = Literal["root", "level", "plain"]

LEAST = 50  # errors that an entity's own quantiles need; with fewer it gets those of all entities
EVERY = {True: 7, False: 28}  # days between two recalibrations of a back-test: daily amounts (True), hours (False)


@dataclass(frozen=True)
class Calibration:
    """Past errors that an interval is computed from.

    window   days of errors, counted back from the forecast origin
    own      True: each entity uses its own errors; False: all entities use the errors of all
    scale    unit of the errors: "plain" (as they are), "level" (share of the forecast), or "root" (share of the square
             root of the forecast, for errors that grow with the amount, but less than in proportion)
    """

    window: int = 365
    own: bool = True
    scale: Scale = "root"


def size(forecast: Floats, level: Floats, scale: Scale) -> Floats:
    """Return the unit of the errors of `forecast` (…, entities, slots).

    `level` (entities, slots) is the usual amount.

    Example:
        >>> import numpy as np
        >>> forecast, level = np.array([[4.0]]), np.array([[16.0]])
        >>> [float(size(forecast, level, scale)[0, 0]) for scale in ("level", "root", "plain")]
        [4.0, 8.0, 16.0]
    """
    if scale == "plain":
        return np.broadcast_to(np.maximum(level, 1e-12), forecast.shape)
    floor = np.maximum(np.abs(forecast), 0.02 * level)
    return np.maximum(floor if scale == "level" else np.sqrt(floor * level), 1e-12)


def conformal(errors: Floats, quantiles: Floats, own: bool = True) -> Floats:
    """Return conformal quantiles of past `errors` (past, entities, slots): (entities, slots, quantiles).

    The rank of quantile q among n errors is (n + 1) q, rounded outwards, so that exchangeable errors reach the
    nominal coverage for finite n. Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World, 2005, chapter 2.
    An entity with fewer than 50 errors gets the quantiles of all entities. NaN without errors.

    Example:
        >>> import numpy as np
        >>> errors = np.arange(1.0, 101.0).reshape(100, 1, 1)
        >>> conformal(errors, np.array([0.05, 0.95])).ravel().tolist()  # ranks 5.05 and 95.95, rounded outwards
        [5.0, 96.0]
    """
    few = np.isfinite(errors).sum(axis=0) < LEAST
    found = _ranked(errors, quantiles) if own else np.full((*errors.shape[1:], len(quantiles)), np.nan)
    if own and not few.any():
        return found
    shared = _ranked(errors.reshape(-1, 1, errors.shape[2]), quantiles)
    return np.where((few if own else np.ones_like(few))[:, :, None], shared, found)


def _ranked(errors: Floats, quantiles: Floats) -> Floats:
    """Return the quantiles along the first axis, as the last axis."""
    if not len(errors):
        return np.full((*errors.shape[1:], len(quantiles)), np.nan)
    ordered = np.sort(errors, axis=0)  # NaN last
    count = np.isfinite(errors).sum(axis=0)
    rank = (count[:, :, None] + 1) * quantiles
    rank = np.where(quantiles < 0.5, np.floor(rank), np.ceil(rank)) - 1
    place = np.clip(rank, 0, np.maximum(count[:, :, None] - 1, 0)).astype(np.intp)
    found = np.take_along_axis(np.moveaxis(ordered, 0, 2), place, axis=2)
    return np.where(count[:, :, None] > 0, found, np.nan)


USUAL = Calibration()


@dataclass(frozen=True)
class Errors:
    """Errors of past forecasts, by forecast step (days ahead).

    forecast   (steps, days, entities, slots), NaN without a forecast
    actual     (days, entities, slots), NaN without a measurement

    Example:
        >>> import numpy as np
        >>> actual = 100.0 + np.arange(100.0).reshape(100, 1, 1) % 10
        >>> errors = Errors(np.full((1, 100, 1, 1), 104.5), actual)
        >>> errors.bands(np.array([[200.0]]), step=1, quantiles=np.array([0.1, 0.9])).round(1).ravel().tolist()
        [193.8, 206.2]
    """

    forecast: Floats
    actual: Floats
    calibration: Calibration = USUAL

    @property
    def level(self) -> Floats:
        """Usual amount, (entities, slots)."""
        with np.errstate(all="ignore"):
            total = np.nansum(np.abs(self.actual), axis=0)
            return np.asarray(total / np.maximum(np.isfinite(self.actual).sum(axis=0), 1), dtype=np.float64)

    def scaled(self, step: int) -> Floats:
        """Return the errors `step` days ahead in their unit (see `size`), (days, entities, slots)."""
        forecast = self.forecast[step - 1]
        found: Floats = (self.actual - forecast) / size(forecast, self.level, self.calibration.scale)
        return found

    def last(self, days: int) -> "Errors":
        """Return the errors of the last `days` days."""
        return Errors(self.forecast[:, -days:], self.actual[-days:], self.calibration)

    def bands(self, forecast: Floats, step: int, quantiles: Floats) -> Floats:
        """Return the quantiles around `forecast` (…, entities, slots), made `step` days ahead of the last day.

        The shape is (…, entities, slots, quantiles).
        """
        errors = self.scaled(step)[-self.calibration.window :]
        spread = conformal(errors, quantiles, self.calibration.own)
        return around(forecast, spread, size(forecast, self.level, self.calibration.scale))

    def rolling(self, step: int, quantiles: Floats, first: int) -> Floats:
        """Return the quantiles of every day from number `first` on, (days, entities, slots, quantiles).

        Each day uses only the errors known `step` days before. The quantiles are recomputed every 7 days (daily
        amounts) or 28 days (hours).
        """
        errors, level = self.scaled(step), self.level
        forecast = self.forecast[step - 1]
        found = np.full((forecast.shape[0] - first, *forecast.shape[1:], len(quantiles)), np.nan)
        every = EVERY[forecast.shape[2] == 1]
        for start in range(first, len(forecast), every):
            days = slice(start, min(start + every, len(forecast)))
            known = max(start - step + 1, 0)
            past = errors[max(known - self.calibration.window, 0) : known]
            spread = conformal(past, quantiles, self.calibration.own)
            scale = size(forecast[days], level, self.calibration.scale)
            found[start - first : days.stop - first] = around(forecast[days], spread, scale)
        return found


def around(forecast: Floats, spread: Floats, scale: Floats) -> Floats:
    """Return `forecast` plus the quantiles of its error, ascending; clipped at 0 where the forecast is not negative.

    Example:
        >>> import numpy as np
        >>> around(np.array([[10.0]]), spread=np.array([[[-20.0, 5.0]]]), scale=np.array([[1.0]])).ravel().tolist()
        [0.0, 15.0]
    """
    found = forecast[..., None] + spread * scale[..., None]
    found = np.where(forecast[..., None] >= 0, np.maximum(found, 0), found)
    return np.sort(found, axis=-1)
