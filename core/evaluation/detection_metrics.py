"""Metrics of scores against labels.

A best F1 chooses its threshold with the labels: it is an upper bound.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.array_types import Floats
from core.evaluation.affiliation import find_best_affiliation_f1
from core.evaluation.validation import Flags, check_labels_and_scores
from core.evaluation.vus import compute_vus, find_ranges

METRIC_NAMES = (
    "f1",
    "threshold",
    "auc_pr",
    "auc_roc",
    "vus_pr",
    "vus_roc",
    "event_f1",
    "delay",
    "affiliation_f1",
    "pa_f1",
)


@dataclass(frozen=True)
class Ranking:
    """Counts at or above each distinct score, from the highest score on; each of shape (distinct scores,).

    cut     the score
    alarms  rows
    hits    anomalous rows
    found   labelled events with at least one such row
    inside  rows of those events
    """

    thresholds: Floats
    alarms: Floats
    true_positives: Floats
    events_found: Floats
    event_rows_found: Floats

    @classmethod
    def from_scores(cls, labels: Flags, scores: Floats) -> "Ranking":
        """Return the counts of `scores` (rows,) against `labels` (rows,)."""
        negative_thresholds, threshold_index, count = np.unique(-scores, return_inverse=True, return_counts=True)
        true_positives = np.bincount(threshold_index[labels], minlength=len(negative_thresholds))
        first, last = find_ranges(labels)
        best_index = np.minimum.reduceat(np.append(threshold_index, 0), np.column_stack([first, last + 1]).ravel())[::2]
        events_found = np.bincount(best_index, minlength=len(negative_thresholds))
        event_rows_found = np.bincount(best_index, last - first + 1.0, len(negative_thresholds))
        return cls(
            -negative_thresholds,
            *(
                np.cumsum(counts).astype(np.float64)
                for counts in (count, true_positives, events_found, event_rows_found)
            ),
        )

    @property
    def precision(self) -> Floats:
        """Share of alarms that are labelled, at each threshold."""
        return self.true_positives / self.alarms

    @property
    def recall(self) -> Floats:
        """Share of labelled rows that are alarms, at each threshold."""
        return self.true_positives / self.true_positives[-1]

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, at each threshold."""
        return _compute_harmonic_mean(self.precision, self.recall)

    @property
    def event_f1(self) -> Floats:
        """F1 with recall by events, each found by any of its rows, and precision by rows, as in TSB-AD."""
        return _compute_harmonic_mean(self.precision, self.events_found / self.events_found[-1])

    @property
    def pa_f1(self) -> Floats:
        """Point-adjusted F1: all rows of an event with an alarm count as found, a false alarm counts as one row."""
        return _compute_harmonic_mean(
            self.event_rows_found / (self.alarms - self.true_positives + self.event_rows_found),
            self.event_rows_found / self.event_rows_found[-1],
        )

    def find_best_f1(self) -> tuple[float, float]:
        """Return the best F1 and its threshold, the next lower score: rows above it are alarms."""
        index = int(np.argmax(self.f1))
        lowest = float(self.thresholds[-1])
        next_lower = lowest - max(1e-6 * abs(lowest), 1e-30)  # also lower in single precision
        return float(self.f1[index]), float(self.thresholds[index + 1]) if index + 1 < len(
            self.thresholds
        ) else next_lower


def compute_detection_metrics(labels: ArrayLike, scores: ArrayLike, window: int = 100) -> dict[str, float]:
    """Return the metrics of `scores` against `labels`, both of shape (rows,), the most trustworthy first.

    f1, threshold   best F1 of rows, and its threshold (rows above it are alarms)
    auc_pr          average precision
    auc_roc         area under the ROC curve
    vus_pr, vus_roc areas with vague ends of labels, buffers up to `window` rows (see `compute_vus`)
    event_f1        best F1 of recall by events and precision by rows
    delay           rows from the start of an event to its first alarm at `threshold`; a missed event counts its whole
                    length
    affiliation_f1  best F1 by distance (see `affiliation`)
    pa_f1           best point-adjusted F1; random scores reach 0.9, so show it only with that of random scores
    window          the argument

    NaN for metrics that cannot be measured: all of them without an anomaly, auc_roc and vus_roc without a normal row.
    Raises DataError if the lengths differ or a score is not finite.

    Example:
        >>> metrics = compute_detection_metrics(labels=[0, 0, 1, 1, 0, 0], scores=[0.1, 0.2, 0.3, 0.9, 0.2, 0.8])
        >>> metrics["f1"], metrics["threshold"]  # 2 rows found, 1 false alarm
        (0.8, 0.2)
        >>> metrics["pa_f1"], metrics["event_f1"]  # one row of the event is enough
        (1.0, 1.0)
    """
    flags, values = check_labels_and_scores(labels, scores)
    if not flags.any():
        return dict.fromkeys(METRIC_NAMES, float("nan")) | {"window": float(window)}
    ranking = Ranking.from_scores(flags, values)
    f1, threshold = ranking.find_best_f1()
    vus_pr, vus_roc = compute_vus(flags, values, window)
    values_by_name = (
        f1,
        threshold,
        _compute_average_precision(ranking),
        _compute_roc_area(ranking, len(flags)),
        vus_pr,
        vus_roc,
        float(ranking.event_f1.max()),
        compute_delay(flags, values > threshold),
        find_best_affiliation_f1(flags, values),
        float(ranking.pa_f1.max()),
    )
    return dict(zip(METRIC_NAMES, values_by_name, strict=True)) | {"window": float(window)}


def compute_areas(labels: Flags, scores: Floats) -> tuple[float, float]:
    """Return the area under the ROC curve and the average precision of scores (rows,) against labels (rows,).

    The first is NaN without a normal row. At least one label must mark an anomaly.

    Example:
        >>> import numpy as np
        >>> compute_areas(np.array([False, True]), np.array([0.2, 0.8]))
        (1.0, 1.0)
    """
    ranking = Ranking.from_scores(labels, scores)
    return _compute_roc_area(ranking, len(labels)), _compute_average_precision(ranking)


def find_best_f1(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """Return the best F1 over all thresholds, and its threshold (rows above it are alarms); NaN without an anomaly.

    Example:
        >>> find_best_f1(labels=[0, 0, 1, 1, 0, 0], scores=[0.1, 0.2, 0.3, 0.9, 0.2, 0.8])
        (0.8, 0.2)
    """
    flags, values = check_labels_and_scores(labels, scores)
    if not flags.any():
        return float("nan"), float("nan")
    return Ranking.from_scores(flags, values).find_best_f1()


def compute_delay(labels: Flags, alarms: Flags) -> float:
    """Return the mean number of rows from the start of a labelled event to its first alarm.

    An event without an alarm counts its whole length. NaN without an event.

    Example:
        >>> import numpy as np
        >>> compute_delay(np.array([0, 1, 1, 1, 0, 1, 1]) > 0, np.array([0, 0, 1, 0, 0, 0, 0]) > 0)
        1.5
    """
    first, last = find_ranges(labels)
    alarm_rows = np.append(np.flatnonzero(alarms), len(labels))
    ends = np.minimum(alarm_rows[np.searchsorted(alarm_rows, first)], last + 1)
    return float(np.mean(ends - first)) if len(first) else float("nan")


def _compute_average_precision(ranking: Ranking) -> float:
    return float(np.sum(np.diff(ranking.recall, prepend=0.0) * ranking.precision))


def _compute_roc_area(ranking: Ranking, rows: int) -> float:
    normal = rows - ranking.true_positives[-1]
    if not normal:
        return float("nan")
    false_positive_rate = np.append(0.0, (ranking.alarms - ranking.true_positives) / normal)
    return float(np.trapezoid(np.append(0.0, ranking.recall), false_positive_rate))


def _compute_harmonic_mean(first: Floats, second: Floats) -> Floats:
    total = first + second
    return np.divide(2 * first * second, total, out=np.zeros_like(total), where=total > 0)
