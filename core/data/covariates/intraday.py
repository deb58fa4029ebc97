"""Covariates at the times of the day: from files with several values a day, on the steps of the data.

They are held as deviations from the value of the day. A scenario that changes the day then moves all its times.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.column_names import takes_largest
from core.data.dataset import DAY, Dataset
from core.data.time_zones import HOUR

Cube = NDArray[np.float64]

MIN_DAY_VALUES = 4  # of a day, from which on values count at their times
MAX_FILE_STEP = pd.Timedelta(hours=6)  # of a file whose values are interpolated to the steps of the data
MIN_CHANGE_SHARE = 1e-9  # of the size of the values, by which a covariate changes within a day


@dataclass(frozen=True)
class IntradayValues:
    """Deviations of covariates at the times of a day from the value of the day.

    columns    column → (entities, days, slots), NaN where unknown; slots of equal length, the first at midnight
    day_start  hour at which a day begins; slots before it lie on the next date
    zone       time zone of the clock; "" if unknown
    """

    columns: Mapping[str, Cube]
    day_start: int = 0
    zone: str = ""

    @property
    def slots(self) -> int:
        """Number of slots of a day; 0 without a column."""
        return next((values.shape[2] for values in self.columns.values()), 0)


@dataclass(frozen=True)
class DayGrid:
    """Days, each divided into `slots` from the hour `day_start` on."""

    days: pd.DatetimeIndex
    slots: int
    day_start: int = 0

    @property
    def step(self) -> pd.Timedelta:
        """Length of a slot."""
        return DAY / self.slots

    def locate(self, times: pd.DatetimeIndex) -> NDArray[np.intp]:
        """Return the position of every time among all slots of all days, in order of time; −1 outside."""
        first = self.days[0] + pd.Timedelta(hours=self.day_start)
        positions = np.asarray((times - first) // self.step, dtype=np.intp)
        return np.where((positions >= 0) & (positions < len(self.days) * self.slots), positions, -1)


def count_slots(dataset: Dataset) -> int:
    """Return the steps of a day of `dataset`; 0 for steps that are no part of a day, or longer than six hours."""
    if dataset.step is None or dataset.step > DAY / MIN_DAY_VALUES or DAY % dataset.step != pd.Timedelta(0):
        return 0
    return int(DAY / dataset.step)


def build_intraday(
    values: pd.DataFrame, times: pd.DatetimeIndex, places: NDArray[np.object_], written_places: NDArray[np.object_]
) -> pd.DataFrame | None:
    """Return the numbers of a file at their times, one row per place and time; None without several values a day.

    Several `written_places` that are one place have the same weight.
    """
    columns = [column for column in values.columns if not takes_largest(column)]
    keys = pd.DataFrame({"place": places, "time": times}).drop_duplicates()
    counts = keys.groupby([keys["place"], keys["time"].dt.normalize()]).size()
    if not columns or counts.median() < MIN_DAY_VALUES:
        return None
    index = [pd.Index(places, name="place"), times.rename("time")]
    means = values[columns].groupby([*index, pd.factorize(written_places)[0]]).mean()
    return means.groupby(level=["place", "time"]).mean().astype(float)


def compute_deviations(
    rows: NDArray[np.float64], groups: NDArray[np.intp], times: pd.DatetimeIndex, daily: Cube, grid: DayGrid
) -> Cube:
    """Return the deviations of every slot from the value of its day, (groups, days, slots, columns).

    `rows` (rows, columns) belong to `groups` (rows,; −1 for none) and `times`. `daily` has the values of the days,
    (groups, days, columns). Values of a slot are averaged. Slots between the values of a file are interpolated.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=1)
        >>> times = pd.date_range("2024-01-01", periods=4, freq="6h")
        >>> rows, groups = np.array([[0.0], [6.0], [12.0], [6.0]]), np.zeros(4, dtype=int)
        >>> compute_deviations(rows, groups, times, np.full((1, 1, 1), 6.0), DayGrid(days, 8)).ravel().tolist()
        [-6.0, -3.0, 0.0, 3.0, 6.0, 3.0, 0.0, nan]
    """
    count, columns = len(grid.days) * grid.slots, rows.shape[1]
    positions = grid.locate(times)
    is_used = (positions >= 0) & (groups >= 0)
    cells = groups[is_used] * count + positions[is_used]
    means = np.empty((len(daily) * count, columns))
    for column in range(columns):
        values = rows[is_used, column]
        is_known = np.isfinite(values)
        sums, counts = (
            np.bincount(cells[is_known], weights=weights, minlength=len(means))
            for weights in (values[is_known], np.ones(int(is_known.sum())))
        )
        means[:, column] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    limit = int(np.ceil(max(_measure_step(groups, times), HOUR) / grid.step))
    filled = _interpolate(means.reshape(len(daily), count, columns), limit)
    deviations = filled.reshape(len(daily), len(grid.days), grid.slots, columns) - daily[:, :, None]
    return np.roll(deviations, grid.day_start * grid.slots // 24, axis=2)


def select_changing(deviations: Cube, columns: list[str], daily: Cube) -> dict[str, Cube]:
    """Return column → deviations (groups, days, slots) of the columns that change within a day."""
    changing = {}
    for number, column in enumerate(columns):
        values, sizes = deviations[..., number], np.abs(daily[..., number])
        largest = np.abs(values)[np.isfinite(values)].max(initial=0.0)
        if largest > MIN_CHANGE_SHARE * max(sizes[np.isfinite(sizes)].max(initial=0.0), 1.0):
            changing[column] = values
    return changing


def _measure_step(groups: NDArray[np.intp], times: pd.DatetimeIndex) -> pd.Timedelta:
    """Return the usual time between two rows of a group, at most six hours."""
    first = times[groups == groups.max(initial=-1)].unique().sort_values()
    return min(pd.Timedelta((first[1:] - first[:-1]).median()), MAX_FILE_STEP) if len(first) > 1 else MAX_FILE_STEP


def _interpolate(values: Cube, limit: int) -> Cube:
    """Return values (groups, times, columns) with gaps of at most `limit` times filled from both sides."""
    if not np.isnan(values).any():
        return values
    groups, count, columns = values.shape
    table = values.transpose(1, 0, 2).reshape(count, -1)
    is_known, rows = np.isfinite(table), np.arange(count)[:, None]
    before = np.maximum.accumulate(np.where(is_known, rows, -1), axis=0)
    after = np.minimum.accumulate(np.where(is_known, rows, count)[::-1], axis=0)[::-1]
    is_filled = ~is_known & (before >= 0) & (after < count) & (after - before <= limit + 1)
    spread = pd.DataFrame(table).interpolate(limit_area="inside").to_numpy()
    filled = np.where(is_filled, spread, table)
    return np.asarray(filled.reshape(count, groups, columns).transpose(1, 0, 2))
