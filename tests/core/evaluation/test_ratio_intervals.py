"""Tests of intervals of ratios against simulated binomial counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from core.array_types import Floats
from core.evaluation.adaptive_conformal import AdaptiveCalibrator, BandForecast
from core.evaluation.ratio_intervals import RatioHistory, widen_ratio_quantiles

LEVELS = np.array([0.025, 0.25, 0.75, 0.975])
ATTEMPTS = (2, 5, 20, 100, 1000)
STEPS, RATIO = 8000, 0.92


def simulate_ratios(spread: float) -> tuple[Floats, Floats, Floats]:
    """Return ratios, their attempts, and quantiles that know the mean spread but not the attempts, (steps, 1)."""
    random = np.random.default_rng(1)
    attempts = random.choice(ATTEMPTS, size=(STEPS, 1)).astype(float)
    truth = np.clip(RATIO + spread * random.normal(size=(STEPS, 1)), 0, 1)
    ratios = random.binomial(attempts.astype(int), truth) / attempts
    mean_spread = np.sqrt(spread**2 + RatioHistory.from_ratios(ratios, attempts).noise)
    quantiles = np.clip(RATIO + mean_spread[None, :, None] * ndtri(LEVELS), 0, 1)
    return ratios, attempts, np.broadcast_to(quantiles, (STEPS, 1, 4))


def cover_by_attempts(ratios: Floats, attempts: Floats, bounds: Floats) -> dict[int, float]:
    inside = (ratios >= bounds[..., 0] - 1e-9) & (ratios <= bounds[..., -1] + 1e-9)
    return {count: float(inside[attempts == count].mean()) for count in ATTEMPTS}


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_ratio_interval_covers_few_and_many_attempts(spread: float) -> None:
    """Without the attempts, ratios of two calls are outside too often and those of a thousand never."""
    ratios, attempts, quantiles = simulate_ratios(spread)
    median, history = np.full(ratios.shape, RATIO), RatioHistory.from_ratios(ratios, attempts)
    plain = cover_by_attempts(ratios, attempts, quantiles)
    assert plain[2] < 0.9
    assert plain[1000] > 0.995
    widened = widen_ratio_quantiles(quantiles, median, LEVELS, attempts, history)
    assert 0 <= widened.min() <= widened.max() <= 1
    width = np.maximum(np.ptp(widened, axis=2), 0.01)
    calibrator = AdaptiveCalibrator(LEVELS, 2000).start(1)
    half = STEPS // 2
    parts = [BandForecast(widened[part], median[part], width[part]) for part in (slice(half), slice(half, None))]
    calibrator.learn(ratios[:half], parts[0])
    bounds = np.clip(calibrator.calibrate(ratios[half:], parts[1]).bounds, 0, 1)
    for uncalibrated, values in ((widened, slice(None)), (bounds, slice(half, None))):
        coverage = cover_by_attempts(ratios[values], attempts[values], uncalibrated)
        assert all(share >= 0.925 for share in coverage.values()), coverage
        assert coverage[1000] < 0.98


@given(
    ratio=st.floats(0, 1),
    spread=st.floats(0, 0.3),
    few=st.integers(1, 50),
    factor=st.integers(2, 100),
    noise=st.floats(0, 0.1),
)
def test_fewer_attempts_give_wider_interval(ratio: float, spread: float, few: int, factor: int, noise: float) -> None:
    quantiles = np.clip(ratio + spread * np.array([-1.0, -0.3, 0.3, 1.0]), 0, 1)[None].repeat(2, axis=0)
    attempts = np.array([few, few * factor], dtype=float)
    widened = widen_ratio_quantiles(
        quantiles, np.full(2, ratio), LEVELS, attempts, RatioHistory(np.full(2, ratio), np.full(2, noise), np.ones(2))
    )
    assert (np.diff(widened, axis=1) >= 0).all()
    assert widened.min() >= 0
    assert widened.max() <= 1
    low, high = widened[:, 0], widened[:, -1]
    assert high[0] - low[0] >= high[1] - low[1] - 1 / few  # whole attempts


def test_quantiles_without_attempts_stay() -> None:
    quantiles = np.array([[0.8, 0.85, 0.95, 1.0]] * 3)
    attempts = np.array([0.0, np.nan, 10.0])
    widened = widen_ratio_quantiles(
        quantiles, np.full(3, 0.9), LEVELS, attempts, RatioHistory(np.full(3, 0.9), np.zeros(3), np.ones(3))
    )
    assert np.array_equal(widened[:2], quantiles[:2])
    assert widened[2, 0] < 0.8


def test_structure_is_learnt_from_many_attempts() -> None:
    """A forecast whose spread comes from hours of few attempts is sure of the hours of many."""
    ratios, attempts, quantiles = simulate_ratios(0.0)
    wide = np.clip(RATIO + 2 * (quantiles - RATIO), 0, 1)
    median = np.full(ratios.shape, RATIO)
    history = RatioHistory.from_ratios(ratios, attempts)
    learnt = history.learn_structure(ratios, wide, median, LEVELS, attempts)
    assert learnt.structure_share[0] < 0.1
    widths = [
        np.ptp(widen_ratio_quantiles(wide, median, LEVELS, attempts, known)[attempts[:, 0] == 1000], axis=2).mean()
        for known in (history, learnt)
    ]
    assert widths[1] < 0.5 * widths[0]
