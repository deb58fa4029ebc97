"""Intervals from past errors: split conformal prediction, kept up to date as days go by."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scale = Literal["root", "level", "plain"]

LEAST = 50  # errors from which an entity's own quantiles are taken; with fewer, those of all entities
EVERY = {True: 7, False: 28}  # days after which the quantiles of a back-test are taken anew: daily amounts, hours


@dataclass(frozen=True)
class Calibration:
    """Which past errors an interval is made of.

    window   days of errors, counted back from the day of asking
    own      each entity by its own errors, or all by the errors of all
    scale    errors are compared as they are ("plain"), as a share of the forecast ("level"), or of its square root,
             between the two: errors of large amounts are larger, but not in proportion
    """

    window: int = 365
    own: bool = True
    scale: Scale = "root"


def size(forecast: Floats, level: Floats, scale: Scale) -> Floats:
    """Return the unit in which errors of `forecast` (…, entities, slots) are counted.

    `level` (entities, slots) is its usual amount.
    """
    if scale == "plain":
        return np.broadcast_to(np.maximum(level, 1e-12), forecast.shape)
    floor = np.maximum(np.abs(forecast), 0.02 * level)
    return np.maximum(floor if scale == "level" else np.sqrt(floor * level), 1e-12)


def conformal(errors: Floats, quantiles: Floats, own: bool = True) -> Floats:
    """Quantiles of past `errors` (past, entities, slots), widened for their number: (entities, slots, quantiles).

    The rank of quantile q among n errors is (n + 1) q, rounded outwards, so that the promise holds for finite n and
    exchangeable errors. Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World, 2005, chapter 2. NaN without
    errors.
    """
    few = np.isfinite(errors).sum(axis=0) < LEAST
    found = _ranked(errors, quantiles) if own else np.full((*errors.shape[1:], len(quantiles)), np.nan)
    if own and not few.any():
        return found
    shared = _ranked(errors.reshape(-1, 1, errors.shape[2]), quantiles)
    return np.where((few if own else np.ones_like(few))[:, :, None], shared, found)


def _ranked(errors: Floats, quantiles: Floats) -> Floats:
    """The quantiles along the first axis, which becomes the last."""
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
    """What forecasts got wrong, one number of days ahead after the other.

    forecast   (steps, days, entities, slots), NaN where there was none
    actual     (days, entities, slots), NaN where nothing was measured
    """

    forecast: Floats
    actual: Floats
    calibration: Calibration = USUAL

    @property
    def level(self) -> Floats:
        """The usual amount, (entities, slots)."""
        with np.errstate(all="ignore"):
            total = np.nansum(np.abs(self.actual), axis=0)
            return np.asarray(total / np.maximum(np.isfinite(self.actual).sum(axis=0), 1), dtype=np.float64)

    def scaled(self, step: int) -> Floats:
        """Errors `step` days ahead in units of their size, (days, entities, slots)."""
        forecast = self.forecast[step - 1]
        found: Floats = (self.actual - forecast) / size(forecast, self.level, self.calibration.scale)
        return found

    def last(self, days: int) -> "Errors":
        """The last `days` days."""
        return Errors(self.forecast[:, -days:], self.actual[-days:], self.calibration)

    def bands(self, forecast: Floats, step: int, quantiles: Floats) -> Floats:
        """Return quantiles around `forecast` (…, entities, slots) made `step` days ahead of the end.

        The shape is (…, entities, slots, quantiles).
        """
        errors = self.scaled(step)[-self.calibration.window :]
        spread = conformal(errors, quantiles, self.calibration.own)
        return around(forecast, spread, size(forecast, self.level, self.calibration.scale))

    def rolling(self, step: int, quantiles: Floats, first: int) -> Floats:
        """Quantiles of every day from number `first` on, each from the errors that were known `step` days before."""
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
    """`forecast` plus the quantiles of its error, in order; never below zero where the forecast is not."""
    found = forecast[..., None] + spread * scale[..., None]
    found = np.where(forecast[..., None] >= 0, np.maximum(found, 0), found)
    return np.sort(found, axis=-1)
