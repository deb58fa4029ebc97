"""Rows to ask about: chosen verdicts come closer to the best threshold than others, and never ask twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from core.array_types import Floats
from core.evaluation.feedback_metrics import ReviewedRows, find_best_threshold
from core.evaluation.verdict_questions import MIN_DISTANCE, ThresholdBelief, choose_questions

SEEDS, QUESTIONS = range(20), 10
NORMAL_ROWS, FAULTS = 3000, 60
NOTHING = np.zeros(0, dtype=np.intp)


class PlantedScores:
    """Scores of normal rows and of faults that overlap, with a threshold that is off by a factor of the alarms."""

    def __init__(self, seed: int, factor: float) -> None:
        self.rng = np.random.default_rng(seed)
        scores = np.concatenate([self.rng.lognormal(0, 0.6, NORMAL_ROWS), self.rng.lognormal(2, 0.5, FAULTS)])
        order = self.rng.permutation(len(scores))
        self.scores, self.is_fault = scores[order], (np.arange(len(scores)) >= NORMAL_ROWS)[order]
        self.ranked = np.argsort(-self.scores)
        self.best_count = int(np.argmax(np.cumsum(np.where(self.is_fault[self.ranked], 1, -1)))) + 1
        self.threshold = float(self.scores[self.ranked][max(int(self.best_count * factor), 1)])

    def review(self, rows: NDArray[np.intp]) -> ReviewedRows:
        """Return the true verdicts on rows."""
        return ReviewedRows.from_arrays(self.scores[rows], self.is_fault[rows], self.threshold)

    def measure_distance(self, rows: NDArray[np.intp]) -> float:
        """Return how far the proposed number of alarms is from the best one, as a logarithm."""
        threshold = find_best_threshold(self.review(rows), self.scores).threshold
        return float(abs(np.log((np.sum(self.scores > threshold) + 1) / (self.best_count + 1))))

    def choose(self, asked: NDArray[np.intp], count: int) -> NDArray[np.intp]:
        """Return the rows to ask about after some verdicts."""
        belief = ThresholdBelief.from_verdicts(self.scores, self.review(asked))
        numbers = MIN_DISTANCE * np.arange(len(self.scores))
        is_open = ~np.isin(np.arange(len(self.scores)), asked)
        candidates = np.flatnonzero(is_open)
        chosen = choose_questions(belief, self.scores[candidates], numbers[candidates], numbers[asked], count)
        return candidates[chosen]


@pytest.mark.parametrize("factor", [0.2, 0.5, 2.0, 4.0])
def test_chosen_rows_find_best_threshold_sooner_than_others(factor: float) -> None:
    distances = []
    for seed in SEEDS:
        planted = PlantedScores(seed, factor)
        highest = planted.ranked[:QUESTIONS]
        random = planted.rng.choice(len(planted.scores), QUESTIONS, replace=False)
        chosen = planted.choose(NOTHING, QUESTIONS)
        distances.append([planted.measure_distance(rows) for rows in (chosen, highest, random)])
    chosen_distance, highest_distance, random_distance = np.median(distances, axis=0)
    assert chosen_distance < 0.8 * min(highest_distance, random_distance)


@pytest.mark.parametrize("factor", [0.2, 1.0, 4.0])
def test_second_ten_verdicts_come_closer(factor: float) -> None:
    first_distances, second_distances = [], []
    for seed in SEEDS:
        planted = PlantedScores(seed, factor)
        first = planted.choose(NOTHING, QUESTIONS)
        second = planted.choose(first, QUESTIONS)
        assert not set(first) & set(second)
        first_distances.append(planted.measure_distance(first))
        second_distances.append(planted.measure_distance(np.concatenate([first, second])))
    assert np.mean(second_distances) < 0.8 * np.mean(first_distances)


def test_belief_follows_verdicts() -> None:
    scores = np.arange(1000.0)
    before = ThresholdBelief.from_verdicts(scores, ReviewedRows.from_arrays([], [], 900.0)).find_quantiles(1)[0]
    false_above = ReviewedRows.from_arrays([950.0, 960.0, 970.0], [False] * 3, 900.0)
    true_below = ReviewedRows.from_arrays([850.0, 840.0, 830.0], [True] * 3, 900.0)
    assert ThresholdBelief.from_verdicts(scores, false_above).find_quantiles(1)[0] > before
    assert ThresholdBelief.from_verdicts(scores, true_below).find_quantiles(1)[0] < before


score_arrays = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e9, 1e9, allow_nan=False))


@given(score_arrays, st.floats(-1e9, 1e9), st.integers(0, 12), st.randoms(use_true_random=False))
def test_questions_are_open_and_apart(scores: Floats, threshold: float, count: int, random: object) -> None:
    numbers = np.arange(len(scores))
    reviewed = np.flatnonzero(np.array([random.random() < 0.3 for _ in scores]))  # type: ignore[attr-defined]
    verdicts = ReviewedRows.from_arrays(scores[reviewed], np.zeros(len(reviewed), dtype=bool), threshold)
    belief = ThresholdBelief.from_verdicts(scores, verdicts)
    candidates = np.setdiff1d(numbers, reviewed)
    chosen = choose_questions(belief, scores[candidates], numbers[candidates], numbers[reviewed], count)
    places = np.sort(np.concatenate([numbers[candidates][chosen], numbers[reviewed]]))
    assert len(chosen) <= count
    assert len(set(chosen.tolist())) == len(chosen)
    near = [place for place in numbers[candidates][chosen] if np.sum(np.abs(places - place) < MIN_DISTANCE) > 1]
    assert not near
    if not len(reviewed) and count:
        assert len(chosen) >= min(count, -(-len(scores) // (2 * MIN_DISTANCE - 1)))
    assert belief.weights.sum() == pytest.approx(1)
