"""Check of level jumps: the level of a series changes within a day by a large factor and stays."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.quality.checks import Rows, find_scaled_months
from core.data.quality.runs import clear_runs
from core.data.quality.time_grid import WEEK_DAYS, TimeGrid, iter_grids

LEVEL_DAYS = 28  # that a level lasts on both sides of its jump
MIN_JUMP_FACTOR = 2.0  # between two levels of a positive series
USUAL_CHANGE_RATIO = 2.0  # times the change from week to week that three of four days do not exceed
SIGNED_WIDTH_RATIO = 2.0  # times the width of four weeks, for a series that is not positive, such as a temperature
MIN_SIDE_SHARE = 0.9  # of the days on either side, that lie on their side of the middle between both levels
MAX_SLOW_SHARE = 0.4  # of a jump, that the level may change in the week before it and in the second week after it
SUDDEN_PARTS = 12  # of a day: a jump is complete in one of them (two hours)
UNDATED_DAY_STEPS = 24  # rows that count as a day where a series has no dates


@dataclass(frozen=True)
class LevelJump:
    """First row of a new level of an entity, and the median of the daily means on both sides of it.

    column  name of the measurement; "" for a profile
    """

    row: int
    column: str
    before: float
    after: float


def find_level_jumps(dataset: Dataset) -> list[LevelJump]:
    """Return the abrupt and lasting changes of level.

    There are none in a dataset with months in another unit: `find_scaled_months` reports those.
    """
    jumps = [jump for grid in iter_grids(dataset) for jump in _find_grid_jumps(dataset, grid)]
    return jumps if jumps and not find_scaled_months(dataset)[1] else []


def _find_grid_jumps(dataset: Dataset, grid: TimeGrid) -> list[LevelJump]:
    day_steps = grid.day_steps or UNDATED_DAY_STEPS
    if grid.values.shape[1] < 2 * LEVEL_DAYS * day_steps:
        return []
    values = clear_runs(grid)
    days = _compute_daily_means(values, day_steps)
    jumps: dict[tuple[int, str], LevelJump] = {}
    for series, day in zip(*find_day_jumps(days), strict=True):
        step = _locate_step(values[series], int(day), day_steps)
        (row,), (column,) = grid.locate(np.array([series]), np.array([step]))
        before, after = _get_sides(days[series], day)
        if row >= 0 and _is_sudden(values[series], step, grid.lags[0] if grid.lags else day_steps, before, after):
            name = "" if grid.profile else dataset.columns[column]
            jump = LevelJump(int(row), name, float(np.nanmedian(before)), float(np.nanmedian(after)))
            jumps.setdefault((jump.row, name), jump)
    return list(jumps.values())


def _compute_daily_means(values: Floats, day_steps: int) -> Floats:
    """Return the mean of every whole day, shape (series, days); NaN where half of it or more is unknown."""
    count = values.shape[1] // day_steps
    days = values[:, : count * day_steps].reshape(len(values), count, day_steps)
    known_counts = (~np.isnan(days)).sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.where(2 * known_counts > day_steps, np.nansum(days, axis=2) / known_counts, np.nan)


def _get_sides(levels: Floats, day: int) -> tuple[Floats, Floats]:
    """Return the days before and after the day of a jump. The day itself may be partly old and partly new."""
    return levels[max(day - LEVEL_DAYS, 0) : day], levels[day + 1 : day + 1 + LEVEL_DAYS]


def find_day_jumps(days: Floats) -> tuple[Rows, Rows]:
    """Return series and day of the jumps of daily means, shape (series, days).

    The means of the weeks before and after the day differ by `MIN_JUMP_FACTOR`, and by more than usual. The days of
    four weeks lie on their side of the middle, and the change happens in one or two days, not over a week as a season
    does. Differences replace factors in a series that is not positive; they exceed `SIGNED_WIDTH_RATIO`.

    Example:
        >>> days = np.random.default_rng(0).normal(100, 2, size=(1, 120))
        >>> days[0, 60:] *= 3
        >>> series, day = find_day_jumps(days)
        >>> series.tolist(), (abs(day - 60) <= 1).tolist()
        ([0], [True])
    """
    none = np.zeros(0, np.intp), np.zeros(0, np.intp)
    if days.shape[1] < 2 * LEVEL_DAYS:
        return none
    is_positive = np.asarray(~(days <= 0).any(axis=1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        levels = np.where(is_positive, np.log(np.abs(days)), days)
    weekly = sliding_window_view(levels, WEEK_DAYS, axis=1).mean(axis=2)  # largest exactly at a jump, unlike medians
    sizes = np.zeros(days.shape)
    sizes[:, WEEK_DAYS:-WEEK_DAYS] = np.abs(weekly[:, WEEK_DAYS + 1 :] - weekly[:, : -WEEK_DAYS - 1])
    sizes = np.nan_to_num(sizes)
    usual = np.quantile(sizes[:, WEEK_DAYS:-WEEK_DAYS], 0.75, axis=1)[:, None]
    is_large = sizes > np.fmax(USUAL_CHANGE_RATIO * usual, np.where(is_positive, np.log(MIN_JUMP_FACTOR), 0.0))
    padded = np.pad(sizes, ((0, 0), (WEEK_DAYS, WEEK_DAYS)))
    is_largest = sizes == sliding_window_view(padded, 2 * WEEK_DAYS + 1, axis=1).max(axis=2)
    places = [
        (series, day)
        for series, day in zip(*np.nonzero(is_large & is_largest), strict=True)
        if _is_level_jump(
            levels[series], day, sizes[series, day], 0.0 if is_positive[series].item() else SIGNED_WIDTH_RATIO
        )
    ]
    return (np.array([series for series, _ in places]), np.array([day for _, day in places])) if places else none


def _is_level_jump(levels: Floats, day: int, size: float, width_ratio: float) -> bool:
    """Return True if both levels last, and lie on both sides of one or two days of change.

    The jump also exceeds `width_ratio` times the width (10 % to 90 % quantile) of either level.
    """
    before, after = _get_sides(levels, day)
    if min(np.isfinite(before).sum(), np.isfinite(after).sum()) < MIN_SIDE_SHARE * LEVEL_DAYS:
        return False
    low, high = sorted((before, after), key=np.nanmedian)
    middle = (np.nanmedian(low) + np.nanmedian(high)) / 2
    if min(np.mean(low[~np.isnan(low)] < middle), np.mean(high[~np.isnan(high)] > middle)) < MIN_SIDE_SHARE:
        return False
    widths = [np.subtract(*np.nanquantile(side, (0.9, 0.1))) for side in (before, after)]
    if size < width_ratio * max(widths):
        return False
    slow_changes = [np.nanmedian(side[-WEEK_DAYS:]) - np.nanmedian(side[-2 * WEEK_DAYS : -WEEK_DAYS])
                    for side in (before, after[::-1])]  # fmt: skip
    weekly_changes = np.abs(levels[day + 1 : day + WEEK_DAYS] - levels[day + 1 - WEEK_DAYS : day])
    is_slow = np.abs(slow_changes).max() > MAX_SLOW_SHARE * size
    return not is_slow and bool(np.nanmin(weekly_changes) > size / 2)


def _is_sudden(values: Floats, step: int, lag: int, before: Floats, after: Floats) -> bool:
    """Return True if most of the jump happens at `step`: compared with one `lag` earlier, nothing changes before it.

    A cold front or a holiday takes hours; a new meter does not.
    """
    width = max(1, lag // SUDDEN_PARTS)
    if step - width - lag < 0 or step + width > len(values):
        return False
    old, new = (values[first : first + width] for first in (step - width, step))
    old_reference, new_reference = (values[first - lag : first - lag + width] for first in (step - width, step))
    size = np.nanmedian(after) - np.nanmedian(before)
    with np.errstate(invalid="ignore", divide="ignore"):
        if min(np.nanmin(before), np.nanmin(after)) > 0:  # factors
            size = np.log(np.nanmedian(after) / np.nanmedian(before))
            earlier, later = np.median(np.log(old / old_reference)), np.median(np.log(new / new_reference))
        else:
            earlier, later = np.median(old - old_reference), np.median(new - new_reference)
    return bool(abs(earlier) < MAX_SLOW_SHARE * abs(size) and later / size > 1 - MAX_SLOW_SHARE)


def _locate_step(values: Floats, day: int, day_steps: int) -> int:
    """Return the step near `day` at which the means of the days before and after differ most."""
    known = ~np.isnan(values)
    sums, counts = (np.cumsum(np.append(0.0, part)) for part in (np.nan_to_num(values), known))
    steps = np.arange(max(day - 1, 1) * day_steps, min((day + 2) * day_steps, len(values) - day_steps) + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        before = (sums[steps] - sums[steps - day_steps]) / (counts[steps] - counts[steps - day_steps])
        after = (sums[steps + day_steps] - sums[steps]) / (counts[steps + day_steps] - counts[steps])
        differences = np.where(known[np.minimum(steps, len(values) - 1)], np.abs(after - before), -1.0)
    return int(steps[np.argmax(np.nan_to_num(differences, nan=-1.0))])
