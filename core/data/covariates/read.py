"""Reader of covariate files: finds covariates and their units, and returns one row per place and day."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.data.covariates.column_names import (
    ALIASES,
    END_NAMES,
    HOLIDAY_NAMES,
    KIND_BY_COLUMN,
    START_NAMES,
    STRIKE_NAMES,
    find_column,
    find_covariate,
    parse_break_zone,
)
from core.data.covariates.column_values import read_values
from core.data.covariates.covariate_table import CovariateTable, aggregate_by_day
from core.data.covariates.daily_values import build_daily, make_missing_error, note_conflicts, note_ignored
from core.data.covariates.events import drop_undecided_days, expand_strikes, mark_days
from core.data.covariates.local_times import find_time_columns, read_times
from core.data.covariates.places import read_places
from core.data.ingest.column_facts import describe_column
from core.data.ingest.files import open_sources
from core.data.ingest.layouts.base import normalise_name
from core.data.ingest.loading import FileInput
from core.data.ingest.readers import RawTable, group_files, read_group
from core.errors import InputError
from core.messages import N_


def read_covariates(files: Sequence[FileInput]) -> list[CovariateTable]:
    """Read one table per file of weather, strikes, public holidays or school breaks, in the order of the files.

    Other numbers per day are accepted as kind "other". Raises InputError without files, UnreadableFileError for bad
    cells, and UnknownLayoutError for a file without dates, known regions or covariates.
    """
    if not files:
        raise InputError(N_("No file was given."))
    with open_sources(list(files)) as sources:
        return [_build_covariate_table(read_group(group)) for group in group_files(sources)]


def _build_covariate_table(table: RawTable) -> CovariateTable:
    """Detect the kind of `table` by its columns, and build the covariate table."""
    columns = [str(column) for column in table.frame.columns]
    covariates = {find_covariate(column) for column in columns}
    holiday_names = _find_holiday_names(table, columns)
    if "strike" not in covariates and any(normalise_name(column) in STRIKE_NAMES for column in columns):
        kind, frame = "strikes", _build_strikes(table)
        note_ignored(table, _list_other_covariates(columns, "strike_rate"))
    elif holiday_names:
        kind, frame = "holidays", _build_holidays(table, holiday_names)
        note_ignored(table, _list_other_covariates(columns, "holiday"))
    elif any(map(parse_break_zone, columns)):
        kind, frame = "school_breaks", _build_school_breaks(table)
    else:
        frame = build_daily(table)
        kind = next((KIND_BY_COLUMN.get(name, "weather") for name in frame.columns if name in ALIASES), "other")
        frame = drop_undecided_days(table, frame) if list(frame.columns) == ["school_break"] else frame
    return CovariateTable(kind, frame, table.name, tuple(table.notes))


def _list_other_covariates(columns: list[str], used: str) -> list[str]:
    """Return the columns with covariates that a file of strikes or holidays cannot give besides its own."""
    return [column for column in columns if find_covariate(column) not in (None, used)]


def _find_holiday_names(table: RawTable, columns: list[str]) -> str | None:
    """Return the column with the names of public holidays, or None; a column of yes and no holds none."""
    flag_column = next((column for column in columns if find_covariate(column) == "holiday"), None)
    if flag_column is None:
        return find_column(columns, HOLIDAY_NAMES)
    words = table.frame[flag_column].dropna()
    has_names = describe_column(words, flag_column).kind == "text" and words.astype(str).str.strip().str.len().max() > 3
    return flag_column if has_names else None


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


def _build_holidays(table: RawTable, name_column: str) -> pd.DataFrame:
    """Mark the days of the rows with the name of a holiday."""
    cells = {role: table.frame[column] for column, role in find_time_columns(table).items()}
    day = read_times(table, cells).days
    place, _, has_place = read_places(table)
    is_holiday = has_place & table.frame[name_column].notna().to_numpy()
    if not is_holiday.any():
        raise make_missing_error(table)
    return mark_days(day[is_holiday], place[is_holiday], "holiday")


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
