"""Counterfactuals of events: between which values a column had to stay so that no row would have been flagged.

Every answer is verified: the values are clipped to the range and the rows are scored again.
Wachter, Mittelstadt, Russell: Counterfactual explanations without opening the black box, Harvard Journal of Law &
Technology 31, 2018.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from core.array_types import Floats
from core.detectors.sequence_model import SequenceModel
from core.evaluation.validation import Flags

MAX_SINGLE_COLUMNS = 3  # first causes that are tried alone
COMBINATION_SIZES = (2, 3, 5)  # numbers of first causes that are tried together
BISECTIONS = 7
MIN_CONTEXT_ROWS = 64  # rows scored before and after an event; doubled until the scores are those of the whole series
MARGIN_SHARE = 1e-3  # of the distance from the usual score to the threshold: scores of the same row may differ so much
SHOWN_DIGITS = 3  # significant digits of a range, relative to its width


class OutOfTimeError(Exception):
    """The time for the search is over."""


class Bounds(NamedTuple):
    """Range that a column has to stay in."""

    column: int
    low: float
    high: float


@dataclass(frozen=True)
class Sides:
    """Usual range of a column during an event, and its lowest and highest value in it.

    centre  expected value, from `low` to `high`, the usual range
    """

    column: int
    centre: float
    low: float
    high: float
    lowest: float
    highest: float

    def make_bounds(self, part: float) -> Bounds:
        """Return a range around the centre; `part` 0 is the narrowest, 1 holds all values of the event.

        A side that no value leaves keeps the end of the usual range. If no value leaves either, both sides move.
        """
        is_inside = self.lowest >= self.low and self.highest <= self.high
        low, high = min(self.low, self.centre), max(self.high, self.centre)
        if is_inside or self.lowest < self.low:
            low = self.centre - part * max(self.centre - self.lowest, 0.0)
        if is_inside or self.highest > self.high:
            high = self.centre + part * max(self.highest - self.centre, 0.0)
        return Bounds(self.column, low, high)


@dataclass
class Rescorer:
    """Scores stretches of one series again.

    values   (rows, columns), in the units of the data
    scores   (rows,), scores of the whole series
    anomaly  (rows,), flagged rows
    deadline  moment of the monotonic clock, in seconds, after which nothing is scored any more
    """

    model: SequenceModel
    values: Floats
    scores: Floats
    anomaly: Flags
    deadline: float = math.inf
    context_rows: int = field(default=MIN_CONTEXT_ROWS, init=False)

    def __post_init__(self) -> None:
        """Compute the tolerance of equal scores."""
        usual = float(np.median(self.model.calibration_)) if len(self.model.calibration_) else 0.0
        self.tolerance = MARGIN_SHARE * max(self.model.threshold_ - usual, 0.0)

    def cut_stretch(self, first: int, last: int) -> "Stretch":
        """Return the event in the rows `first` to `last`, with as many rows around it as its scores depend on."""
        while True:
            rows = slice(max(first - self.context_rows, 0), min(last + self.context_rows + 1, len(self.values)))
            inside = slice(first - rows.start, last - rows.start + 1)
            difference = np.abs(self.score(self.values[rows]) - self.scores[rows])
            stretch = Stretch(self, rows, inside, difference <= self.tolerance)
            if stretch.can_answer or rows.stop - rows.start == len(self.values):
                return stretch
            self.context_rows *= 2

    def score(self, values: Floats) -> Floats:
        """Return the scores of values (rows, columns). Raises OutOfTimeError after the deadline."""
        if time.monotonic() > self.deadline:
            raise OutOfTimeError
        [scores] = self.model.score_series([values])
        return scores.score.astype(np.float64)


@dataclass(frozen=True)
class Stretch:
    """Rows of a series with one event.

    rows         rows in the series
    inside       rows of the event in the stretch
    is_reliable  (rows,), True where the stretch by itself gets the score of the whole series
    """

    rescorer: Rescorer
    rows: slice
    inside: slice
    is_reliable: Flags

    @property
    def can_answer(self) -> bool:
        """True if the scores of the event are those of the whole series."""
        return bool(self.is_reliable[self.inside].all())

    def is_unflagged(self, bounds: Sequence[Bounds]) -> bool:
        """Tell whether no row of the event is flagged, and no other row anew, with its values clipped to `bounds`."""
        series, threshold = self.rescorer, self.rescorer.model.threshold_
        scores = series.score(clip_rows(series.values[self.rows], self.inside, bounds))
        is_new = (scores > threshold) & self.is_reliable & ~series.anomaly[self.rows]
        return not (is_new.any() or (scores[self.inside] > threshold - series.tolerance).any())


def clip_rows(values: Floats, rows: slice, bounds: Sequence[Bounds]) -> Floats:
    """Return a copy of values (rows, columns) with some rows clipped; a missing value stays missing.

    Example:
        >>> clip_rows(np.array([[9.0], [9.0], [np.nan]]), slice(1, 3), [Bounds(0, 1.0, 4.0)]).ravel().tolist()
        [9.0, 4.0, nan]
    """
    clipped = values.copy()
    for column, low, high in bounds:
        clipped[rows, column] = np.clip(values[rows, column], low, high)
    return clipped


def find_counterfactual(stretch: Stretch, sides: Sequence[Sequence[Sides]]) -> list[Bounds]:
    """Return the widest ranges found with which the event would not have been flagged, [] without such ranges.

    `sides` holds, for each of the first causes, what is usual for it; a column may have several answers. The first
    columns are tried alone, then the first 2, 3 and 5 together. Raises OutOfTimeError.

    Example:
        >>> from core.detectors.scaling import Scaling
        >>> from core.detectors.sequences.mean_distance import MeanDistance
        >>> values = np.sin(np.arange(100.0))[:, None]
        >>> model = SequenceModel(MeanDistance(), Scaling()).fit_series([values])
        >>> model.threshold_, values[50] = 4.0, 9.0
        >>> scores = model.score_series([values])[0].score.astype(float)
        >>> stretch = Rescorer(model, values, scores, scores > 4.0).cut_stretch(50, 50)
        >>> [bounds] = find_counterfactual(stretch, [[Sides(0, 0.0, -1.0, 1.0, 9.0, 9.0)]])
        >>> bounds.low, 1.8 < bounds.high < 2.0  # a distance of 2 has the score 4
        (-1.0, True)
    """
    singles = [[answers] for answers in sides[:MAX_SINGLE_COLUMNS]]
    combinations = [sides[:size] for size in COMBINATION_SIZES if size <= len(sides)]
    for columns in [*singles, *combinations]:
        for number in range(max(len(answers) for answers in columns)):
            chosen = [answers[min(number, len(answers) - 1)] for answers in columns]
            if stretch.is_unflagged([side.make_bounds(0.0) for side in chosen]):
                return _widen(stretch, chosen)
    return []


def _widen(stretch: Stretch, sides: Sequence[Sides]) -> list[Bounds]:
    """Return the widest ranges that bisection finds, rounded if the event is not flagged with the rounded ones."""
    narrow, wide = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (narrow + wide) / 2
        if stretch.is_unflagged([side.make_bounds(middle) for side in sides]):
            narrow = middle
        else:
            wide = middle
    bounds = [side.make_bounds(narrow) for side in sides]
    rounded = [_round_bounds(range_) for range_ in bounds]
    return rounded if stretch.is_unflagged(rounded) else bounds


def _round_bounds(bounds: Bounds) -> Bounds:
    """Return the range rounded inwards to the digits that its width shows."""
    size = max(bounds.high - bounds.low, 1e-6 * max(abs(bounds.low), abs(bounds.high)))
    if size <= 0 or not math.isfinite(size):
        return bounds
    decimals = SHOWN_DIGITS - 1 - math.floor(math.log10(size))
    unit = 10.0**-decimals
    low, high = math.ceil(bounds.low / unit) * unit, math.floor(bounds.high / unit) * unit
    return bounds if low > high else Bounds(bounds.column, round(low, decimals), round(high, decimals))
