"""Numbers that stand for a missing value."""

import numpy as np
from numpy.typing import NDArray

from core.array_types import AnyFloats
from core.data.dataset import Dataset
from core.data.quality.checks import NO_CELLS, CellIndex

SENTINELS = tuple(
    sign * value
    for value in (99.9, 99.99, 999, 999.9, 999.99, 9999, 9999.9, 99999, 999999, 9999999)
    for sign in (-1, 1)
)
"""Numbers that files write for a missing value."""

MIN_SENTINEL_RATIO = 3.0  # times the largest magnitude of the other values


def find_sentinels(dataset: Dataset) -> CellIndex:
    """Find the numbers that stand for a missing value, in each column, or in a whole profile."""
    if dataset.profile:
        return CellIndex(*np.nonzero(mark_sentinels(dataset.values)))
    cells = [np.flatnonzero(mark_sentinels(dataset.values[:, column])) for column in range(len(dataset.columns))]
    columns = np.repeat(np.arange(len(cells)), [len(rows) for rows in cells])
    return CellIndex(np.concatenate(cells), columns) if len(columns) else NO_CELLS


def mark_sentinels(values: AnyFloats) -> NDArray[np.bool_]:
    """Return a mask of −999, 9999 and the like that lie far outside of all other values of one quantity.

    A number counts if it is `MIN_SENTINEL_RATIO` times as large as every other value, or if it is negative where no
    other value is. It is then the smallest or the largest of all, which is quick to check.

    Example:
        >>> mark_sentinels(np.array([8.0, 12.5, -999.0])).tolist()
        [False, False, True]
        >>> mark_sentinels(np.array([800.0, 1250.0, 999.0])).any()
        np.False_
    """
    extremes = (np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)) if values.size else ()
    if not np.isin(extremes, SENTINELS).any():
        return np.zeros(values.shape, dtype=bool)
    is_candidate = np.isin(values, SENTINELS)
    others = values[~is_candidate & ~np.isnan(values)]
    if not len(others):
        return np.zeros(values.shape, dtype=bool)
    is_far = np.abs(values) > MIN_SENTINEL_RATIO * np.abs(others).max()
    is_only_negative = (values <= -99) & (others.min() >= 0)
    return np.asarray(is_candidate & (is_far | is_only_negative))
