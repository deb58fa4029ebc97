"""Several series on one calendar, day by day: what forecasters look at."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset, keyed
from core.errors import DataError
from core.messages import N_

Floats = NDArray[np.float64]
Resolution = Literal["day", "hour"]

MOST_DAYS = 80 * 366  # what lies further apart is a mistyped year, not a history
STALE = 14  # days over which the last known amount stands in for a missing one
ABSURD = 1.2  # |log ratio| to the median of two weeks beyond which an amount is no lesson
RATES = ("W", "kW", "MW", "GW", "TW", "°C", "%", "ms", "s")  # averaged over a day; everything else is summed


@dataclass(frozen=True)
class Panel:
    """Days × entities × moments of the day.

    days       every day from the first to the last
    slots      the moments of a day: ("day",) for daily amounts, else "00:00", "01:00" …
    values     shape (days, entities, slots), NaN where nothing was measured
    averaged   a day's amount is the mean of its moments (power, temperature), not their sum
    day_start  the hour at which a day begins
    """

    days: pd.DatetimeIndex
    entities: tuple[str, ...]
    slots: tuple[str, ...]
    values: Floats
    unit: str = ""
    averaged: bool = False
    day_start: int = 0

    @classmethod
    def of(cls, dataset: Dataset, resolution: Resolution = "day", measure: str = "") -> "Panel":
        """The series of `dataset`; `measure` names the column where it has several that are no moments of a day.

        Raises DataError without dates, with a step longer than a day, or with two rows for one moment of an entity.
        """
        whole = _profiled(_measured(dataset, measure))
        averaged = whole.unit in RATES
        values = whole.values if whole.profile else whole.values[:, :1]
        slots = tuple(whole.columns) if whole.profile else ("day",)
        if resolution == "day" and len(slots) > 1:
            values = (values.mean(axis=1) if averaged else values.sum(axis=1))[:, None]
        if len(slots) == 1 or resolution == "day":
            slots = ("day",)
        return cls(
            _calendar(whole),
            tuple(whole.entities),
            slots,
            _cube(whole, values),
            dataset.unit,
            averaged,
            dataset.day_start,
        )

    def __len__(self) -> int:
        return len(self.days)

    @property
    def amounts(self) -> Floats:
        """The amount of every day, shape (days, entities)."""
        return self.values.mean(axis=2) if self.averaged else self.values.sum(axis=2)

    @cached_property
    def lessons(self) -> Floats:
        """The amounts worth learning from: those absurdly far from the median of the two weeks around them are NaN."""
        return self._sensible(centred=True).to_numpy()

    @cached_property
    def recent(self) -> Floats:
        """The last amount known on every day; absurd ones, as far as that could be seen on the day, are passed over."""
        return self._sensible(centred=False).ffill(limit=STALE).to_numpy()

    def _sensible(self, centred: bool) -> pd.DataFrame:
        amounts = pd.DataFrame(self.amounts)
        level = amounts.rolling(15, center=centred, min_periods=1).median()
        with np.errstate(divide="ignore", invalid="ignore"):
            absurd = (np.abs(np.log(amounts / level)) > ABSURD) & (level > 0) & (amounts > 0)
        return amounts.mask(absurd)

    def until(self, day: pd.Timestamp) -> "Panel":
        """The days before `day`."""
        return self._days(slice(int(self.days.searchsorted(day))))

    def last(self, days: int) -> "Panel":
        """The last `days` days."""
        return self._days(slice(max(len(self) - days, 0), None))

    def _days(self, kept: slice) -> "Panel":
        return replace(self, days=self.days[kept], values=self.values[kept])

    def extended(self, horizon: int) -> "Panel":
        """The same with `horizon` unknown days after the last."""
        days = pd.date_range(self.days[0], periods=len(self) + horizon, freq="D")
        unknown = np.full((horizon, *self.values.shape[1:]), np.nan)
        return replace(self, days=days, values=np.concatenate([self.values, unknown]))

    def moments(self, days: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """The time of every slot of `days`, in their order; hours before the day's start belong to the next date."""
        if len(self.slots) == 1:
            return days
        offsets = pd.to_timedelta([f"{slot}:00" for slot in self.slots]).to_numpy()
        late = np.where(offsets < np.timedelta64(self.day_start, "h"), np.timedelta64(1, "D"), np.timedelta64(0, "D"))
        return pd.DatetimeIndex((days.to_numpy()[:, None] + offsets + late).ravel())


def _measured(dataset: Dataset, measure: str) -> Dataset:
    """One column, or the columns of a profile; with dates."""
    if not dataset.dated:
        raise DataError(N_("{file} has no dates, and a forecast needs them."), file=", ".join(dataset.files))
    if dataset.step is not None and dataset.step > DAY:
        raise DataError(
            N_("{file} has one row every {value}; forecasts need one a day or more."),
            file=", ".join(dataset.files),
            value=str(dataset.step),
        )
    if dataset.profile:
        return dataset
    measure = measure or dataset.columns[0]
    if measure not in dataset.columns:
        raise DataError(
            N_("{file} has no column {value!r}; it has: {accepted}."),
            file=", ".join(dataset.files),
            value=measure,
            accepted=", ".join(dataset.columns[:20]),
        )
    return dataset.replace(frame=dataset.frame[[measure]], drivers=None, context=None, labels=None)


def _profiled(dataset: Dataset) -> Dataset:
    """One row per entity and day."""
    if not dataset.profile and (dataset.step is None or dataset.step < DAY):
        dataset = dataset.to_profile()
    days = keyed(dataset.entity, pd.DatetimeIndex(dataset.time).normalize())
    if days.has_duplicates:
        twice = days[days.duplicated()][0]
        raise DataError(
            N_("{file}: {entity} has several rows for {value}; the data doctor can keep one of them."),
            file=", ".join(dataset.files),
            entity=twice[0],
            value=str(twice[1])[:10],
        )
    return dataset


def _calendar(dataset: Dataset) -> pd.DatetimeIndex:
    days = pd.DatetimeIndex(dataset.time).normalize()
    count = (days.max() - days.min()).days + 1
    if count > MOST_DAYS:
        raise DataError(
            N_("{file}: dates reach from {start} to {end}; one of them must be a mistake."),
            file=", ".join(dataset.files),
            start=str(days.min())[:10],
            end=str(days.max())[:10],
        )
    return pd.date_range(days.min(), periods=count, freq="D")


def _cube(dataset: Dataset, values: Floats) -> Floats:
    days = pd.DatetimeIndex(dataset.time).normalize()
    place = (days - days.min()).days.to_numpy()
    cube = np.full((place.max() + 1, len(dataset.entities), values.shape[1]), np.nan)
    cube[place, dataset.entity_codes] = values
    return cube
