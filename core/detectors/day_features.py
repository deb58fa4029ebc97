"""Features of a day for faults that leave every single value plausible: stretches that repeat, and shifted hours."""

import numpy as np

from core.array_types import Floats

EQUAL_SHARE = 1e-6  # share of the unit of the shape: a smaller change between neighbours is none
ORDINARY_PATTERNS = (1.0, 0.0)  # columns of a run: two equal neighbours happen wherever values are rounded
MIN_PATTERN_SPREADS = (1.0, 0.1)  # columns of a run, share of the distance: smaller spreads are rounding
MIN_DISTANCE = 0.02  # unit of the shape: smaller distances to the expected shape are noise
MAX_SHIFT_SHARE = 1 / 8  # share of the day: 3 hours


def measure_patterns(values: Floats, shape: Floats, expected: Floats, scale: Floats) -> Floats:
    """Return the longest run of equal values and the gain of a shift of every day, (rows, 2).

    values           days without missing values, (rows, columns)
    shape, expected  their shapes, and the shapes that are usual, (rows, columns)
    scale            unit of the shape, (rows, 1)
    """
    return np.column_stack([measure_longest_run(values, EQUAL_SHARE * scale), measure_shift_gain(shape, expected)])


def measure_longest_run(values: Floats, tolerance: Floats) -> Floats:
    """Return the most neighbours in a row that differ by `tolerance` (rows, 1) at most: (rows,), 0 for none.

    Example:
        >>> measure_longest_run(np.array([[1.0, 2.0, 2.0, 2.0, 3.0, 3.0]]), tolerance=np.array([[0.0]])).tolist()
        [2.0]
    """
    is_equal = np.abs(np.diff(values, axis=1)) <= tolerance
    longest, current = np.zeros(len(values)), np.zeros(len(values))
    for column in is_equal.T:
        current = (current + 1) * column
        np.maximum(longest, current, out=longest)
    return longest


def measure_shift_gain(shape: Floats, expected: Floats) -> Floats:
    """Return the share of the distance of `shape` to `expected` that a move by up to 3 hours removes, (rows,).

    Both have the shape (rows, columns). The distance is the root mean square over the columns that overlap; 0 if no
    move brings the two nearer. A distance below 2 % of the unit of the shape counts as 2 %.

    Example:
        >>> expected = np.sin(np.arange(24) / 4)[None, :]
        >>> measure_shift_gain(np.roll(expected, 2), expected).round(2).tolist()
        [1.0]
        >>> measure_shift_gain(expected, expected).tolist()
        [0.0]
    """
    columns = shape.shape[1]
    gain, difference = np.zeros(len(shape)), shape - expected
    for lag in range(1, int(MAX_SHIFT_SHARE * columns) + 1):
        late, early = slice(lag, None), slice(None, columns - lag)
        for moved, origin in ((late, early), (early, late)):
            distance = _compute_length(difference[:, moved])
            removed = distance - _compute_length(shape[:, moved] - expected[:, origin])
            np.maximum(gain, removed / np.maximum(distance, MIN_DISTANCE), out=gain)
    return gain


def _compute_length(difference: Floats) -> Floats:
    """Return the root mean square of every row, (rows,)."""
    length: Floats = np.sqrt(np.einsum("ij,ij->i", difference, difference) / difference.shape[1])
    return length
