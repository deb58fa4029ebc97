"""Planted faults of daily profiles: known changes in normal days, for data without labels.

Results hold for planted faults only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from core.array_types import Floats
from core.errors import DataError
from core.messages import N_

MIN_COLUMNS = 12  # columns of a day, at least
SPIKE_FACTORS = (1.5, 3.0)  # share of the measured value that a spike has
FLAT_SHARES = (0.17, 0.42)  # share of the day that a flat stretch lasts: 4 to 10 hours
ZERO_SHARES = (0.04, 0.25)  # share of the day that is zero: 1 to 6 hours
SHIFT_SHARES = (0.04, 0.125)  # share of the day by which the hours are shifted: 1 to 3 hours


@dataclass(frozen=True)
class DayFault:
    """Planted fault of the day in row `row`; `kind` is one of `DAY_FAULT_KINDS`."""

    row: int
    kind: str


def plant_day_faults(values: Floats, count: int, *, seed: int) -> tuple[Floats, list[DayFault]]:
    """Plant `count` faults in a copy of the days `values`, (days, columns), one on a day; the kinds take turns.

    The days follow one another in time. A day with a missing value, and the first and the last day, stay unchanged. The
    same seed plants the same faults. Raises DataError for days with fewer than 12 columns, or fewer days than faults.

    Example:
        >>> import numpy as np
        >>> days = 10 + np.sin(np.arange(24) / 4) + np.zeros((30, 1))
        >>> copy, faults = plant_day_faults(days, count=4, seed=0)
        >>> sorted(fault.kind for fault in faults), int((copy != days).any(axis=1).sum())
        (['flat', 'shift', 'spike', 'zeros'], 4)
    """
    days = np.flatnonzero(np.isfinite(values[1:-1]).all(axis=1)) + 1
    if values.shape[1] < MIN_COLUMNS or len(days) < count:
        raise DataError(
            N_(
                "{count} fault cannot be planted in {rows} complete days of {columns} columns.",
                "{count} faults cannot be planted in {rows} complete days of {columns} columns.",
            ),
            count=count,
            rows=len(days),
            columns=values.shape[1],
        )
    rng = np.random.default_rng(seed)
    faults = [
        DayFault(int(row), kind)
        for row, kind in zip(rng.choice(days, count, replace=False), islice(cycle(DAY_FAULT_KINDS), count), strict=True)
    ]
    planted = values.copy()
    for fault in faults:
        planted[fault.row] = DAY_FAULT_KINDS[fault.kind](values[fault.row - 1 : fault.row + 2], rng)
    return planted, faults


def _add_spike(days: Floats, rng: np.random.Generator) -> Floats:
    """Return the day with one value that is too high."""
    day, column = days[1].copy(), rng.integers(days.shape[1])
    day[column] *= rng.uniform(*SPIKE_FACTORS)
    return day


def _flatten_stretch(days: Floats, rng: np.random.Generator) -> Floats:
    """Return the day with a stretch that repeats its first value."""
    day, stretch = days[1].copy(), _draw_stretch(days.shape[1], FLAT_SHARES, rng)
    day[stretch] = day[stretch.start]
    return day


def _shift_hours(days: Floats, rng: np.random.Generator) -> Floats:
    """Return the day at hours that are too early or too late; the days around it fill the gap."""
    columns = days.shape[1]
    lag = _draw_length(columns, SHIFT_SHARES, rng) * int(rng.choice([-1, 1]))
    return days.ravel()[columns + lag : 2 * columns + lag]


def _zero_stretch(days: Floats, rng: np.random.Generator) -> Floats:
    """Return the day with a stretch of zeros."""
    day = days[1].copy()
    day[_draw_stretch(days.shape[1], ZERO_SHARES, rng)] = 0.0
    return day


def _draw_stretch(columns: int, shares: tuple[float, float], rng: np.random.Generator) -> slice:
    length = _draw_length(columns, shares, rng)
    start = int(rng.integers(columns - length + 1))
    return slice(start, start + length)


def _draw_length(columns: int, shares: tuple[float, float], rng: np.random.Generator) -> int:
    """Draw a number of columns between two shares of the day, 1 at least."""
    low, high = (max(round(share * columns), 1) for share in shares)
    return int(rng.integers(low, high + 1))


DAY_FAULT_KINDS: dict[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "spike": _add_spike,
    "flat": _flatten_stretch,
    "shift": _shift_hours,
    "zeros": _zero_stretch,
}
