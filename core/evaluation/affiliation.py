"""Affiliation precision and recall: the distance of alarms to anomalies, compared with a random alarm.

The zone of an anomaly holds the rows that are nearer to it than to any other anomaly. An alarm in the zone is worth
the probability that a random position of the zone lies farther from the anomaly. A row of the anomaly is worth the
probability that a random position lies farther from it than the nearest alarm. Both are averaged within the zone,
then over the zones.
Huet, Navarro, Rossi: Local evaluation of time series anomaly detection algorithms, KDD 2022. A random score does well
(an F1 of 0.7 is usual): show the metric only with that of random scores.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.array_types import Floats
from core.evaluation.validation import Flags, Indices, check_labels_and_scores
from core.evaluation.vus import find_ranges

MAX_RANKS = 100
# The worth of a position is linear within half a row (precision) or a quarter (recall): the middle gives the mean.
PRECISION_OFFSETS = np.array([0.25, 0.75])
RECALL_OFFSETS = np.array([0.125, 0.375, 0.625, 0.875])


@dataclass(frozen=True)
class Zones:
    """Ends of anomalies and of their zones, each (anomalies,), in rows.

    Row i reaches from i to i + 1. Anomalies reach from `first` to `stop`, zones from `low` to `high`.
    """

    first: Floats
    stop: Floats
    low: Floats
    high: Floats

    @classmethod
    def from_labels(cls, labels: Flags) -> "Zones":
        """Return the zones of the anomalies that `labels` (rows,) mark."""
        starts, ends = find_ranges(labels)
        first, stop = starts.astype(np.float64), ends.astype(np.float64) + 1
        borders = (stop[:-1] + first[1:]) / 2
        return cls(first, stop, np.append(0.0, borders), np.append(borders, float(len(labels))))


def compute_affiliation(labels: ArrayLike, alarms: ArrayLike) -> tuple[float, float]:
    """Return precision and recall of `alarms` against `labels`, both of shape (rows,).

    Precision is NaN without an alarm, both are NaN without an anomaly.

    Example:
        >>> labels = [0, 0, 1, 1, 0, 0, 0, 0]
        >>> near, far = ([0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1])
        >>> round(compute_affiliation(labels, near)[0], 2), round(compute_affiliation(labels, far)[0], 2)
        (0.62, 0.06)
    """
    flags, alarm_flags = check_labels_and_scores(labels, np.asarray(alarms, dtype=np.float64))
    if not flags.any():
        return float("nan"), float("nan")
    zones, rows = Zones.from_labels(flags), np.flatnonzero(alarm_flags > 0)
    return float(_compute_precision(zones, rows, np.zeros(len(rows), np.intp), 1)[0]), _compute_recall(zones, rows)


def find_best_affiliation_f1(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the best F1 over thresholds at 100 ranks, most of them at the top: an oracle. NaN without an anomaly.

    Example:
        >>> round(find_best_affiliation_f1([0, 0, 1, 1, 0, 0], [0.1, 0.2, 0.3, 0.9, 0.2, 0.8]), 2)
        0.96
    """
    flags, values = check_labels_and_scores(labels, scores)
    if not flags.any():
        return float("nan")
    ranks = np.unique(np.geomspace(1, len(values), MAX_RANKS).astype(np.intp)) - 1
    falling = np.unique(np.sort(values)[::-1][ranks])[::-1]
    steps = np.searchsorted(-falling, -values)  # number of the first threshold that a row reaches
    zones, rows = Zones.from_labels(flags), np.flatnonzero(steps < len(falling))
    precision = _compute_precision(zones, rows, steps[rows], len(falling))
    recall = np.array([_compute_recall(zones, np.flatnonzero(steps <= step)) for step in range(len(falling))])
    return float(np.max(2 * precision * recall / (precision + recall)))


def _compute_precision(zones: Zones, rows: Indices, steps: Indices, thresholds: int) -> Floats:
    """Return the precision at each threshold; the alarms are the `rows` whose number in `steps` is not larger."""
    positions = rows[:, None] + PRECISION_OFFSETS
    owner = np.searchsorted(zones.low[1:], positions)
    cell = (owner * thresholds + steps[:, None]).ravel()
    shape = len(zones.first), thresholds
    alarms = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).cumsum(axis=1)
    worth = (
        np.bincount(cell, _compute_worth(zones, owner, positions).ravel(), shape[0] * shape[1])
        .reshape(shape)
        .cumsum(axis=1)
    )
    zones_with = (alarms > 0).sum(axis=0)
    zone_precision = np.divide(worth, alarms, out=np.zeros(shape), where=alarms > 0)
    return np.divide(zone_precision.sum(axis=0), zones_with, out=np.full(thresholds, np.nan), where=zones_with > 0)


def _compute_worth(zones: Zones, owner: Indices, positions: Floats) -> Floats:
    """Return the probability that a random position of the zone lies at least as far from its anomaly as `positions`.

    It is 1 within the anomaly.
    """
    first, stop, low, high = zones.first[owner], zones.stop[owner], zones.low[owner], zones.high[owner]
    distance = np.maximum(np.maximum(first - positions, positions - stop), 0.0)
    closer_rows = stop - first + distance + np.minimum(distance, np.minimum(first - low, high - stop))
    return np.where(distance > 0, 1 - closer_rows / (high - low), 1.0)


def _compute_recall(zones: Zones, alarms: Indices) -> float:
    """Return the recall of alarms on the rows `alarms`, ascending."""
    lengths = (zones.stop - zones.first).astype(np.intp)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    rows = np.arange(len(owner)) + np.repeat(zones.first.astype(np.intp) - np.append(0, lengths.cumsum()[:-1]), lengths)
    low, high, positions = zones.low[owner, None], zones.high[owner, None], rows[:, None] + RECALL_OFFSETS
    padded_alarms = np.concatenate([[-np.inf], alarms, [np.inf]])
    after = np.searchsorted(padded_alarms, rows, side="right")
    before_end, after_start = padded_alarms[after - 1][:, None] + 1, padded_alarms[after][:, None]
    distance = np.minimum(
        np.where(before_end > low, np.maximum(positions - before_end, 0.0), np.inf),
        np.where(after_start < high, after_start - positions, np.inf),
    )
    closer_rows = distance + np.minimum(distance, np.minimum(positions - low, high - positions))
    worth = np.where(np.isfinite(distance), 1 - closer_rows / (high - low), 0.0).mean(axis=1)
    return float(np.mean(np.bincount(owner, worth) / lengths))
