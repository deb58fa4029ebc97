"""Metrics of feedback: the precision of the reviewed alarms, and the threshold that fits the verdicts best."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.evaluation.alarm_rates import wilson
from core.evaluation.scores import Floats, finite_scores

TRUE, FALSE, UNSURE = "true_alarm", "false_alarm", "unsure"


def majority(verdicts: Iterable[str]) -> str:
    """Return the most frequent verdict; "unsure" if several are equally frequent.

    Example:
        >>> majority([TRUE, FALSE, TRUE]), majority([TRUE, FALSE])
        ('true_alarm', 'unsure')
    """
    said = list(verdicts)
    counts = {verdict: said.count(verdict) for verdict in (TRUE, FALSE, UNSURE)}
    first, second = sorted(counts.values(), reverse=True)[:2]
    return UNSURE if first == second else max(counts, key=lambda verdict: counts[verdict])


@dataclass(frozen=True)
class Precision:
    """Share of the reviewed alarms that are true, with its 95 % confidence interval (Wilson).

    Example:
        >>> precision = Precision(true=8, false=2)
        >>> precision.share, [round(end, 2) for end in precision.band]
        (0.8, [0.49, 0.94])
    """

    true: int
    false: int

    @property
    def judged(self) -> int:
        """Number of alarms reviewed as true or false."""
        return self.true + self.false

    @property
    def share(self) -> float:
        """Share of true alarms; NaN without a reviewed alarm."""
        return self.true / self.judged if self.judged else float("nan")

    @property
    def band(self) -> tuple[float, float]:
        """Ends of Wilson's 95 % confidence interval."""
        return wilson(self.true, self.judged)


@dataclass(frozen=True)
class Judged:
    """Reviewed rows and the threshold they were reviewed under.

    scores   (rows,)
    true     (rows,), True for a true alarm, False for a false one
    current  current threshold; rows with a score above it are flagged
    """

    scores: Floats
    true: NDArray[np.bool_]
    current: float

    @classmethod
    def of(cls, scores: ArrayLike, true: ArrayLike, current: float) -> "Judged":
        """Build it from scores and verdicts of any array type. Raises DataError for a score that is not finite."""
        return cls(
            finite_scores(scores) if np.size(scores) else np.zeros(0), np.asarray(true, dtype=bool), float(current)
        )

    def cut(self, threshold: float) -> "Cut":
        """Return the effect of another threshold on the reviewed rows.

        Example:
            >>> rows = Judged.of(scores=[5, 6, 7, 8], true=[False, False, True, True], current=4.0)
            >>> cut = rows.cut(7.5)
            >>> cut.removed, cut.lost
            (2, 1)
        """
        now, then = self.scores > self.current, self.scores > threshold
        removed, lost = (int((now & of).sum()) - int((then & of).sum()) for of in (~self.true, self.true))
        return Cut(float(threshold), removed, lost)

    def candidates(self) -> list[float]:
        """Return the current threshold, one between every two reviewed scores, one below and one above all."""
        values = np.unique(self.scores)
        if not len(values):
            return [self.current]
        between = [_between(low, high) for low, high in pairwise(values)]
        return [self.current, float(np.nextafter(values[0], -np.inf)), *between, float(values[-1])]


@dataclass(frozen=True)
class Cut:
    """Threshold with its effect on the reviewed rows, compared with the current threshold.

    removed  false alarms that are no longer flagged; negative if more are flagged
    lost     true alarms that are no longer flagged; negative if more are flagged
    """

    threshold: float
    removed: int
    lost: int

    @property
    def gain(self) -> int:
        """False alarms removed minus true alarms lost."""
        return self.removed - self.lost


def best_cut(judged: Judged, every: ArrayLike) -> Cut:
    """Return the candidate with the largest gain.

    Among equal gains it is the one that changes the fewest flags of all scores `every`, then the lowest. The current
    threshold is a candidate, so the gain is never negative.

    Example:
        >>> rows = Judged.of(scores=[5, 6, 7, 8], true=[False, False, True, True], current=4.0)
        >>> best_cut(rows, every=[1, 2, 5, 6, 7, 8])
        Cut(threshold=6.5, removed=2, lost=0)
    """
    scores = np.sort(np.asarray(every, dtype=np.float64))

    def flagged(threshold: float) -> int:
        """Return how many of all scores are above `threshold`."""
        return len(scores) - int(np.searchsorted(scores, threshold, side="right"))

    now = flagged(judged.current)
    cuts = [judged.cut(threshold) for threshold in judged.candidates()]
    return min(
        cuts,
        key=lambda cut: (-cut.gain, abs(flagged(cut.threshold) - now), cut.threshold != judged.current, cut.threshold),
    )


def _between(low: float, high: float) -> float:
    """Return the middle of two scores, or the lower one if no number lies between; the higher one stays above it."""
    middle = low / 2 + high / 2
    return float(middle if low <= middle < high else low)
