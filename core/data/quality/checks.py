"""Checks of data quality: each function returns the cells (rows, columns) or the rows with one kind of issue.

The doctor counts them and repairs fix them. A check changes nothing. It reads rows in blocks, so a large file needs no
second copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import BLOCK_ROWS, DAY, Dataset
from core.data.time_zones import has_clock_changes

Rows = NDArray[np.intp]

MIN_SPIKE_RATIO = 2.5  # times the larger neighbour
MIN_DOUBLE_RATIO = 1.25  # autumn, hour counted twice: times the mean of its neighbours
MAX_COLLAPSED_RATIO = 0.5  # spring, hour that does not exist: times the smaller neighbour
OUTLIER_WIDTHS = 20  # times the width (5 % to 95 % quantile) of the values of the entity
MAX_CELL_SHARE = 0.001  # share of cells above which a pattern is normal for the series, not an issue
TOTAL_TOLERANCE_SHARE = 0.001  # share of the declared total


class CellIndex(NamedTuple):
    """Cells of a dataset: the row and the column of each."""

    rows: Rows
    columns: Rows


NO_CELLS = CellIndex(np.zeros(0, np.intp), np.zeros(0, np.intp))


def concat_cells(parts: list[CellIndex]) -> CellIndex:
    """Concatenate lists of cells."""
    if not parts:
        return NO_CELLS
    return CellIndex(
        np.concatenate([cells.rows for cells in parts]), np.concatenate([cells.columns for cells in parts])
    )


# ---- rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gap:
    """Absent timestamps between two rows of an entity."""

    entity: str
    after: pd.Timestamp
    before: pd.Timestamp
    missing: int


def get_row_step(dataset: Dataset) -> pd.Timedelta | None:
    """Return the time from one row of an entity to the next."""
    return DAY if dataset.profile else dataset.step


def find_gaps(dataset: Dataset) -> list[Gap]:
    """Return the gaps between the rows of each entity.

    A pause that occurs on a tenth of the days (nights, weekends) is no gap, nor is the hour that a clock change skips.
    """
    step = get_row_step(dataset)
    if not dataset.has_dates or step is None or not len(dataset):
        return []
    order, same_entity, time_deltas = _compare_with_next(dataset)
    missing = np.flatnonzero(same_entity & (time_deltas > step))
    if not len(missing):
        return []
    lengths = pd.Series(time_deltas[missing])
    days = pd.DatetimeIndex(dataset.time).normalize().nunique() * len(dataset.entities)
    regular_lengths = lengths.value_counts()
    regular_lengths = regular_lengths[regular_lengths >= max(5, 0.1 * days)].index
    missing = missing[~lengths.isin(regular_lengths).to_numpy()]
    return [
        Gap(
            dataset.entity[order[position]],
            dataset.time[order[position]],
            dataset.time[order[position + 1]],
            int(time_deltas[position] / step) - (time_deltas[position] % step == pd.Timedelta(0)),
        )
        for position in missing
    ]


def _compare_with_next(dataset: Dataset) -> tuple[Rows, NDArray[np.bool_], "pd.TimedeltaIndex"]:
    """Return rows by entity and time, and two facts about each but the last.

    The facts are: the next row has the same entity, and the time to the next row.
    """
    order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
    times, codes = pd.DatetimeIndex(dataset.time)[order], dataset.entity_codes[order]
    time_deltas = times[1:] - times[:-1]
    if has_clock_changes(dataset.zone):  # the shorter of the time on the clock and the time that passed
        instants = dataset.compute_instants()[order]
        time_deltas = pd.TimedeltaIndex(np.minimum(time_deltas, instants[1:] - instants[:-1]))
    return order, codes[1:] == codes[:-1], time_deltas


def find_contradicting_totals(dataset: Dataset) -> Rows:
    """Return complete rows of a profile whose sum differs from the declared total by more than 0.1 %."""
    if not dataset.profile or dataset.context is None or "total" not in dataset.context:
        return NO_CELLS.rows
    declared = dataset.context["total"].to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.concatenate([block.sum(axis=1) for _, block in dataset.iter_blocks()])
        differs = np.abs(sums - declared) > TOTAL_TOLERANCE_SHARE * np.abs(declared)
    return np.flatnonzero(differs & ~np.isnan(declared) & ~np.isnan(sums))


def find_clock_change_rows(dataset: Dataset, month: int) -> Rows:
    """Return rows of a profile with the European clock change of `month` 3 or 10 (last Sunday, 02:00)."""
    if not dataset.profile or not dataset.has_dates:
        return NO_CELLS.rows
    days = pd.DatetimeIndex(dataset.time)
    change_dates = days + (DAY if dataset.day_start > 2 else pd.Timedelta(0))
    return np.flatnonzero((change_dates.month == month) & (change_dates.dayofweek == 6) & (change_dates.day > 24))


def find_constant_columns(dataset: Dataset) -> list[str]:
    """Return the names of measurements with one value, or with none."""
    low, high = np.full(len(dataset.columns), np.inf), np.full(len(dataset.columns), -np.inf)
    for _, block in dataset.iter_blocks():
        low, high = np.fmin(low, np.fmin.reduce(block, axis=0)), np.fmax(high, np.fmax.reduce(block, axis=0))
    return [column for column, varies in zip(dataset.columns, low < high, strict=True) if not varies]


# ---- cells ----------------------------------------------------------------------------------------------------------


def find_gross_outliers(dataset: Dataset) -> CellIndex:
    """Return cells that differ from the median of the entity by more than 20 times the width of its values.

    The width is the distance between the 5 % and the 95 % quantile. No cell is returned if there are many.
    """
    median, width = dataset.entity_range
    parts = []
    for rows, block in dataset.iter_blocks():
        code = dataset.entity_codes[rows]
        with np.errstate(invalid="ignore"):
            is_outlier = (np.abs(block - median[code]) > OUTLIER_WIDTHS * width[code]) & (width[code] > 0)
        positions = np.argwhere(is_outlier)
        parts.append(CellIndex(positions[:, 0] + rows.start, positions[:, 1]))
    return _drop_if_frequent(concat_cells(parts), dataset)


def find_isolated_spikes(dataset: Dataset) -> CellIndex:
    """Return cells above 2.5 times both neighbours in time, by more than a tenth of the median of the entity.

    No cell is returned if there are many.
    """
    median, _ = dataset.entity_range
    parts = []
    for rows, block, before, after in _iter_with_neighbours(dataset):
        with np.errstate(invalid="ignore", over="ignore"):
            larger = np.maximum(before, after)
            is_spike = (block > MIN_SPIKE_RATIO * larger) & (larger > 0)
            is_spike &= block - larger > 0.1 * np.abs(median[dataset.entity_codes[rows]])
        positions = np.argwhere(is_spike)
        parts.append(CellIndex(rows[positions[:, 0]], positions[:, 1]))
    return _drop_if_frequent(concat_cells(parts), dataset)


def _drop_if_frequent(cells: CellIndex, dataset: Dataset) -> CellIndex:
    """Return `cells`, or none if they are more than three and more than 0.1 % of all cells."""
    return cells if len(cells.rows) <= max(3, MAX_CELL_SHARE * dataset.frame.size) else NO_CELLS


def _iter_with_neighbours(dataset: Dataset) -> Iterator[tuple[Rows, Floats, Floats, Floats]]:
    """Yield row numbers, their values, and the values before and after in time (NaN at the ends)."""
    if dataset.profile:
        for rows, block in dataset.iter_blocks():
            yield np.arange(rows.start, rows.stop), block, *get_adjacent_columns(block)
        return
    order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
    values, codes = dataset.values[order], dataset.entity_codes[order]
    before, after = np.full_like(values, np.nan), np.full_like(values, np.nan)
    same_entity = (codes[1:] == codes[:-1])[:, None]
    before[1:] = np.where(same_entity, values[:-1], np.nan)
    after[:-1] = np.where(same_entity, values[1:], np.nan)
    yield order, values, before, after


def get_adjacent_columns(block: Floats) -> tuple[Floats, Floats]:
    """Return the column before and the column after each cell of a profile; NaN at both ends of the row."""
    before, after = np.full_like(block, np.nan), np.full_like(block, np.nan)
    before[:, 1:], after[:, :-1] = block[:, :-1], block[:, 1:]
    return before, after


def find_zero_hours(dataset: Dataset) -> CellIndex:
    """Return near-zero hours of the day of the spring clock change.

    Near zero means below 1 unit and below 1 % of the median of the entity, with a neighbour over ten times this limit.
    """
    rows = find_clock_change_rows(dataset, 3)
    if not len(rows):
        return NO_CELLS
    median, _ = dataset.entity_range
    limit = np.minimum(1.0, 0.01 * np.abs(median))[dataset.entity_codes[rows]]
    block = dataset.values[rows]
    before, after = get_adjacent_columns(block)
    with np.errstate(invalid="ignore"):
        is_near_zero = (np.abs(block) < limit) & (np.fmax(before, after) > 10 * limit)
    positions = np.argwhere(is_near_zero)
    return CellIndex(rows[positions[:, 0]], positions[:, 1])


def find_collapsed_hours(dataset: Dataset) -> CellIndex:
    """Return hours of the day of the spring clock change below half of both neighbours, but not near zero.

    The missing hour may spread over two hours, so a near-zero hour does not count as a neighbour.
    """
    rows = find_clock_change_rows(dataset, 3)
    block = dataset.values[rows]
    zero_cells = find_zero_hours(dataset)
    block[np.searchsorted(rows, zero_cells.rows), zero_cells.columns] = np.nan
    before, after = get_adjacent_columns(block)
    with np.errstate(invalid="ignore"):
        positions = np.argwhere(block < MAX_COLLAPSED_RATIO * np.fmin(before, after))
    return CellIndex(rows[positions[:, 0]], positions[:, 1])


def find_double_hours(dataset: Dataset) -> CellIndex:
    """Return hours of the day of the autumn clock change that hold two hours.

    They exceed the mean of both neighbours by 25 % and the larger neighbour by 10 %.
    """
    rows = find_clock_change_rows(dataset, 10)
    block = dataset.values[rows]
    before, after = get_adjacent_columns(block)
    with np.errstate(invalid="ignore"):
        positions = np.argwhere(
            (block > MIN_DOUBLE_RATIO * (before + after) / 2) & (block > 1.1 * np.maximum(before, after))
        )
    return CellIndex(rows[positions[:, 0]], positions[:, 1])


# ---- periods --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IssuePeriod:
    """Period in which the rows of an entity have one issue.

    amount  shift in columns (`find_shifted_hours`), or the factor by which values are too large (`find_scaled_months`)
    """

    entity: str
    start: pd.Timestamp
    end: pd.Timestamp
    rows: int
    amount: float


def find_shifted_hours(dataset: Dataset) -> tuple[NDArray[np.intp], list[IssuePeriod]]:
    """Return the shift of the hour labels of every row of a profile, in columns (0: no shift), and the shifted periods.

    The typical shape of each entity and month (hours over their mean) is compared with a reference. The reference is
    the mean shape of the same calendar month in the last twelve months of all entities. The circular shift with the
    highest correlation counts from three hours on, if it is at most two hours from the most frequent shift.
    """
    no_shift = np.zeros(len(dataset), dtype=np.intp)
    if not dataset.profile or not dataset.has_dates or len(dataset) < 60:
        return no_shift, []
    months = pd.DatetimeIndex(dataset.time).year.to_numpy() * 12 + pd.DatetimeIndex(dataset.time).month.to_numpy() - 1
    key = dataset.entity_codes.astype(np.int64) * 100_000 + months
    shapes = _compute_typical_shapes(dataset, key)
    lags = _compute_lags(shapes.to_numpy(), shapes.index.to_numpy() % 100_000)
    per_hour = len(dataset.columns) // 24
    is_shifted = np.abs(lags) >= 3 * per_hour
    if not is_shifted.any():
        return no_shift, []
    usual_lag = int(pd.Series(lags[is_shifted]).mode().iloc[0])
    lag = pd.Series(np.where(is_shifted & (np.abs(lags - usual_lag) <= 2 * per_hour), usual_lag, 0), index=shapes.index)
    lag_by_row = lag.reindex(key).fillna(0).to_numpy().astype(np.intp)
    return lag_by_row, _build_periods(dataset, lag_by_row)


def _compute_typical_shapes(dataset: Dataset, key: NDArray[np.int64]) -> pd.DataFrame:
    """Return the median of the hours over the mean of the row, per key.

    Only complete rows with a positive mean are used.
    """
    order = np.argsort(key, kind="stable")
    firsts = np.flatnonzero(np.diff(key[order], prepend=-1))
    block_starts = firsts[np.unique(np.searchsorted(firsts, np.arange(0, len(order), BLOCK_ROWS), side="right") - 1)]
    parts = []
    for rows in np.split(order, block_starts[1:]):  # whole keys; blocks avoid a second copy of a large file
        block = dataset.values[rows]
        with np.errstate(all="ignore"):
            mean = block.mean(axis=1, keepdims=True)
            shapes = np.where(mean > 0, block / mean, np.nan).astype(np.float32)
        parts.append(pd.DataFrame(shapes, copy=False).groupby(key[rows]).median())
    return pd.concat(parts).dropna()


def _compute_lags(shapes: NDArray[np.float32], month: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the shift of every shape against the mean shape of the same calendar month in the last twelve months.

    All of the last twelve months are the reference for a calendar month that is absent from them.
    """
    recent = month > month.max() - 12
    lags = np.zeros(len(shapes), dtype=np.intp)
    for calendar_month in np.unique(month % 12):
        in_month = month % 12 == calendar_month
        reference_rows = recent & in_month
        lags[in_month] = _find_best_lags(
            shapes[in_month], shapes[reference_rows if reference_rows.any() else recent].mean(axis=0)
        )
    return lags


def _find_best_lags(shapes: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the shifts (−12 to 12 hours, in columns) that turn `reference` into each of `shapes`."""
    shape_spectrum = np.fft.rfft(shapes - shapes.mean(axis=1, keepdims=True))
    cross_spectrum = shape_spectrum * np.conj(np.fft.rfft(reference - reference.mean()))
    lags = np.argmax(np.fft.irfft(cross_spectrum, shapes.shape[1]), axis=1)
    return np.where(lags <= shapes.shape[1] // 2, lags, lags - shapes.shape[1])


def find_scaled_months(dataset: Dataset) -> tuple[Floats, list[IssuePeriod]]:
    """Return the factor of every row (1: normal), and the periods of months in another unit.

    A month is scaled if its median differs from the other months of the entity by a factor of about 1,000 or a power of
    it.
    """
    factor = np.ones(len(dataset))
    if not dataset.has_dates or not len(dataset) or not (dataset.profile or len(dataset.columns) == 1):
        return factor, []
    month = pd.DatetimeIndex(dataset.time).to_period("M")
    monthly = pd.Series(np.abs(dataset.row_median)).groupby([dataset.entity_codes, month]).median()
    entity_median = monthly.groupby(level=0).transform("median")
    with np.errstate(all="ignore"):
        ratio = (monthly / entity_median).to_numpy()
        power = np.round(np.log10(ratio) / 3)
        is_scaled = np.isfinite(power) & (power != 0) & (np.abs(np.log10(ratio) - 3 * power) < 0.5)
    if not is_scaled.any():
        return factor, []
    scale = pd.Series(np.where(is_scaled, 10.0 ** (3 * power), 1.0), index=monthly.index)
    factor = scale.reindex(pd.MultiIndex.from_arrays([dataset.entity_codes, month])).to_numpy()
    return factor, _build_periods(dataset, np.where(factor == 1.0, 0.0, factor))


def _build_periods(dataset: Dataset, amount: NDArray[np.intp] | Floats) -> list[IssuePeriod]:
    """Return the runs of rows of an entity with the same `amount`, 0 excluded."""
    order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
    codes, amounts = dataset.entity_codes[order], amount[order]
    is_start = np.append(True, (codes[1:] != codes[:-1]) | (amounts[1:] != amounts[:-1]))
    starts = np.flatnonzero(is_start)
    ends = np.append(starts[1:], len(order)) - 1
    return [
        IssuePeriod(
            dataset.entity[order[first]],
            dataset.time[order[first]],
            dataset.time[order[last]],
            int(last - first + 1),
            float(amounts[first]),
        )
        for first, last in zip(starts, ends, strict=True)
        if amounts[first] != 0
    ]
