"""What people's verdicts say of alarms: the precision of those judged, and the threshold they would rather have."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.evaluation.alarm_rates import wilson
from core.evaluation.scores import Floats, finite_scores

TRUE, FALSE, UNSURE = "true_alarm", "false_alarm", "unsure"


def majority(verdicts: Iterable[str]) -> str:
    """What most say; "unsure" where no verdict has more voices than every other."""
    said = list(verdicts)
    counts = {verdict: said.count(verdict) for verdict in (TRUE, FALSE, UNSURE)}
    first, second = sorted(counts.values(), reverse=True)[:2]
    return UNSURE if first == second else max(counts, key=lambda verdict: counts[verdict])


@dataclass(frozen=True)
class Precision:
    """The share of judged alarms that were true; NaN where none was judged.

    It lies between `low` and `high` 19 times in 20 (Wilson).
    """

    true: int
    false: int

    @property
    def judged(self) -> int:
        """How many alarms were judged true or false."""
        return self.true + self.false

    @property
    def share(self) -> float:
        """The share of true ones; NaN where none was judged."""
        return self.true / self.judged if self.judged else float("nan")

    @property
    def band(self) -> tuple[float, float]:
        """The ends of Wilson's interval."""
        return wilson(self.true, self.judged)


@dataclass(frozen=True)
class Judged:
    """Judged rows and the threshold they were judged under.

    scores   (rows,)
    true     (rows,) True for a true alarm, False for a false one
    current  rows with a score above it are flagged now
    """

    scores: Floats
    true: NDArray[np.bool_]
    current: float

    @classmethod
    def of(cls, scores: ArrayLike, true: ArrayLike, current: float) -> "Judged":
        """Make it from scores and verdicts of any array type. Raises DataError for a score that is not finite."""
        return cls(
            finite_scores(scores) if np.size(scores) else np.zeros(0), np.asarray(true, dtype=bool), float(current)
        )

    def cut(self, threshold: float) -> "Cut":
        """What another threshold would do to the judged rows."""
        now, then = self.scores > self.current, self.scores > threshold
        removed, lost = (int((now & of).sum()) - int((then & of).sum()) for of in (~self.true, self.true))
        return Cut(float(threshold), removed, lost)

    def candidates(self) -> list[float]:
        """The current threshold, one between every two judged scores, one below and one above them all."""
        values = np.unique(self.scores)
        if not len(values):
            return [self.current]
        between = [_between(low, high) for low, high in pairwise(values)]
        return [self.current, float(np.nextafter(values[0], -np.inf)), *between, float(values[-1])]


@dataclass(frozen=True)
class Cut:
    """A threshold by what it does to judged rows, beside the current one.

    removed  false alarms it no longer flags (negative: more that it flags)
    lost     true alarms it no longer flags (negative: more that it flags)
    """

    threshold: float
    removed: int
    lost: int

    @property
    def gain(self) -> int:
        """False alarms removed less true alarms lost."""
        return self.removed - self.lost


def best_cut(judged: Judged, every: ArrayLike) -> Cut:
    """Return the candidate with the greatest gain.

    Of equal ones the one counts that changes the flags of the fewest of `every` score, then the lower one. The
    current threshold is among them, so that none is ever worse by its own count.
    """
    scores = np.sort(np.asarray(every, dtype=np.float64))

    def flagged(threshold: float) -> int:
        return len(scores) - int(np.searchsorted(scores, threshold, side="right"))

    now = flagged(judged.current)
    cuts = [judged.cut(threshold) for threshold in judged.candidates()]
    return min(
        cuts,
        key=lambda cut: (-cut.gain, abs(flagged(cut.threshold) - now), cut.threshold != judged.current, cut.threshold),
    )


def _between(low: float, high: float) -> float:
    """The middle of two scores, or the lower one where no number lies between them: the higher one stays above it."""
    middle = low / 2 + high / 2
    return float(middle if low <= middle < high else low)
