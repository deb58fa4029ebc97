"""Join of covariate tables: one row per entity and day.

The rows are those of the grid from the start, so no join can add one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.calendars import load_public_holidays, load_school_breaks
from core.data.covariates.column_names import ALIASES, LARGEST_VALUE_COLUMNS, find_covariate
from core.data.covariates.covariate_table import NATION, CovariateTable
from core.data.covariates.covariates import Covariates, JoinReport
from core.data.dataset import Dataset
from core.data.nameless import list_place_names
from core.data.quality.findings import Finding
from core.data.regions import ZONE_BY_REGION, find_region
from core.errors import DataError
from core.messages import N_, Message

Cube = NDArray[np.float64]
"""Values of shape (places or entities, days, columns), NaN where unknown."""

MAX_GRID_VALUES = 50_000_000
UNION_COLUMNS = ("strike", "strike_rate")
"""Columns merged by the largest value: a strike in one table is a strike, even if another table lacks it."""


@dataclass(frozen=True)
class _Grid:
    """Entities and days of the result.

    place_names  names that may tell the place of each entity
    in_data      mask of the days that the data have
    """

    entities: list[str]
    place_names: list[str]
    days: pd.DatetimeIndex
    is_data_day: NDArray[np.bool_]

    @cached_property
    def entity_regions(self) -> list[str | None]:
        return [find_region(name) for name in self.place_names]


@dataclass(frozen=True)
class _TableOnGrid:
    """Values of a table on the grid, with its report."""

    columns: list[str]
    values: Cube
    join: JoinReport


def join_covariates(
    dataset: Dataset, tables: Sequence[CovariateTable], last_day: pd.Timestamp, with_calendar: bool = True
) -> Covariates:
    """Join `tables`, the covariates of `dataset` and the French calendar, for every entity and day up to `last_day`.

    The table of a region applies to the entities in it, the table of a school zone to the regions of that zone, and a
    national table to all entities. Where several tables have a column, the first known value counts, and the largest
    value for strikes. `with_calendar` adds public holidays and school breaks if no table has them.

    Raises DataError for data without dates, and for too many entities and days.
    """
    grid = _build_grid(dataset, last_day)
    tables_on_grid = [*_place_dataset_covariates(dataset, grid), *(_place_table(table, grid) for table in tables)]
    if with_calendar:
        present_columns = {column for grid_table in tables_on_grid for column in grid_table.columns}
        calendar_tables = {"holiday": load_public_holidays, "school_break": load_school_breaks}
        tables_on_grid += [
            _place_table(table(grid.days), grid)
            for column, table in calendar_tables.items()
            if column not in present_columns
        ]
    columns, notes = _merge_tables(tables_on_grid, grid)
    order = [*(name for name in ALIASES if name in columns), *(name for name in columns if name not in ALIASES)]
    index = pd.MultiIndex.from_product([grid.entities, grid.days], names=["entity", "day"])
    frame = pd.DataFrame({name: columns[name].ravel() for name in order}, index=index, dtype=float)
    return Covariates(frame, tuple(grid_table.join for grid_table in tables_on_grid), tuple(notes))


def _build_grid(dataset: Dataset, last_day: pd.Timestamp) -> _Grid:
    """Return the grid of `dataset` up to `last_day`; raise DataError without dates or for too many cells."""
    if not dataset.has_dates or not len(dataset):
        raise DataError(N_("Covariates are joined by day. These data have no dates."))
    data_days = _compute_days(dataset).unique()
    last_day = pd.Timestamp(last_day).tz_localize(None).normalize()
    days = pd.date_range(data_days.min(), max(data_days.max(), last_day), name="day", unit="ns")
    if len(days) * len(dataset.entities) * len(ALIASES) > MAX_GRID_VALUES:
        raise DataError(
            N_(
                "Covariates cannot be joined to {entities} entities on {days} days ({start} to "
                "{end}): the table would be too large. Check the first and the last date."
            ),
            entities=len(dataset.entities),
            days=len(days),
            start=str(days[0].date()),
            end=str(days[-1].date()),
        )
    return _Grid(dataset.entities, list_place_names(dataset), days, days.isin(data_days))


def _compute_days(dataset: Dataset) -> pd.DatetimeIndex:
    """Return the day of every row.

    In a series of the gas day, the hours before `day_start` belong to the day before.
    """
    day_offset = pd.Timedelta(0) if dataset.profile else pd.Timedelta(hours=dataset.day_start)
    return (pd.DatetimeIndex(dataset.time) - day_offset).normalize()


def _place_dataset_covariates(dataset: Dataset, grid: _Grid) -> list[_TableOnGrid]:
    """Return a list with one table: the covariates of the dataset per day on the grid; an empty list if it has none."""
    if dataset.covariates is None or dataset.covariates.empty:
        return []
    values = dataset.covariates.rename(columns=lambda name: find_covariate(str(name)) or str(name))
    values = values.loc[:, ~values.columns.duplicated()]
    aggregation = {column: "max" if column in LARGEST_VALUE_COLUMNS else "mean" for column in values.columns}
    days = _compute_days(dataset)
    daily = values.set_axis(pd.RangeIndex(len(values)), axis=0).groupby([dataset.entity_codes, days]).agg(aggregation)
    cube = np.full((len(grid.entities), len(grid.days), len(values.columns)), np.nan)
    cube[daily.index.get_level_values(0), grid.days.get_indexer(daily.index.get_level_values(1))] = daily.to_numpy()
    columns = list(values.columns)
    join = JoinReport(
        ", ".join(dataset.files),
        "dataset",
        tuple(columns),
        len(grid.entities),
        (),
        (),
        str(days.min().date()),
        str(days.max().date()),
        int(grid.is_data_day.sum()),
        _count_covered_days(cube, grid),
    )
    return [_TableOnGrid(columns, cube, join)]


def _place_table(table: CovariateTable, grid: _Grid) -> _TableOnGrid:
    """Return `table` on the grid, with its report."""
    cube = _build_place_cube(table, grid)
    places_by_region = {region: _find_places(table.places, region) for region in set(grid.entity_regions)}
    values_by_region = {region: _merge_places(cube, table, places) for region, places in places_by_region.items()}
    values = np.stack([values_by_region[region] for region in grid.entity_regions])
    unmatched = tuple(
        entity
        for entity, region in zip(grid.entities, grid.entity_regions, strict=True)
        if not places_by_region[region]
    )
    used_places = {place for places in places_by_region.values() for place in places}
    join = JoinReport(
        table.file,
        table.kind,
        tuple(table.columns),
        len(grid.entities) - len(unmatched),
        unmatched,
        tuple(place for place in table.places if place not in used_places),
        str(table.days[0].date()),
        str(table.days[-1].date()),
        int(grid.is_data_day.sum()),
        _count_covered_days(values, grid),
    )
    return _TableOnGrid(table.columns, values, join)


def _count_covered_days(values: Cube, grid: _Grid) -> int:
    """Return the number of days of the data with at least one known value."""
    is_known = ~np.isnan(values).all(axis=(0, 2))
    return int((is_known & grid.is_data_day).sum())


def _build_place_cube(table: CovariateTable, grid: _Grid) -> Cube:
    """Return the values of `table` as an array (places, days, columns), NaN where unknown."""
    cube = np.full((len(table.places), len(grid.days), len(table.columns)), np.nan)
    place_codes = pd.Index(table.places).get_indexer(table.frame.index.get_level_values("place"))
    day_positions = grid.days.get_indexer(table.frame.index.get_level_values("day"))
    in_grid = day_positions >= 0
    cube[place_codes[in_grid], day_positions[in_grid]] = table.frame.to_numpy()[in_grid]
    return cube


def _find_places(places: Sequence[str], region: str | None) -> list[str]:
    """Return the places whose values apply to `region`, the nearest first: the region, its school zone, the country.

    An entity without a region gets the country, or all zones if the table has no national rows.
    """
    candidates = [
        place for place in (region, ZONE_BY_REGION.get(region or ""), NATION) if place is not None and place in places
    ]
    return candidates or ([zone for zone in "ABC" if zone in places] if region is None else [])


def _merge_places(cube: Cube, table: CovariateTable, sources: list[str]) -> Cube:
    """Return the values of the source places, merged to shape (days, columns).

    The first known value counts, the largest value for strikes, and the mean (a share) over all zones.
    """
    if not sources:
        return np.full(cube.shape[1:], np.nan)
    parts = cube[[table.places.index(place) for place in sources]]
    if len(sources) > 1 and set(sources) <= set("ABC"):
        return parts.mean(axis=0)
    merged = parts[0]
    for part in parts[1:]:
        merged = _fill_gaps(merged, part, np.isin(table.columns, UNION_COLUMNS))
    return merged


def _fill_gaps(first: Cube, later: Cube, use_larger: "NDArray[np.bool_] | bool") -> Cube:
    """Return `first` with its gaps filled from `later`, and the larger of both where `use_larger`."""
    return np.where(np.isnan(first) | (use_larger & (later > first)), later, first)


def _merge_tables(tables_on_grid: list[_TableOnGrid], grid: _Grid) -> tuple[dict[str, Cube], list[Finding]]:
    """Return column → values, shape (entities, days), and a note on each column that several tables have."""
    columns: dict[str, Cube] = {}
    files_by_column: dict[str, list[str]] = {}
    for grid_table in tables_on_grid:
        for number, column in enumerate(grid_table.columns):
            values = grid_table.values[:, :, number]
            columns[column] = (
                _fill_gaps(columns[column], values, column in UNION_COLUMNS) if column in columns else values
            )
            files_by_column.setdefault(column, []).append(grid_table.join.file)
    if set(UNION_COLUMNS) <= set(columns):
        columns["strike_rate"] = _correct_strike_rate(columns["strike"], columns["strike_rate"])
    return columns, [_build_overlap_note(column, files) for column, files in files_by_column.items() if len(files) > 1]


def _correct_strike_rate(strike: Cube, rate: Cube) -> Cube:
    """Return the share of strikers, corrected with the strikes.

    It is 0 on days without a strike, and NaN on days with a strike whose rate is unknown.
    """
    return np.where(strike == 0, 0.0, np.where((strike == 1) & (rate == 0), np.nan, rate))


def _build_overlap_note(column: str, files: list[str]) -> Finding:
    """Return the note on a column that several files have."""
    first_counts = N_(
        "{column}: several files have this column. Values of {first} are used first. Missing "
        "values are filled from {others}."
    )
    largest_counts = N_("{column}: several files have this column. The largest value of {first} and {others} is used.")
    template = largest_counts if column in UNION_COLUMNS else first_counts
    return Finding(
        "column_in_several_tables",
        len(files),
        Message(template, {"column": column, "first": files[0], "others": ", ".join(files[1:])}),
    )
