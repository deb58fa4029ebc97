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

from core.data.dataset import BLOCK_ROWS, DAY, Dataset

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]

SPIKE = 2.5  # times the larger neighbour
DOUBLE = 1.25  # autumn, hour counted twice: times the mean of its neighbours
COLLAPSED = 0.5  # spring, hour that does not exist: times the smaller neighbour
GROSS = 20  # times the width (5 % to 95 % quantile) of the values of the entity
RARE = 0.001  # share of cells above which a pattern is normal for the series, not an issue
TOTAL_TOLERANCE = 0.001  # share of the declared total


class Cells(NamedTuple):
    """Cells of a dataset: the row and the column of each."""

    rows: Rows
    columns: Rows


NO_CELLS = Cells(np.zeros(0, np.intp), np.zeros(0, np.intp))


def joined(found: list[Cells]) -> Cells:
    """Concatenate lists of cells."""
    if not found:
        return NO_CELLS
    return Cells(np.concatenate([each.rows for each in found]), np.concatenate([each.columns for each in found]))


# ---- rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gap:
    """Absent timestamps between two rows of an entity."""

    entity: str
    after: pd.Timestamp
    before: pd.Timestamp
    missing: int


def row_step(dataset: Dataset) -> pd.Timedelta | None:
    """Return the time from one row of an entity to the next."""
    return DAY if dataset.profile else dataset.step


def gaps(dataset: Dataset) -> list[Gap]:
    """Return the gaps between the rows of each entity.

    A pause that occurs on a tenth of the days (nights, weekends) is no gap.
    """
    step = row_step(dataset)
    if not dataset.dated or step is None or not len(dataset):
        return []
    order, same, waited = _neighbouring(dataset)
    missing = np.flatnonzero(same & (waited > step))
    if not len(missing):
        return []
    lengths = pd.Series(waited[missing])
    days = pd.DatetimeIndex(dataset.time).normalize().nunique() * len(dataset.entities)
    regular = lengths.value_counts()
    regular = regular[regular >= max(5, 0.1 * days)].index
    missing = missing[~lengths.isin(regular).to_numpy()]
    return [
        Gap(
            dataset.entity[order[at]],
            dataset.time[order[at]],
            dataset.time[order[at + 1]],
            int(waited[at] / step) - (waited[at] % step == pd.Timedelta(0)),
        )
        for at in missing
    ]


def _neighbouring(dataset: Dataset) -> tuple[Rows, NDArray[np.bool_], "pd.TimedeltaIndex"]:
    """Return rows by entity and time, and two facts about each but the last.

    The facts are: the next row has the same entity, and the time to the next row.
    """
    order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
    times, codes = pd.DatetimeIndex(dataset.time)[order], dataset.entity_codes[order]
    return order, codes[1:] == codes[:-1], times[1:] - times[:-1]


def off_grid(dataset: Dataset) -> Rows:
    """Return rows of a series whose timestamp is no multiple of the usual step."""
    if dataset.profile or not dataset.dated or dataset.step is None:
        return NO_CELLS.rows
    times = pd.DatetimeIndex(dataset.time)
    since = (times - times.normalize()).to_numpy()
    return np.flatnonzero(since % np.timedelta64(min(dataset.step, DAY)) != np.timedelta64(0))


def duplicates(dataset: Dataset) -> Rows:
    """Return rows whose entity and timestamp occur in an earlier row."""
    return np.flatnonzero(dataset.frame.index.duplicated()) if dataset.dated else NO_CELLS.rows


def contradicting_totals(dataset: Dataset) -> Rows:
    """Return complete rows of a profile whose sum differs from the declared total by more than 0.1 %."""
    if not dataset.profile or dataset.context is None or "total" not in dataset.context:
        return NO_CELLS.rows
    declared = dataset.context["total"].to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.concatenate([block.sum(axis=1) for _, block in dataset.blocks()])
        apart = np.abs(sums - declared) > TOTAL_TOLERANCE * np.abs(declared)
    return np.flatnonzero(apart & ~np.isnan(declared) & ~np.isnan(sums))


def clock_change_rows(dataset: Dataset, month: int) -> Rows:
    """Return rows of a profile with the European clock change of `month` 3 or 10 (last Sunday, 02:00)."""
    if not dataset.profile or not dataset.dated:
        return NO_CELLS.rows
    days = pd.DatetimeIndex(dataset.time)
    night = days + (DAY if dataset.day_start > 2 else pd.Timedelta(0))
    return np.flatnonzero((night.month == month) & (night.dayofweek == 6) & (night.day > 24))


def unchanging(dataset: Dataset) -> list[str]:
    """Return the names of measurements with one value, or with none."""
    low, high = np.full(len(dataset.columns), np.inf), np.full(len(dataset.columns), -np.inf)
    for _, block in dataset.blocks():
        low, high = np.fmin(low, np.fmin.reduce(block, axis=0)), np.fmax(high, np.fmax.reduce(block, axis=0))
    return [column for column, changes in zip(dataset.columns, low < high, strict=True) if not changes]


# ---- cells ----------------------------------------------------------------------------------------------------------


def gross_outliers(dataset: Dataset) -> Cells:
    """Return cells that differ from the median of the entity by more than 20 times the width of its values.

    The width is the distance between the 5 % and the 95 % quantile. No cell is returned if there are many.
    """
    median, width = dataset.ordinary
    found = []
    for rows, block in dataset.blocks():
        code = dataset.entity_codes[rows]
        with np.errstate(invalid="ignore"):
            far = (np.abs(block - median[code]) > GROSS * width[code]) & (width[code] > 0)
        at = np.argwhere(far)
        found.append(Cells(at[:, 0] + rows.start, at[:, 1]))
    return _if_rare(joined(found), dataset)


def isolated_spikes(dataset: Dataset) -> Cells:
    """Return cells above 2.5 times both neighbours in time, by more than a tenth of the median of the entity.

    No cell is returned if there are many.
    """
    median, _ = dataset.ordinary
    found = []
    for rows, block, before, after in _with_neighbours(dataset):
        with np.errstate(invalid="ignore", over="ignore"):
            larger = np.maximum(before, after)
            spike = (block > SPIKE * larger) & (larger > 0)
            spike &= block - larger > 0.1 * np.abs(median[dataset.entity_codes[rows]])
        at = np.argwhere(spike)
        found.append(Cells(rows[at[:, 0]], at[:, 1]))
    return _if_rare(joined(found), dataset)


def _if_rare(cells: Cells, dataset: Dataset) -> Cells:
    """Return `cells`, or none if they are more than three and more than 0.1 % of all cells."""
    return cells if len(cells.rows) <= max(3, RARE * dataset.frame.size) else NO_CELLS


def _with_neighbours(dataset: Dataset) -> Iterator[tuple[Rows, Floats, Floats, Floats]]:
    """Yield row numbers, their values, and the values before and after in time (NaN at the ends)."""
    if dataset.profile:
        for rows, block in dataset.blocks():
            yield np.arange(rows.start, rows.stop), block, *beside(block)
        return
    order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
    values, codes = dataset.values[order], dataset.entity_codes[order]
    before, after = np.full_like(values, np.nan), np.full_like(values, np.nan)
    same = (codes[1:] == codes[:-1])[:, None]
    before[1:] = np.where(same, values[:-1], np.nan)
    after[:-1] = np.where(same, values[1:], np.nan)
    yield order, values, before, after


def beside(block: Floats) -> tuple[Floats, Floats]:
    """Return the column before and the column after each cell of a profile; NaN at both ends of the row."""
    before, after = np.full_like(block, np.nan), np.full_like(block, np.nan)
    before[:, 1:], after[:, :-1] = block[:, :-1], block[:, 1:]
    return before, after


def zero_hours(dataset: Dataset) -> Cells:
    """Return near-zero hours of the day of the spring clock change.

    Near zero means below 1 unit and below 1 % of the median of the entity, with a neighbour over ten times this limit.
    """
    rows = clock_change_rows(dataset, 3)
    if not len(rows):
        return NO_CELLS
    median, _ = dataset.ordinary
    limit = np.minimum(1.0, 0.01 * np.abs(median))[dataset.entity_codes[rows]]
    block = dataset.values[rows]
    before, after = beside(block)
    with np.errstate(invalid="ignore"):
        near_zero = (np.abs(block) < limit) & (np.fmax(before, after) > 10 * limit)
    at = np.argwhere(near_zero)
    return Cells(rows[at[:, 0]], at[:, 1])


def collapsed_hours(dataset: Dataset) -> Cells:
    """Return hours of the day of the spring clock change below half of both neighbours, but not near zero.

    The missing hour may spread over two hours, so a near-zero hour does not count as a neighbour.
    """
    rows = clock_change_rows(dataset, 3)
    block = dataset.values[rows]
    zero = zero_hours(dataset)
    block[np.searchsorted(rows, zero.rows), zero.columns] = np.nan
    before, after = beside(block)
    with np.errstate(invalid="ignore"):
        at = np.argwhere(block < COLLAPSED * np.fmin(before, after))
    return Cells(rows[at[:, 0]], at[:, 1])


def double_hours(dataset: Dataset) -> Cells:
    """Return hours of the day of the autumn clock change that hold two hours.

    They exceed the mean of both neighbours by 25 % and the larger neighbour by 10 %.
    """
    rows = clock_change_rows(dataset, 10)
    block = dataset.values[rows]
    before, after = beside(block)
    with np.errstate(invalid="ignore"):
        at = np.argwhere((block > DOUBLE * (before + after) / 2) & (block > 1.1 * np.maximum(before, after)))
    return Cells(rows[at[:, 0]], at[:, 1])


# ---- periods --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """Period in which the rows of an entity have one issue.

    amount  shift in columns (`shifted_hours`), or the factor by which values are too large (`scaled_months`)
    """

    entity: str
    start: pd.Timestamp
    end: pd.Timestamp
    rows: int
    amount: float


def shifted_hours(dataset: Dataset) -> tuple[NDArray[np.intp], list[Stretch]]:
    """Return the shift of the hour labels of every row of a profile, in columns (0: no shift), and the shifted periods.

    The typical shape of each entity and month (hours over their mean) is compared with a reference. The reference is
    the mean shape of the same calendar month in the last twelve months of all entities. The circular shift with the
    highest correlation counts from three hours on, if it is at most two hours from the most frequent shift.
    """
    none = np.zeros(len(dataset), dtype=np.intp)
    if not dataset.profile or not dataset.dated or len(dataset) < 60:
        return none, []
    months = pd.DatetimeIndex(dataset.time).year.to_numpy() * 12 + pd.DatetimeIndex(dataset.time).month.to_numpy() - 1
    key = dataset.entity_codes.astype(np.int64) * 100_000 + months
    shapes = _typical_shapes(dataset, key)
    lags = _lags(shapes.to_numpy(), shapes.index.to_numpy() % 100_000)
    per_hour = len(dataset.columns) // 24
    shifted = np.abs(lags) >= 3 * per_hour
    if not shifted.any():
        return none, []
    usual = int(pd.Series(lags[shifted]).mode().iloc[0])
    lag = pd.Series(np.where(shifted & (np.abs(lags - usual) <= 2 * per_hour), usual, 0), index=shapes.index)
    per_row = lag.reindex(key).fillna(0).to_numpy().astype(np.intp)
    return per_row, _stretches(dataset, per_row)


def _typical_shapes(dataset: Dataset, key: NDArray[np.int64]) -> pd.DataFrame:
    """Return the median of the hours over the mean of the row, per key.

    Only complete rows with a positive mean are used.
    """
    order = np.argsort(key, kind="stable")
    firsts = np.flatnonzero(np.diff(key[order], prepend=-1))
    cuts = firsts[np.unique(np.searchsorted(firsts, np.arange(0, len(order), BLOCK_ROWS), side="right") - 1)]
    parts = []
    for rows in np.split(order, cuts[1:]):  # whole keys; blocks avoid a second copy of a large file
        block = dataset.values[rows]
        with np.errstate(all="ignore"):
            mean = block.mean(axis=1, keepdims=True)
            shapes = np.where(mean > 0, block / mean, np.nan).astype(np.float32)
        parts.append(pd.DataFrame(shapes, copy=False).groupby(key[rows]).median())
    return pd.concat(parts).dropna()


def _lags(shapes: NDArray[np.float32], month: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the shift of every shape against the mean shape of the same calendar month in the last twelve months.

    All of the last twelve months are the reference for a calendar month that is absent from them.
    """
    recent = month > month.max() - 12
    lags = np.zeros(len(shapes), dtype=np.intp)
    for calendar in np.unique(month % 12):
        mine = month % 12 == calendar
        same = recent & mine
        lags[mine] = _best_lags(shapes[mine], shapes[same if same.any() else recent].mean(axis=0))
    return lags


def _best_lags(shapes: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the shifts (−12 to 12 hours, in columns) that turn `reference` into each of `shapes`."""
    apart = np.fft.rfft(shapes - shapes.mean(axis=1, keepdims=True))
    spectrum = apart * np.conj(np.fft.rfft(reference - reference.mean()))
    lags = np.argmax(np.fft.irfft(spectrum, shapes.shape[1]), axis=1)
    return np.where(lags <= shapes.shape[1] // 2, lags, lags - shapes.shape[1])


def scaled_months(dataset: Dataset) -> tuple[Floats, list[Stretch]]:
    """Return the factor of every row (1: normal), and the periods of months in another unit.

    A month is scaled if its median differs from the other months of the entity by a factor of about 1,000 or a power of
    it.
    """
    factor = np.ones(len(dataset))
    if not dataset.dated or not len(dataset) or not (dataset.profile or len(dataset.columns) == 1):
        return factor, []
    month = pd.DatetimeIndex(dataset.time).to_period("M")
    monthly = pd.Series(np.abs(dataset.row_median)).groupby([dataset.entity_codes, month]).median()
    usual = monthly.groupby(level=0).transform("median")
    with np.errstate(all="ignore"):
        ratio = (monthly / usual).to_numpy()
        power = np.round(np.log10(ratio) / 3)
        wrong = np.isfinite(power) & (power != 0) & (np.abs(np.log10(ratio) - 3 * power) < 0.5)
    if not wrong.any():
        return factor, []
    scale = pd.Series(np.where(wrong, 10.0 ** (3 * power), 1.0), index=monthly.index)
    factor = scale.reindex(pd.MultiIndex.from_arrays([dataset.entity_codes, month])).to_numpy()
    return factor, _stretches(dataset, np.where(factor == 1.0, 0.0, factor))


def _stretches(dataset: Dataset, amount: NDArray[np.intp] | Floats) -> list[Stretch]:
    """Return the runs of rows of an entity with the same `amount`, 0 excluded."""
    order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
    codes, amounts = dataset.entity_codes[order], amount[order]
    new = np.append(True, (codes[1:] != codes[:-1]) | (amounts[1:] != amounts[:-1]))
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(order)) - 1
    return [
        Stretch(
            dataset.entity[order[first]],
            dataset.time[order[first]],
            dataset.time[order[last]],
            int(last - first + 1),
            float(amounts[first]),
        )
        for first, last in zip(starts, ends, strict=True)
        if amounts[first] != 0
    ]
