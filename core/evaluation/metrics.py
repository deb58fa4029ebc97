"""Metrics of scores against labels.

A best F1 chooses its threshold with the labels: it is an upper bound.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.evaluation.affiliation import best_affiliation_f1
from core.evaluation.ranges import ranges, vus
from core.evaluation.scores import Flags, Floats, labelled_scores

CARD = ("f1", "threshold", "auc_pr", "auc_roc", "vus_pr", "vus_roc", "event_f1", "delay", "affiliation_f1", "pa_f1")


@dataclass(frozen=True)
class Ranking:
    """Counts at or above each distinct score, from the highest score on; each of shape (distinct scores,).

    cut     the score
    alarms  rows
    hits    anomalous rows
    found   labelled events with at least one such row
    inside  rows of those events
    """

    cut: Floats
    alarms: Floats
    hits: Floats
    found: Floats
    inside: Floats

    @classmethod
    def of(cls, labels: Flags, scores: Floats) -> "Ranking":
        """Return the counts of `scores` (rows,) against `labels` (rows,)."""
        cut, place, count = np.unique(-scores, return_inverse=True, return_counts=True)
        hits = np.bincount(place[labels], minlength=len(cut))
        first, last = ranges(labels)
        best = np.minimum.reduceat(np.append(place, 0), np.column_stack([first, last + 1]).ravel())[::2]
        found = np.bincount(best, minlength=len(cut))
        inside = np.bincount(best, last - first + 1.0, len(cut))
        return cls(-cut, *(np.cumsum(each).astype(np.float64) for each in (count, hits, found, inside)))

    @property
    def precision(self) -> Floats:
        """Share of alarms that are labelled, at each threshold."""
        return self.hits / self.alarms

    @property
    def recall(self) -> Floats:
        """Share of labelled rows that are alarms, at each threshold."""
        return self.hits / self.hits[-1]

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, at each threshold."""
        return _harmonic(self.precision, self.recall)

    @property
    def event_f1(self) -> Floats:
        """F1 with recall by events, each found by any of its rows, and precision by rows, as in TSB-AD."""
        return _harmonic(self.precision, self.found / self.found[-1])

    @property
    def pa_f1(self) -> Floats:
        """Point-adjusted F1: all rows of an event with an alarm count as found, a false alarm counts as one row."""
        return _harmonic(self.inside / (self.alarms - self.hits + self.inside), self.inside / self.inside[-1])

    def best(self) -> tuple[float, float]:
        """Return the best F1 and its threshold, the next lower score: rows above it are alarms."""
        place = int(np.argmax(self.f1))
        lowest = float(self.cut[-1])
        beneath = lowest - max(1e-6 * abs(lowest), 1e-30)  # also lower in single precision
        return float(self.f1[place]), float(self.cut[place + 1]) if place + 1 < len(self.cut) else beneath


def score_card(labels: ArrayLike, scores: ArrayLike, window: int = 100) -> dict[str, float]:
    """Return the metrics of `scores` against `labels`, both of shape (rows,), the most trustworthy first.

    f1, threshold   best F1 of rows, and its threshold (rows above it are alarms)
    auc_pr          average precision
    auc_roc         area under the ROC curve
    vus_pr, vus_roc areas with vague ends of labels, buffers up to `window` rows (see `vus`)
    event_f1        best F1 of recall by events and precision by rows
    delay           rows from the start of an event to its first alarm at `threshold`; a missed event counts its whole
                    length
    affiliation_f1  best F1 by distance (see `affiliation`)
    pa_f1           best point-adjusted F1; random scores reach 0.9, so show it only with that of random scores
    window          the argument

    NaN for metrics that cannot be measured: all of them without an anomaly, auc_roc and vus_roc without a normal row.
    Raises DataError if the lengths differ or a score is not finite.

    Example:
        >>> metrics = score_card(labels=[0, 0, 1, 1, 0, 0], scores=[0.1, 0.2, 0.3, 0.9, 0.2, 0.8])
        >>> metrics["f1"], metrics["threshold"]  # 2 rows found, 1 false alarm
        (0.8, 0.2)
        >>> metrics["pa_f1"], metrics["event_f1"]  # one row of the event is enough
        (1.0, 1.0)
    """
    flags, values = labelled_scores(labels, scores)
    if not flags.any():
        return dict.fromkeys(CARD, float("nan")) | {"window": float(window)}
    ranking = Ranking.of(flags, values)
    f1, threshold = ranking.best()
    precise, operating = vus(flags, values, window)
    figures = (
        f1,
        threshold,
        _average_precision(ranking),
        _roc_area(ranking, len(flags)),
        precise,
        operating,
        float(ranking.event_f1.max()),
        delay(flags, values > threshold),
        best_affiliation_f1(flags, values),
        float(ranking.pa_f1.max()),
    )
    return dict(zip(CARD, figures, strict=True)) | {"window": float(window)}


def best_f1(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """Return the best F1 over all thresholds, and its threshold (rows above it are alarms); NaN without an anomaly.

    Example:
        >>> best_f1(labels=[0, 0, 1, 1, 0, 0], scores=[0.1, 0.2, 0.3, 0.9, 0.2, 0.8])
        (0.8, 0.2)
    """
    flags, values = labelled_scores(labels, scores)
    if not flags.any():
        return float("nan"), float("nan")
    return Ranking.of(flags, values).best()


def delay(labels: Flags, alarms: Flags) -> float:
    """Return the mean number of rows from the start of a labelled event to its first alarm.

    An event without an alarm counts its whole length. NaN without an event.

    Example:
        >>> import numpy as np
        >>> delay(np.array([0, 1, 1, 1, 0, 1, 1]) > 0, np.array([0, 0, 1, 0, 0, 0, 0]) > 0)  # 1 row, and 2 missed
        1.5
    """
    first, last = ranges(labels)
    raised = np.append(np.flatnonzero(alarms), len(labels))
    until = np.minimum(raised[np.searchsorted(raised, first)], last + 1)
    return float(np.mean(until - first)) if len(first) else float("nan")


def _average_precision(ranking: Ranking) -> float:
    return float(np.sum(np.diff(ranking.recall, prepend=0.0) * ranking.precision))


def _roc_area(ranking: Ranking, rows: int) -> float:
    normal = rows - ranking.hits[-1]
    if not normal:
        return float("nan")
    false = np.append(0.0, (ranking.alarms - ranking.hits) / normal)
    return float(np.trapezoid(np.append(0.0, ranking.recall), false))


def _harmonic(one: Floats, other: Floats) -> Floats:
    total = one + other
    return np.divide(2 * one * other, total, out=np.zeros_like(total), where=total > 0)
