"""Metrics of feedback: the precision of the reviewed alarms, and the threshold that fits the verdicts best."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.array_types import Floats
from core.evaluation.alarm_rates import compute_wilson_interval
from core.evaluation.validation import check_scores

TRUE_ALARM, FALSE_ALARM, UNSURE = "true_alarm", "false_alarm", "unsure"


def find_majority(verdicts: Iterable[str]) -> str:
    """Return the most frequent verdict; "unsure" if several are equally frequent.

    Example:
        >>> find_majority([TRUE_ALARM, FALSE_ALARM, TRUE_ALARM]), find_majority([TRUE_ALARM, FALSE_ALARM])
        ('true_alarm', 'unsure')
    """
    votes = list(verdicts)
    counts = {verdict: votes.count(verdict) for verdict in (TRUE_ALARM, FALSE_ALARM, UNSURE)}
    first, second = sorted(counts.values(), reverse=True)[:2]
    return UNSURE if first == second else max(counts, key=lambda verdict: counts[verdict])


@dataclass(frozen=True)
class AlarmPrecision:
    """Share of the reviewed alarms that are true, with its 95 % confidence interval (Wilson).

    Example:
        >>> precision = AlarmPrecision(true_alarms=8, false_alarms=2)
        >>> precision.share, [round(end, 2) for end in precision.interval]
        (0.8, [0.49, 0.94])
    """

    true_alarms: int
    false_alarms: int

    @property
    def reviewed_count(self) -> int:
        """Number of alarms reviewed as true or false."""
        return self.true_alarms + self.false_alarms

    @property
    def share(self) -> float:
        """Share of true alarms; NaN without a reviewed alarm."""
        return self.true_alarms / self.reviewed_count if self.reviewed_count else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of Wilson's 95 % confidence interval."""
        return compute_wilson_interval(self.true_alarms, self.reviewed_count)


@dataclass(frozen=True)
class ReviewedRows:
    """Reviewed rows and the threshold they were reviewed under.

    scores   (rows,)
    true     (rows,), True for a true alarm, False for a false one
    current  current threshold; rows with a score above it are flagged
    """

    scores: Floats
    is_true_alarm: NDArray[np.bool_]
    current_threshold: float

    @classmethod
    def from_arrays(cls, scores: ArrayLike, is_true_alarm: ArrayLike, current_threshold: float) -> "ReviewedRows":
        """Build it from scores and verdicts of any array type. Raises DataError for a score that is not finite."""
        return cls(
            check_scores(scores) if np.size(scores) else np.zeros(0),
            np.asarray(is_true_alarm, dtype=bool),
            float(current_threshold),
        )

    def evaluate_threshold(self, threshold: float) -> "ThresholdCandidate":
        """Return the effect of another threshold on the reviewed rows.

        Example:
            >>> rows = ReviewedRows.from_arrays([5, 6, 7, 8], [False, False, True, True], current_threshold=4.0)
            >>> candidate = rows.evaluate_threshold(7.5)
            >>> candidate.false_alarms_removed, candidate.true_alarms_lost
            (2, 1)
        """
        is_flagged, would_flag = self.scores > self.current_threshold, self.scores > threshold
        removed, lost = (
            int((is_flagged & verdict_mask).sum()) - int((would_flag & verdict_mask).sum())
            for verdict_mask in (~self.is_true_alarm, self.is_true_alarm)
        )
        return ThresholdCandidate(float(threshold), removed, lost)

    def measure_precision(self, threshold: float) -> AlarmPrecision:
        """Return the precision of the reviewed rows that another threshold flags.

        Example:
            >>> rows = ReviewedRows.from_arrays([5, 6, 7, 8], [False, False, True, True], current_threshold=4.0)
            >>> rows.measure_precision(5.5)
            AlarmPrecision(true_alarms=2, false_alarms=1)
        """
        flagged = self.is_true_alarm[self.scores > threshold]
        return AlarmPrecision(int(flagged.sum()), int((~flagged).sum()))

    def list_thresholds(self) -> list[float]:
        """Return the current threshold, one between every two reviewed scores, one below and one above all."""
        values = np.unique(self.scores)
        if not len(values):
            return [self.current_threshold]
        middles = [_find_middle(low, high) for low, high in pairwise(values)]
        return [self.current_threshold, float(np.nextafter(values[0], -np.inf)), *middles, float(values[-1])]


@dataclass(frozen=True)
class ThresholdCandidate:
    """Threshold with its effect on the reviewed rows, compared with the current threshold.

    removed  false alarms that are no longer flagged; negative if more are flagged
    lost     true alarms that are no longer flagged; negative if more are flagged
    """

    threshold: float
    false_alarms_removed: int
    true_alarms_lost: int

    @property
    def gain(self) -> int:
        """False alarms removed minus true alarms lost."""
        return self.false_alarms_removed - self.true_alarms_lost


def find_best_threshold(reviewed_rows: ReviewedRows, all_scores: ArrayLike) -> ThresholdCandidate:
    """Return the candidate with the largest gain.

    Among equal gains it is the one that changes the fewest flags of all scores `all_scores`, then the lowest. The
    current threshold is a candidate, so the gain is never negative.

    Example:
        >>> rows = ReviewedRows.from_arrays([5, 6, 7, 8], [False, False, True, True], current_threshold=4.0)
        >>> find_best_threshold(rows, all_scores=[1, 2, 5, 6, 7, 8])
        ThresholdCandidate(threshold=6.5, false_alarms_removed=2, true_alarms_lost=0)
    """
    scores = np.sort(np.asarray(all_scores, dtype=np.float64))

    def count_flags(threshold: float) -> int:
        """Return how many of all scores are above `threshold`."""
        return len(scores) - int(np.searchsorted(scores, threshold, side="right"))

    current_count = count_flags(reviewed_rows.current_threshold)
    candidates = [reviewed_rows.evaluate_threshold(threshold) for threshold in reviewed_rows.list_thresholds()]
    return min(
        candidates,
        key=lambda candidate: (
            -candidate.gain,
            abs(count_flags(candidate.threshold) - current_count),
            candidate.threshold != reviewed_rows.current_threshold,
            candidate.threshold,
        ),
    )


def _find_middle(low: float, high: float) -> float:
    """Return the middle of two scores, or the lower one if no number lies between; the higher one stays above it."""
    middle = low / 2 + high / 2
    return float(middle if low <= middle < high else low)
