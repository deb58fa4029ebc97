"""Join of covariate tables: one row per entity and day, and deviations at the times of the day.

The rows are those of the grid from the start, so no join can add one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.calendar_choice import FRANCE, CalendarChoice, choose_calendars
from core.data.covariates.calendars import load_public_holidays, load_school_breaks
from core.data.covariates.column_names import ALIASES, find_covariate, preview_names, takes_largest
from core.data.covariates.countries import split_calendar
from core.data.covariates.covariate_table import CovariateTable
from core.data.covariates.covariates import Covariates, JoinReport
from core.data.covariates.intraday import Cube, IntradayValues, count_slots
from core.data.covariates.matching import MAP_FLAG, PlaceMatch, check_places, match_places, parse_places
from core.data.covariates.placement import (
    MAX_GRID_VALUES,
    EntityGrid,
    PlacedTable,
    count_covered_days,
    fill_gaps,
    find_deviations,
    is_union,
    place_table,
)
from core.data.dataset import Dataset
from core.data.nameless import name_by_file
from core.data.quality.findings import Finding
from core.errors import DataError
from core.messages import N_, Message

MIN_CALENDAR_SHARE = 0.5  # of the public holidays of a year, from which a file is a calendar of its own

SHARED_PLACE = N_(
    "{file}: no place in it matches an entity by name, so the values of {places} (their mean) count for all entities. "
    "{option} or the form assigns places."
)
UNMATCHED_FILE = N_(
    "{file} is not used: none of its places ({places}) matches an entity ({entities}). "
    "{option} or the form assigns places."
)
UNMATCHED_ENTITIES = N_(
    "{file}: {count} entity has no place in it, so its values are unknown for this entity: {entities}. "
    "{option} or the form assigns places.",
    "{file}: {count} entities have no place in it, so its values are unknown for them: {entities}. "
    "{option} or the form assigns places.",
)


def join_covariates(
    dataset: Dataset,
    tables: Sequence[CovariateTable],
    last_day: pd.Timestamp,
    calendar: str = "",
    places: Sequence[str] = (),
) -> Covariates:
    """Join `tables`, the covariates of `dataset` and a calendar, for every entity and day up to `last_day`.

    Where the data have several steps a day, numbers of files with several values a day are known at these steps, too.

    calendar  "FR", "DE-BY" …, "none" for none, "" for the one that the data point to (`choose_calendars`)
    places    places of entities, such as "AEP=Ohio"

    A table applies to the entities that its places match (`match_places`). Where several tables have a column, the
    first known value counts, and the largest value for strikes and events. Public holidays of the calendar are added
    to the holidays of the files, except in years for which a file is a calendar of its own. French entities get school
    breaks where no file has them. What was matched, shared or left out is in the notes.

    Raises DataError for data without dates, and for too many entities and days. Raises OptionError for an unknown
    calendar, entity or place.
    """
    entities, dataset = dataset.entities, name_by_file(dataset)  # the name of a file may tell a place
    names = dict(zip(entities, dataset.entities, strict=True))
    mapping = {names.get(entity, entity): place for entity, place in parse_places(places).items()}
    check_places(mapping, dataset.entities, [table.places for table in tables])
    grid = _build_grid(dataset, last_day, choose_calendars(dataset, calendar, mapping), mapping)
    tables_on_grid = [*_place_dataset_covariates(dataset, grid), *(_match_table(table, grid) for table in tables)]
    columns, notes = _merge_tables(tables_on_grid, grid)
    calendar_tables = _place_calendars(grid)
    added = [table for table in calendar_tables if _add_calendar(columns, notes, table, tables_on_grid, grid)]
    order = [*(name for name in ALIASES if name in columns), *(name for name in columns if name not in ALIASES)]
    index = pd.MultiIndex.from_product([entities, grid.days], names=["entity", "day"])
    frame = pd.DataFrame({name: columns[name].ravel() for name in order}, index=index, dtype=float)
    kind = "calendar" if calendar else "guessed_calendar"
    notes = [Finding(kind, len(grid.choice.calendars), grid.choice.note), *notes]
    joins = tuple(grid_table.join for grid_table in (*tables_on_grid, *added))
    deviations = _merge_deviations(tables_on_grid)
    intraday = IntradayValues(deviations, grid.day_start, dataset.zone) if deviations else None
    return Covariates(frame, joins, tuple(notes), grid.choice.shared_code, intraday)


def _build_grid(
    dataset: Dataset, last_day: pd.Timestamp, choice: CalendarChoice, mapping: Mapping[str, str]
) -> EntityGrid:
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
    slots = count_slots(dataset)
    return EntityGrid(dataset.entities, days, slots, dataset.day_start, days.isin(data_days), choice, mapping)


def _compute_days(dataset: Dataset) -> pd.DatetimeIndex:
    """Return the day of every row.

    In a series of the gas day, the hours before `day_start` belong to the day before.
    """
    day_offset = pd.Timedelta(0) if dataset.profile else pd.Timedelta(hours=dataset.day_start)
    return (pd.DatetimeIndex(dataset.time) - day_offset).normalize()


def _place_dataset_covariates(dataset: Dataset, grid: EntityGrid) -> list[PlacedTable]:
    """Return a list with one table: the covariates of the dataset per day on the grid; an empty list if it has none."""
    if dataset.covariates is None or dataset.covariates.empty:
        return []
    values = dataset.covariates.rename(columns=lambda name: find_covariate(str(name)) or str(name))
    values = values.loc[:, ~values.columns.duplicated()]
    aggregation = {column: "max" if takes_largest(column) else "mean" for column in values.columns}
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
        count_covered_days(cube, grid),
    )
    if dataset.profile:
        return [PlacedTable(columns, cube, join)]
    rows, times = values.to_numpy(dtype=float), pd.DatetimeIndex(dataset.time)
    return [PlacedTable(columns, cube, join, find_deviations(rows, columns, dataset.entity_codes, times, cube, grid))]


def _match_table(table: CovariateTable, grid: EntityGrid) -> PlacedTable:
    """Return `table` on the grid, with notes on entities without a place and on places that apply to all."""
    match = match_places(grid.entities, table.places, grid.mapping, grid.choice.codes)
    grid_table = place_table(table, match, grid)
    unmatched = grid_table.join.entities_unmatched
    values: dict[str, object] = {
        "file": table.file,
        "places": preview_names(table.places),
        "entities": preview_names(unmatched),
    }
    values |= {"count": len(unmatched), "option": f"{MAP_FLAG} ENTITY=PLACE"}
    if match.is_shared:
        kind, template = "shared_place", SHARED_PLACE
    elif len(unmatched) == len(grid.entities):
        kind, template = "unmatched_file", UNMATCHED_FILE
    elif unmatched:
        kind, template = "unmatched_entities", UNMATCHED_ENTITIES
    else:
        return grid_table
    return replace(grid_table, notes=(Finding(kind, len(unmatched), Message(template, values)),))


def _merge_tables(tables_on_grid: list[PlacedTable], grid: EntityGrid) -> tuple[dict[str, Cube], list[Finding]]:
    """Return column → values, shape (entities, days), and a note on each column that several tables have."""
    columns: dict[str, Cube] = {}
    files_by_column: dict[str, list[str]] = {}
    for grid_table in tables_on_grid:
        for number, column in enumerate(grid_table.columns):
            values = grid_table.values[:, :, number]
            columns[column] = fill_gaps(columns[column], values, is_union(column)) if column in columns else values
            files_by_column.setdefault(column, []).append(grid_table.join.file)
    if {"strike", "strike_rate"} <= set(columns):
        columns["strike_rate"] = _correct_strike_rate(columns["strike"], columns["strike_rate"])
    overlaps = [_build_overlap_note(column, files) for column, files in files_by_column.items() if len(files) > 1]
    return columns, [*(note for grid_table in tables_on_grid for note in grid_table.notes), *overlaps]


def _merge_deviations(tables_on_grid: Sequence[PlacedTable]) -> dict[str, Cube]:
    """Return column → deviations of the times of a day, (entities, days, slots); the first known one counts."""
    merged: dict[str, Cube] = {}
    for grid_table in tables_on_grid:
        for column, values in grid_table.deviations.items():
            merged[column] = fill_gaps(merged[column], values, use_larger=False) if column in merged else values
    return merged


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
    template = largest_counts if is_union(column) else first_counts
    return Finding(
        "column_in_several_tables",
        len(files),
        Message(template, {"column": column, "first": files[0], "others": ", ".join(files[1:])}),
    )


# ---- calendar -------------------------------------------------------------------------------------------------------


def _place_calendars(grid: EntityGrid) -> list[PlacedTable]:
    """Return the public holidays of the calendars, and the school breaks of French entities, on the grid."""
    codes = grid.choice.codes
    if not grid.choice.calendars:
        return []
    holidays = load_public_holidays(grid.days, grid.choice.calendars)
    places = {entity: (code,) if code else () for entity, code in codes.items()}
    tables = [place_table(holidays, PlaceMatch(places), grid)]
    if any(split_calendar(code)[0] == FRANCE for code in codes.values()):
        breaks = load_school_breaks(grid.days)
        match = match_places(grid.entities, breaks.places, grid.mapping, codes).places
        in_france = {entity: places if codes[entity] == FRANCE else () for entity, places in match.items()}
        tables.append(place_table(breaks, PlaceMatch(in_france), grid))
    return tables


def _add_calendar(
    columns: dict[str, Cube],
    notes: list[Finding],
    calendar: PlacedTable,
    tables_on_grid: Sequence[PlacedTable],
    grid: EntityGrid,
) -> bool:
    """Add the single flag of a calendar to `columns`, and a note if files have it too; tell whether it adds anything.

    Gaps of the files are filled. Holidays are added as well in years in which the files have few of them.
    """
    column, values = calendar.columns[0], calendar.values[:, :, 0]
    own = columns.get(column)
    if own is None:
        columns[column] = values
        return True
    is_sparse = _mark_sparse_years(own, values, grid.days) if column == "holiday" else False
    merged = fill_gaps(own, values, is_sparse)
    adds_days = bool((np.nan_to_num(merged) != np.nan_to_num(own)).any())
    if adds_days:
        columns[column] = merged
        files = [table.join.file for table in tables_on_grid if column in table.columns]
        template = N_("{column}: {calendar} is added to the days of {files}, where these name few days or none.")
        message = Message(
            template, {"column": column, "calendar": calendar.join.file, "files": ", ".join(dict.fromkeys(files))}
        )
        notes.append(Finding("calendar_added", 1, message))
    return adds_days


def _mark_sparse_years(own: Cube, public: Cube, days: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """Return True for entities and days of a year in which the files have few holidays, (entities, days)."""
    is_sparse = np.zeros(own.shape, dtype=bool)
    for year in days.year.unique():
        in_year = np.asarray(days.year == year)
        own_count, public_count = (np.nansum(flags[:, in_year] > 0, axis=1) for flags in (own, public))
        is_sparse[:, in_year] = (own_count < MIN_CALENDAR_SHARE * public_count)[:, None]
    return is_sparse
