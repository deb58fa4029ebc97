"""The one table of the product: rows are moments of an entity, columns are measurements."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.quality.findings import Finding, Repair
from core.errors import DataError
from core.messages import N_

BLOCK_ROWS = 65_536
CACHED_ROWS = 2048  # of a profile; what is worked on row by row stays in the processor's cache
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class DataSummary:
    """What a result keeps of the dataset that it is about, to be understood without it."""

    files: tuple[str, ...]
    unit: str
    profile: bool
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Rows are moments of an entity, columns are measurements; rows stay in the order of the files.

    frame      float64, index (entity, time); time is a date and hour, or a row number where the file has no dates
    layout     name of the file layout it came from
    profile    True where the columns are the times of one day, "00:00" first; a row is then one day
    step       time between two measurements: two columns of a profile, two rows of a series
    day_start  the hour at which a row's day begins (6 for the gas day: hours 00 to 05 belong to the next date)
    unit       of every measurement
    drivers    columns known in advance (strike, temperature, holiday), same index
    context    what else the file says of a row (declared total, status), same index
    labels     True where a row is known to be abnormal
    notes      what reading the files already found
    recipe     the repairs that made it, and `source` the digest of the dataset they were made from
    """

    frame: pd.DataFrame
    layout: str
    profile: bool = False
    step: pd.Timedelta | None = None
    day_start: int = 0
    unit: str = ""
    drivers: pd.DataFrame | None = None
    context: pd.DataFrame | None = None
    labels: pd.Series | None = None
    files: tuple[str, ...] = ()
    notes: tuple[Finding, ...] = ()
    recipe: tuple[Repair, ...] = ()
    source: str = ""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def values(self) -> NDArray[np.float64]:
        """Measurements, shape (rows, columns); a view, not a copy."""
        return self.frame.to_numpy()

    @property
    def columns(self) -> list[str]:
        """Names of the measurements."""
        return list(self.frame.columns)

    @property
    def summary(self) -> DataSummary:
        """What a result keeps of this dataset."""
        return DataSummary(self.files, self.unit, self.profile, tuple(self.columns))

    @cached_property
    def entity(self) -> pd.Index:
        """The entity of every row."""
        return self.frame.index.get_level_values("entity")

    @cached_property
    def time(self) -> pd.Index:
        """The moment of every row."""
        return self.frame.index.get_level_values("time")

    @property
    def dated(self) -> bool:
        """False where time is only a row number."""
        return isinstance(self.time, pd.DatetimeIndex)

    @cached_property
    def entities(self) -> list[str]:
        """The entities, sorted."""
        return sorted(self.entity.unique())

    @cached_property
    def entity_codes(self) -> NDArray[np.intp]:
        """The entity of every row as a number: its place in `entities`."""
        found = np.asarray(self.frame.index.codes[0])
        levels = list(self.frame.index.levels[0])
        place = {entity: number for number, entity in enumerate(self.entities)}
        return np.array([place.get(entity, -1) for entity in levels], dtype=np.intp)[found]

    @cached_property
    def complete(self) -> NDArray[np.bool_]:
        """True for rows without a missing measurement."""
        return np.concatenate([~np.isnan(block).any(axis=1) for _, block in self.blocks()] or [np.zeros(0, bool)])

    @cached_property
    def ordinary(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Median and width (5 % to 95 %) of the values of each entity, from at most 20,000 of its rows.

        Shape (entities, 1) for a profile, whose columns are one quantity, else (entities, columns).
        """
        median, width = [], []
        by_entity = np.argsort(self.entity_codes, kind="stable")
        starts = np.searchsorted(self.entity_codes[by_entity], np.arange(len(self.entities) + 1))
        for first, last in pairwise(starts):
            rows = by_entity[first : last : max(1, (last - first) // 20_000)]
            values = self.values[rows]
            values = values.reshape(-1, 1) if self.profile else values
            low, middle, high = (
                np.nanquantile(values, [0.05, 0.5, 0.95], axis=0)
                if not np.isnan(values).all()
                else np.full((3, values.shape[1]), np.nan)
            )
            median.append(middle)
            width.append(high - low)
        return np.array(median), np.array(width)

    @cached_property
    def row_median(self) -> NDArray[np.float64]:
        """The median of every row's measurements, NaN where one is missing."""
        count = len(self.columns)
        middle = ((count - 1) // 2, count // 2)
        found = np.empty(len(self))
        for rows, block in self.blocks(CACHED_ROWS):
            ranked = np.partition(block, middle, axis=1)
            known = ~np.isnan(block).any(axis=1)
            found[rows] = np.where(known, (ranked[:, middle[0]] + ranked[:, middle[1]]) / 2, np.nan)
        return found

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """The measurements a few thousand rows at a time, so that no step needs a second copy of a large file."""
        values = self.values
        for start in range(0, len(values), size):
            rows = slice(start, min(start + size, len(values)))
            yield rows, values[rows]

    def replace(self, **changes: object) -> "Dataset":
        """A copy with the fields `changes`."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def rows(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> "Dataset":
        """The rows `keep` (a mask, or positions in a new order), with everything that belongs to them."""
        position = np.flatnonzero(keep) if keep.dtype == bool else keep

        def part(table: "pd.DataFrame | pd.Series | None") -> "pd.DataFrame | pd.Series | None":
            return None if table is None else table.iloc[position]

        return self.replace(
            frame=self.frame.iloc[position],
            drivers=part(self.drivers),
            context=part(self.context),
            labels=part(self.labels),
        )

    def select(
        self, entities: Sequence[str] = (), start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> "Dataset":
        """The rows of `entities` (all when empty) from `start` to `end`, both included.

        Raises DataError when nothing is left.
        """
        keep = np.ones(len(self), dtype=bool)
        if entities:
            keep &= self.entity.isin(list(entities))
        if start is not None:
            keep &= np.asarray(self.time >= start)
        if end is not None:
            keep &= np.asarray(self.time < end + DAY)
        if not keep.any():
            raise DataError(N_("No rows match this period and these entities."))
        return self if keep.all() else self.rows(keep)

    def around(self, entity: str, time: object, rows: int = 24) -> pd.Series:
        """The first measurement of `entity` in the order of time, `rows` before and after `time`."""
        own = self.frame[self.entity == entity].iloc[:, 0].droplevel("entity").sort_index()
        place = int(own.index.searchsorted(time))
        return own.iloc[max(place - rows, 0) : place + rows + 1]

    def to_series(self) -> "Dataset":
        """A profile unrolled into one long series with the single column `value`; a series stays as it is."""
        if not self.profile:
            return self
        order = np.roll(np.arange(len(self.columns)), -self._first_column)
        step, day = np.timedelta64(self.step), np.timedelta64(DAY)
        offsets = order * step + (order < self._first_column) * day
        times = (self.time.to_numpy()[:, None] + offsets[None, :]).ravel()
        index = pd.MultiIndex.from_arrays([np.repeat(self.entity, len(order)), times], names=["entity", "time"])
        values = pd.DataFrame({"value": self.values[:, order].ravel()}, index=index)
        return self.replace(frame=values, profile=False, drivers=None, context=None, labels=None)

    def to_profile(self) -> "Dataset":
        """One row per day from a series with one column and an even step; the inverse of `to_series`.

        Raises DataError where a row does not sit on the step, or the dataset has several columns.
        """
        if self.profile:
            return self
        if len(self.columns) != 1 or self.step is None or DAY % self.step != pd.Timedelta(0):
            raise DataError(N_("Only a series with one column and an even step becomes a daily profile."))
        shifted = pd.DatetimeIndex(self.time) - pd.Timedelta(hours=self.day_start)
        days = shifted.normalize()
        slots = ((pd.DatetimeIndex(self.time) - pd.DatetimeIndex(self.time).normalize()) / self.step).to_numpy()
        if not np.allclose(slots, np.round(slots)):
            raise DataError(N_("Only a series with one column and an even step becomes a daily profile."))
        long = pd.DataFrame(
            {"entity": self.entity, "time": days, "slot": np.round(slots).astype(int), "value": self.values[:, 0]}
        )
        if long.duplicated(["entity", "time", "slot"]).any():
            raise DataError(
                N_("A moment of an entity has several values; keep one of them before making daily profiles.")
            )
        wide = long.pivot(index=["entity", "time"], columns="slot", values="value")
        wide = wide.reindex(columns=range(DAY // self.step))
        wide.columns = pd.Index(clock_labels(len(wide.columns)))
        return self.replace(frame=wide, profile=True, drivers=None, context=None, labels=None)

    @property
    def _first_column(self) -> int:
        """The column that opens the day."""
        return self.day_start * len(self.columns) // 24

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything an analysis can depend on: values, index, columns, unit, drivers, recipe."""
        found = hashlib.sha256()
        described = [self.columns, self.layout, self.unit, self.profile, self.day_start, str(self.step), self.files]
        found.update(json.dumps([described, [repair.to_json() for repair in self.recipe]]).encode())
        for _, block in self.blocks():
            found.update(np.ascontiguousarray(block).data)
        found.update("\0".join(self.entities).encode() + self.entity_codes.tobytes())
        found.update(self.time.to_numpy().tobytes())
        for table in (self.drivers, self.context):
            if table is not None:
                found.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        return found.hexdigest()


def when(time: object) -> str:
    """A moment as findings write it: a date where the clock says midnight."""
    return str(time).removesuffix(" 00:00:00")


def clock_labels(count: int) -> list[str]:
    """The times of a day in `count` even steps: 24 gives "00:00" … "23:00", 96 every quarter of an hour."""
    minutes = 24 * 60 // count
    return [f"{step * minutes // 60:02d}:{step * minutes % 60:02d}" for step in range(count)]


def keyed(entity: object, time: object) -> pd.MultiIndex:
    """The index of every dataset: (entity, time)."""
    return pd.MultiIndex.from_arrays([entity, time], names=["entity", "time"])


def require_like(dataset: Dataset, columns: Sequence[str], profile: bool, unit: str) -> None:
    """Raises DataError where `dataset` has other columns or another unit than the data a model was fitted on."""
    if dataset.columns != list(columns) or dataset.profile != profile:
        raise DataError(
            N_("The model was fitted on the columns {accepted}; {file} has {value}."),
            file=", ".join(dataset.files),
            value=_short(dataset.columns),
            accepted=_short(columns),
        )
    if dataset.unit != unit:
        raise DataError(
            N_("The model was fitted on {accepted}; {file} is in {value}."),
            file=", ".join(dataset.files),
            value=dataset.unit or "?",
            accepted=unit or "?",
        )


def _short(columns: Sequence[str]) -> str:
    return ", ".join(columns[:5]) + (f" … ({len(columns)})" if len(columns) > 5 else "")
