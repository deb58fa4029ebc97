"""Checks of runs of one value: zeros in a measurement that is otherwise far from zero, and stuck values."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.quality import checks
from core.data.quality.checks import CellIndex, Rows, concat_cells
from core.data.quality.fills import find_other_cells
from core.data.quality.sentinels import find_sentinels
from core.data.quality.time_grid import TimeGrid, iter_grids

MIN_VALUES = 24  # known values of a series below which nothing is called usual
MAX_FAULT_SHARE = 0.1  # of the known values of a series, above which zeros or repeats are its usual state
ZERO_DISTANCE = 0.1  # times the median of the other values: closer values, and those of the other sign, are near zero
MAX_NEAR_ZEROS = 2  # values near zero per run of zeros: partial values, and dips
MAX_SLOPE_SHARE = 0.5  # of the runs of zeros, that begin or end beside a value near zero, as a slope to zero does
MAX_ZERO_RUN_SHARE = 0.01  # runs of zeros per other value, above which they are usual (a counter that starts each day)
MIN_ZERO_RUNS = 3  # runs that are never too many
MIN_STUCK_VALUES = 4
MIN_STUCK_TIME = pd.Timedelta(hours=2)
MIN_STUCK_ROWS = 24  # in a series without dates
STUCK_RATIO = 2.5  # times the longest run that usual repeats explain
COARSE_SHARE = 0.01  # of the steps that repeat a value, above which the values of a series are coarse
STATE_RUN_SHARE = 1 / 3  # of the shortest stuck run: the length from which on a run is long
MIN_STATE_RUNS = 3  # long runs of one value: a set-point, a limit, a closed night


class Runs(NamedTuple):
    """Runs of at least two equal values: the first place in the flattened grid, the length, the series, the value."""

    starts: Rows
    lengths: Rows
    series: Rows
    values: Floats


def find_unexpected_zeros(dataset: Dataset) -> CellIndex:
    """Return zeros of series whose other values all have one sign and stay far from zero."""

    def find_cells(dataset: Dataset) -> CellIndex:
        return concat_cells([grid.locate_cells(mark_unexpected_zeros(grid.values)) for grid in iter_grids(dataset)])

    return find_other_cells(dataset, find_cells, checks.find_gross_outliers, checks.find_zero_hours)


def find_stuck_values(dataset: Dataset) -> CellIndex:
    """Return runs of one value that are much longer than the usual runs of the series."""

    def find_cells(dataset: Dataset) -> CellIndex:
        return concat_cells([grid.locate_cells(_mark_stuck_others(grid)) for grid in iter_grids(dataset)])

    return find_other_cells(dataset, find_cells, checks.find_gross_outliers, find_sentinels)


def _mark_stuck_others(grid: TimeGrid) -> NDArray[np.bool_]:
    """Return a mask of the stuck values that are no unexpected zeros."""
    is_stuck = mark_stuck_values(grid.values, get_min_stuck_steps(grid))
    return is_stuck & ~mark_unexpected_zeros(grid.values) if is_stuck.any() else is_stuck


def clear_runs(grid: TimeGrid) -> Floats:
    """Return the values of `grid` without unexpected zeros and stuck values."""
    is_fault = mark_unexpected_zeros(grid.values) | mark_stuck_values(grid.values, get_min_stuck_steps(grid))
    return np.where(is_fault, np.nan, grid.values)


def mark_unexpected_zeros(values: Floats) -> NDArray[np.bool_]:
    """Return a mask of the zeros of series that otherwise stay far from zero, shape (series, steps).

    Zeros are usual if they are more than a tenth of the values (nights of solar power), or in many places. They are
    also usual if there are other values near zero or of the other sign, more than two per run of zeros. The same holds
    if half of the runs lie beside such a value.

    Example:
        >>> values = np.full((1, 100), 50.0)
        >>> values[0, 40:45] = 0
        >>> np.flatnonzero(mark_unexpected_zeros(values)).tolist()
        [40, 41, 42, 43, 44]
    """
    is_zero = values == 0
    zero_counts = is_zero.sum(axis=1)
    other_counts = (~np.isnan(values)).sum(axis=1) - zero_counts
    is_rare = (zero_counts > 0) & (zero_counts <= MAX_FAULT_SHARE * (zero_counts + other_counts))
    candidates = np.flatnonzero(is_rare & (other_counts >= MIN_VALUES))
    is_unexpected = np.zeros(len(values), dtype=bool)
    if len(candidates):
        others = np.where(is_zero[candidates], np.nan, values[candidates])
        median = pick_quantile(np.sort(others, axis=1), other_counts[candidates], 0.5)[:, None]
        with np.errstate(invalid="ignore"):
            is_near = others * np.sign(median) < ZERO_DISTANCE * np.abs(median)
        zeros = is_zero[candidates]
        run_counts = (zeros[:, 1:] & ~zeros[:, :-1]).sum(axis=1) + zeros[:, 0]
        slope_counts = ((zeros[:, 1:] & is_near[:, :-1]) | (zeros[:, :-1] & is_near[:, 1:])).sum(axis=1)
        is_unexpected[candidates] = (
            (median[:, 0] != 0)
            & (is_near.sum(axis=1) <= MAX_NEAR_ZEROS * run_counts)
            & (slope_counts <= MAX_SLOPE_SHARE * run_counts)
            & (run_counts <= np.fmax(MIN_ZERO_RUNS, MAX_ZERO_RUN_SHARE * other_counts[candidates]))
        )
    return is_zero & is_unexpected[:, None]


def pick_quantile(ordered: Floats, counts: Rows, share: float) -> Floats:
    """Return the value at `share` of the first `counts` values of each row of `ordered`."""
    ranks = np.clip(np.rint(share * (counts - 1)).astype(np.intp), 0, None)
    return np.take_along_axis(ordered, ranks[:, None], axis=1)[:, 0]


def get_min_stuck_steps(grid: TimeGrid) -> int:
    """Return the number of equal values from which on a run may be stuck: four values, and two hours."""
    if grid.step is None or not grid.lags:
        return MIN_STUCK_ROWS
    return max(MIN_STUCK_VALUES, int(MIN_STUCK_TIME / grid.step))


def mark_stuck_values(values: Floats, min_steps: int) -> NDArray[np.bool_]:
    """Return a mask of runs that the usual repeats of their series do not explain, shape (series, steps).

    If a value repeats the one before with probability p, the longest of n runs has about log n / log 1/p values. A run
    of more than `STUCK_RATIO` times as many is stuck; where more than 1 % of the values repeat, it is also twice as
    long as any other. p is taken from the series itself, without the runs that are stuck. A value with several long
    runs is a state of the series (closed, full, a set-point) and not stuck.

    Example:
        >>> values = np.random.default_rng(0).normal(size=(1, 200))
        >>> values[0, 40:48] = values[0, 40]
        >>> np.flatnonzero(mark_stuck_values(values, 4)).tolist()
        [40, 41, 42, 43, 44, 45, 46, 47]
    """
    runs = find_runs(values)
    is_marked = np.zeros(values.shape, dtype=bool)
    if not len(runs.starts) or runs.lengths.max() < min_steps:
        return is_marked
    known_counts = (~np.isnan(values)).sum(axis=1)
    min_lengths = _compute_min_lengths(runs, known_counts, min_steps)
    is_long = runs.lengths >= np.fmax(STATE_RUN_SHARE * min_lengths[runs.series], MIN_STUCK_VALUES)
    is_stuck = is_long & (runs.lengths >= min_lengths[runs.series])
    table = pd.DataFrame({"series": runs.series, "value": runs.values})
    state_runs = table.assign(is_long=is_long).groupby(["series", "value"])["is_long"].transform("sum").to_numpy()
    is_stuck &= state_runs < MIN_STATE_RUNS
    cells = np.bincount(runs.series[is_stuck], runs.lengths[is_stuck], len(values))
    is_stuck &= (cells <= MAX_FAULT_SHARE * known_counts)[runs.series]
    changes = np.zeros(values.size + 1, dtype=np.int8)
    changes[runs.starts[is_stuck]] += 1
    changes[runs.starts[is_stuck] + runs.lengths[is_stuck]] -= 1
    return (np.cumsum(changes[:-1], dtype=np.int8) > 0).reshape(values.shape)


def find_runs(values: Floats) -> Runs:
    """Return the runs of at least two equal values of every row; NaN belong to none."""
    is_start = np.ones(values.shape, dtype=bool)
    np.not_equal(values[:, 1:], values[:, :-1], out=is_start[:, 1:])
    is_repeat = ~is_start.ravel()
    if not is_repeat.any():
        empty = np.zeros(0, np.intp)
        return Runs(empty, empty, empty, np.zeros(0))
    edges = np.flatnonzero(np.diff(is_repeat, prepend=False, append=False))
    starts, ends = edges[::2] - 1, edges[1::2]
    return Runs(starts, ends - starts, starts // values.shape[1], values.ravel()[starts])


def _compute_min_lengths(runs: Runs, known_counts: Rows, min_steps: int) -> Floats:
    """Return the length from which on a run of each series is stuck; infinite where repeats are usual."""
    count = len(known_counts)
    min_lengths = np.full(count, np.inf)
    for _ in range(6):  # runs that are stuck are left out of the probability of the next pass
        is_usual = runs.lengths < min_lengths[runs.series]
        repeats = np.bincount(runs.series[is_usual], runs.lengths[is_usual] - 1, count)
        stuck_cells = np.bincount(runs.series[~is_usual], runs.lengths[~is_usual], count)
        with np.errstate(divide="ignore", invalid="ignore"):
            probability = np.clip(repeats / (known_counts - stuck_cells), 1 / known_counts, 1.0)
            longest = np.log(known_counts) / -np.log(probability)
        min_lengths = np.where(known_counts >= MIN_VALUES, np.fmax(np.ceil(STUCK_RATIO * longest), min_steps), np.inf)
    is_coarse = probability > COARSE_SHARE
    for _ in range(6):  # a stuck run is twice as long as any that is not
        longest = np.zeros(count)
        is_usual = runs.lengths < min_lengths[runs.series]
        np.maximum.at(longest, runs.series[is_usual], runs.lengths[is_usual])
        min_lengths = np.where(is_coarse, np.fmax(min_lengths, 2 * longest), min_lengths)
    return min_lengths
