"""Events of scored rows: merging, hysteresis, lasting changes."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.evaluation.events import MAX_GAP_ROWS, EventSpan, ScoreLevels, find_events, merge_anomalies

LEVELS = ScoreLevels(threshold=2.0, usual=0.0, max_rows=30)
score_series = arrays(float, st.integers(0, 300), elements=st.sampled_from([0.0, 0.9, 1.1, 1.9, 2.1, 4.0, 9.0]))


def test_merge_anomalies_bridges_small_gaps() -> None:
    flags = np.zeros(40, dtype=bool)
    flags[[3, 4, 4 + MAX_GAP_ROWS + 1, 20, 39]] = True
    assert merge_anomalies(flags) == [(3, 8), (20, 20), (39, 39)]
    assert merge_anomalies(flags, gap=0)[0] == (3, 4)
    assert merge_anomalies(np.zeros(5, dtype=bool)) == []


@given(st.lists(st.booleans(), max_size=200), st.integers(0, 6))
def test_merge_anomalies_covers_all_and_separates_events(raised: list[bool], gap: int) -> None:
    flags = np.array(raised, dtype=bool)
    spans = merge_anomalies(flags, gap)
    covered = np.zeros(len(flags), dtype=bool)
    for first, last in spans:
        assert flags[first]
        assert flags[last]
        covered[first : last + 1] = True
    assert covered[flags].all()
    assert all(after[0] - before[1] > gap + 1 for before, after in pairwise(spans))


def test_event_goes_on_until_scores_return() -> None:
    """Five rows between two alarms: one event if the scores stay more than half-way up, else two."""
    stays, returns = (np.array([0.0, 3.0, *[between] * 5, 3.0, 0.0]) for between in (1.5, 0.5))
    assert find_events(stays, stays > 2, LEVELS) == [EventSpan(1, 7)]
    assert find_events(returns, returns > 2, LEVELS) == [EventSpan(1, 1), EventSpan(7, 7)]


def test_long_plateau_is_lasting_change_with_events_inside() -> None:
    scores = np.concatenate([np.zeros(20), np.full(500, 3.0), np.zeros(20)])
    assert find_events(scores, scores > 2, LEVELS) == [EventSpan(20, 519, "lasting change")]
    scores[100:104] = 6.0
    assert find_events(scores, scores > 2, LEVELS) == [EventSpan(20, 519, "lasting change"), EventSpan(100, 103)]
    scores[300:304] = 4.5  # rises less above its level than the threshold lies above the usual score
    assert len(find_events(scores, scores > 2, LEVELS)) == 2


@given(score_series, st.integers(0, 40))
def test_events_cover_flagged_rows_and_anomalies_are_short(scores: np.ndarray, fitted: int) -> None:
    anomaly = (scores > LEVELS.threshold) & (np.arange(len(scores)) >= fitted)
    events = find_events(scores, anomaly, LEVELS)
    covered = np.zeros(len(scores), dtype=bool)
    for event in events:
        assert anomaly[event.first]
        assert anomaly[event.last]
        assert (event.last - event.first + 1 <= LEVELS.max_rows) == (event.kind == "anomaly")
        covered[event.first : event.last + 1] = True
    assert covered[anomaly].all()
    lasting = [event for event in events if event.kind == "lasting change"]
    for before, after in pairwise(events):
        is_inside = any(outer.first <= after.first and after.last <= outer.last for outer in lasting)
        assert after.first > before.last or is_inside
        if not is_inside:
            between = scores[before.last + 1 : after.first]
            assert (between <= LEVELS.return_level).sum() > MAX_GAP_ROWS or before.first >= after.first


def test_scale_of_calibration_is_its_longest_run() -> None:
    random = np.random.default_rng(0)
    independent = ScoreLevels.from_calibration(random.normal(size=1000), threshold=4.0)
    slow = ScoreLevels.from_calibration(np.repeat(random.normal(size=50), 40), threshold=4.0)
    assert independent.max_rows == 30
    assert slow.max_rows >= 80
    assert ScoreLevels.from_calibration(np.zeros(0), threshold=4.0) == ScoreLevels(4.0, 0.0, 30)
