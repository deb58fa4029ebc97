"""Covariates of every entity and day, with their times of the day, and a report on the join of each table."""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from core.data.covariates.intraday import DayGrid, IntradayValues, compute_deviations, select_changing
from core.data.quality.findings import Finding
from core.errors import DataError
from core.messages import N_


@dataclass(frozen=True)
class JoinReport:
    """Report on the join of one table.

    file                name of the file
    kind                kind of the table, or "dataset" for the covariates of the data
    columns             names of the covariates
    entities_matched    number of entities with a place in the table
    entities_unmatched  names of the other entities
    places_unused       places of the table without an entity
    start, end          first and last day of the table, as ISO dates
    days                number of days of the data
    days_covered        number of these days for which the table has a value
    """

    file: str
    kind: str
    columns: tuple[str, ...]
    entities_matched: int
    entities_unmatched: tuple[str, ...]
    places_unused: tuple[str, ...]
    start: str
    end: str
    days: int
    days_covered: int

    @property
    def coverage(self) -> float:
        """Share of the days of the data for which the table has a value, 0 to 1."""
        return self.days_covered / self.days if self.days else 0.0


@dataclass(frozen=True)
class Covariates:
    """Columns known in advance: one row for every pair of entity and day.

    frame     float64, index (entity, day), unique and sorted; NaN where unknown
    joins     report on each table, in the order of their precedence
    notes     findings of the join: the calendar, places without a match, columns that several tables have
    calendar  calendar of all entities; "none" without one, "" where they have several
    intraday  deviations at the times of the day, of the columns that have several values a day; None without any
    """

    frame: pd.DataFrame
    joins: tuple[JoinReport, ...] = ()
    notes: tuple[Finding, ...] = ()
    calendar: str = ""
    intraday: IntradayValues | None = None

    @classmethod
    def from_rows(cls, rows: pd.DataFrame, day_start: int = 0, slots: int = 0) -> "Covariates":
        """Build the covariates from one row per entity and timestamp, index (entity, time).

        A day gets the mean of its rows. Every entity gets every day from the first to the last. With `slots`, the times
        of the day count, too.
        """
        times = pd.DatetimeIndex(rows.index.get_level_values("time"))
        shifted = times - pd.Timedelta(hours=day_start)
        daily = rows.groupby([rows.index.get_level_values("entity"), shifted.normalize()]).mean()
        days = pd.date_range(shifted.min().normalize(), shifted.max().normalize(), freq="D")
        entities = sorted(set(rows.index.get_level_values("entity")))
        daily = daily.reindex(pd.MultiIndex.from_product([entities, days], names=["entity", "day"])).astype(float)
        covariates = cls(daily)
        if not slots:
            return covariates
        groups = pd.Index(entities).get_indexer(rows.index.get_level_values("entity"))
        grid = DayGrid(days, slots, day_start)
        deviations = compute_deviations(rows.to_numpy(dtype=float), groups, times, covariates.values, grid)
        columns = select_changing(deviations, covariates.columns, covariates.values)
        return replace(covariates, intraday=IntradayValues(columns, day_start) if columns else None)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.frame.columns)

    @cached_property
    def entities(self) -> list[str]:
        """Entities, in the order of the frame."""
        return list(self.frame.index.unique("entity"))

    @cached_property
    def days(self) -> pd.DatetimeIndex:
        """Days, in the order of the frame."""
        return pd.DatetimeIndex(self.frame.index.unique("day"))

    @property
    def values(self) -> NDArray[np.float64]:
        """Values, shape (entities, days, columns); a view."""
        return self.frame.to_numpy().reshape(len(self.entities), len(self.days), -1)

    def to_array(self, entities: Sequence[str], days: pd.DatetimeIndex) -> NDArray[np.float64]:
        """Return the values of `entities` and `days`, shape (days, entities, columns), NaN where unknown."""
        entity_positions = pd.Index(self.entities).get_indexer(list(entities))
        day_positions = self.days.get_indexer(pd.DatetimeIndex(days).normalize())
        values: NDArray[np.float64] = self.values[entity_positions][:, day_positions].transpose(1, 0, 2)
        values[day_positions < 0] = np.nan
        values[:, entity_positions < 0] = np.nan
        return values

    def read_deviations(self, column: str, entities: Sequence[str], days: pd.DatetimeIndex) -> NDArray[np.float64]:
        """Return the deviations of a column of `intraday` from its days, (days, entities, slots), NaN where unknown."""
        assert self.intraday is not None, "no column has values at the times of the day"
        entity_positions = pd.Index(self.entities).get_indexer(list(entities))
        day_positions = self.days.get_indexer(pd.DatetimeIndex(days).normalize())
        values = self.intraday.columns[column][entity_positions][:, day_positions].transpose(1, 0, 2)
        values[day_positions < 0] = np.nan
        values[:, entity_positions < 0] = np.nan
        return values

    def replace_column(self, column: str, values: "ArrayLike | Callable[[pd.Series], ArrayLike]") -> "Covariates":
        """Return a copy with other values for `column`: one per row, one for all, or a function of the present values.

        A new column starts as NaN. A Series is aligned by its index (entity, day); rows that it lacks are NaN. Raises
        DataError if the number of values does not fit.
        """
        old = self.frame[column] if column in self.frame else pd.Series(np.nan, index=self.frame.index, name=column)
        new = values(old.copy()) if callable(values) else values
        if isinstance(new, pd.Series):
            new = new.reindex(old.index)
        new_values = np.asarray(new, dtype=float)
        if new_values.ndim and new_values.shape != (len(old),):
            raise DataError(
                N_(
                    "The column {column!r} got {count} values. Accepted: one value, or "
                    "{accepted} values (one per entity and day)."
                ),
                count=new_values.size,
                column=column,
                accepted=len(old),
            )
        return replace(self, frame=self.frame.assign(**{column: np.broadcast_to(new_values, len(old)).copy()}))

    def drop_columns(self, columns: Collection[str]) -> "Covariates":
        """Return a copy without `columns`."""
        intraday = self.intraday
        if intraday is not None:
            remaining = {name: values for name, values in intraday.columns.items() if name not in columns}
            intraday = replace(intraday, columns=remaining) if remaining else None
        return replace(self, frame=self.frame.drop(columns=list(columns)), intraday=intraday)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of entities, days, columns and values; independent of the join reports."""
        hasher = hashlib.sha256(json.dumps([self.columns, self.entities]).encode())
        hasher.update(self.days.to_numpy("<M8[ns]").tobytes())
        hasher.update(np.ascontiguousarray(self.frame.to_numpy(dtype="<f8")).data)
        for column, values in self.intraday.columns.items() if self.intraday is not None else ():
            hasher.update(column.encode())
            hasher.update(np.ascontiguousarray(values, dtype="<f8").data)
        return hasher.hexdigest()
