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

from core.evaluation.ranges import ranges
from core.evaluation.scores import Flags, Floats, Places, labelled_scores

RANKS = 100
# The worth of a position is linear within half a row (precision) or a quarter (recall): the middle gives the mean.
HALVES = np.array([0.25, 0.75])
QUARTERS = np.array([0.125, 0.375, 0.625, 0.875])


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
    def of(cls, labels: Flags) -> "Zones":
        """Return the zones of the anomalies that `labels` (rows,) mark."""
        starts, ends = ranges(labels)
        first, stop = starts.astype(np.float64), ends.astype(np.float64) + 1
        between = (stop[:-1] + first[1:]) / 2
        return cls(first, stop, np.append(0.0, between), np.append(between, float(len(labels))))


def affiliation(labels: ArrayLike, alarms: ArrayLike) -> tuple[float, float]:
    """Return precision and recall of `alarms` against `labels`, both of shape (rows,).

    Precision is NaN without an alarm, both are NaN without an anomaly.

    Example:
        >>> labels = [0, 0, 1, 1, 0, 0, 0, 0]
        >>> near, far = ([0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1])
        >>> round(affiliation(labels, near)[0], 2), round(affiliation(labels, far)[0], 2)
        (0.62, 0.06)
    """
    flags, raised = labelled_scores(labels, np.asarray(alarms, dtype=np.float64))
    if not flags.any():
        return float("nan"), float("nan")
    zones, rows = Zones.of(flags), np.flatnonzero(raised > 0)
    return float(_precision(zones, rows, np.zeros(len(rows), np.intp), 1)[0]), _recall(zones, rows)


def best_affiliation_f1(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the best F1 over thresholds at 100 ranks, most of them at the top: an oracle. NaN without an anomaly.

    Example:
        >>> round(best_affiliation_f1([0, 0, 1, 1, 0, 0], [0.1, 0.2, 0.3, 0.9, 0.2, 0.8]), 2)
        0.96
    """
    flags, values = labelled_scores(labels, scores)
    if not flags.any():
        return float("nan")
    ranks = np.unique(np.geomspace(1, len(values), RANKS).astype(np.intp)) - 1
    falling = np.unique(np.sort(values)[::-1][ranks])[::-1]
    steps = np.searchsorted(-falling, -values)  # number of the first threshold that a row reaches
    zones, rows = Zones.of(flags), np.flatnonzero(steps < len(falling))
    precision = _precision(zones, rows, steps[rows], len(falling))
    recall = np.array([_recall(zones, np.flatnonzero(steps <= step)) for step in range(len(falling))])
    return float(np.max(2 * precision * recall / (precision + recall)))


def _precision(zones: Zones, rows: Places, steps: Places, thresholds: int) -> Floats:
    """Return the precision at each threshold; the alarms are the `rows` whose number in `steps` is not larger."""
    places = rows[:, None] + HALVES
    owner = np.searchsorted(zones.low[1:], places)
    cell = (owner * thresholds + steps[:, None]).ravel()
    shape = len(zones.first), thresholds
    alarms = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).cumsum(axis=1)
    worth = np.bincount(cell, _worth(zones, owner, places).ravel(), shape[0] * shape[1]).reshape(shape).cumsum(axis=1)
    zones_with = (alarms > 0).sum(axis=0)
    own = np.divide(worth, alarms, out=np.zeros(shape), where=alarms > 0)
    return np.divide(own.sum(axis=0), zones_with, out=np.full(thresholds, np.nan), where=zones_with > 0)


def _worth(zones: Zones, owner: Places, places: Floats) -> Floats:
    """Return the probability that a random position of the zone lies at least as far from its anomaly as `places`.

    It is 1 within the anomaly.
    """
    first, stop, low, high = zones.first[owner], zones.stop[owner], zones.low[owner], zones.high[owner]
    away = np.maximum(np.maximum(first - places, places - stop), 0.0)
    nearer = stop - first + away + np.minimum(away, np.minimum(first - low, high - stop))
    return np.where(away > 0, 1 - nearer / (high - low), 1.0)


def _recall(zones: Zones, alarms: Places) -> float:
    """Return the recall of alarms on the rows `alarms`, ascending."""
    lengths = (zones.stop - zones.first).astype(np.intp)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    rows = np.arange(len(owner)) + np.repeat(zones.first.astype(np.intp) - np.append(0, lengths.cumsum()[:-1]), lengths)
    low, high, places = zones.low[owner, None], zones.high[owner, None], rows[:, None] + QUARTERS
    fenced = np.concatenate([[-np.inf], alarms, [np.inf]])
    after = np.searchsorted(fenced, rows, side="right")
    before_end, after_start = fenced[after - 1][:, None] + 1, fenced[after][:, None]
    away = np.minimum(
        np.where(before_end > low, np.maximum(places - before_end, 0.0), np.inf),
        np.where(after_start < high, after_start - places, np.inf),
    )
    nearer = away + np.minimum(away, np.minimum(places - low, high - places))
    worth = np.where(np.isfinite(away), 1 - nearer / (high - low), 0.0).mean(axis=1)
    return float(np.mean(np.bincount(owner, worth) / lengths))
