"""Thresholds that move: the choices, and the alarms of each, against a count row by row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.detection_metrics import compute_detection_metrics
from core.evaluation.events import merge_anomalies
from core.evaluation.threshold_views import (
    MAX_THRESHOLDS,
    ScoredRows,
    list_thresholds,
    tabulate_thresholds,
    view_threshold,
)

SCORES = st.lists(st.floats(-1e6, 1e6), max_size=300)


@st.composite
def make_scored_rows(draw: st.DrawFn) -> ScoredRows:
    """Return the rows of up to three entities in any order, with few different scores, labels and dates."""
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    table = pd.concat(
        [
            pd.DataFrame({"entity": f"e{number}", "time": pd.date_range("2024-01-20", periods=length, freq="D")})
            for number, length in enumerate(lengths)
        ]
    )
    values = st.lists(st.integers(0, 6).map(float), min_size=len(table), max_size=len(table))
    table = table.assign(
        score=draw(values), label=draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table)))
    )
    table = table.sample(frac=1.0, random_state=draw(st.integers(0, 99)))
    return ScoredRows.from_table(table, table["label"], gap_rows=draw(st.integers(0, 3)))


@given(SCORES, st.none() | st.floats(-1e6, 1e6))
def test_thresholds_go_from_no_alarm_to_all(scores: list[float], current: float | None) -> None:
    thresholds = list_thresholds(scores, current)
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert len({f"{value:.6g}" for value in thresholds}) == len(thresholds) <= MAX_THRESHOLDS + 2
    if not scores:
        assert thresholds == []
        return
    assert current is None or current in thresholds
    assert thresholds[0] > max(scores) or thresholds[0] == current
    assert thresholds[-1] < min(scores)


@given(st.lists(st.floats(1.0, 2.0, width=32), min_size=1, max_size=300))
def test_thresholds_flag_same_rows_after_rounding_of_scores(scores: list[float]) -> None:
    exact = np.array(scores)
    for threshold in list_thresholds(exact):
        distance = np.abs(exact - threshold)
        assert (distance > 0).all()
        assert ((exact.astype(np.float32) > threshold) == (exact > threshold)).all()


@given(make_scored_rows(), st.integers(-1, 7))
def test_view_of_threshold_counts_as_row_by_row(rows: ScoredRows, threshold: int) -> None:
    view = view_threshold(rows, threshold)
    expected = []
    for code, entity in enumerate(rows.entities):
        mask = rows.codes == code
        for first, last in merge_anomalies(rows.scores[mask] > threshold, rows.gap_rows):
            part = rows.scores[mask][first : last + 1]
            times = rows.times[mask]
            expected.append((entity, times[first], times[last], int((part > threshold).sum()), part.max()))
    assert sorted(view.incidents.itertuples(index=False, name=None)) == sorted(expected)
    assert view.incidents["peak"].is_monotonic_decreasing
    assert view.flagged_rows == view.by_entity["rows"].sum() == view.by_month["rows"].sum()
    assert len(expected) == view.by_entity["incidents"].sum() == view.by_month["incidents"].sum()


@given(make_scored_rows())
def test_table_of_thresholds_agrees_with_views(rows: ScoredRows) -> None:
    thresholds = [3.0, -1.0, 6.0, 0.5, *list_thresholds(rows.scores)]
    table = tabulate_thresholds(rows, thresholds)
    assert table["threshold"].tolist() == thresholds
    assert rows.labels is not None
    for line, threshold in zip(table.itertuples(), thresholds, strict=True):
        view = view_threshold(rows, threshold)
        assert view.confusion is not None
        assert (line.flagged_rows, line.incidents) == (view.flagged_rows, len(view.incidents))
        assert line.entities == len(view.by_entity)
        measured = [line.precision, line.recall, line.incidents_per_entity_month]
        assert measured == pytest.approx([view.confusion.precision, view.confusion.sensitivity, view.rate], nan_ok=True)


def test_rate_of_incidents_is_per_entity_and_month() -> None:
    table = pd.DataFrame(
        {
            "entity": np.repeat(["a", "b"], 365),
            "time": np.tile(pd.date_range("2023-01-01", periods=365), 2),
            "score": np.tile([9.0, *[0.0] * 30], 24)[:730],
        }
    )
    view = view_threshold(ScoredRows.from_table(table), 1.0)
    assert view.rate == pytest.approx(len(view.incidents) / (2 * 365 / 30.4375), rel=1e-9)
    assert view.by_month["month"].tolist() == [f"2023-{month:02d}" for month in range(1, 13)]


def test_rows_without_dates_have_no_rate_and_no_months() -> None:
    rows = ScoredRows.from_table(pd.DataFrame({"entity": "a", "time": range(4), "score": [0.0, 2.0, 2.0, 0.0]}))
    view = view_threshold(rows, 1.0)
    assert (view.flagged_rows, len(view.incidents), len(view.by_month)) == (2, 1, 0)
    assert np.isnan(view.rate)
    assert view.confusion is None
    assert "precision" not in tabulate_thresholds(rows, [1.0])


def test_best_f1_of_table_is_that_of_score_card() -> None:
    random = np.random.default_rng(3)
    labels = random.random(500) < 0.1
    scores = random.normal(size=500) + 2 * labels
    table = pd.DataFrame({"entity": "a", "time": np.arange(500), "score": scores})
    middles = np.sort(scores)[:-1] + np.diff(np.sort(scores)) / 2
    lines = tabulate_thresholds(ScoredRows.from_table(table, labels), middles)
    f1 = 2 * lines["precision"] * lines["recall"] / (lines["precision"] + lines["recall"])
    assert f1.max() == pytest.approx(compute_detection_metrics(labels, scores, 10)["f1"])
