"""Recall of planted faults: it grows with the detector and not with the number of alarms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.evaluation.injection import MIN_ROWS
from core.evaluation.planted_faults import MAX_SERIES, MAX_SERIES_ROWS, measure_planted_recall, select_planted_rows


def make_normal_series() -> list[Floats]:
    return [np.random.default_rng(seed).normal(size=(600, 3)) for seed in range(2)]


def score_distance(arrays: list[Floats]) -> list[Floats]:
    return [np.abs(values).max(axis=1) for values in arrays]


def score_at_random(arrays: list[Floats]) -> list[Floats]:
    return [np.random.default_rng(len(values)).normal(size=len(values)) for values in arrays]


def test_planted_recall_ranks_a_detector_above_chance() -> None:
    found = measure_planted_recall(make_normal_series(), score_distance, 4.0)["planted_recall"]
    assert 0.2 < found < 1.0
    assert measure_planted_recall(make_normal_series(), score_distance, 4.0)["planted_recall"] == found
    assert measure_planted_recall(make_normal_series(), score_at_random, 2.0)["planted_recall"] == 0.0


@pytest.mark.parametrize("threshold", [-1.0, 1e9])
def test_planted_recall_rewards_neither_all_alarms_nor_none(threshold: float) -> None:
    assert measure_planted_recall(make_normal_series(), score_distance, threshold) == {"planted_recall": 0.0}


def test_planted_recall_is_unknown_without_faults() -> None:
    assert measure_planted_recall([], score_distance, 1.0) == {}
    assert measure_planted_recall([np.ones((400, 2))], score_distance, 1.0) == {}


@given(st.lists(st.integers(0, 3000), max_size=12))
def test_planted_rows_are_last_rows_of_long_series(lengths: list[int]) -> None:
    chosen = select_planted_rows(lengths)
    long_enough = [number for number, length in enumerate(lengths) if length >= MIN_ROWS]
    assert len(chosen) == min(len(long_enough), MAX_SERIES)
    assert {number for number, _ in chosen} <= set(long_enough)
    for number, rows in chosen:
        assert rows.stop == lengths[number]
        assert rows.stop - rows.start == min(lengths[number], MAX_SERIES_ROWS)
