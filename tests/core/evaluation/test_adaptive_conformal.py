"""Tests of adaptive conformal calibration on simulated errors, whose true distribution is known."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtri

from core.array_types import Floats
from core.evaluation.adaptive_conformal import AdaptiveCalibrator, BandForecast, CalibratedBand
from core.evaluation.forecast_metrics import compute_binomial_band

LEVELS = np.array([0.025, 0.25, 0.75, 0.975])
WEEK, DAY = 672, 96
DRIFT = 3 * WEEK  # first step of the drift, counted from the first calibration step
STEPS = 6 * WEEK
Drift = Callable[[Floats], Floats]


def simulate(scale: Drift, level: Drift, seed: int = 0, correlation: float = 0.0) -> tuple[Floats, BandForecast]:
    """Return values and a forecast that is 30 % too wide and knows nothing of the drift, (steps, 1)."""
    random, steps = np.random.default_rng(seed), np.arange(STEPS, dtype=np.float64)
    noise = random.normal(size=STEPS)
    for step in range(1, STEPS if correlation else 0):
        noise[step] = correlation * noise[step - 1] + np.sqrt(1 - correlation**2) * noise[step]
    values = level(steps) + scale(steps) * noise
    quantiles = np.tile(1.3 * ndtri(LEVELS), (STEPS, 1, 1))
    return values[:, None], BandForecast(quantiles, np.zeros((STEPS, 1)), np.full((STEPS, 1), np.ptp(quantiles[0])))


def take_steps(forecast: BandForecast, steps: slice) -> BandForecast:
    return BandForecast(forecast.quantiles[steps], forecast.median[steps], forecast.scale[steps])


def calibrate(values: Floats, forecast: BandForecast) -> tuple[CalibratedBand, CalibratedBand]:
    """Return the adaptive band and the fixed conformal band of the steps after the first week."""
    first, rest = slice(0, WEEK), slice(WEEK, None)
    calibrator = AdaptiveCalibrator(LEVELS, 2 * WEEK, DAY // 2).start(1)
    calibrator.learn(values[first], take_steps(forecast, first))
    fixed = calibrator.predict(take_steps(forecast, rest))
    return calibrator.calibrate(values[rest], take_steps(forecast, rest)), fixed


def cover(values: Floats, band: CalibratedBand, start: int, end: int, level: float = 0.95) -> float:
    """Return the share of the steps `start` to `end` inside their band; positions count from the first step."""
    low, high = (0, 3) if level == 0.95 else (1, 2)
    steps = slice(start - WEEK, end - WEEK)
    actual = values[WEEK:][steps, 0]
    bounds = band.bounds[steps, 0]
    return float(((actual >= bounds[:, low]) & (actual <= bounds[:, high])).mean())


def keep(value: float) -> Drift:
    return lambda steps: np.full(len(steps), value)


def step_to(before: float, after: float) -> Drift:
    return lambda steps: np.where(steps < DRIFT, before, after)


DRIFTS = {
    "variance doubles": (step_to(1.0, 2.0), keep(0.0)),
    "variance halves": (step_to(1.0, 0.5), keep(0.0)),
    "level rises slowly": (keep(1.0), lambda steps: 0.002 * np.maximum(steps - DRIFT, 0)),
    "level jumps a little": (keep(1.0), step_to(0.0, 3.0)),
    "level jumps": (keep(1.0), step_to(0.0, 12.0)),
}


@pytest.mark.parametrize("drift", DRIFTS)
@pytest.mark.parametrize("seed", range(2))
def test_coverage_holds_before_and_after_drift(drift: str, seed: int) -> None:
    """The fixed band loses its coverage where the adaptive one keeps it. Half a day after a jump is not counted."""
    values, forecast = simulate(*DRIFTS[drift], seed=seed)
    band, fixed = calibrate(values, forecast)
    settled = DRIFT + DAY
    low, high = compute_binomial_band(0.95, STEPS - settled)
    assert low <= cover(values, band, settled, STEPS) <= high
    before = compute_binomial_band(0.95, DRIFT - WEEK)
    assert before[0] <= cover(values, band, WEEK, DRIFT) <= before[1]
    half = compute_binomial_band(0.5, STEPS - settled)
    assert half[0] <= cover(values, band, settled, STEPS, level=0.5) <= half[1]
    assert not low <= cover(values, fixed, settled, STEPS) <= high


def test_coverage_holds_for_correlated_errors() -> None:
    values, forecast = simulate(keep(1.0), keep(0.0), correlation=0.9)
    band, _ = calibrate(values, forecast)
    assert cover(values, band, WEEK, STEPS) == pytest.approx(0.95, abs=0.02)


def test_shift_moves_both_bounds() -> None:
    values, forecast = simulate(keep(1.0), step_to(0.0, 3.0))
    band, _ = calibrate(values, forecast)
    before, after = band.bounds[DRIFT - WEEK - 200 : DRIFT - WEEK, 0].mean(axis=0), band.bounds[-200:, 0].mean(axis=0)
    assert after - before == pytest.approx(np.full(4, 3.0), abs=0.75)


def test_return_from_new_level_is_no_anomaly() -> None:
    """After a day at another level, both that level and the old one are usual."""
    values, forecast = simulate(
        keep(1.0), lambda steps: np.where((steps >= DRIFT) & (steps < DRIFT + 2 * DAY), 20, 0.0)
    )
    band, _ = calibrate(values, forecast)
    back = DRIFT + 2 * DAY
    assert cover(values, band, back, back + DAY) >= 0.9
    assert band.is_shifted[DRIFT + DAY - WEEK : back - WEEK].mean() > 0.8
    assert not band.is_shifted[: DRIFT - WEEK].any()


def test_storm_does_not_widen_band() -> None:
    """Six hours of extreme values hardly change the band of the days after them."""
    quiet, forecast = simulate(keep(1.0), keep(0.0))
    stormy = quiet.copy()
    stormy[DRIFT : DRIFT + 24] = 1000.0
    quiet_band, stormy_band = (calibrate(values, forecast)[0] for values in (quiet, stormy))
    later = slice(DRIFT + DAY - WEEK, DRIFT + 4 * DAY - WEEK)
    widths = [np.ptp(band.bounds[later, 0], axis=1).mean() for band in (quiet_band, stormy_band)]
    assert widths[1] < 1.3 * widths[0]


def test_missing_values_teach_nothing() -> None:
    values, forecast = simulate(keep(1.0), keep(0.0))
    gap = slice(DRIFT, DRIFT + WEEK)
    values[gap] = np.nan
    calibrator = AdaptiveCalibrator(LEVELS, 2 * WEEK, DAY // 2).start(1)
    calibrator.learn(values[: gap.start], take_steps(forecast, slice(0, gap.start)))
    tails, scores = calibrator.tails_.copy(), np.sort(calibrator.scores_[:, 0, 0])
    band = calibrator.calibrate(values[gap], take_steps(forecast, gap))
    assert np.isfinite(band.bounds).all()
    assert np.array_equal(calibrator.tails_, tails)
    known = calibrator.scores_[:, 0, 0]
    assert np.isin(known[np.isfinite(known)], scores).all()


def test_bound_uses_values_before_its_step_only() -> None:
    values, forecast = simulate(keep(1.0), keep(0.0))
    changed = values.copy()
    changed[DRIFT:] += 50.0
    bands = [calibrate(series, forecast)[0] for series in (values, changed)]
    same = slice(0, DRIFT - WEEK + 1)
    assert np.array_equal(bands[0].bounds[same], bands[1].bounds[same])
    assert not np.array_equal(bands[0].bounds, bands[1].bounds)


def test_delayed_calibration_ignores_values_of_the_horizon() -> None:
    """A forecast a week ahead is calibrated by values that are a week old, and keeps its coverage."""
    values, forecast = simulate(keep(1.0), keep(0.0))
    changed = values.copy()
    changed[DRIFT:] += 50.0
    bands = []
    for series in (values, changed):
        calibrator = AdaptiveCalibrator(LEVELS, 2 * WEEK, 0, delay=WEEK).start(1)
        calibrator.learn(series[:WEEK], take_steps(forecast, slice(0, WEEK)))
        bands.append(calibrator.calibrate(series[WEEK:], take_steps(forecast, slice(WEEK, None))))
    same = slice(0, DRIFT)  # a week later than without delay
    assert np.array_equal(bands[0].bounds[same], bands[1].bounds[same])
    assert cover(values, bands[0], WEEK, STEPS) == pytest.approx(0.95, abs=0.015)


def test_calibration_goes_on_where_it_ended() -> None:
    """Two calls for two weeks learn as much as one call; the errors are sorted at other steps only."""
    values, forecast = simulate(step_to(1.0, 2.0), keep(0.0))
    whole, parts = (AdaptiveCalibrator(LEVELS, 2 * WEEK, DAY // 2).start(1) for _ in range(2))
    for calibrator in (whole, parts):
        calibrator.learn(values[:WEEK], take_steps(forecast, slice(0, WEEK)))
    band = whole.calibrate(values[WEEK:], take_steps(forecast, slice(WEEK, None)))
    cut = 3 * WEEK + 48  # two whole periods between sorts
    first = parts.calibrate(values[WEEK:cut], take_steps(forecast, slice(WEEK, cut)))
    second = parts.calibrate(values[cut:], take_steps(forecast, slice(cut, None)))
    assert np.allclose(np.concatenate([first.bounds, second.bounds]), band.bounds, atol=0.3)


def test_sparse_series_use_errors_of_all() -> None:
    """An entity with few errors gets the quantiles of all entities, not an empty band."""
    random = np.random.default_rng(0)
    values = random.normal(size=(500, 3))
    values[20:, 2] = np.nan
    forecast = BandForecast(np.zeros((500, 3, 4)), np.zeros((500, 3)), np.ones((500, 3)))
    band = AdaptiveCalibrator(LEVELS, 1000).start(3).learn(values, forecast)
    assert band.bounds[0, 2] == pytest.approx(ndtri(LEVELS), abs=0.25)
