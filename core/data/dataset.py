"""Table of measurements: rows are timestamps of an entity, columns are measurements."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.columns import ColumnReading
from core.data.quality.findings import Finding, Repair
from core.data.read_options import DETECT_ALL, ReadOptions
from core.data.time_zones import has_clock_changes, mark_in_changes, to_instants
from core.errors import DataError
from core.messages import N_

BLOCK_ROWS = 65_536
CACHE_BLOCK_ROWS = 2048  # rows of a profile that fit into the processor's cache
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class DataSummary:
    """Facts about a dataset that a result stores, so that the result can be read without the dataset."""

    files: tuple[str, ...]
    unit: str
    profile: bool
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Measurements of entities over time: one row per entity and timestamp, in the order of the files.

    frame       float64, index (entity, time); time is a date and hour, or a row number where the file has no dates
    layout      name of the file layout
    profile     True where the columns are the times of one day, "00:00" first; a row is then one day
    step        time between two measurements: two columns of a profile, two rows of a series
    day_start   hour at which the day of a row begins (6 for the gas day: hours 00 to 05 belong to the next date)
    unit        unit of every measurement
    covariates  columns known in advance (strike, temperature, holiday), same index
    context     other columns of the file (declared total, status), same index
    labels      True where a row is known to be abnormal
    zone        time zone of the clock of `time`: a name, an offset such as +02:00, or "" if unknown
    fold        True in the second pass of an hour that the autumn clock change repeats; None without such rows
    files       names of the files
    notes       findings made while the files were read
    readings    how each column of the first file was read
    read_options  what a person decided about reading the files
    recipe      repairs that were applied
    source      digest of the dataset that the repairs were applied to

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_index
        >>> index = make_index(["north", "north", "south"], pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01"]))
        >>> frame = pd.DataFrame({"power": [10.0, float("nan"), 30.0]}, index)
        >>> dataset = Dataset(frame, "tidy_series", step=pd.Timedelta(days=1), unit="MW")
        >>> dataset.entities, dataset.is_complete.tolist()
        (['north', 'south'], [True, False, True])
        >>> dataset.filter_rows(entities=["south"]).values
        array([[30.]])
    """

    frame: pd.DataFrame
    layout: str
    profile: bool = False
    step: pd.Timedelta | None = None
    day_start: int = 0
    unit: str = ""
    covariates: pd.DataFrame | None = None
    context: pd.DataFrame | None = None
    labels: pd.Series | None = None
    zone: str = ""
    fold: pd.Series | None = None
    files: tuple[str, ...] = ()
    notes: tuple[Finding, ...] = ()
    readings: tuple[ColumnReading, ...] = ()
    read_options: ReadOptions = DETECT_ALL
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
        """Facts about this dataset that a result stores."""
        return DataSummary(self.files, self.unit, self.profile, tuple(self.columns))

    @cached_property
    def entity(self) -> pd.Index:
        """Entity of every row."""
        return self.frame.index.get_level_values("entity")

    @cached_property
    def time(self) -> pd.Index:
        """Timestamp of every row; a row number where the file has no dates."""
        return self.frame.index.get_level_values("time")

    @property
    def has_dates(self) -> bool:
        """True where `time` holds dates, False where it holds row numbers."""
        return isinstance(self.time, pd.DatetimeIndex)

    @cached_property
    def calendar_kinds(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Month (0 to 11) and kind of day (0 working day, 1 Saturday, 2 Sunday) of every row that has a date."""
        times = pd.DatetimeIndex(self.time)
        month = times.month.to_numpy().astype(np.intp) - 1
        return month, np.clip(times.dayofweek.to_numpy() - 4, 0, 2).astype(np.intp)

    @cached_property
    def entities(self) -> list[str]:
        """Names of the entities, sorted."""
        return sorted(self.entity.unique())

    @cached_property
    def entity_codes(self) -> NDArray[np.intp]:
        """Entity of every row as its position in `entities`."""
        row_codes = np.asarray(self.frame.index.codes[0])
        levels = list(self.frame.index.levels[0])
        code_by_entity = {entity: code for code, entity in enumerate(self.entities)}
        return np.array([code_by_entity.get(entity, -1) for entity in levels], dtype=np.intp)[row_codes]

    @cached_property
    def is_complete(self) -> NDArray[np.bool_]:
        """Mask of the rows without a missing measurement, shape (rows,)."""
        return np.concatenate([~np.isnan(block).any(axis=1) for _, block in self.iter_blocks()] or [np.zeros(0, bool)])

    @cached_property
    def is_second_pass(self) -> NDArray[np.bool_]:
        """Mask of the rows in the second pass of an hour that the autumn clock change repeats, shape (rows,)."""
        return np.zeros(len(self), dtype=bool) if self.fold is None else self.fold.to_numpy(dtype=bool)

    def mark_duplicates(self, keep: Literal["first", "last"] | bool = "first") -> NDArray[np.bool_]:
        """Return True for rows with the entity and time of another row, shape (rows,); none without dates.

        The two passes of a repeated hour are not duplicates. `keep` names the row that does not count; False counts
        all.
        """
        if not self.has_dates or not self._has_repeated_keys:
            return np.zeros(len(self), dtype=bool)
        duplicated = self.frame.index.duplicated(keep=False)
        rows = np.flatnonzero(duplicated)
        keys = pd.DataFrame(
            {"entity": self.entity_codes[rows], "time": self.time[rows], "fold": self.is_second_pass[rows]}
        )
        duplicated[rows] = keys.duplicated(keep=keep)
        return duplicated

    @cached_property
    def _has_repeated_keys(self) -> bool:
        """Tell whether an entity has two rows of one time; an array of all keys is faster than a hash table."""
        index = self.frame.index
        key_count = len(index.levels[0]) * len(index.levels[1])
        if key_count > 4 * len(index) or not len(index):
            return not index.is_unique
        entity_codes, time_codes = (np.asarray(codes, dtype=np.int64) for codes in index.codes)
        return bool(np.bincount(entity_codes * len(index.levels[1]) + time_codes).max() > 1)

    def compute_instants(self) -> pd.DatetimeIndex:
        """Return the time of every row in UTC; times in an unknown zone, and days of several offsets, as they are."""
        times = pd.DatetimeIndex(self.time)
        is_known = self.zone and "/+" not in self.zone and "/-" not in self.zone
        return to_instants(times, self.is_second_pass, self.zone) if is_known else times

    @cached_property
    def entity_range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Median and width (5 % to 95 % quantile) of the values of each entity.

        Shape (entities, 1) for a profile, whose columns are one quantity; else (entities, columns). An entity with
        40,000 rows or more is sampled evenly: 20,000 to 30,000 of its rows are used.
        """
        median, width = [], []
        row_order = np.argsort(self.entity_codes, kind="stable")
        starts = np.searchsorted(self.entity_codes[row_order], np.arange(len(self.entities) + 1))
        for first, last in pairwise(starts):
            rows = row_order[first : last : max(1, (last - first) // 20_000)]
            values = self.values[rows]
            values = values.reshape(-1, 1) if self.profile else values
            is_empty = np.isnan(values).all(axis=0)  # such as the CCR of a trunk without an attempt
            quantiles = np.nanquantile(np.where(is_empty, 0.0, values), [0.05, 0.5, 0.95], axis=0)
            quantile_5, quantile_50, quantile_95 = np.where(is_empty, np.nan, quantiles)
            median.append(quantile_50)
            width.append(quantile_95 - quantile_5)
        return np.array(median), np.array(width)

    @cached_property
    def row_median(self) -> NDArray[np.float64]:
        """Median of the measurements of every row; NaN where one is missing."""
        count = len(self.columns)
        middle_ranks = ((count - 1) // 2, count // 2)
        medians = np.empty(len(self))
        for rows, block in self.iter_blocks(CACHE_BLOCK_ROWS):
            partitioned = np.partition(block, middle_ranks, axis=1)
            complete_rows = ~np.isnan(block).any(axis=1)
            medians[rows] = np.where(
                complete_rows, (partitioned[:, middle_ranks[0]] + partitioned[:, middle_ranks[1]]) / 2, np.nan
            )
        return medians

    def iter_blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield slices of `size` rows with their measurements.

        Work in blocks needs no second copy of a large file.
        """
        values = self.values
        for start in range(0, len(values), size):
            rows = slice(start, min(start + size, len(values)))
            yield rows, values[rows]

    def replace(self, **changes: object) -> "Dataset":
        """Return a copy with the fields `changes`."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def take_rows(self, selection: NDArray[np.bool_] | NDArray[np.intp]) -> "Dataset":
        """Return the rows `selection`: a mask, or positions in a new order.

        Covariates, context and labels follow the rows.
        """
        positions = np.flatnonzero(selection) if selection.dtype == bool else selection

        def take_part(table: "pd.DataFrame | pd.Series | None") -> "pd.DataFrame | pd.Series | None":
            return None if table is None else table.iloc[positions]

        return self.replace(
            frame=self.frame.iloc[positions],
            covariates=take_part(self.covariates),
            context=take_part(self.context),
            labels=take_part(self.labels),
            fold=take_part(self.fold),
        )

    def with_index(self, index: pd.MultiIndex) -> "Dataset":
        """Return the same rows under a new index; covariates, context, labels and fold get it too."""

        def set_index(table: "pd.DataFrame | pd.Series | None") -> "pd.DataFrame | pd.Series | None":
            return None if table is None else table.set_axis(index, axis=0)

        return self.replace(
            frame=self.frame.set_axis(index, axis=0),
            covariates=set_index(self.covariates),
            context=set_index(self.context),
            labels=set_index(self.labels),
            fold=set_index(self.fold),
        )

    def filter_rows(
        self, entities: Sequence[str] = (), start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> "Dataset":
        """Return the rows of `entities` (all if empty) from `start` to the day `end`, both included.

        Raises DataError if no row matches.
        """
        selection = np.ones(len(self), dtype=bool)
        if entities:
            selection &= self.entity.isin(list(entities))
        if start is not None:
            selection &= np.asarray(self.time >= start)
        if end is not None:
            selection &= np.asarray(self.time < end + DAY)
        if not selection.any():
            raise DataError(N_("No rows match this period and these entities."))
        return self if selection.all() else self.take_rows(selection)

    def get_neighbourhood(self, entity: str, time: object, margin_rows: int = 24) -> pd.Series:
        """Return the first measurement of `entity` around `time`, in the order of time.

        The series holds at most the given number of rows before `time`, and as many after it.
        """
        series = self.frame[self.entity == entity].iloc[:, 0].droplevel("entity").sort_index()
        position = int(series.index.searchsorted(time))
        return series.iloc[max(position - margin_rows, 0) : position + margin_rows + 1]

    def to_series(self) -> "Dataset":
        """Return a profile as one long series with the single column `value`; a series is returned unchanged.

        The result has no covariates, context or labels.
        """
        if not self.profile:
            return self
        column_order = np.roll(np.arange(len(self.columns)), -self._day_start_column)
        step, day = np.timedelta64(self.step), np.timedelta64(DAY)
        offsets = column_order * step + (column_order < self._day_start_column) * day
        times = (self.time.to_numpy()[:, None] + offsets[None, :]).ravel()
        index = pd.MultiIndex.from_arrays([np.repeat(self.entity, len(column_order)), times], names=["entity", "time"])
        values = pd.DataFrame({"value": self.values[:, column_order].ravel()}, index=index)
        return self.replace(frame=values, profile=False, covariates=None, context=None, labels=None, fold=None)

    def to_profile(self) -> "Dataset":
        """Return a series with one column and an even step as one row per day; the inverse of `to_series`.

        The two passes of a repeated hour are averaged, and the hour that a clock change skips is filled from its
        neighbours, so that every row has the same columns. The result has no covariates, context or labels. Raises
        DataError for several columns, for a row that is not on the step, and for several values at one timestamp.
        """
        if self.profile:
            return self
        if len(self.columns) != 1 or self.step is None or DAY % self.step != pd.Timedelta(0):
            raise DataError(
                N_("A daily profile can only be made from a series with one column and a regular time step.")
            )
        shifted_times = pd.DatetimeIndex(self.time) - pd.Timedelta(hours=self.day_start)
        days = shifted_times.normalize()
        slots = ((pd.DatetimeIndex(self.time) - pd.DatetimeIndex(self.time).normalize()) / self.step).to_numpy()
        if not np.allclose(slots, np.round(slots)):
            raise DataError(
                N_("A daily profile can only be made from a series with one column and a regular time step.")
            )
        long_table = pd.DataFrame(
            {"entity": self.entity, "time": days, "slot": np.round(slots).astype(int), "value": self.values[:, 0]}
        )
        if self.mark_duplicates().any():
            raise DataError(
                N_("An entity has several values for one timestamp. Keep one of them before you make daily profiles.")
            )
        if self.fold is not None:
            long_table = long_table.groupby(["entity", "time", "slot"], observed=True, as_index=False).mean()
        wide_table = long_table.pivot(index=["entity", "time"], columns="slot", values="value")
        wide_table = self._fill_skipped_hours(wide_table.reindex(columns=range(DAY // self.step)))
        wide_table.columns = pd.Index(make_clock_labels(len(wide_table.columns)))
        return self.replace(frame=wide_table, profile=True, covariates=None, context=None, labels=None, fold=None)

    def _fill_skipped_hours(self, profile: pd.DataFrame) -> pd.DataFrame:
        """Fill the hour that the spring clock change skips from the values before and after it."""
        if not has_clock_changes(self.zone):
            return profile
        days = pd.DatetimeIndex(profile.index.get_level_values("time"))
        first_slot = self.day_start * len(profile.columns) // 24
        is_skipped = np.column_stack(
            [
                mark_in_changes(days + slot * self.step + DAY * int(slot < first_slot), self.zone, is_repeated=False)
                for slot in profile.columns
            ]
        )
        rows = np.flatnonzero(is_skipped.any(axis=1))
        filled = profile.iloc[rows].interpolate(axis=1, limit_area="inside")
        profile.iloc[rows] = np.where(is_skipped[rows], filled, profile.iloc[rows])
        return profile

    @property
    def _day_start_column(self) -> int:
        """Position of the column at which the day begins."""
        return self.day_start * len(self.columns) // 24

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything an analysis can depend on: values, index, columns, unit, covariates, labels, recipe.

        The options of reading count too, so that a dataset read differently is another one.
        """
        hasher = hashlib.sha256()
        metadata = [self.columns, self.layout, self.unit, self.profile, self.day_start, str(self.step), self.files]
        metadata += [self.zone] * bool(self.zone) + self.read_options.to_arguments()
        hasher.update(json.dumps([metadata, [repair.to_json() for repair in self.recipe]]).encode())
        for _, block in self.iter_blocks():
            hasher.update(np.ascontiguousarray(block).data)
        hasher.update("\0".join(self.entities).encode() + self.entity_codes.tobytes())
        hasher.update(self.time.to_numpy().tobytes() + self.is_second_pass.tobytes() * (self.fold is not None))
        if self.labels is not None:
            hasher.update(self.labels.to_numpy(dtype=bool).tobytes())
        for table in (self.covariates, self.context):
            if table is not None:
                hasher.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        return hasher.hexdigest()


def format_timestamp(time: object) -> str:
    """Return a timestamp as findings show it: without the time of day at midnight."""
    return str(time).removesuffix(" 00:00:00")


def make_clock_labels(count: int) -> list[str]:
    """Return the times of a day in `count` even steps: 24 gives "00:00" … "23:00", 96 gives quarter-hours."""
    minutes = 24 * 60 // count
    return [f"{step * minutes // 60:02d}:{step * minutes % 60:02d}" for step in range(count)]


def make_index(entity: object, time: object) -> pd.MultiIndex:
    """Return the index of a dataset: (entity, time)."""
    return pd.MultiIndex.from_arrays([entity, time], names=["entity", "time"])
