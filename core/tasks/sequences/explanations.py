"""Explanation of the events of one series: causes, measured and usual values, and what would not have been flagged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.array_types import Floats
from core.detectors.base import SequenceScores
from core.detectors.sequence_model import SequenceModel
from core.evaluation.events import EventSpan
from core.evaluation.explanation import CAUSE_WINDOW_ROWS, compute_moving_mean_distance, weigh_causes
from core.evaluation.validation import Flags, Indices
from core.tasks.sequences.counterfactual import Bounds, Rescorer, Sides, find_counterfactual
from core.tasks.sequences.usual_range import NEIGHBOUR_ROWS, UsualRange, choose_usual_range, find_extreme_row

MAX_CAUSES = 5
MIN_WEIGHT = 0.01  # of a cause that is named


@dataclass(frozen=True)
class Headline:
    """The first cause in the units of the data: its most extreme value, and the ends of its usual range then."""

    column: str
    measured: float
    usual_low: float
    usual_high: float


class SeriesExplainer:
    """Explains the events of one series.

    columns  names of the columns
    values   (rows, columns), in the units of the data
    anomaly  (rows,), flagged rows
    """

    def __init__(
        self,
        model: SequenceModel,
        columns: list[str],
        values: Floats,
        scores: SequenceScores,
        anomaly: Flags,
        spans: Sequence[EventSpan],
    ) -> None:
        """Weigh the causes of the events."""
        self.model, self.columns, self.values, self.scores = model, columns, values, scores
        self.rescorer = Rescorer(model, values, scores.score.astype(np.float64), anomaly)
        distance, is_usual = compute_moving_mean_distance(values, CAUSE_WINDOW_ROWS), np.ones(len(values), dtype=bool)
        self.weights = {span: weigh_causes(distance, scores.shares, span.first, span.last + 1) for span in spans}
        for span in spans:
            is_usual[span.first : span.last + 1] = False
        self.usual_positions = np.flatnonzero(is_usual)

    def rank_causes(self, span: EventSpan) -> tuple[Indices, Floats]:
        """Return all columns, the heaviest cause first, and the weight of each column, both (columns,)."""
        weights = self.weights[span]
        return np.argsort(-weights, kind="stable"), weights

    def name_causes(self, span: EventSpan) -> str:
        """Return the first causes with their weights, as "latency 61 %, errors 20 %"; "" if nothing moved."""
        return ", ".join(self.list_causes(span))

    def list_causes(self, span: EventSpan) -> tuple[str, ...]:
        """Return the first causes with their weights, as ("latency 61 %", "errors 20 %"); () if nothing moved."""
        order, weights = self.rank_causes(span)
        causes = [column for column in order[:MAX_CAUSES] if weights[column] > MIN_WEIGHT]
        return tuple(f"{self.columns[column]} {100 * weights[column]:.0f} %" for column in causes)

    def find_usual_range(self, span: EventSpan, begin: int, end: int, columns: Indices) -> UsualRange:
        """Return the usual range of some columns in the rows `begin` to before `end`, which hold the event."""
        rows = slice(begin, end)
        inside = np.arange(begin, end)
        return choose_usual_range(
            self.values[rows, columns],
            self._compute_model_range(rows, columns),
            self.values[np.ix_(self._find_neighbours(span), columns)],
            (inside >= span.first) & (inside <= span.last),
        )

    def describe_first_cause(self, span: EventSpan) -> Headline:
        """Return measured and usual values of the first cause; NaN where they are unknown."""
        column = self.rank_causes(span)[0][:1]
        rows = slice(span.first, span.last + 1)
        usual = self.find_usual_range(span, rows.start, rows.stop, column)
        values = self.values[rows][:, column]
        row = find_extreme_row(values, usual, np.ones(len(values), dtype=bool))
        return Headline(
            self.columns[column[0]], float(values[row, 0]), float(usual.low[row, 0]), float(usual.high[row, 0])
        )

    def find_counterfactual(self, span: EventSpan) -> list[Bounds] | None:
        """Return ranges of the first causes with which no row of the event would have been flagged; [] without any.

        None without an answer: no column moved, or the scores depend on more than the values. Raises OutOfTimeError.
        """
        order, weights = self.rank_causes(span)
        columns = [int(column) for column in order[:MAX_CAUSES] if weights[column] > 0]
        sides = [answers for column in columns if (answers := self._list_sides(span, column))]
        stretch = self.rescorer.cut_stretch(span.first, span.last)
        return find_counterfactual(stretch, sides) if sides and stretch.can_answer else None

    def _list_sides(self, span: EventSpan, column: int) -> list[Sides]:
        """Return what is usual for a column: the range that is shown, and that of the model if it is another one."""
        values = self.values[span.first : span.last + 1, column]
        if not np.isfinite(values).any():
            return []
        columns, rows = np.array([column]), slice(span.first, span.last + 1)
        shown, of_model = (
            self.find_usual_range(span, rows.start, rows.stop, columns),
            self._compute_model_range(rows, columns),
        )
        answers: list[Sides] = []
        for usual in (shown, of_model or shown):
            ends = np.array([array[:, 0] for array in (usual.expected, usual.low, usual.high)])
            if not np.isfinite(ends).all(axis=1).any():
                continue
            centre, low, high = np.median(ends[:, np.isfinite(ends).all(axis=0)], axis=1)
            sides = Sides(column, centre, low, high, float(np.nanmin(values)), float(np.nanmax(values)))
            if sides not in answers:
                answers.append(sides)
        return answers

    def _find_neighbours(self, span: EventSpan) -> Indices:
        """Return the positions of the usual rows around an event."""
        before, after = np.searchsorted(self.usual_positions, [span.first, span.last + 1])
        return np.concatenate(
            [
                self.usual_positions[max(before - NEIGHBOUR_ROWS, 0) : before],
                self.usual_positions[after : after + NEIGHBOUR_ROWS],
            ]
        )

    def _compute_model_range(self, rows: slice, columns: Indices) -> UsualRange | None:
        """Return expected values ± 2σ of the model in some rows; None for a model without expectation."""
        scores = self.scores
        if scores.expected is None or scores.spread is None:
            return None
        band = self.model.compute_expected_band(
            SequenceScores(scores.score[rows], scores.shares[rows], scores.expected[rows], scores.spread[rows])
        )
        if band is None:
            return None
        middle, half_width = (array[:, columns] for array in band)
        return UsualRange(middle, middle - half_width, middle + half_width)
