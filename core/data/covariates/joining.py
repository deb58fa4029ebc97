"""Join of covariate tables: one row per entity and day.

The rows are those of the grid from the start, so no join can add one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.calendars import public_holidays, school_breaks
from core.data.covariates.known import Drivers, Join
from core.data.covariates.names import ALIASES, LARGEST, canonical_column
from core.data.covariates.tables import NATION, CovariateTable
from core.data.dataset import Dataset
from core.data.quality.findings import Finding
from core.data.regions import SCHOOL_ZONE, region_of
from core.errors import DataError
from core.messages import N_, Text

Cube = NDArray[np.float64]
"""Values of shape (places or entities, days, columns), NaN where unknown."""

MAX_VALUES = 50_000_000
ADDED_UP = ("strike", "strike_rate")
"""Columns merged by the largest value: a strike in one table is a strike, even if another table lacks it."""


@dataclass(frozen=True)
class _Grid:
    """Entities and days of the result.

    in_data  mask of the days that the data have
    """

    entities: list[str]
    days: pd.DatetimeIndex
    in_data: NDArray[np.bool_]

    @cached_property
    def regions(self) -> list[str | None]:
        return [region_of(entity) for entity in self.entities]


@dataclass(frozen=True)
class _Placed:
    """Values of a table on the grid, with its report."""

    columns: list[str]
    values: Cube
    join: Join


def joined(dataset: Dataset, tables: Sequence[CovariateTable], until: pd.Timestamp, calendar: bool = True) -> Drivers:
    """Join `tables`, the covariates of `dataset` and the French calendar, for every entity and day up to `until`.

    The table of a region applies to the entities in it, the table of a school zone to the regions of that zone, and a
    national table to all entities. Where several tables have a column, the first known value counts, and the largest
    value for strikes. `calendar` adds public holidays and school breaks if no table has them.

    Raises DataError for data without dates, and for too many entities and days.
    """
    grid = _grid(dataset, until)
    placed = [*_own(dataset, grid), *(_placed(table, grid) for table in tables)]
    if calendar:
        given = {column for each in placed for column in each.columns}
        usual = {"holiday": public_holidays, "school_break": school_breaks}
        placed += [_placed(table(grid.days), grid) for column, table in usual.items() if column not in given]
    columns, notes = _combined(placed, grid)
    order = [*(name for name in ALIASES if name in columns), *(name for name in columns if name not in ALIASES)]
    index = pd.MultiIndex.from_product([grid.entities, grid.days], names=["entity", "day"])
    frame = pd.DataFrame({name: columns[name].ravel() for name in order}, index=index, dtype=float)
    return Drivers(frame, tuple(each.join for each in placed), tuple(notes))


def _grid(dataset: Dataset, until: pd.Timestamp) -> _Grid:
    """Return the grid of `dataset` up to `until`; raise DataError without dates or for too many cells."""
    if not dataset.dated or not len(dataset):
        raise DataError(N_("Drivers belong to days; these data have no dates."))
    own = _days_of(dataset).unique()
    until = pd.Timestamp(until).tz_localize(None).normalize()
    days = pd.date_range(own.min(), max(own.max(), until), name="day", unit="ns")
    if len(days) * len(dataset.entities) * len(ALIASES) > MAX_VALUES:
        raise DataError(
            N_(
                "{entities} entities on {days} days ({start} to {end}) are too many to join drivers to; is a "
                "date wrong?"
            ),
            entities=len(dataset.entities),
            days=len(days),
            start=str(days[0].date()),
            end=str(days[-1].date()),
        )
    return _Grid(dataset.entities, days, days.isin(own))


def _days_of(dataset: Dataset) -> pd.DatetimeIndex:
    """Return the day of every row.

    In a series of the gas day, the hours before `day_start` belong to the day before.
    """
    begins = pd.Timedelta(0) if dataset.profile else pd.Timedelta(hours=dataset.day_start)
    return (pd.DatetimeIndex(dataset.time) - begins).normalize()


def _own(dataset: Dataset, grid: _Grid) -> list[_Placed]:
    """Return the covariates of `dataset` itself as a table on the grid; an empty list if it has none."""
    if dataset.drivers is None or dataset.drivers.empty:
        return []
    values = dataset.drivers.rename(columns=lambda name: canonical_column(str(name)) or str(name))
    values = values.loc[:, ~values.columns.duplicated()]
    rule = {column: "max" if column in LARGEST else "mean" for column in values.columns}
    days = _days_of(dataset)
    daily = values.set_axis(pd.RangeIndex(len(values)), axis=0).groupby([dataset.entity_codes, days]).agg(rule)
    cube = np.full((len(grid.entities), len(grid.days), len(values.columns)), np.nan)
    cube[daily.index.get_level_values(0), grid.days.get_indexer(daily.index.get_level_values(1))] = daily.to_numpy()
    columns = list(values.columns)
    join = Join(
        ", ".join(dataset.files),
        "dataset",
        tuple(columns),
        len(grid.entities),
        (),
        (),
        str(days.min().date()),
        str(days.max().date()),
        int(grid.in_data.sum()),
        _covered(cube, grid),
    )
    return [_Placed(columns, cube, join)]


def _placed(table: CovariateTable, grid: _Grid) -> _Placed:
    """Return `table` on the grid, with its report."""
    cube = _by_place(table, grid)
    sources = {region: _sources(table.places, region) for region in set(grid.regions)}
    spoken = {region: _spoken(cube, table, places) for region, places in sources.items()}
    values = np.stack([spoken[region] for region in grid.regions])
    unmatched = tuple(entity for entity, region in zip(grid.entities, grid.regions, strict=True) if not sources[region])
    used = {place for places in sources.values() for place in places}
    join = Join(
        table.file,
        table.kind,
        tuple(table.columns),
        len(grid.entities) - len(unmatched),
        unmatched,
        tuple(place for place in table.places if place not in used),
        str(table.days[0].date()),
        str(table.days[-1].date()),
        int(grid.in_data.sum()),
        _covered(values, grid),
    )
    return _Placed(table.columns, values, join)


def _covered(values: Cube, grid: _Grid) -> int:
    """Return the number of days of the data with at least one known value."""
    known = ~np.isnan(values).all(axis=(0, 2))
    return int((known & grid.in_data).sum())


def _by_place(table: CovariateTable, grid: _Grid) -> Cube:
    """Return the values of `table` as an array (places, days, columns), NaN where unknown."""
    cube = np.full((len(table.places), len(grid.days), len(table.columns)), np.nan)
    place = pd.Index(table.places).get_indexer(table.frame.index.get_level_values("place"))
    day = grid.days.get_indexer(table.frame.index.get_level_values("day"))
    within = day >= 0
    cube[place[within], day[within]] = table.frame.to_numpy()[within]
    return cube


def _sources(places: Sequence[str], region: str | None) -> list[str]:
    """Return the places whose values apply to `region`, the nearest first: the region, its school zone, the country.

    An entity without a region gets the country, or all zones if the table has no national rows.
    """
    near = [place for place in (region, SCHOOL_ZONE.get(region or ""), NATION) if place is not None and place in places]
    return near or ([zone for zone in "ABC" if zone in places] if region is None else [])


def _spoken(cube: Cube, table: CovariateTable, sources: list[str]) -> Cube:
    """Return the values of the source places, merged to shape (days, columns).

    The first known value counts, the largest value for strikes, and the mean (a share) over all zones.
    """
    if not sources:
        return np.full(cube.shape[1:], np.nan)
    parts = cube[[table.places.index(place) for place in sources]]
    if len(sources) > 1 and set(sources) <= set("ABC"):
        return parts.mean(axis=0)
    found = parts[0]
    for part in parts[1:]:
        found = _filled(found, part, np.isin(table.columns, ADDED_UP))
    return found


def _filled(first: Cube, later: Cube, added_up: "NDArray[np.bool_] | bool") -> Cube:
    """Return `first` with its gaps filled from `later`, and the larger of both where `added_up`."""
    return np.where(np.isnan(first) | (added_up & (later > first)), later, first)


def _combined(placed: list[_Placed], grid: _Grid) -> tuple[dict[str, Cube], list[Finding]]:
    """Return column → values, shape (entities, days), and a note on each column that several tables have."""
    columns: dict[str, Cube] = {}
    tellers: dict[str, list[str]] = {}
    for each in placed:
        for number, column in enumerate(each.columns):
            own = each.values[:, :, number]
            columns[column] = _filled(columns[column], own, column in ADDED_UP) if column in columns else own
            tellers.setdefault(column, []).append(each.join.file)
    if set(ADDED_UP) <= set(columns):
        columns["strike_rate"] = _rate(columns["strike"], columns["strike_rate"])
    return columns, [_several(column, files) for column, files in tellers.items() if len(files) > 1]


def _rate(strike: Cube, rate: Cube) -> Cube:
    """Return the share of strikers, corrected with the strikes.

    It is 0 on days without a strike, and NaN on days with a strike whose rate is unknown.
    """
    return np.where(strike == 0, 0.0, np.where((strike == 1) & (rate == 0), np.nan, rate))


def _several(column: str, files: list[str]) -> Finding:
    """Return the note on a column that several files have."""
    first_counts = N_(
        "{column}: in several files; {first} counts where it has a value, the gaps are filled from {others}."
    )
    largest_counts = N_("{column}: in several files; the largest value of {first} and {others} counts.")
    template = largest_counts if column in ADDED_UP else first_counts
    return Finding(
        "column_in_several_tables",
        len(files),
        Text(template, {"column": column, "first": files[0], "others": ", ".join(files[1:])}),
    )
