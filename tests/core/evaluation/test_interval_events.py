"""Tests of events: every anomalous point is in one event, and one fault is one event."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.interval_events import (
    SEVERITIES,
    JudgedPoints,
    compute_relative_distance,
    grade_scores,
    list_events,
    measure_distance,
    merge_points,
)

MASKS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=120).map(
    lambda pairs: (np.array([a for a, _ in pairs], dtype=bool), np.array([b for _, b in pairs], dtype=bool))
)


@given(MASKS, st.integers(0, 20))
def test_every_anomalous_point_is_in_one_event(masks: tuple[np.ndarray, np.ndarray], max_gap: int) -> None:
    """Events do not overlap, are in order, begin and end with a point, and are apart by more than the bridged gap."""
    outside, shifted = masks
    spans = merge_points(outside, shifted & ~outside, max_gap)
    covered = np.zeros(len(outside), dtype=int)
    for first, last in spans:
        assert 0 <= first <= last < len(outside)
        assert outside[first : last + 1].any()
        assert (outside | shifted)[[first, last]].all()
        covered[first : last + 1] += 1
    assert (covered[outside] == 1).all()
    assert covered.max(initial=0) <= 1
    assert spans == sorted(spans)
    assert all(after[0] - before[1] - 1 > 3 for before, after in pairwise(spans))


def make_points(distance: np.ndarray, shifted: np.ndarray | None = None, moves: float = 0.0) -> JudgedPoints:
    count = len(distance)
    nowhere = np.zeros(count, dtype=bool)
    return JudgedPoints(distance, np.ones(count), np.full(count, moves), nowhere if shifted is None else shifted)


def test_long_event_bridges_longer_gaps() -> None:
    outside = np.zeros(100, dtype=bool)
    outside[10:50] = outside[58:60] = True
    nowhere = np.zeros(100, dtype=bool)
    assert merge_points(outside, nowhere, max_gap=12) == [(10, 59)]
    assert merge_points(outside, nowhere, max_gap=5) == [(10, 49), (58, 59)]


def test_sustained_shift_is_one_event() -> None:
    """Outside for half a day, then usual at the new level for two days: one event of kind level_shift."""
    distance, shifted = np.zeros(500), np.zeros(500, dtype=bool)
    distance[100:148], shifted[148:340] = 2.0, True
    (event,) = list_events(make_points(distance, shifted, moves=2.5), max_gap=12, shift_steps=24)
    assert (event.kind, event.first, event.last) == ("level_shift", 100, 339)
    assert event.score == pytest.approx(2 * np.sqrt(48))


def test_short_fault_is_no_level_shift() -> None:
    distance = np.zeros(200)
    distance[50:60] = -3.0
    distance[120], distance[122] = 1.0, -0.2
    low, high = list_events(make_points(distance), max_gap=12, shift_steps=24)
    assert (low.kind, low.peak) == ("low", 50)
    assert (high.kind, high.first, high.last, high.peak) == ("high", 120, 122, 120)


def test_severity_grows_with_distance_and_duration() -> None:
    scores = []
    for size, steps in ((0.2, 1), (1.0, 1), (1.0, 6), (3.0, 12)):
        distance = np.zeros(100)
        distance[10 : 10 + steps] = -size
        scores.append(list_events(make_points(distance), 12, 24)[0].score)
    assert [SEVERITIES[grade] for grade in grade_scores(np.array(scores))] == ["low", "medium", "high", "critical"]


def test_relative_distance_is_undefined_for_median_zero() -> None:
    distance = measure_distance(np.array([5.0, 5.0, np.nan]), np.zeros(3), np.array([3.0, 4.0, 1.0]))
    relative = compute_relative_distance(distance, np.array([0.0, 2.0, 1.0]))
    assert np.isnan(relative[0])
    assert relative[1] == 50
    assert np.isnan(relative[2])


def test_value_on_bound_is_inside() -> None:
    assert measure_distance(np.array([0.1 + 0.2]), np.array([0.0]), np.array([0.3])).tolist() == [0.0]
