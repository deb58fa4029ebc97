"""Recalibration of intervals: the best choice of past errors on one half of a backtest, tested on the other half."""

from itertools import product

import numpy as np

from core.array_types import Floats
from core.evaluation.conformal import ConformalConfig, ErrorScale, ResidualHistory
from core.messages import N_, Message

SCALES: tuple[ErrorScale, ...] = ("root", "level", "plain")
CALIBRATIONS = tuple(ConformalConfig(*settings) for settings in product((365, 180, 90), (True, False), SCALES))


def recalibrate_errors(errors: ResidualHistory, low: float, high: float) -> tuple[ResidualHistory, Message]:
    """Return `errors` with the calibration whose coverage is nearest to the nominal `high` − `low`, and a note.

    The choice uses the first half of the days, per entity and number of days ahead. The note states the measured
    coverage on the second half, before and after.
    """
    day_count = errors.forecast.shape[1]
    start, middle = day_count // 3, day_count // 3 + (day_count - day_count // 3) // 2
    levels = np.array([low, high])
    coverage_by_calibration = {
        calibration: _compute_coverage(ResidualHistory(errors.forecast, errors.actual, calibration), levels, start)
        for calibration in (*CALIBRATIONS, errors.calibration)
    }
    best = min(
        CALIBRATIONS,
        key=lambda calibration: _compute_coverage_error(
            coverage_by_calibration[calibration][:, : middle - start], high - low
        ),
    )
    before, after = (
        float(np.nanmean(coverage_by_calibration[calibration][:, middle - start :]))
        for calibration in (errors.calibration, best)
    )
    note = Message(
        N_(
            "Recalibrated on the first half of the test, from the errors of {window} days. "
            "Coverage on the second half: {before} % before, {after} % after recalibration. "
            "Nominal coverage: {nominal} %."
        ),
        {
            "window": best.window,
            "before": round(100 * before, 1),
            "after": round(100 * after, 1),
            "nominal": round(100 * (high - low), 1),
        },
    )
    return ResidualHistory(errors.forecast, errors.actual, best), note


def _compute_coverage(errors: ResidualHistory, levels: Floats, start: int) -> Floats:
    """Return the share of slots inside the interval, (steps, days, entities); NaN without a forecast."""
    shares = []
    for step in range(1, len(errors.forecast) + 1):
        bands = errors.compute_rolling_quantiles(step, levels, start)
        actual = errors.actual[start:]
        known = np.isfinite(actual) & np.isfinite(bands).all(axis=-1)
        inside = np.where(known, (actual >= bands[..., 0]) & (actual <= bands[..., 1]), np.nan)
        with np.errstate(invalid="ignore"):
            shares.append(
                np.where(known.any(axis=2), np.nansum(inside, axis=2) / np.maximum(known.sum(axis=2), 1), np.nan)
            )
    return np.stack(shares)


def _compute_coverage_error(inside: Floats, nominal: float) -> float:
    """Return the mean distance to the nominal coverage over entities, steps and quarters of the period."""
    errors = []
    for quarter in np.array_split(inside, 4, axis=1):
        known = np.isfinite(quarter).sum(axis=1)
        share = np.nansum(quarter, axis=1) / np.maximum(known, 1)
        errors.append(np.abs(share - nominal)[known > 0])
    return float(np.concatenate(errors).mean())
