"""Series of several entities on one calendar, period by period: the input of forecasters."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.aggregation import Aggregation, choose_aggregation
from core.data.dataset import DAY, Dataset, format_timestamp, make_index
from core.data.frequencies import count_range, extend_periods, get_step, infer_frequency, list_seasons, locate_periods
from core.data.nameless import is_nameless
from core.data.time_zones import HOUR, has_clock_changes, mark_in_changes
from core.errors import DataError
from core.messages import N_

Resolution = Literal["day", "hour", "step"]

MAX_DAYS = 80 * 366  # a longer range of dates comes from a mistyped year
MAX_CELLS = 100_000_000  # periods × entities of a panel of steps; more do not fit into memory
STALE_DAYS = 14  # days for which the last known amount replaces missing ones
MIN_STALE_PERIODS = 2  # of weeks, months … for which the last known amount replaces missing ones
OUTLIER_WINDOW = 15  # days whose median is the usual amount of the day in their middle
WEEK_DAYS, OUTLIER_WEEKS = 7, 3  # the same weekday of so many weeks has a usual amount too
MAX_LOG_RATIO = 1.2  # |log ratio| to both usual amounts above which an amount is an outlier
UTC = "UTC"


@dataclass(frozen=True)
class Panel:
    """Values of periods × entities × times of the day.

    A period is a day; or a week, a month, or the step of the data, if the forecast is made per step. Steps shorter than
    a day are on the local clock, like the data: the two passes of a repeated hour are averaged, and an hour that the
    clock skips is filled from its neighbours. Where local times are not on even steps, such as six hours across a clock
    change, the periods are in UTC.

    periods      start of every period from the first to the last
    entities     names of the entities
    slots        times of a day: ("day",) for one amount per period, else "00:00", "01:00" …
    values       shape (periods, entities, slots), NaN for a missing value
    unit         unit of the values
    is_averaged  True where an amount is a mean (power, temperature), False where it is a sum
    day_start    hour at which a day begins
    frequency    alias of the period in pandas: "D", "W-MON", "MS", "15min" …
    zone         time zone of the clock of `periods`; "" if unknown
    is_guessed   True where sum or mean was guessed from the values, because unit and name say nothing
    is_nameless  True where no column names the only entity

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_index
        >>> hours = pd.date_range("2024-01-01", periods=48, freq="h")
        >>> frame = pd.DataFrame({"gas": [1.0] * 24 + [2.0] * 24}, make_index(["north"] * 48, hours))
        >>> dataset = Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1), unit="MWh")
        >>> Panel.from_dataset(dataset).amounts.ravel().tolist()
        [24.0, 48.0]
        >>> Panel.from_dataset(dataset, "hour").values.shape
        (2, 1, 24)
        >>> steps = Panel.from_dataset(dataset, "step")
        >>> steps.frequency, steps.values.shape, steps.seasons
        ('h', (48, 1, 1), (24, 168, 8766))
    """

    periods: pd.DatetimeIndex
    entities: tuple[str, ...]
    slots: tuple[str, ...]
    values: Floats
    unit: str = ""
    is_averaged: bool = False
    day_start: int = 0
    frequency: str = "D"
    zone: str = ""
    is_guessed: bool = False
    is_nameless: bool = False

    @classmethod
    def from_dataset(
        cls, dataset: Dataset, resolution: Resolution = "day", measure: str = "", aggregation: Aggregation = "auto"
    ) -> "Panel":
        """Build the panel of `dataset`; `measure` names the column to use (default: the first).

        A profile needs no `measure`. With `resolution` "step" every step of the data is a period. `aggregation` tells
        whether values are summed or averaged over a day. Raises DataError for data without dates, a step longer than a
        day (unless "step"), an unknown column, times off the step, and two rows of an entity for one period.
        """
        selected = _select_measure(dataset, measure)
        name = "" if selected.profile else selected.columns[0]
        is_averaged, is_guessed = choose_aggregation(aggregation, selected.unit, name, selected.values)
        if resolution == "step":
            fields = _build_step_fields(selected)
            return cls(**fields, is_averaged=is_averaged, is_nameless=is_nameless(dataset.entities, dataset.files))
        daily_dataset = _to_daily_rows(selected)
        values = daily_dataset.values if daily_dataset.profile else daily_dataset.values[:, :1]
        slots = tuple(daily_dataset.columns) if daily_dataset.profile else ("day",)
        if resolution == "day" and len(slots) > 1:
            values = (values.mean(axis=1) if is_averaged else values.sum(axis=1))[:, None]
        if len(slots) == 1 or resolution == "day":
            slots = ("day",)
        return cls(
            _build_calendar(daily_dataset),
            tuple(daily_dataset.entities),
            slots,
            _build_cube(daily_dataset, values),
            dataset.unit,
            is_averaged,
            dataset.day_start,
            zone=dataset.zone,
            is_guessed=is_guessed and daily_dataset.profile,
            is_nameless=is_nameless(dataset.entities, dataset.files),
        )

    def __len__(self) -> int:
        return len(self.periods)

    @property
    def amounts(self) -> Floats:
        """Amount of every period, shape (periods, entities)."""
        return self.values.mean(axis=2) if self.is_averaged else self.values.sum(axis=2)

    @property
    def step(self) -> pd.Timedelta:
        """Time between two periods; the mean one for months, quarters and years."""
        return get_step(self.frequency)

    @property
    def seasons(self) -> tuple[int, ...]:
        """Lengths in periods of the seasons that a period is a part of: day, week and year."""
        return list_seasons(self.frequency)

    @property
    def season(self) -> int:
        """Periods of the shortest season: a day of hours, a week of days, a year of months; 1 without a season."""
        return self.seasons[0] if self.seasons else 1

    @cached_property
    def training_targets(self) -> Floats:
        """Amounts to train on, shape (periods, entities); NaN for outliers.

        They are compared with the 15 days around them and with the same weekday of the weeks around them.
        """
        return np.where(self._mark_outliers(centred=True) == 0, self.amounts, np.nan)

    @cached_property
    def last_known(self) -> Floats:
        """Last known amount on every day, shape (periods, entities).

        Outliers compared with the 15 days up to the day, and with the same weekday of the weeks before, are skipped. A
        second one in a row, on the same side, is a new level and is not. An amount is repeated for at most 14 days, in
        periods shorter than a day at the same time of the day.
        """
        side = self._mark_outliers(centred=False)
        is_alone = np.ones(side.shape, dtype=bool)
        is_alone[1:] = side[1:] != side[:-1]
        return self.fill_stale(np.where((side != 0) & is_alone, np.nan, self.amounts))

    def fill_stale(self, values: Floats) -> Floats:
        """Return `values` (periods, …) with missing ones replaced by the last known ones of up to 14 days before.

        In periods shorter than a day, the amount of the same time of the day is taken.
        """
        limit = self.stale_periods // self._phase_count
        return self._apply_by_phase(values, lambda table: table.ffill(limit=limit))

    @property
    def stale_periods(self) -> int:
        """Periods for which the last known amount replaces missing ones: those of 14 days, at least two."""
        if self._phase_count > 1:
            return STALE_DAYS * self._phase_count
        return max(int(STALE_DAYS * DAY // self.step), MIN_STALE_PERIODS)

    @property
    def _phase_count(self) -> int:
        """Times of the day in periods of their own; 1 for periods of a day or longer, or off the clock."""
        return self.season if self.step < DAY and DAY % self.step == pd.Timedelta(0) else 1

    @property
    def _has_weeks(self) -> bool:
        """True for periods of a day, or at one time of the day, so that the same weekday is 7 of them before."""
        return self.step == DAY or self._phase_count > 1

    def _apply_by_phase(self, values: Floats, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Floats:
        """Return `values` changed by a function of tables whose rows are the periods at one time of the day."""
        count = self._phase_count
        padded = np.full((len(values) + -len(values) % count, *values.shape[1:]), np.nan)
        padded[: len(values)] = values
        changed = change(pd.DataFrame(padded.reshape(len(padded) // count, -1))).to_numpy()
        return changed.reshape(padded.shape)[: len(values)]

    def _mark_outliers(self, centred: bool) -> Floats:
        """Return 1 for outliers above the usual amount, −1 for those below it, else 0, shape (periods, entities).

        Weeks and longer periods have none: 15 of them span seasons.
        """
        if self.step > DAY:
            return np.zeros(self.amounts.shape)
        return self._apply_by_phase(self.amounts, lambda table: _mark_table_outliers(table, centred, self._has_weeks))

    def select_before(self, time: pd.Timestamp) -> "Panel":
        """Return the periods that begin before `time`."""
        return self._select(slice(int(self.periods.searchsorted(time))))

    def tail(self, count: int) -> "Panel":
        """Return the last `count` periods."""
        return self._select(slice(max(len(self) - count, 0), None))

    def _select(self, selection: slice) -> "Panel":
        return replace(self, periods=self.periods[selection], values=self.values[selection])

    def extend(self, horizon: int) -> "Panel":
        """Return the panel with `horizon` periods of missing values after the last one."""
        periods = self.periods.append(self.list_next_periods(horizon))
        unknown = np.full((horizon, *self.values.shape[1:]), np.nan)
        return replace(self, periods=periods, values=np.concatenate([self.values, unknown]))

    def list_next_periods(self, count: int) -> pd.DatetimeIndex:
        """Return the `count` periods after the last one."""
        return extend_periods(self.periods, count, self.frequency)

    def make_timestamps(self, days: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Return the timestamp of every slot of `days`; hours before `day_start` belong to the next date."""
        if len(self.slots) == 1:
            return days
        offsets = pd.to_timedelta([f"{slot}:00" for slot in self.slots]).to_numpy()
        day_shift = np.where(
            offsets < np.timedelta64(self.day_start, "h"), np.timedelta64(1, "D"), np.timedelta64(0, "D")
        )
        return pd.DatetimeIndex((days.to_numpy()[:, None] + offsets + day_shift).ravel())


def _mark_table_outliers(amounts: pd.DataFrame, centred: bool, has_weeks: bool) -> pd.DataFrame:
    """Return the sides of the outliers in a table whose rows are days; what is usual at weekends is none."""
    side = _find_far_side(amounts, amounts.rolling(OUTLIER_WINDOW, center=centred, min_periods=1).median())
    if has_weeks and side.any():
        weeks = [week for week in range(-OUTLIER_WEEKS if centred else 1, OUTLIER_WEEKS + 1) if week]
        same_weekday = np.stack([amounts.shift(WEEK_DAYS * week).to_numpy() for week in weeks])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # all weeks missing: the median is NaN
            usual = pd.DataFrame(np.nanmedian(same_weekday, axis=0))
        side = np.where(usual.isna() | (_find_far_side(amounts, usual) == side), side, 0.0)
    return pd.DataFrame(side)


def _find_far_side(amounts: pd.DataFrame, usual: pd.DataFrame) -> Floats:
    """Return 1 for amounts far above the usual ones, −1 for those far below, else 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(amounts.to_numpy() / usual.to_numpy())
    is_far = (np.abs(log_ratio) > MAX_LOG_RATIO) & (usual.to_numpy() > 0) & (amounts.to_numpy() > 0)
    return np.where(is_far, np.sign(log_ratio), 0.0)


def _select_measure(dataset: Dataset, measure: str) -> Dataset:
    """Return `dataset` with the single column `measure`, or a profile with all its columns.

    Raises DataError for data without dates and an unknown column.
    """
    if not dataset.has_dates:
        raise DataError(N_("{file} has no dates. A forecast needs dates."), file=", ".join(dataset.files))
    if dataset.profile:
        return dataset
    measure = measure or dataset.columns[0]
    if measure not in dataset.columns:
        raise DataError(
            N_("{file} has no column {value!r}. Columns: {accepted}."),
            file=", ".join(dataset.files),
            value=measure,
            accepted=", ".join(dataset.columns[:20]),
        )
    return dataset.replace(frame=dataset.frame[[measure]], covariates=None, context=None, labels=None)


def _to_daily_rows(dataset: Dataset) -> Dataset:
    """Return one row per entity and day; raise DataError for several rows of one day, or a step longer than a day."""
    if dataset.step is not None and dataset.step > DAY:
        raise DataError(
            N_("{file} has one row every {value}. Daily amounts need at least one row per day."),
            file=", ".join(dataset.files),
            value=str(dataset.step),
        )
    if not dataset.profile and (dataset.step is None or dataset.step < DAY):
        dataset = dataset.to_profile()
    days = make_index(dataset.entity, pd.DatetimeIndex(dataset.time).normalize())
    if days.has_duplicates:
        duplicate = days[days.duplicated()][0]
        raise DataError(
            N_("{file}: {entity} has several rows for {value}. The data doctor can keep one of them."),
            file=", ".join(dataset.files),
            entity=duplicate[0],
            value=str(duplicate[1])[:10],
        )
    return dataset


def _build_calendar(dataset: Dataset) -> pd.DatetimeIndex:
    """Return every day from the first to the last; raise DataError for more than 80 years."""
    days = pd.DatetimeIndex(dataset.time).normalize()
    _check_range(days, "D", 1, dataset.files)
    return pd.date_range(days.min(), days.max(), freq="D")


def _build_cube(dataset: Dataset, values: Floats) -> Floats:
    """Arrange `values` (rows, columns) as (days, entities, columns), NaN for absent rows."""
    days = pd.DatetimeIndex(dataset.time).normalize()
    day_positions = (days - days.min()).days.to_numpy()
    cube = np.full((day_positions.max() + 1, len(dataset.entities), values.shape[1]), np.nan)
    cube[day_positions, dataset.entity_codes] = values
    return cube


def _check_range(times: pd.DatetimeIndex, frequency: str, entity_count: int, files: tuple[str, ...]) -> None:
    """Raise DataError for more than 80 years of days or shorter steps, or more cells than fit into memory."""
    is_long = (times.max() - times.min()) / DAY > MAX_DAYS and get_step(frequency) <= DAY
    if is_long or count_range(times, frequency) * entity_count > MAX_CELLS:
        raise DataError(
            N_("{file}: the dates range from {start} to {end}, which is too long. Check the first and the last date."),
            file=", ".join(files),
            start=str(times.min())[:10],
            end=str(times.max())[:10],
        )


# ---- one period per step --------------------------------------------------------------------------------------------


def _build_step_fields(dataset: Dataset) -> dict[str, Any]:
    """Return the fields of a panel with one period per step.

    Raises DataError for a dataset without an even step, a time off the step, and two rows of an entity for one period.
    """
    dataset = dataset.to_series()
    if dataset.step is None:
        raise DataError(N_("{file}: the rows have no regular time step."), file=", ".join(dataset.files))
    times, zone = pd.DatetimeIndex(dataset.time), dataset.zone
    frequency = infer_frequency(times, dataset.step)
    _check_range(times, frequency, len(dataset.entities), dataset.files)
    periods, positions, is_off = locate_periods(times, frequency)
    if is_off.any() and has_clock_changes(zone):  # six-hour steps shift with the clock, but not in UTC
        times, zone = dataset.compute_instants(), UTC
        periods, positions, is_off = locate_periods(times, frequency)
    if is_off.any():
        raise DataError(
            N_("The time {value} does not match the step of {step}. The data doctor can align the times."),
            value=str(dataset.time[int(np.flatnonzero(is_off)[0])]),
            step=str(dataset.step),
        )
    _check_single_rows(dataset, positions)
    values = _build_step_cube(dataset, positions, len(periods))
    if zone != UTC and has_clock_changes(zone) and dataset.step < DAY:
        values = _fill_skipped_steps(values, periods, dataset.step, zone)
    return {
        "periods": periods,
        "entities": tuple(dataset.entities),
        "slots": ("day",),
        "values": values[:, :, None],
        "unit": dataset.unit,
        "frequency": frequency,
        "zone": zone,
    }


def _check_single_rows(dataset: Dataset, positions: NDArray[np.int64]) -> None:
    """Raise DataError for two rows of an entity in one period; the passes of a repeated hour are no such rows."""
    keys = pd.DataFrame({"entity": dataset.entity_codes, "period": positions, "fold": dataset.is_second_pass})
    repeated = np.flatnonzero(keys.duplicated())
    if len(repeated):
        raise DataError(
            N_("{file}: {entity} has several rows for {value}. The data doctor can keep one of them."),
            file=", ".join(dataset.files),
            entity=dataset.entity[repeated[0]],
            value=format_timestamp(dataset.time[repeated[0]]),
        )


def _build_step_cube(dataset: Dataset, positions: NDArray[np.int64], count: int) -> Floats:
    """Return the values as (periods, entities), NaN for absent rows; the two passes of a repeated hour are averaged."""
    values, cells = dataset.values[:, 0], (positions, dataset.entity_codes)
    is_known = np.isfinite(values)
    sums, counts = np.zeros((2, count, len(dataset.entities)))
    np.add.at(sums, cells, np.where(is_known, values, 0.0))
    np.add.at(counts, cells, is_known)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _fill_skipped_steps(values: Floats, periods: pd.DatetimeIndex, step: pd.Timedelta, zone: str) -> Floats:
    """Return `values` with the steps that the clock skips filled from the steps before and after."""
    is_skipped = mark_in_changes(periods, zone, is_repeated=False)
    if not is_skipped.any():
        return values
    filled = pd.DataFrame(values).interpolate(limit=math.ceil(HOUR / step), limit_area="inside").to_numpy()
    return np.where(is_skipped[:, None] & np.isnan(values), filled, values)
