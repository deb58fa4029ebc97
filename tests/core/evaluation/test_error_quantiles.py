"""Intervals that adapt to the season and to the last errors: coverage through drift, and knowledge of the past only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.evaluation.conformal import ConformalConfig, ResidualHistory
from core.evaluation.error_quantiles import (
    MIN_ERRORS,
    ErrorWindow,
    compute_conformal_quantiles,
    compute_widening,
    roll_error_quantiles,
)
from core.evaluation.error_volatility import Cycles, estimate_volatility
from core.evaluation.forecast_metrics import compute_coverage, compute_mean_width

QUANTILES = np.array([0.05, 0.95])
ADAPTIVE, FIXED = ConformalConfig(), ConformalConfig(adaptation=0.0)
MONTH = 30


def make_history(
    spread: Floats, shift: Floats | float = 0.0, *, steps: int = 1, seed: int = 0, frequency: str = "D"
) -> ResidualHistory:
    """Make forecasts of 100 with errors of the standard deviation `spread` (periods, entities) around `shift`.

    Half of the variance is common to all entities of a period, as that of weather is.
    """
    random = np.random.default_rng(seed)
    noise = random.normal(size=spread.shape) + random.normal(size=(len(spread), 1))
    actual = 100 + spread * noise / np.sqrt(2) + shift
    return ResidualHistory(np.full((steps, *spread.shape, 1), 100.0), actual[:, :, None], ADAPTIVE, frequency)


def measure(
    history: ResidualHistory, calibration: ConformalConfig, first: int, step: int = 1
) -> tuple[float, Floats, float]:
    """Return the coverage, that of every 30 periods, and the mean width of 90 % intervals from period `first` on."""
    history = ResidualHistory(history.forecast, history.actual, calibration, history.frequency)
    bands = history.compute_rolling_quantiles(step, QUANTILES, first)
    actual = history.actual[first:]
    months = np.array(
        [
            compute_coverage(actual[start : start + MONTH], *np.moveaxis(bands[start : start + MONTH], -1, 0))
            for start in range(0, len(actual) - MONTH + 1, MONTH)
        ]
    )
    low, high = np.moveaxis(bands, -1, 0)
    return compute_coverage(actual, low, high), months, compute_mean_width(actual, low, high)


@pytest.mark.parametrize("step", [1, 7, 28])
def test_adaptive_intervals_follow_seasons_of_errors(step: int) -> None:
    """Errors of winter are four times those of summer: intervals of the whole year miss both."""
    days = np.arange(4 * 365)
    spread = np.exp(np.log(2) * np.cos(2 * np.pi * days / 365))[:, None] * np.ones((1, 8))
    history = make_history(spread, steps=28)
    fixed, adaptive = (measure(history, calibration, 730, step) for calibration in (FIXED, ADAPTIVE))
    assert adaptive[0] == pytest.approx(0.9, abs=0.02)
    assert np.abs(adaptive[1] - 0.9).mean() < 0.6 * np.abs(fixed[1] - 0.9).mean()
    assert fixed[1].min() + 0.06 < adaptive[1].min()
    assert adaptive[2] < 1.1 * fixed[2]


@pytest.mark.parametrize("step", [1, 7])
def test_adaptive_intervals_recover_from_lockdown(step: int) -> None:
    """As in March 2020: amounts fall by 15 % in a week, errors double, and both go back over three months."""
    days = np.arange(1100)
    lockdown = np.interp(days, [800, 807, 840, 930], [0.0, 1.0, 1.0, 0.0])
    spread, shift = 2.0 * (1 + lockdown)[:, None] * np.ones((1, 3)), -6.0 * lockdown[:, None]
    history = make_history(spread, shift, steps=7)
    during = history.select_last(700)
    during = ResidualHistory(during.forecast[:, :540], during.actual[:540], ADAPTIVE)  # ends with the lockdown
    fixed, adaptive = (measure(during, calibration, 400, step)[0] for calibration in (FIXED, ADAPTIVE))
    assert fixed < 0.75
    assert adaptive > 0.8
    assert measure(history, ADAPTIVE, 960, step)[0] == pytest.approx(0.9, abs=0.06), "and they narrow again"


def test_adaptive_intervals_cost_little_width_without_drift() -> None:
    history = make_history(np.full((1500, 6), 3.0), steps=7)
    for step in (1, 7):
        fixed, adaptive = (measure(history, calibration, 700, step) for calibration in (FIXED, ADAPTIVE))
        assert adaptive[0] == pytest.approx(0.9, abs=0.015)
        assert adaptive[2] < 1.06 * fixed[2]


@pytest.mark.parametrize("frequency", ["W-MON", "MS"])
def test_intervals_of_weeks_and_months_reach_coverage(frequency: str) -> None:
    history = make_history(np.full((260, 5), 3.0), frequency=frequency)
    assert measure(history, ADAPTIVE, 100)[0] == pytest.approx(0.9, abs=0.04)


def test_intervals_of_hours_follow_time_of_day() -> None:
    """One period per hour: nights are ten times as sure as days."""
    hours = np.arange(60 * 24)
    is_day = (hours % 24 >= 8) & (hours % 24 < 20)
    history = make_history(np.where(is_day, 5.0, 0.5)[:, None] * np.ones((1, 2)), frequency="h")
    bands = history.compute_rolling_quantiles(1, QUANTILES, 40 * 24)
    actual = history.actual[40 * 24 :]
    for selected in (is_day[40 * 24 :], ~is_day[40 * 24 :]):
        coverage = compute_coverage(actual[selected], bands[selected, ..., 0], bands[selected, ..., 1])
        assert coverage == pytest.approx(0.9, abs=0.05)


@given(
    step=st.integers(1, 10),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    frequency=st.sampled_from(["D", "W-MON", "MS", "h"]),
    changed=st.integers(60, 140),
    seed=st.integers(0, 1000),
)
def test_intervals_know_no_later_error(
    step: int, shape: tuple[int, int], frequency: str, changed: int, seed: int
) -> None:
    """Any change from a period on leaves all intervals made before it as they are."""
    random = np.random.default_rng(seed)
    actual = 100 + random.normal(size=(150, *shape)) * 5
    actual[random.random(actual.shape) < 0.1] = np.nan
    forecast = np.full((10, *actual.shape), 100.0)
    other = actual.copy()
    other[changed:] = random.gamma(1.0, 300.0, size=other[changed:].shape)
    before, after = (
        ResidualHistory(forecast, values, ADAPTIVE, frequency).compute_rolling_quantiles(step, QUANTILES, 50)
        for values in (actual, other)
    )
    same = changed + step - 50
    np.testing.assert_allclose(before[:same], after[:same], rtol=1e-9)


@given(step=st.integers(1, 9), count=st.integers(1, 90), entities=st.integers(1, 3), seed=st.integers(0, 1000))
def test_future_interval_equals_next_rolling_one(step: int, count: int, entities: int, seed: int) -> None:
    """The interval after the last period is the one that a longer backtest has there, whatever the later values."""
    values = 100 + np.random.default_rng(seed).normal(size=(count + step, entities, 1)) * 5
    forecast = np.full((9, *values.shape), 100.0)
    rolled = ResidualHistory(forecast, values).compute_rolling_quantiles(step, QUANTILES, count + step - 1)
    known = ResidualHistory(forecast[:, :count], values[:count])
    future = known.compute_quantiles(np.full((entities, 1), 100.0), step, QUANTILES)
    assert np.isfinite(future).all()
    np.testing.assert_allclose(rolled[-1], future, rtol=1e-9)


@pytest.mark.parametrize("count", [3, 8, 20])
@pytest.mark.parametrize("nominal", [0.8, 0.9])
def test_few_errors_widen_intervals_enough(count: int, nominal: float) -> None:
    """500 series with a few normal errors each: the next one is inside as often as promised, or a little more."""
    levels = np.array([(1 - nominal) / 2, (1 + nominal) / 2])
    errors = np.random.default_rng(count).normal(size=(500, count + 1))
    past = ErrorWindow(365, per_entity=True, adaptation=1.0)
    is_inside = []
    for series in errors:
        padded = np.append(series[:-1], np.nan)[:, None, None]
        low, high = roll_error_quantiles(padded, 1, levels, count, past, Cycles())[0, 0, 0]
        is_inside.append(low <= series[-1] <= high)
    assert nominal - 0.04 <= np.mean(is_inside) <= nominal + 0.1


@given(st.integers(1, 200), st.integers(1, 10))
def test_widening_ends_with_enough_periods(count: int, entities: int) -> None:
    widening = compute_widening(count, count * entities, QUANTILES)
    assert (widening >= 1).all()
    assert (widening > 1).all() if count <= 8 else count < MIN_ERRORS or (widening == 1).all()


@given(st.floats(1.0, 1e3), st.integers(1, 8), st.sampled_from(["D", "h", "MS"]))
def test_volatility_grows_with_the_unit(factor: float, step: int, frequency: str) -> None:
    errors = 100 * np.random.default_rng(step).normal(size=(200, 2, 1))
    cycles = Cycles.from_frequency(frequency)
    one, other = (estimate_volatility(values, step, cycles) for values in (errors, factor * errors))
    assert np.isnan(one[:step]).all()
    assert np.isfinite(one[step:]).all()
    np.testing.assert_allclose(other, factor * one, rtol=1e-6)


def test_fixed_intervals_are_conformal_quantiles_of_the_window() -> None:
    errors = np.random.default_rng(3).normal(size=(500, 2, 1))
    past = ErrorWindow(365, per_entity=True, adaptation=0.0)
    rolled = roll_error_quantiles(errors, 4, QUANTILES, 450, past, Cycles())
    expected = compute_conformal_quantiles(errors[450 - 3 - 365 : 450 - 3], QUANTILES)
    np.testing.assert_allclose(rolled[0], expected)


@pytest.mark.parametrize(
    ("frequency", "phase", "year"),
    [("D", 7, 365), ("W-SUN", 1, 52), ("MS", 1, 12), ("QS", 1, 4), ("30min", 48, 17532), ("YS", 1, 1)],
)
def test_cycles_of_frequencies(frequency: str, phase: int, year: int) -> None:
    assert Cycles.from_frequency(frequency) == Cycles(phase, year)


def test_intervals_of_perfect_forecasts_have_no_width() -> None:
    history = ResidualHistory(np.full((1, 300, 2, 1), 50.0), np.full((300, 2, 1), 50.0))
    assert (history.compute_rolling_quantiles(1, QUANTILES, 100) == 50.0).all()
