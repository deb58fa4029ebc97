"""Labelled ranges of rows, and the volume under the surface (VUS): areas that tolerate vague ends of labels."""

import numpy as np
from numpy.typing import ArrayLike

from core.array_types import Floats
from core.evaluation.validation import Flags, Indices, check_labels_and_scores

THRESHOLD_COUNT = 250


def find_ranges(flags: Flags) -> tuple[Indices, Indices]:
    """Return first and last rows (inclusive) of the runs of neighbouring true rows.

    Example:
        >>> import numpy as np
        >>> first, last = find_ranges(np.array([False, True, True, False, True]))
        >>> first.tolist(), last.tolist()
        ([1, 4], [2, 4])
    """
    steps = np.diff(flags.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1


def compute_vus(
    labels: ArrayLike, scores: ArrayLike, window: int = 100, thresholds: int = THRESHOLD_COUNT
) -> tuple[float, float]:
    """Return VUS-PR and VUS-ROC: areas averaged over buffers of 0 to `window` rows around labelled ranges.

    With a buffer of w rows, a row up to w // 2 rows away from a range counts as anomalous with the weight √(1 −
    distance / w). Recall is multiplied by the share of ranges with an alarm. The thresholds are scores at evenly
    spaced ranks. Values for different windows are not comparable. NaN without an anomaly; VUS-ROC is NaN without a
    normal row. Paparrizos et al.: Volume under the surface, VLDB 2022, as the benchmark TSB-AD (NeurIPS 2024)
    computes it.

    Example:
        >>> labels, scores = [0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 0]  # the alarm comes one row late
        >>> [round(compute_vus(labels, scores, window)[0], 2) for window in (0, 4)]
        [0.42, 0.67]
    """
    flags, values = check_labels_and_scores(labels, scores)
    if not flags.any():
        return float("nan"), float("nan")
    steps, (first, last) = _find_alarm_steps(values, thresholds), find_ranges(flags)
    alarms, hits = _count_alarms(steps, thresholds), _count_alarms(steps[flags], thresholds)
    areas = np.empty((window + 1, 2))
    for width in range(window + 1):
        extra, weight = _build_buffer(flags, first, last, width)
        near: Floats = np.cumsum(np.bincount(steps[extra], weight, thresholds)).astype(np.float64)
        existence = _compute_existence(steps, first, last, width // 2, thresholds)
        areas[width] = _compute_areas(alarms, hits, near, existence, rows=len(flags))
    pr_area, roc_area = areas.mean(axis=0)
    return float(pr_area), float(roc_area)


def _find_alarm_steps(scores: Floats, thresholds: int) -> Indices:
    """Return for every row the number of the first of the falling thresholds that it reaches."""
    positions = np.linspace(0, len(scores) - 1, thresholds).astype(np.intp)
    falling = np.sort(scores)[::-1][positions]
    return np.searchsorted(-falling, -scores)


def _count_alarms(steps: Indices, thresholds: int) -> Floats:
    """Return how many rows reach each threshold."""
    return np.cumsum(np.bincount(steps, minlength=thresholds)).astype(np.float64)


def _build_buffer(flags: Flags, first: Indices, last: Indices, width: int) -> tuple[Indices, Floats]:
    """Return the rows of the buffers outside the ranges, and their weights; overlapping weights add up to at most 1."""
    distances = np.arange(1, width // 2 + 1)
    rows = np.concatenate([(last[:, None] + distances).ravel(), (first[:, None] - distances).ravel()])
    weight = np.tile(np.sqrt(1 - distances / max(width, 1)), 2 * len(first))
    is_inside = (rows >= 0) & (rows < len(flags))
    total = np.bincount(rows[is_inside], weight[is_inside], len(flags))
    extra = np.flatnonzero((total > 0) & ~flags)
    return extra, np.minimum(total[extra], 1.0)


def _compute_existence(steps: Indices, first: Indices, last: Indices, reach: int, thresholds: int) -> Floats:
    """Return the share of ranges with an alarm at each threshold.

    The ranges are widened by `reach` rows and merged where they touch.
    """
    separate = np.flatnonzero(last[:-1] + reach < first[1:] - reach)
    starts = np.maximum(first[np.append(0, separate + 1)] - reach, 0)
    stops = np.minimum(last[np.append(separate, len(last) - 1)] + reach + 1, len(steps))
    edges = np.column_stack([starts, stops]).ravel()
    earliest = np.minimum.reduceat(np.append(steps, thresholds), edges)[::2]
    return _count_alarms(earliest, thresholds) / len(starts)


def _compute_areas(alarms: Floats, hits: Floats, near: Floats, existence: Floats, *, rows: int) -> tuple[float, float]:
    """Return the areas under the precision–recall and the ROC curve; the arrays hold one value per threshold."""
    true_positives, positives = hits + near, hits[-1]
    size = positives + near / 2  # the labelled rows plus half of the alarmed buffer
    recall = np.append(0.0, np.minimum(true_positives / size, 1.0) * existence)
    pr_area = float(np.sum(np.diff(recall) * true_positives / alarms))
    if positives == rows:
        return pr_area, float("nan")
    false_positive_rate = np.concatenate([[0.0], (alarms - true_positives) / (rows - size), [1.0]])
    recall = np.append(recall, 1.0)
    return pr_area, float(np.sum(np.diff(false_positive_rate) * (recall[1:] + recall[:-1]) / 2))
