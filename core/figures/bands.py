"""Outline of the band between two lines, with a gap where one of them is unknown.

Plotly fills up to the line before across gaps, so that a band with gaps covers what lies between its pieces.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def outline_band(
    places: NDArray[Any], low: NDArray[np.floating], high: NDArray[np.floating]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return x and y of one polygon for every stretch where both lines are known; NaN in y divides two polygons.

    Example:
        >>> x, y = outline_band(np.array([1, 2, 3, 4]), np.array([0, 1, np.nan, 2.0]), np.array([5, 6, 7, 8.0]))
        >>> x.tolist(), y.tolist()
        ([1, 2, 2, 1, 1, 4, 4, 4], [5.0, 6.0, 1.0, 0.0, nan, 8.0, 2.0, nan])
    """
    is_known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_known, [False]]).astype(int)))
    x, y = [places[:0]], [high[:0]]
    for start, end in edges.reshape(-1, 2):
        piece = slice(start, end)
        x += [places[piece], places[piece][::-1], places[start : start + 1]]
        y += [high[piece], low[piece][::-1], np.array([np.nan], high.dtype)]
    return np.concatenate(x), np.concatenate(y)
