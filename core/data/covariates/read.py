"""Reader of covariate files: finds covariates and their units, and returns one row per place and day, or time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.covariates.column_names import (
    ALIASES,
    END_NAMES,
    KIND_BY_COLUMN,
    NAME_SIGN,
    START_NAMES,
    STRIKE_NAMES,
    find_column,
    find_covariate,
    parse_break_zone,
)
from core.data.covariates.column_values import read_values
from core.data.covariates.covariate_table import CovariateTable, aggregate_by_day
from core.data.covariates.daily_values import build_values, note_conflicts, note_ignored
from core.data.covariates.event_files import (
    build_events,
    fill_absent_days,
    find_event_columns,
    mark_named_events,
    name_flags,
)
from core.data.covariates.events import drop_undecided_days, expand_strikes
from core.data.covariates.local_times import find_time_columns, read_times
from core.data.covariates.places import read_places
from core.data.covariates.weeks import expand_weeks
from core.data.ingest.files import open_sources
from core.data.ingest.layouts.base import normalise_name
from core.data.ingest.loading import FileInput
from core.data.ingest.readers import RawTable, group_files, read_group
from core.errors import InputError
from core.messages import N_


def read_covariates(files: Sequence[FileInput], zone: str = "", entities: Sequence[str] = ()) -> list[CovariateTable]:
    """Read one table per file of weather, strikes, public holidays, school breaks or events, in the order of the files.

    `zone` is the time zone of the data, whose days the values of timestamps in UTC are assigned to. Without a zone, and
    with several offsets, these are the days of France. Columns may belong to one of the `entities` of the data each.

    Other numbers per day are accepted as kind "other". Raises InputError without files, UnreadableFileError for bad
    cells, and UnknownLayoutError for a file without dates or covariates.
    """
    if not files:
        raise InputError(N_("No file was given."))
    with open_sources(list(files)) as sources:
        tables = [_set_zone(read_group(group), zone) for group in group_files(sources)]
        return [_build_covariate_table(table, entities) for table in tables]


def _set_zone(table: RawTable, zone: str) -> RawTable:
    """Return the table with the zone of the data among its options; several offsets are no zone."""
    is_single = "/+" not in zone and "/-" not in zone
    return replace(table, options=replace(table.options, zone=zone if is_single else ""))


def _build_covariate_table(table: RawTable, entities: Sequence[str]) -> CovariateTable:
    """Detect the kind of `table` by its columns, and build the covariate table."""
    table, intraday = expand_weeks(table), None
    columns = [str(column) for column in table.frame.columns]
    covariates = {find_covariate(column) for column in columns}
    if "strike" not in covariates and any(normalise_name(column) in STRIKE_NAMES for column in columns):
        kind, frame = "strikes", _build_strikes(table)
        note_ignored(table, _list_other_covariates(columns, "strike_rate"))
    elif any(map(parse_break_zone, columns)):
        kind, frame = "school_breaks", _build_school_breaks(table)
    elif event_columns := find_event_columns(table):
        flag, frame = build_events(table, event_columns)
        kind = KIND_BY_COLUMN[flag]
    else:
        values, intraday = build_values(mark_named_events(table), entities)
        frame = fill_absent_days(table, name_flags(values))
        intraday = None if intraday is None else intraday.loc[:, intraday.columns.isin(frame.columns)]
        kind = next((kind for name in frame.columns if (kind := _name_kind(name))), "other")
    frame = drop_undecided_days(table, frame) if list(frame.columns) == ["school_break"] else frame
    return CovariateTable(kind, frame, table.name, tuple(table.notes), intraday)


def _name_kind(column: str) -> str:
    """Return the kind of table that a column belongs to; "" for a column that is no known covariate."""
    flag = column.partition(NAME_SIGN)[0]
    return KIND_BY_COLUMN.get(flag, "weather" if flag in ALIASES else "")


def _list_other_covariates(columns: list[str], used: str) -> list[str]:
    """Return the columns with covariates that a file of strikes cannot give besides its own."""
    return [column for column in columns if find_covariate(column) not in (None, used)]


def _build_strikes(table: RawTable) -> pd.DataFrame:
    columns = list(table.frame.columns)
    time_columns = find_time_columns(table, START_NAMES)
    cells = {role: table.frame[column] for column, role in time_columns.items()}
    start = read_times(table, cells).days
    end_column = find_column(columns, END_NAMES)
    end = start
    if end_column and "time" in cells:
        ends = table.frame[end_column].astype(object)
        end = read_times(table, {"time": ends.where(ends.notna(), cells["time"].astype(object))}).days
    rate_column = next((column for column in columns if find_covariate(column) == "strike_rate"), None)
    rate = read_values(table, rate_column, "strike_rate") if rate_column else np.full(len(start), np.nan)
    place, _, has_place = read_places(table)
    return expand_strikes(table, start[has_place], end[has_place], rate[has_place], place[has_place])


def _build_school_breaks(table: RawTable) -> pd.DataFrame:
    """Turn one column per school zone into one row per zone and day."""
    times = read_times(table, {role: table.frame[column] for column, role in find_time_columns(table).items()})
    zones = [(zone, column) for column in table.frame.columns if (zone := parse_break_zone(column))]
    values = pd.DataFrame(
        {"school_break": np.concatenate([read_values(table, column, "school_break") for _, column in zones])}
    )
    days = pd.DatetimeIndex(np.tile(times.days, len(zones)))
    places = np.repeat(np.array([zone for zone, _ in zones], dtype=object), len(times.days))
    note_conflicts(table, values, days, places)
    return drop_undecided_days(table, aggregate_by_day(values, days, places))
