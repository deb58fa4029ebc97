"""The series of a dataset on an even grid of time, so that neighbours and other days are a shift of an array."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import DAY, Dataset
from core.data.quality.checks import CellIndex, Rows, get_row_step

BLOCK_CELLS = 2**19  # cells of a grid; temporary arrays then stay small beside the dataset
MAX_GRID_RATIO = 4  # steps per row of an entity above which its rows are taken in their order, without a grid
WEEK_DAYS = 7


@dataclass(frozen=True)
class TimeGrid:
    """Some series of a dataset, one per entity and column (one per entity for profiles), in the order of time.

    values  shape (series, steps), NaN where there is no row
    rows    row of the dataset for every entity and row of the grid, −1 where there is none
    columns the columns of a grid row: those of a profile in the order of time, or those of the series
    lags    steps to the same time of another day or week, a short and a long one; () where no such time exists
    step    time between two steps; None if unknown
    """

    values: Floats
    rows: Rows
    columns: Rows
    lags: tuple[int, ...]
    step: pd.Timedelta | None
    profile: bool

    @property
    def day_steps(self) -> int:
        """Steps of one day, 1 for a daily step; 0 where the time of day is unknown."""
        if not self.lags or self.step is None:
            return 0
        return max(1, int(DAY / self.step))

    def locate_cells(self, is_selected: NDArray[np.bool_]) -> CellIndex:
        """Return the cells of the dataset at the marked places of the grid, shape (series, steps)."""
        series, steps = np.nonzero(is_selected)
        return CellIndex(*self.locate(series, steps))

    def locate(self, series: Rows, steps: Rows) -> tuple[Rows, Rows]:
        """Return row and column of the dataset for places of the grid."""
        if self.profile:
            day, slot = np.divmod(steps, len(self.columns))
            return self.rows[series, day], self.columns[slot]
        entity, column = np.divmod(series, len(self.columns))
        return self.rows[entity, steps], self.columns[column]


def iter_grids(dataset: Dataset) -> Iterator[TimeGrid]:
    """Yield the series of `dataset` in grids of about `BLOCK_CELLS` cells.

    A row that repeats a timestamp, or lies off the step, takes the nearest step; the last of several rows counts.
    """
    if not dataset.frame.size:
        return
    order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
    codes = dataset.entity_codes[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    positions, is_even = _compute_positions(dataset, order, starts)
    lengths = positions[starts[1:] - 1] + 1
    width = len(dataset.columns)
    for even in (True, False):
        members = np.flatnonzero(is_even == even)
        members = members[np.argsort(lengths[members], kind="stable")]
        lags = _list_lags(dataset) if even else ()
        for block in _split_members(members, lengths[members] * width):
            length = int(lengths[block[-1]])
            rows = np.full((len(block), length), -1, dtype=np.intp)
            for number, member in enumerate(block):
                part = slice(starts[member], starts[member + 1])
                rows[number, positions[part]] = order[part]
            yield from _fill_grids(dataset, rows, lags)


def _compute_positions(dataset: Dataset, order: Rows, starts: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """Return the step of every row in its entity, in the order `order`, and whether each entity has an even grid."""
    counts = np.diff(starts)
    ranks = np.arange(len(order)) - np.repeat(starts[:-1], counts)
    step = get_row_step(dataset)
    if not dataset.has_dates or step is None:
        return ranks, np.zeros(len(counts), dtype=bool)
    # float: the span of integers ends at 292 years
    times = pd.DatetimeIndex(dataset.time).as_unit("ns").asi8[order].astype(np.float64)
    elapsed = (times - np.repeat(times[starts[:-1]], counts)) / step.value
    is_even = elapsed[starts[1:] - 1] < MAX_GRID_RATIO * counts
    return np.where(np.repeat(is_even, counts), np.rint(elapsed), ranks).astype(np.intp), is_even


def _list_lags(dataset: Dataset) -> tuple[int, ...]:
    """Return the steps to the same time of another day and week, or of another week and fortnight for daily rows."""
    if dataset.step is None or DAY % dataset.step != pd.Timedelta(0):
        return ()
    day = DAY // dataset.step
    return (day, WEEK_DAYS * day) if day > 1 else (WEEK_DAYS, 2 * WEEK_DAYS)


def _split_members(members: Rows, cells: Rows) -> Iterator[Rows]:
    """Yield groups of entities of rising length; padded to the longest, each has about `BLOCK_CELLS` cells."""
    bounds = [0]
    for number in range(1, len(members)):
        if cells[number] * (number - bounds[-1] + 1) > BLOCK_CELLS:
            bounds.append(number)
    for first, last in pairwise([*bounds, len(members)]):
        if last > first:
            yield members[first:last]


def _fill_grids(dataset: Dataset, rows: Rows, lags: tuple[int, ...]) -> Iterator[TimeGrid]:
    """Yield the grids of the entities of `rows`: one for a profile, else one per group of columns."""
    columns = np.arange(len(dataset.columns))
    if dataset.profile:
        columns = np.roll(columns, -dataset.day_start * len(columns) // 24)
        values = dataset.values[rows][:, :, columns]
        values[rows < 0] = np.nan
        yield TimeGrid(values.reshape(len(rows), -1), rows, columns, lags, dataset.step, profile=True)
        return
    group_width = max(1, BLOCK_CELLS // rows.size)
    for first in range(0, len(columns), group_width):
        group = columns[first : first + group_width]
        values = dataset.values[rows[:, None, :], group[None, :, None]]
        values[np.broadcast_to(rows[:, None, :] < 0, values.shape)] = np.nan
        yield TimeGrid(values.reshape(len(rows) * len(group), -1), rows, group, lags, dataset.step, profile=False)
