"""Points outside their interval: distance, severity, and the events that they form, one for each fault."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats

MIN_GAP_STEPS = 3  # usual steps inside an event, at most; a long event bridges more of them
GAP_SHARE = 0.25  # of the steps of the event so far, that are bridged
ONE_SIDED_SHARE = 0.9  # of the points of a level shift, outside or at a new level, that lie on one side
MOVED_WIDTHS = 0.5  # band widths that the band has moved at the end of a level shift
SEVERITIES = ("low", "medium", "high", "critical")
SEVERITY_BORDERS = (0.5, 1.5, 4.0)  # see `grade_scores`

ROUNDING = 1e-9  # relative distance to a bound that a value on it may have

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class JudgedPoints:
    """Judged steps of one series, each (steps,); NaN without a value.

    distance    signed distance to the interval, 0 inside
    width       width of the interval, above 0
    moves       how far a new level moved the interval
    is_shifted  True where the value is usual at a new level only
    """

    distance: Floats
    width: Floats
    moves: Floats
    is_shifted: Mask

    @property
    def is_outside(self) -> Mask:
        """True for the anomalous points."""
        return np.nan_to_num(self.distance) != 0

    @property
    def excess(self) -> Floats:
        """Distance in widths of the interval, without sign; 0 for a missing value."""
        return np.asarray(np.abs(np.nan_to_num(self.distance)) / self.width, dtype=np.float64)


@dataclass(frozen=True)
class IntervalEvent:
    """Steps `first` to `last` (both included) of one fault; `peak` is the step farthest outside, in interval widths.

    kind   "high", "low" or "level_shift"
    score  sum of the excesses over the root of their number, see `grade_scores`
    """

    first: int
    last: int
    peak: int
    kind: str
    score: float


def measure_distance(actual: Floats, lower: Floats, upper: Floats) -> Floats:
    """Return the signed distance of values outside their interval, 0 inside; NaN where something is missing.

    Example:
        >>> measure_distance(np.array([1.0, 5.0, 12.0, np.nan]), np.full(4, 3.0), np.full(4, 10.0)).tolist()
        [-2.0, 0.0, 2.0, nan]
    """
    distance = np.minimum(actual - lower, 0) + np.maximum(actual - upper, 0)
    is_rounding = np.abs(distance) <= ROUNDING * np.maximum(np.abs(actual), 1e-9)
    return np.where(is_rounding, 0.0, distance)


def compute_relative_distance(distance: Floats, median: Floats) -> Floats:
    """Return the distance in percent of the median; NaN where the median is 0.

    Example:
        >>> compute_relative_distance(np.array([5.0, 5.0]), np.array([20.0, 0.0])).tolist()
        [25.0, nan]
    """
    return np.asarray(100 * distance / np.where(median == 0, np.nan, median), dtype=np.float64)


def grade_scores(scores: Floats) -> NDArray[np.intp]:
    """Return the severity of events as a position in `SEVERITIES`.

    The score of an event is the sum over its outside points of their distance, in interval widths, over the root of the
    number of these points. So a fault counts more the farther outside it is, and the longer it lasts. Borders are 0.5
    (half a width for one step), 1.5 and 4.

    Example:
        >>> [SEVERITIES[grade] for grade in grade_scores(np.array([0.1, 2.0, 9.0]))]
        ['low', 'high', 'critical']
    """
    return np.searchsorted(SEVERITY_BORDERS, scores, side="right")


def merge_points(is_outside: Mask, is_shifted: Mask, max_gap: int = MIN_GAP_STEPS) -> list[tuple[int, int]]:
    """Return first and last step of every event; each has an outside point, and each such point has one event.

    Points at a new level belong to the event of the shift. Usual steps are bridged: 3, or a quarter of the event so
    far, up to `max_gap` of them.

    Example:
        >>> outside = np.array([0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1], dtype=bool)
        >>> merge_points(outside, np.zeros(11, dtype=bool))
        [(1, 4), (10, 10)]
    """
    positions = np.flatnonzero(is_outside | is_shifted)
    spans: list[tuple[int, int]] = []
    for position in map(int, positions):
        if spans:
            first, last = spans[-1]
            bridged = max(MIN_GAP_STEPS, min(int(GAP_SHARE * (last - first + 1)), max_gap))
            if position - last - 1 <= bridged:
                spans[-1] = first, position
                continue
        spans.append((position, position))
    return [(first, last) for first, last in spans if is_outside[first : last + 1].any()]


def list_events(points: JudgedPoints, max_gap: int, shift_steps: int) -> list[IntervalEvent]:
    """Return the events of one series in order of time.

    An event is "high" or "low" by the side of its peak, whose values are told. A level shift is one-sided, lasts at
    least `shift_steps` steps, and the interval has moved to the new level at its end. Its points at the new level are
    usual ones, and part of the event until the forecast has learnt them.
    """
    events = []
    excess = points.excess
    for first, last in merge_points(points.is_outside, points.is_shifted, max_gap):
        steps = slice(first, last + 1)
        outside = excess[steps][points.is_outside[steps]]
        score = float(outside.sum() / np.sqrt(len(outside)))
        peak = first + int(excess[steps].argmax())
        is_shift = _is_level_shift(points, steps, shift_steps)
        kind = "level_shift" if is_shift else "high" if points.distance[peak] > 0 else "low"
        events.append(IntervalEvent(first, last, peak, kind, score))
    return events


def _is_level_shift(points: JudgedPoints, steps: slice, shift_steps: int) -> bool:
    signs = np.sign(np.nan_to_num(points.distance[steps]))
    weight = float((signs * points.excess[steps]).sum())
    side = 1.0 if weight >= 0 else -1.0
    signs = np.where(points.is_shifted[steps], np.sign(points.moves[steps]), signs)
    is_one_sided = (signs == side).sum() >= ONE_SIDED_SHARE * (signs != 0).sum()
    next_step = min(steps.stop, len(points.moves) - 1)
    moves = points.moves[[steps.stop - 1, next_step]] / points.width[[steps.stop - 1, next_step]]
    has_moved = (side * moves >= MOVED_WIDTHS).any() or points.is_shifted[steps].sum() >= shift_steps
    return bool(is_one_sided and has_moved and steps.stop - steps.start >= shift_steps)


def number_rows(events: pd.DataFrame, count: int, name: str = "event") -> NDArray[np.int32]:
    """Return the event of every row, (count,), from the columns `name`, first_row and last_row; −1 without one."""
    numbers = np.full(count, -1, dtype=np.int32)
    for event, first, last in zip(events[name], events["first_row"], events["last_row"], strict=True):
        numbers[first : last + 1] = event
    return numbers
