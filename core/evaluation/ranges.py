"""Labelled ranges of rows, and the volume under the surface (VUS): areas that tolerate vague ends of labels."""

import numpy as np
from numpy.typing import ArrayLike

from core.evaluation.scores import Flags, Floats, Places, labelled_scores

THRESHOLDS = 250


def ranges(flags: Flags) -> tuple[Places, Places]:
    """Return first and last rows (inclusive) of the runs of neighbouring true rows.

    Example:
        >>> import numpy as np
        >>> first, last = ranges(np.array([False, True, True, False, True]))
        >>> first.tolist(), last.tolist()
        ([1, 4], [2, 4])
    """
    steps = np.diff(flags.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1


def vus(labels: ArrayLike, scores: ArrayLike, window: int = 100, thresholds: int = THRESHOLDS) -> tuple[float, float]:
    """Return VUS-PR and VUS-ROC: areas averaged over buffers of 0 to `window` rows around labelled ranges.

    With a buffer of w rows, a row up to w // 2 rows away from a range counts as anomalous with the weight √(1 −
    distance / w). Recall is multiplied by the share of ranges with an alarm. The thresholds are scores at evenly
    spaced ranks. Values for different windows are not comparable. NaN without an anomaly; VUS-ROC is NaN without a
    normal row. Paparrizos et al.: Volume under the surface, VLDB 2022, as the benchmark TSB-AD (NeurIPS 2024)
    computes it.

    Example:
        >>> labels, scores = [0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 0]  # the alarm comes one row late
        >>> [round(vus(labels, scores, window)[0], 2) for window in (0, 4)]
        [0.42, 0.67]
    """
    flags, values = labelled_scores(labels, scores)
    if not flags.any():
        return float("nan"), float("nan")
    steps, (first, last) = _alarm_steps(values, thresholds), ranges(flags)
    alarms, hits = _reached(steps, thresholds), _reached(steps[flags], thresholds)
    areas = np.empty((window + 1, 2))
    for width in range(window + 1):
        extra, weight = _buffer(flags, first, last, width)
        near: Floats = np.cumsum(np.bincount(steps[extra], weight, thresholds)).astype(np.float64)
        exist = _existence(steps, first, last, width // 2, thresholds)
        areas[width] = _areas(alarms, hits, near, exist, rows=len(flags))
    precise, operating = areas.mean(axis=0)
    return float(precise), float(operating)


def _alarm_steps(scores: Floats, thresholds: int) -> Places:
    """Return for every row the number of the first of the falling thresholds that it reaches."""
    places = np.linspace(0, len(scores) - 1, thresholds).astype(np.intp)
    falling = np.sort(scores)[::-1][places]
    return np.searchsorted(-falling, -scores)


def _reached(steps: Places, thresholds: int) -> Floats:
    """Return how many rows reach each threshold."""
    return np.cumsum(np.bincount(steps, minlength=thresholds)).astype(np.float64)


def _buffer(flags: Flags, first: Places, last: Places, width: int) -> tuple[Places, Floats]:
    """Return the rows of the buffers outside the ranges, and their weights; overlapping weights add up to at most 1."""
    away = np.arange(1, width // 2 + 1)
    rows = np.concatenate([(last[:, None] + away).ravel(), (first[:, None] - away).ravel()])
    weight = np.tile(np.sqrt(1 - away / max(width, 1)), 2 * len(first))
    inside = (rows >= 0) & (rows < len(flags))
    total = np.bincount(rows[inside], weight[inside], len(flags))
    extra = np.flatnonzero((total > 0) & ~flags)
    return extra, np.minimum(total[extra], 1.0)


def _existence(steps: Places, first: Places, last: Places, reach: int, thresholds: int) -> Floats:
    """Return the share of ranges with an alarm at each threshold.

    The ranges are widened by `reach` rows and merged where they touch.
    """
    apart = np.flatnonzero(last[:-1] + reach < first[1:] - reach)
    starts = np.maximum(first[np.append(0, apart + 1)] - reach, 0)
    stops = np.minimum(last[np.append(apart, len(last) - 1)] + reach + 1, len(steps))
    edges = np.column_stack([starts, stops]).ravel()
    earliest = np.minimum.reduceat(np.append(steps, thresholds), edges)[::2]
    return _reached(earliest, thresholds) / len(starts)


def _areas(alarms: Floats, hits: Floats, near: Floats, existence: Floats, *, rows: int) -> tuple[float, float]:
    """Return the areas under the precision–recall and the ROC curve; the arrays hold one value per threshold."""
    true, positives = hits + near, hits[-1]
    size = positives + near / 2  # the labelled rows plus half of the alarmed buffer
    recall = np.append(0.0, np.minimum(true / size, 1.0) * existence)
    precise = float(np.sum(np.diff(recall) * true / alarms))
    if positives == rows:
        return precise, float("nan")
    false = np.concatenate([[0.0], (alarms - true) / (rows - size), [1.0]])
    recall = np.append(recall, 1.0)
    return precise, float(np.sum(np.diff(false) * (recall[1:] + recall[:-1]) / 2))
