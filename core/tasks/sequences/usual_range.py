"""Usual range of the columns around an event: what the model expects, or the values of the rows around it."""

from dataclasses import dataclass

import numpy as np

from core.array_types import Floats
from core.evaluation.validation import Flags, Indices

NEIGHBOUR_ROWS = 240  # rows before an event, and after it, that tell what is usual
MIN_NEIGHBOURS = 20  # with fewer rows the model tells what is usual
USUAL_QUANTILES = (0.05, 0.5, 0.95)  # nine of ten usual values lie in the range


@dataclass(frozen=True)
class UsualRange:
    """Expected values of columns and the ends of their usual range, each (rows, columns); NaN where unknown."""

    expected: Floats
    low: Floats
    high: Floats

    def measure_excess(self, values: Floats) -> Floats:
        """Return how far values lie outside the range, (rows, columns), in half widths; 0 inside, and where unknown."""
        outside = np.maximum(np.maximum(self.low - values, values - self.high), 0.0)
        return np.nan_to_num(outside / np.maximum((self.high - self.low) / 2, 1e-12), nan=0.0, posinf=0.0)


def choose_usual_range(values: Floats, model_range: UsualRange | None, neighbours: Floats, inside: Flags) -> UsualRange:
    """Return the usual range of the columns, one for all texts, tables and pictures of an event.

    It is the range from the 5 % to the 95 % quantile of `neighbours` for a column that leaves it within the event, else
    the range of the model. A model of windows follows the anomaly: in it, and next to it, it expects unusual values. So
    it only tells what is usual where a value is unusual for its moment alone, or where there are fewer than 20
    neighbours. `values` are (rows, columns), `inside` (rows,) marks those of the event, `neighbours` are the usual rows
    around it, (neighbours, columns).

    Example:
        >>> values = np.array([[1.0], [9.0], [1.0]])
        >>> follows = UsualRange(values, values - 1, values + 1)
        >>> inside = np.array([False, True, False])
        >>> choose_usual_range(values, follows, np.ones((40, 1)), inside).high.ravel().tolist()
        [1.0, 1.0, 1.0]
    """
    around = _measure_neighbours(neighbours, values.shape)
    if model_range is None:
        return around
    has_left = around.measure_excess(values)[inside].max(axis=0, initial=0.0) > 0
    use_model = ~has_left | (np.isfinite(neighbours).sum(axis=0) < MIN_NEIGHBOURS)
    return UsualRange(
        *(
            np.where(use_model, of_model, of_neighbours)
            for of_model, of_neighbours in (
                (model_range.expected, around.expected),
                (model_range.low, around.low),
                (model_range.high, around.high),
            )
        )
    )


def find_extreme_row(values: Floats, usual: UsualRange, inside: Flags) -> int:
    """Return the row of the event in which the only column lies farthest outside, else farthest from expected.

    `values` have the shape (rows, 1). A missing value is never extreme.

    Example:
        >>> values = np.array([[1.0], [5.0], [9.0]])
        >>> usual = UsualRange(np.ones((3, 1)), np.zeros((3, 1)), np.full((3, 1), 2.0))
        >>> find_extreme_row(values, usual, np.array([True, True, False]))
        1
    """
    excess = usual.measure_excess(values)[:, 0]
    if not excess[inside].any():
        excess = np.nan_to_num(np.abs(values - usual.expected)[:, 0], nan=-1.0)
    rows: Indices = np.flatnonzero(inside)
    return int(rows[excess[rows].argmax()])


def _measure_neighbours(neighbours: Floats, shape: tuple[int, ...]) -> UsualRange:
    is_known = np.isfinite(neighbours).any(axis=0)
    quantiles = np.full((len(USUAL_QUANTILES), shape[1]), np.nan)
    if is_known.any():
        quantiles[:, is_known] = np.nanquantile(neighbours[:, is_known], USUAL_QUANTILES, axis=0)
    low, middle, high = (np.broadcast_to(row, shape) for row in quantiles)
    return UsualRange(middle, low, high)
