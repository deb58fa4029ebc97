"""Promises about false alarms: bounds for future rows, drift, and thresholds that adapt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.errors import DataError, OptionError
from core.evaluation.alarm_rates import measure_alarm_rate, measure_burst_sizes
from core.evaluation.promises import adapt_threshold, detect_drift, fit_promise, measure_typical_burst, number_parts
from tests.support.sample_scores import DISTRIBUTIONS, draw_scores


def make_correlated(correlation: float, rows: int, seed: int) -> Floats:
    """Make stationary Gaussian scores in which each row has this correlation with the next."""
    values = np.random.default_rng(seed).normal(size=rows)
    values[0] /= np.sqrt(1 - correlation**2)
    for row in range(1, rows):
        values[row] += correlation * values[row - 1]
    return values


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_promise_bounds_true_rate_of_independent_scores(name: str) -> None:
    """The true rate is at most the promised one in at least 90 % of 200 calibrations, up to 3 standard errors."""
    held = []
    for seed in range(200):
        threshold = fit_promise(draw_scores(name, 1500, seed), 0.01)
        assert threshold.target_rate is not None
        held.append(DISTRIBUTIONS[name].sf(threshold.value) <= threshold.target_rate)
    assert np.mean(held) >= 0.9 - 3 * np.sqrt(0.09 / 200)


@pytest.mark.parametrize("correlation", [0.5, 0.9, 0.98])
def test_promise_is_kept_on_future_of_correlated_scores(correlation: float) -> None:
    """The measured band of the next 3,000 rows does not lie above the promise, in at least 90 % of 60 series."""
    kept = []
    for seed in range(60):
        scores = make_correlated(correlation, 6000, seed)
        threshold = fit_promise(scores[:3000], 0.005)
        kept.append(not measure_alarm_rate(scores[3000:], threshold.value).exceeds(threshold.target_rate or 0.0))
    assert np.mean(kept) >= 0.9


def test_promise_of_windows_is_weaker_than_of_rows() -> None:
    """Means over 20 rows of the same noise have fewer independent scores, so a larger rate can be promised."""
    noise = np.random.default_rng(0).normal(size=4019)
    windows = np.convolve(noise, np.full(20, 1 / 20), "valid")
    rows, means = fit_promise(noise[:4000], 1e-5), fit_promise(windows, 1e-5)
    assert (rows.method, means.method) == ("highest", "highest")
    assert (means.target_rate or 0) > 5 * (rows.target_rate or 0)
    assert "cannot" not in str(rows.note)
    assert "needs more training rows" in str(rows.note)


def test_promise_counts_parts_of_the_time() -> None:
    """Alarms of one part only, of ten, make the bound for a further part larger than for evenly spread alarms."""
    spread = np.random.default_rng(0).exponential(size=10_000)
    gathered = np.sort(spread.reshape(10, -1), axis=0).T.ravel()  # the same values; parts differ in order only
    one_part = np.sort(spread)
    random = np.random.default_rng(1)
    one_part[:9000], one_part[9000:] = random.permutation(one_part[:9000]), random.permutation(one_part[9000:])
    assert fit_promise(one_part, 0.02).value > fit_promise(spread, 0.02).value
    assert len(gathered) == len(spread)


@given(
    st.sampled_from(sorted(DISTRIBUTIONS)),
    st.integers(1, 400),
    st.integers(0, 1000),
    st.floats(1e-5, 0.9),
    st.booleans(),
)
def test_promise_threshold_is_monotone_and_observed(
    name: str, rows: int, seed: int, rate: float, has_ties: bool
) -> None:
    """A smaller rate has no lower threshold; the value is one of the scores; the promise is never below the request."""
    scores = draw_scores(name, rows, seed).round(1 if has_ties else 12)
    threshold, rarer = fit_promise(scores, rate), fit_promise(scores, rate / 3)
    assert rarer.value >= threshold.value
    assert threshold.value in scores
    assert threshold.target_rate is not None
    assert rate <= threshold.target_rate <= 1
    assert threshold.method == ("bound" if threshold.target_rate == rate else "highest")
    assert (scores > threshold.value).mean() <= threshold.target_rate


def test_promise_of_equal_and_few_scores_flags_nothing_equal() -> None:
    constant = fit_promise(np.ones(500), 0.01)
    assert (constant.value, constant.method) == (1.0, "bound")
    single = fit_promise([3.0], 0.01)
    assert (single.value, single.method, single.target_rate) == (3.0, "highest", 1.0)


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [np.inf, 0.0]])
def test_promise_rejects_invalid_scores(bad: list[float]) -> None:
    for call in (
        lambda: fit_promise(bad, 0.1),
        lambda: detect_drift(bad, [1.0]),
        lambda: adapt_threshold(bad, 0, 1, 0.1),
    ):
        with pytest.raises(DataError):
            call()


def test_promise_rejects_rate_outside_bounds() -> None:
    for rate in (0.0, 1.0, float("nan")):
        with pytest.raises(OptionError, match="Accepted: 0 to 1"):
            fit_promise([1.0, 2.0], rate)


def test_bursts_by_hand() -> None:
    assert measure_burst_sizes(np.zeros(5, dtype=bool)).tolist() == []
    assert measure_typical_burst(np.arange(50.0)) == 5.0  # one burst: the highest tenth
    assert number_parts(0).tolist() == []


# ---- drift and adaptation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_drift_is_rarely_found_in_stationary_scores(correlation: float) -> None:
    found = [
        detect_drift(values[:2000], values[2000:])
        for values in (make_correlated(correlation, 4000, s) for s in range(60))
    ]
    assert np.mean(found) <= 0.05


def test_drift_is_found_when_scores_rise_not_when_they_fall() -> None:
    for seed in range(10):
        values = make_correlated(0.5, 4000, seed)
        assert detect_drift(values[:2000], values[2000:] + 1.0)
        assert not detect_drift(values[:2000], values[2000:] - 1.0)
    assert not detect_drift(np.ones(500), np.ones(500))


@pytest.mark.parametrize("growth", [1.0, 4.0])
def test_adaptive_threshold_keeps_rate_under_drift(growth: float) -> None:
    scores = np.random.default_rng(0).exponential(size=30_000) * np.linspace(1, growth, 30_000)
    limits = adapt_threshold(scores, np.log(2), float(-np.log(0.002)), 0.002)
    assert 0.001 < (scores > limits).mean() < 0.003


def test_adaptive_threshold_uses_earlier_scores_only() -> None:
    scores = np.random.default_rng(0).exponential(size=500)
    limits = adapt_threshold(scores, 0.7, 4.0, 0.01)
    assert limits[0] == 4.0
    assert np.array_equal(adapt_threshold(scores[:300], 0.7, 4.0, 0.01), limits[:300])
