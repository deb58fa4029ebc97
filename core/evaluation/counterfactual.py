"""Counterfactuals: the values of one column with which a flagged row would not have been flagged.

Wachter, Mittelstadt, Russell: Counterfactual explanations without opening the black box, Harvard Journal of Law &
Technology 31, 2018. Here the answer is an interval instead of one point.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats

CHECKED_VALUES = 16  # values that are scored in a claimed interval, both ends included
SEARCH_VALUES = 8  # values between the usual value and each limit, before the bisection
BISECTIONS = 8
MAX_SHRINKS = 3  # corrections of an interval that has a flagged value inside
SCORES_PER_CASE = 1 + 2 * (SEARCH_VALUES + BISECTIONS) + CHECKED_VALUES * (1 + MAX_SHRINKS)  # maximum

IsFlagged = Callable[[NDArray[np.intp], Floats], NDArray[np.bool_]]
"""Function (cases (n,), values (n,)) → True where the row of a case is flagged if its column takes the value."""


def find_unflagged_intervals(is_flagged: IsFlagged, usual: Floats, limits: Floats) -> Floats:
    """Return for every case the interval of one value within which its row is not flagged, (cases, 2).

    The interval contains the value `usual` (cases,) and lies within `limits` (cases, 2). It is found by bisection. Its
    ends and `CHECKED_VALUES` evenly spaced values were scored and are not flagged. NaN for a case that is flagged at
    its usual value, or that has no such interval.

    Example:
        >>> import numpy as np
        >>> is_flagged = lambda cases, values: np.abs(values - 10) > 3
        >>> find_unflagged_intervals(is_flagged, np.array([10.0, 20.0]), np.array([[0.0, 40.0], [0.0, 40.0]])).round(1)
        array([[ 7., 13.],
               [nan, nan]])
    """
    intervals = np.full((len(usual), 2), np.nan)
    cases = np.flatnonzero(~is_flagged(np.arange(len(usual)), usual))
    if not len(cases):
        return intervals
    ends = [_find_end(is_flagged, cases, usual[cases], limits[cases, side]) for side in (0, 1)]
    low, high = _round_inward(usual[cases], *ends)
    is_open = np.ones(len(cases), dtype=bool)
    for _ in range(1 + MAX_SHRINKS):
        positions = np.flatnonzero(is_open)
        if not len(positions):
            break
        values = space_values(low[positions], high[positions])
        flagged = _flag_grid(is_flagged, cases[positions], values)
        is_open[positions] = flagged.any(axis=1)
        center = usual[cases[positions]]
        low[positions] = _shrink(values, flagged & (values < center[:, None]), low[positions], center)
        high[positions] = _shrink(values, flagged & (values > center[:, None]), high[positions], center)
    checked = cases[~is_open]
    intervals[checked] = np.column_stack([low, high])[~is_open]
    return intervals


def space_values(low: Floats, high: Floats) -> Floats:
    """Return the values at which an interval is checked, (cases, `CHECKED_VALUES`): from `low` to `high`, (cases,).

    Example:
        >>> import numpy as np
        >>> space_values(np.array([0.0]), np.array([15.0]))[0, [0, 1, -1]].tolist()
        [0.0, 1.0, 15.0]
    """
    return np.linspace(low, high, CHECKED_VALUES, axis=1)


def _flag_grid(is_flagged: IsFlagged, cases: NDArray[np.intp], values: Floats) -> NDArray[np.bool_]:
    """Return the flags of several values per case, shape of `values`."""
    return is_flagged(np.repeat(cases, values.shape[1]), values.ravel()).reshape(values.shape)


def _find_end(is_flagged: IsFlagged, cases: NDArray[np.intp], usual: Floats, limit: Floats) -> Floats:
    """Return the last unflagged value on the way from `usual` to `limit`, (cases,)."""
    grid = np.linspace(usual, limit, SEARCH_VALUES + 1, axis=1)
    flagged = _flag_grid(is_flagged, cases, grid[:, 1:])
    is_bounded = flagged.any(axis=1)
    first = flagged.argmax(axis=1)
    positions = np.arange(len(cases))
    end = np.where(is_bounded, grid[positions, first], limit)
    beyond = np.where(is_bounded, grid[positions, first + 1], limit)
    bounded = np.flatnonzero(is_bounded)
    for _ in range(BISECTIONS):
        middle = (end[bounded] + beyond[bounded]) / 2
        middle_flagged = is_flagged(cases[bounded], middle)
        end[bounded] = np.where(middle_flagged, end[bounded], middle)
        beyond[bounded] = np.where(middle_flagged, middle, beyond[bounded])
    return end


def _round_inward(usual: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the interval with about three significant digits of its width; it still contains `usual`."""
    width = np.maximum(high - low, np.finfo(float).tiny)
    step = 10.0 ** np.clip(np.floor(np.log10(width)) - 2, -300, 300)
    rounded_low, rounded_high = np.ceil(low / step) * step, np.floor(high / step) * step
    return np.where(rounded_low <= usual, rounded_low, low), np.where(rounded_high >= usual, rounded_high, high)


def _shrink(values: Floats, is_wrong: NDArray[np.bool_], end: Floats, usual: Floats) -> Floats:
    """Return the end halfway between `usual` and the nearest wrong value; unchanged without one, (cases,)."""
    has_wrong = is_wrong.any(axis=1)
    distance = np.where(is_wrong, np.abs(values - usual[:, None]), np.inf).min(axis=1)
    return np.where(has_wrong, usual + np.sign(end - usual) * np.where(has_wrong, distance, 0.0) / 2, end)
