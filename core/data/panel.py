"""Series of several entities on one calendar, day by day: the input of forecasters."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.dataset import DAY, Dataset, make_index
from core.data.nameless import is_nameless
from core.errors import DataError
from core.messages import N_

Resolution = Literal["day", "hour"]

MAX_DAYS = 80 * 366  # a longer range of dates comes from a mistyped year
STALE_DAYS = 14  # days for which the last known amount replaces missing ones
MAX_LOG_RATIO = 1.2  # |log ratio| to the median of 15 days above which an amount is an outlier
AVERAGED_UNITS = (
    "W",
    "kW",
    "MW",
    "GW",
    "TW",
    "°C",
    "%",
    "ms",
    "s",
)  # averaged over a day; amounts in other units are summed


@dataclass(frozen=True)
class Panel:
    """Values of periods × entities × times of the day.

    A period is a day; or a week, a month, or the step of the data, if the forecast is made per step.

    periods      start of every period from the first to the last
    entities     names of the entities
    slots        times of a day: ("day",) for one amount per period, else "00:00", "01:00" …
    values       shape (periods, entities, slots), NaN for a missing value
    unit         unit of the values
    is_averaged  True where an amount is a mean (power, temperature), False where it is a sum
    day_start    hour at which a day begins
    frequency    alias of the period in pandas: "D", "W-MON", "MS", "15min" …
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
    """

    periods: pd.DatetimeIndex
    entities: tuple[str, ...]
    slots: tuple[str, ...]
    values: Floats
    unit: str = ""
    is_averaged: bool = False
    day_start: int = 0
    frequency: str = "D"
    is_nameless: bool = False

    @classmethod
    def from_dataset(cls, dataset: Dataset, resolution: Resolution = "day", measure: str = "") -> "Panel":
        """Build the panel of `dataset`; `measure` names the column to use (default: the first).

        A profile needs no `measure`. Raises DataError for data without dates, a step longer than a day, an unknown
        column, and two rows of an entity for one day or timestamp.
        """
        daily_dataset = _to_daily_rows(_select_measure(dataset, measure))
        is_averaged = daily_dataset.unit in AVERAGED_UNITS
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
            is_nameless=is_nameless(dataset.entities, dataset.files),
        )

    def __len__(self) -> int:
        return len(self.periods)

    @property
    def amounts(self) -> Floats:
        """Amount of every period, shape (periods, entities)."""
        return self.values.mean(axis=2) if self.is_averaged else self.values.sum(axis=2)

    @cached_property
    def training_targets(self) -> Floats:
        """Amounts to train on, shape (days, entities); NaN for outliers compared with the 15 days around them."""
        return self._mask_outliers(centred=True).to_numpy()

    @cached_property
    def last_known(self) -> Floats:
        """Last known amount on every day, shape (days, entities).

        Outliers compared with the 15 days up to the day are skipped. An amount is repeated for at most 14 days.
        """
        return self._mask_outliers(centred=False).ffill(limit=STALE_DAYS).to_numpy()

    def _mask_outliers(self, centred: bool) -> pd.DataFrame:
        """Return the daily amounts with NaN for outliers, shape (days, entities)."""
        amounts = pd.DataFrame(self.amounts)
        rolling_median = amounts.rolling(15, center=centred, min_periods=1).median()
        with np.errstate(divide="ignore", invalid="ignore"):
            is_outlier = (
                (np.abs(np.log(amounts / rolling_median)) > MAX_LOG_RATIO) & (rolling_median > 0) & (amounts > 0)
            )
        return amounts.mask(is_outlier)

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
        periods = pd.date_range(self.periods[0], periods=len(self) + horizon, freq=self.frequency)
        unknown = np.full((horizon, *self.values.shape[1:]), np.nan)
        return replace(self, periods=periods, values=np.concatenate([self.values, unknown]))

    def make_timestamps(self, days: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Return the timestamp of every slot of `days`; hours before `day_start` belong to the next date."""
        if len(self.slots) == 1:
            return days
        offsets = pd.to_timedelta([f"{slot}:00" for slot in self.slots]).to_numpy()
        day_shift = np.where(
            offsets < np.timedelta64(self.day_start, "h"), np.timedelta64(1, "D"), np.timedelta64(0, "D")
        )
        return pd.DatetimeIndex((days.to_numpy()[:, None] + offsets + day_shift).ravel())


def _select_measure(dataset: Dataset, measure: str) -> Dataset:
    """Return `dataset` with the single column `measure`, or a profile with all its columns.

    Raises DataError for data without dates, a step longer than a day, and an unknown column.
    """
    if not dataset.has_dates:
        raise DataError(N_("{file} has no dates. A forecast needs dates."), file=", ".join(dataset.files))
    if dataset.step is not None and dataset.step > DAY:
        raise DataError(
            N_("{file} has one row every {value}. A forecast needs at least one row per day."),
            file=", ".join(dataset.files),
            value=str(dataset.step),
        )
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
    """Return one row per entity and day; raise DataError for several rows of one day."""
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
    count = (days.max() - days.min()).days + 1
    if count > MAX_DAYS:
        raise DataError(
            N_("{file}: the dates range from {start} to {end}, which is too long. Check the first and the last date."),
            file=", ".join(dataset.files),
            start=str(days.min())[:10],
            end=str(days.max())[:10],
        )
    return pd.date_range(days.min(), periods=count, freq="D")


def _build_cube(dataset: Dataset, values: Floats) -> Floats:
    """Arrange `values` (rows, columns) as (days, entities, columns), NaN for absent rows."""
    days = pd.DatetimeIndex(dataset.time).normalize()
    day_positions = (days - days.min()).days.to_numpy()
    cube = np.full((day_positions.max() + 1, len(dataset.entities), values.shape[1]), np.nan)
    cube[day_positions, dataset.entity_codes] = values
    return cube
