"""Rows that stand out: none in noise, planted ones in any tail, and a promise for new rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.errors import DataError, OptionError
from core.evaluation.generalised_pareto import predict_exceedance
from core.evaluation.stand_out import count_outliers, fit_stand_out_threshold, measure_largest_deviations
from tests.support.sample_scores import DISTRIBUTIONS, draw_scores


def flag(values: Floats, rate: float = 0.01) -> np.ndarray:
    """Return the flagged rows of scores that are their own calibration and deviations."""
    return values > fit_stand_out_threshold(values, values, values, rate).value


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_noise_rarely_stands_out(name: str) -> None:
    """At most one of twenty samples has a flagged row, up to 3 standard errors; with very heavy tails one of five."""
    found = [flag(draw_scores(name, 1000, seed)).any() for seed in range(60)]
    accepted = 0.2 if name in ("Pareto", "Student's t") else 0.05
    assert np.mean(found) <= accepted + 3 * np.sqrt(accepted * (1 - accepted) / 60)


@pytest.mark.parametrize("share", [0.001, 0.01])
@pytest.mark.parametrize("rows", [300, 3000])
def test_planted_rows_stand_out_without_masking_themselves(rows: int, share: float) -> None:
    random = np.random.default_rng(rows)
    count = max(int(rows * share), 1)
    values = np.concatenate([np.abs(random.normal(size=rows)), random.uniform(8, 30, count)])
    flagged = flag(values)
    assert flagged[-count:].all()
    assert flagged[:-count].sum() <= 1 + 0.1 * count


def test_deviations_count_where_scores_are_bounded() -> None:
    """The scores end at 1, so that their tail shows nothing; the deviations show three rows."""
    values = np.concatenate([np.abs(np.random.default_rng(0).normal(size=1000)), [12.0, 15.0, 20.0]])
    scores = 1 - np.exp(-values / 2)
    assert count_outliers(scores) == 0
    threshold = fit_stand_out_threshold(scores, scores, values, rate=0.01)
    assert np.flatnonzero(scores > threshold.value).tolist() == [1000, 1001, 1002]


def test_promise_limits_rows_that_stand_out() -> None:
    """Held-out scores that are higher than those of the fit raise the threshold."""
    values = np.concatenate([np.abs(np.random.default_rng(0).normal(size=1000)), [30.0]])
    low = fit_stand_out_threshold(values, values, values, rate=0.01)
    high = fit_stand_out_threshold(values, 50 * values, values, rate=0.01)
    assert low.value < 30 < high.value


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 50.0]), min_size=1, max_size=200))
def test_ties_and_few_rows_are_answered(values: list[float]) -> None:
    scores = np.array(values)
    threshold = fit_stand_out_threshold(scores, scores, scores, rate=0.01)
    assert np.isfinite(threshold.value)
    assert threshold.target_rate is not None
    if len(set(values)) == 1:
        assert not (scores > threshold.value).any()


@pytest.mark.parametrize("outliers", [0, 40, 450])
def test_outliers_are_counted_alike_in_chunks_and_at_once(outliers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.abs(np.random.default_rng(1).normal(size=20_000))
    values = np.append(noise, np.linspace(6, 60, outliers))
    in_chunks = count_outliers(values)
    monkeypatch.setattr("core.evaluation.stand_out.CHUNK_VALUES", len(values))
    assert in_chunks == count_outliers(values)
    assert in_chunks >= outliers - 5


def test_stand_out_rejects_invalid_values() -> None:
    with pytest.raises(DataError):
        count_outliers([1.0, np.nan])
    with pytest.raises(OptionError):
        fit_stand_out_threshold([1.0], [1.0], [1.0], rate=0.0)


def test_deviations_of_constant_and_rare_columns_are_finite() -> None:
    features = np.zeros((100, 3))
    features[7, 1], features[:, 2] = 5.0, np.arange(100)
    deviations = measure_largest_deviations(features)
    assert np.isfinite(deviations).all()
    assert deviations.argmax() == 7


def test_exceedance_falls_and_censoring_ignores_sizes() -> None:
    excesses = np.random.default_rng(0).exponential(size=500)
    kept = excesses[excesses < 2]
    chances = predict_exceedance(kept, 500 - len(kept), 2.0, np.array([0.0, 0.5, 1.0, 4.0, 50.0]))
    assert chances[0] == pytest.approx(1)
    assert (np.diff(chances) < 0).all()
    assert chances[2] == pytest.approx((excesses > 1).mean(), abs=0.03)
