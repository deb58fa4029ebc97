"""Recalibration of intervals: the best choice of past errors on one half of a backtest, tested on the other half."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intervals import Calibration, Errors, Scale
from core.messages import N_, Text

Floats = NDArray[np.float64]

SCALES: tuple[Scale, ...] = ("root", "level", "plain")
CHOICES = tuple(Calibration(*each) for each in product((365, 180, 90), (True, False), SCALES))


def recalibrated(errors: Errors, low: float, high: float) -> tuple[Errors, Text]:
    """Return `errors` with the calibration whose coverage is nearest to the nominal `high` − `low`, and a note.

    The choice uses the first half of the days, per entity and number of days ahead. The note states the measured
    coverage on the second half, before and after.
    """
    count = errors.forecast.shape[1]
    start, middle = count // 3, count // 3 + (count - count // 3) // 2
    ends = np.array([low, high])
    kept = {
        each: _covered(Errors(errors.forecast, errors.actual, each), ends, start)
        for each in (*CHOICES, errors.calibration)
    }
    best = min(CHOICES, key=lambda each: _missed(kept[each][:, : middle - start], high - low))
    before, after = (float(np.nanmean(kept[each][:, middle - start :])) for each in (errors.calibration, best))
    note = Text(
        N_(
            "Recalibrated on the first half of the test, from the errors of {window} days. On the second half "
            "{before} % lay inside before, {after} % now; {nominal} % were promised."
        ),
        {
            "window": best.window,
            "before": round(100 * before, 1),
            "after": round(100 * after, 1),
            "nominal": round(100 * (high - low), 1),
        },
    )
    return Errors(errors.forecast, errors.actual, best), note


def _covered(errors: Errors, ends: Floats, start: int) -> Floats:
    """Return the share of slots inside the interval, (steps, days, entities); NaN without a forecast."""
    found = []
    for step in range(1, len(errors.forecast) + 1):
        bands = errors.rolling(step, ends, start)
        actual = errors.actual[start:]
        known = np.isfinite(actual) & np.isfinite(bands).all(axis=-1)
        inside = np.where(known, (actual >= bands[..., 0]) & (actual <= bands[..., 1]), np.nan)
        with np.errstate(invalid="ignore"):
            found.append(
                np.where(known.any(axis=2), np.nansum(inside, axis=2) / np.maximum(known.sum(axis=2), 1), np.nan)
            )
    return np.stack(found)


def _missed(inside: Floats, nominal: float) -> float:
    """Return the mean distance to the nominal coverage over entities, steps and quarters of the period."""
    parts = []
    for quarter in np.array_split(inside, 4, axis=1):
        known = np.isfinite(quarter).sum(axis=1)
        share = np.nansum(quarter, axis=1) / np.maximum(known, 1)
        parts.append(np.abs(share - nominal)[known > 0])
    return float(np.concatenate(parts).mean())
