"""Judgement of one-class models: areas, ROC, the promise of the threshold on held-out images, collapse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from core.errors import DataError
from core.evaluation.one_class import (
    build_roc_table,
    classify_severity,
    compute_alarm_band,
    count_confusion,
    fit_normal_threshold,
    measure_area_error,
    measure_areas,
    measure_collapse,
    measure_top_precision,
)

SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60)


def split(pairs: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([flag for flag, _ in pairs]), np.array([float(score) for _, score in pairs])


@given(SCORES)
def test_areas_match_sklearn(pairs: list[tuple[bool, int]]) -> None:
    flags, scores = split(pairs)
    areas = measure_areas(flags, scores)
    if flags.all() or not flags.any():
        assert np.isnan(areas).all()
        return
    assert areas == (pytest.approx(roc_auc_score(flags, scores)), pytest.approx(average_precision_score(flags, scores)))


@given(SCORES)
def test_roc_table_agrees_with_confusion(pairs: list[tuple[bool, int]]) -> None:
    flags, scores = split(pairs)
    table = build_roc_table(flags, scores)
    if flags.all() or not flags.any():
        assert table.empty
        return
    assert (table["sensitivity"].iloc[0], table["sensitivity"].iloc[-1]) == (0, 1)
    assert (table["specificity"].iloc[0], table["specificity"].iloc[-1]) == (1, 0)
    for row in table.itertuples():
        confusion = count_confusion(flags, scores, row.threshold)
        assert (confusion.true_alarms, confusion.false_alarms) == (row.true_alarms, row.false_alarms)
        assert confusion.sensitivity == pytest.approx(row.sensitivity)
        assert confusion.specificity == pytest.approx(row.specificity)


def test_long_roc_table_is_thinned_out_with_its_ends() -> None:
    rng = np.random.default_rng(0)
    flags, scores = rng.random(5000) < 0.3, rng.normal(size=5000)
    table = build_roc_table(flags, scores, max_points=101)
    assert len(table) == 101
    assert table["sensitivity"].iloc[[0, -1]].tolist() == [0, 1]
    assert (np.diff(table["sensitivity"]) >= 0).all()


def test_top_precision_counts_ties_by_their_share() -> None:
    assert measure_top_precision([1, 0, 0, 0], [1.0, 1.0, 1.0, 1.0]) == pytest.approx(0.25)
    assert np.isnan(measure_top_precision([0, 0], [1.0, 2.0]))


@pytest.mark.parametrize(("held_out", "rate"), [(19, 0.05), (99, 0.05), (599, 0.01)])
def test_threshold_keeps_its_promise_within_the_band(held_out: int, rate: float) -> None:
    """Over many draws the mean rate is at most the promised one, and the band holds in 95 % of them."""
    rng, test_count, draws = np.random.default_rng(0), 500, 400
    low, high = compute_alarm_band(held_out, rate, test_count)
    rates = []
    for _ in range(draws):
        scores = rng.gamma(2.0, size=held_out + test_count)
        threshold = fit_normal_threshold(scores[:held_out], rate)
        assert threshold.target_rate == rate
        rates.append((scores[held_out:] > threshold.value).mean())
    spread = np.std(rates) / np.sqrt(draws)
    assert np.mean(rates) <= rate + 3 * spread
    inside = np.mean([low <= value <= high for value in rates])
    assert inside > 0.95 - 3 * np.sqrt(0.95 * 0.05 / draws)
    assert high - low < 1


def test_threshold_promises_only_what_held_out_images_can() -> None:
    threshold = fit_normal_threshold(np.arange(9.0), rate=0.01)
    assert (threshold.value, threshold.target_rate) == (8.0, pytest.approx(0.1))
    assert "at least 99 are needed" in str(threshold.note)
    with pytest.raises(DataError):
        fit_normal_threshold([], rate=0.01)


def test_band_is_unknown_without_images() -> None:
    assert compute_alarm_band(0, 0.05, 100) == (0.0, 1.0)
    assert compute_alarm_band(100, 0.05, 0) == (0.0, 1.0)


def test_collapse_needs_equal_scores_or_embeddings() -> None:
    rng = np.random.default_rng(0)
    embeddings, scores = rng.normal(size=(200, 8)), rng.random(200)
    assert not measure_collapse(scores, embeddings).is_collapsed
    assert measure_collapse(np.zeros(200), embeddings).kind == "scores"
    assert measure_collapse(1e9 + 1e-3 * scores, embeddings).kind == "scores"
    assert measure_collapse(scores, 5 + 1e-4 * embeddings).kind == "latent"
    assert measure_collapse(scores, np.zeros((200, 8))).kind == "latent"
    few_stand_out = np.where(np.arange(200) < 10, 1.0, 0.0)
    assert not measure_collapse(few_stand_out, embeddings).is_collapsed


def test_severity_follows_p_value() -> None:
    assert classify_severity(np.array([1.0, 0.011, 0.009, 0.001, 1e-4, np.nan])).tolist() == [0, 0, 1, 2, 3, 0]


def test_error_of_the_area_is_its_deviation_over_samples() -> None:
    random = np.random.default_rng(0)
    flags = np.repeat([False, True], [60, 90])
    samples = [np.round(random.normal(size=150) + flags, 1) for _ in range(400)]
    areas = [measure_areas(flags, scores)[0] for scores in samples]
    errors = [measure_area_error(flags, scores) for scores in samples]
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.1)


def test_error_of_the_area_is_unknown_for_a_single_image_of_a_kind() -> None:
    assert np.isnan(measure_area_error([0, 0, 1], [1.0, 2.0, 3.0]))
