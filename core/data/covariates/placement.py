"""Values of a covariate table on the entities and days of the data, and at the times of the day.

A cube has the shape (places or entities, days, columns), and NaN where a value is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.calendar_choice import CalendarChoice
from core.data.covariates.column_names import takes_largest
from core.data.covariates.covariate_table import CovariateTable
from core.data.covariates.covariates import JoinReport
from core.data.covariates.intraday import Cube, DayGrid, compute_deviations, select_changing
from core.data.covariates.matching import PlaceMatch
from core.data.quality.findings import Finding

MAX_GRID_VALUES = 50_000_000
FIRST_FILLED_COLUMNS = ("holiday", "school_break")
"""Flags of which the first known value counts. Other flags and rates are merged by the largest value: a strike in one
table is a strike, even if another table lacks it."""


@dataclass(frozen=True)
class EntityGrid:
    """Entities and days of the result, and the calendar and place of every entity.

    slots        steps of the data in a day; 0 where covariates count by day only
    day_start    hour at which a day of the data begins
    is_data_day  mask of the days that the data have
    """

    entities: list[str]
    days: pd.DatetimeIndex
    slots: int
    day_start: int
    is_data_day: NDArray[np.bool_]
    choice: CalendarChoice
    mapping: Mapping[str, str]


@dataclass(frozen=True)
class PlacedTable:
    """Values of a table on the grid, with its report and notes.

    deviations  column → deviations from the value of the day, (entities, days, slots)
    """

    columns: list[str]
    values: Cube
    join: JoinReport
    deviations: Mapping[str, Cube] = field(default_factory=dict)
    notes: tuple[Finding, ...] = ()


def place_table(table: CovariateTable, match: PlaceMatch, grid: EntityGrid) -> PlacedTable:
    """Return `table` on the grid, with its report."""
    matched = {place for places in match.places.values() for place in places}
    used_places = [place for place in table.places if place in matched]
    cube = _build_place_cube(table, used_places, grid)
    values = _spread_places(cube, table.columns, used_places, match, grid)
    place_deviations = _find_table_deviations(table, used_places, cube, grid)
    deviations = {
        column: _spread_places(values, [column] * grid.slots, used_places, match, grid)
        for column, values in place_deviations.items()
    }
    unmatched = tuple(entity for entity in grid.entities if not match.places[entity])
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
        count_covered_days(values, grid),
    )
    return PlacedTable(table.columns, values, join, deviations)


def count_covered_days(values: Cube, grid: EntityGrid) -> int:
    """Return the number of days of the data with at least one known value."""
    is_known = ~np.isnan(values).all(axis=(0, 2))
    return int((is_known & grid.is_data_day).sum())


def _build_place_cube(table: CovariateTable, places: Sequence[str], grid: EntityGrid) -> Cube:
    """Return the values of some places of `table` as an array (places, days, columns), NaN where unknown."""
    cube = np.full((len(places), len(grid.days), len(table.columns)), np.nan)
    place_codes = pd.Index(places, dtype=object).get_indexer(table.frame.index.get_level_values("place"))
    day_positions = grid.days.get_indexer(table.frame.index.get_level_values("day"))
    in_grid = (day_positions >= 0) & (place_codes >= 0)
    cube[place_codes[in_grid], day_positions[in_grid]] = table.frame.to_numpy()[in_grid]
    return cube


def _find_table_deviations(
    table: CovariateTable, places: Sequence[str], daily: Cube, grid: EntityGrid
) -> dict[str, Cube]:
    """Return column → deviations (places, days, slots) of the columns of `table` that change within a day."""
    if table.intraday is None or not places:
        return {}
    columns, index = list(table.intraday.columns), table.intraday.index
    numbers = [table.columns.index(column) for column in columns]
    groups = pd.Index(places, dtype=object).get_indexer(index.get_level_values("place"))
    times = pd.DatetimeIndex(index.get_level_values("time"))
    return find_deviations(table.intraday.to_numpy(), columns, groups, times, daily[:, :, numbers], grid)


def find_deviations(
    rows: NDArray[np.float64],
    columns: list[str],
    groups: NDArray[np.intp],
    times: pd.DatetimeIndex,
    daily: Cube,
    grid: EntityGrid,
) -> dict[str, Cube]:
    """Return column → deviations (groups, days, slots) of the `columns` of numbers that change within a day.

    There are none where the data have no times of the day, or too many entities and days for all of them.
    """
    numbers = [number for number, column in enumerate(columns) if not takes_largest(column)]
    cells = len(grid.entities) * len(grid.days) * grid.slots * len(numbers)
    if not 0 < cells <= MAX_GRID_VALUES:
        return {}
    day_grid = DayGrid(grid.days, grid.slots, grid.day_start)
    deviations = compute_deviations(rows[:, numbers], groups, times, daily[:, :, numbers], day_grid)
    return select_changing(deviations, [columns[number] for number in numbers], daily[:, :, numbers])


def _spread_places(
    cube: Cube, columns: Sequence[str], used_places: Sequence[str], match: PlaceMatch, grid: EntityGrid
) -> Cube:
    """Return the values of places, (places, days, columns), for the entities that they apply to."""
    values_by_places = {
        places: _merge_places(cube, columns, used_places, places, match.is_shared)
        for places in set(match.places.values())
    }
    return np.stack([values_by_places[match.places[entity]] for entity in grid.entities])


def _merge_places(
    cube: Cube, columns: Sequence[str], used_places: Sequence[str], sources: Sequence[str], is_shared: bool
) -> Cube:
    """Return the values of the source places, merged to shape (days, columns).

    The first known value counts, the largest value for strikes. All zones, and all places of a file that fit no
    entity, give the mean of the known values (a share for flags).
    """
    if not sources:
        return np.full(cube.shape[1:], np.nan)
    parts = cube[[used_places.index(place) for place in sources]]
    if len(sources) > 1 and set(sources) <= set("ABC"):
        return parts.mean(axis=0)
    if is_shared:
        known = np.isfinite(parts).sum(axis=0)
        return np.where(known > 0, np.nansum(parts, axis=0) / np.maximum(known, 1), np.nan)
    merged = parts[0]
    for part in parts[1:]:
        merged = fill_gaps(merged, part, np.array([is_union(column) for column in columns]))
    return merged


def is_union(column: str) -> bool:
    """Tell whether the largest value of several tables counts, and not the first."""
    return takes_largest(column) and column not in FIRST_FILLED_COLUMNS


def fill_gaps(first: Cube, later: Cube, use_larger: "NDArray[np.bool_] | bool | np.bool_") -> Cube:
    """Return `first` with its gaps filled from `later`, and the larger of both where `use_larger`."""
    return np.where(np.isnan(first) | (use_larger & (later > first)), later, first)
