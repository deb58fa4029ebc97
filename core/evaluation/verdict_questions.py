"""Rows whose verdicts tell most about the best threshold.

Where the best threshold lies is uncertain. Each verdict says on which side of a score it probably is, with some errors,
because the scores of faults and of normal rows overlap. The rows are chosen so that their scores cut the probable
thresholds into equally probable parts: noisy bisection, with several questions at once (Jedynak, Frazier and Sznitman:
Twenty questions with noise: Bayes optimal policies for entropy loss, 2012).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.evaluation.feedback_metrics import ReviewedRows

ERROR_RATE = 0.2  # of the verdicts, that lie on the other side of the best threshold
PRIOR_SCALE = 1.5  # of the number of alarms, as a logarithm: the best number is usually within a factor of 4.5
MIN_DISTANCE = 3  # rows of one entity
MAX_PLACES = 2000  # thresholds that are compared

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class ThresholdBelief:
    """Probability of each threshold of being the best one.

    thresholds  (places,), ascending
    weights     (places,), their sum is 1
    """

    thresholds: Floats
    weights: Floats

    @classmethod
    def from_verdicts(cls, scores: Floats, reviewed: ReviewedRows) -> "ThresholdBelief":
        """Return what is believed after some verdicts.

        Args:
            scores: finite scores of all rows, (rows,).
            reviewed: reviewed rows with the current threshold.

        Without a verdict the best number of alarms is probably near the current one.
        """
        ranked = np.unique(np.append(scores, reviewed.current_threshold))
        places = ranked[np.unique(np.linspace(0, len(ranked) - 1, MAX_PLACES).round().astype(int))]
        ranked_scores = np.sort(scores)
        alarms = len(scores) - np.searchsorted(ranked_scores, places, side="right")
        current = len(scores) - np.searchsorted(ranked_scores, reviewed.current_threshold, side="right")
        # Places with equal numbers of alarms, as a logarithm, get equal weights in total.
        logs = np.log1p(alarms)
        widths = np.abs(np.gradient(logs)) if len(places) > 1 else np.ones(1)
        weights = np.log(np.maximum(widths, 1e-12)) - np.abs(logs - np.log1p(current)) / PRIOR_SCALE
        for score, is_true in zip(reviewed.scores, reviewed.is_true_alarm, strict=True):
            is_expected = (score > places) == is_true
            weights += np.where(is_expected, np.log(1 - ERROR_RATE), np.log(ERROR_RATE))
        weights = np.exp(weights - weights.max())
        return cls(places, weights / weights.sum())

    def find_quantiles(self, count: int) -> Floats:
        """Return `count` thresholds that cut the belief into equally probable parts, (count,), ascending."""
        wanted = np.arange(1, count + 1) / (count + 1)
        return self.thresholds[np.minimum(np.searchsorted(np.cumsum(self.weights), wanted), len(self.thresholds) - 1)]


def choose_questions(
    belief: ThresholdBelief, candidates: Floats, numbers: Positions, reviewed_numbers: Positions, count: int
) -> Positions:
    """Return the rows to ask about next, at most `count`, as positions in `candidates`, the most telling one first.

    Args:
        belief: about the best threshold.
        candidates: scores of the rows that may be asked about, (candidates,).
        numbers: (candidates,), place of each row; rows less than `MIN_DISTANCE` apart have one cause and one verdict.
        reviewed_numbers: (reviewed,), places of the rows with a verdict.
        count: number of rows.

    Example:
        >>> scores = np.arange(100.0)
        >>> belief = ThresholdBelief.from_verdicts(scores, ReviewedRows.from_arrays([], [], current_threshold=89.5))
        >>> sorted(choose_questions(belief, scores, 10 * np.arange(100), np.zeros(0, dtype=int), 3).tolist())
        [78, 90, 95]
    """
    targets = belief.find_quantiles(count)
    order = np.argsort(candidates, kind="stable")
    middles = np.searchsorted(candidates[order], targets, side="right")
    taken, chosen = list(map(int, reviewed_numbers)), []
    # The middle of the belief is asked about first: its verdict moves the threshold most.
    for middle in middles[np.argsort(np.abs(np.arange(len(targets)) - (len(targets) - 1) / 2), kind="stable")]:
        position = _find_free(order, int(middle), numbers, taken)
        if position is not None:
            chosen.append(position)
            taken.append(int(numbers[position]))
    return np.array(chosen, dtype=np.intp)


def _find_free(order: Positions, middle: int, numbers: Positions, taken: list[int]) -> int | None:
    """Return the candidate nearest to rank `middle` that is apart from all taken places; None where there is none."""
    ranks = np.arange(len(order))
    nearest = order[np.argsort(np.abs(ranks + 0.5 - middle), kind="stable")]
    places = np.sort(np.array(taken, dtype=np.intp))
    if not len(places):
        return int(nearest[0]) if len(nearest) else None
    right = np.searchsorted(places, numbers[nearest])
    gaps = np.minimum(
        np.abs(numbers[nearest] - places[np.maximum(right - 1, 0)]),
        np.abs(numbers[nearest] - places[np.minimum(right, len(places) - 1)]),
    )
    free = nearest[gaps >= MIN_DISTANCE]
    return int(free[0]) if len(free) else None
