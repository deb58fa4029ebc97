"""Events of scored rows: they end when the scores return, and lasting changes are a kind of their own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.evaluation.validation import Flags
from core.evaluation.vus import find_ranges

EventKind = Literal["anomaly", "lasting change"]
MAX_GAP_ROWS = 3  # maximum of returned rows inside an event
RETURN_SHARE = 0.5  # of the way from the usual score to the threshold: a score at or below it has returned
LASTING_FACTOR = 2  # of the longest run of normal rows above their median: an anomaly lasts at most as long
MIN_LASTING_ROWS = 30  # an event of at most so many rows is never a lasting change


@dataclass(frozen=True)
class ScoreLevels:
    """Levels of the scores of one model.

    threshold  rows with a score above it are anomalies
    usual      median score of normal rows
    max_rows   maximum of rows of an anomaly; a longer event is a lasting change
    """

    threshold: float
    usual: float
    max_rows: int

    @classmethod
    def from_calibration(cls, calibration: Floats, threshold: float) -> "ScoreLevels":
        """Return the levels from the scores of normal rows, (rows,), in the order of time.

        The longest run of normal rows above their median is the scale of the data. An anomaly lasts at most twice as
        long.

        Example:
            >>> scores = np.zeros(100)
            >>> scores[20:60] = 2.0
            >>> ScoreLevels.from_calibration(scores, threshold=3.0)
            ScoreLevels(threshold=3.0, usual=0.0, max_rows=80)
        """
        usual = float(np.median(calibration)) if len(calibration) else min(0.0, threshold)
        first, last = find_ranges(np.asarray(calibration) > usual)
        max_rows = LASTING_FACTOR * int((last - first + 1).max(initial=0))
        return cls(threshold, usual, max(max_rows, MIN_LASTING_ROWS))

    @property
    def return_level(self) -> float:
        """Score at or below which a row has returned to usual."""
        return self.usual + RETURN_SHARE * max(self.threshold - self.usual, 0.0)


@dataclass(frozen=True)
class EventSpan:
    """Positions of the first and the last row of an event."""

    first: int
    last: int
    kind: EventKind = "anomaly"


def merge_anomalies(
    anomaly: Flags, gap: int = MAX_GAP_ROWS, has_returned: Flags | None = None
) -> list[tuple[int, int]]:
    """Return the positions of the first and last row of every event.

    Anomalies with at most `gap` returned rows between them are one event. Without `has_returned` (rows,) every row that
    is no anomaly has returned.

    Example:
        >>> scores = np.array([0.1, 3.2, 0.4, 2.9, 0.2, 0.1, 0.3, 5.0, 1.5, 1.4, 1.6, 1.5, 2.2])
        >>> merge_anomalies(scores > 2.0, gap=2)
        [(1, 3), (7, 7), (12, 12)]
        >>> merge_anomalies(scores > 2.0, gap=2, has_returned=scores <= 1.0)  # no score after the fifth is low again
        [(1, 3), (7, 12)]
    """
    positions = np.flatnonzero(anomaly)
    if not len(positions):
        return []
    returned_before = np.concatenate([[0], np.cumsum(~anomaly if has_returned is None else has_returned & ~anomaly)])
    returned_between = np.diff(returned_before[positions])
    spans = np.split(positions, np.flatnonzero(returned_between > gap) + 1)
    return [(int(span[0]), int(span[-1])) for span in spans]


def find_events(scores: Floats, anomaly: Flags, levels: ScoreLevels) -> list[EventSpan]:
    """Return the events of one series from its scores and flags, both (rows,).

    An event ends when the scores return (hysteresis). One that is longer than `max_rows` is a lasting change: the
    scores have a new level. Within it, rows that rise above this level by as much as the threshold lies above the usual
    score are events as well. They follow their lasting change in the list. Every flagged row lies in an event.

    Example:
        >>> scores = np.array([0.0] * 10 + [4.0] * 50 + [9.0] * 2 + [4.0] * 50 + [0.0] * 10 + [4.0])
        >>> levels = ScoreLevels(threshold=3.0, usual=0.0, max_rows=30)
        >>> for event in find_events(scores, scores > 3.0, levels):
        ...     print(event.first, event.last, event.kind)
        10 111 lasting change
        60 61 anomaly
        122 122 anomaly
    """
    events = []
    for first, last in merge_anomalies(anomaly, has_returned=scores <= levels.return_level):
        if last - first < levels.max_rows:
            events.append(EventSpan(first, last))
            continue
        events.append(EventSpan(first, last, "lasting change"))
        rows = slice(first, last + 1)
        events += [
            EventSpan(first + start, first + end)
            for start, end in _find_rises(scores[rows], anomaly[rows], levels)
            if end - start < levels.max_rows
        ]
    return events


def _find_rises(scores: Floats, anomaly: Flags, levels: ScoreLevels) -> list[tuple[int, int]]:
    """Return the rises above the level of a lasting change, the running median of its scores (rows,)."""
    window = 2 * levels.max_rows + 1
    level: NDArray[np.float64] = pd.Series(scores).rolling(window, center=True, min_periods=1).median().to_numpy()
    rise = max(levels.threshold - levels.usual, 0.0)
    return merge_anomalies(anomaly & (scores > level + rise), has_returned=scores <= level + RETURN_SHARE * rise)
