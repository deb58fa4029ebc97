"""Time of every row of a covariate file, on the local clock: the day of a value is the local day."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from core.data.columns import Role
from core.data.covariates.column_names import find_column, preview_names
from core.data.ingest.column_facts import ColumnFacts, describe_column
from core.data.ingest.date_parsing import ParsedDates, parse_dates
from core.data.ingest.layouts.base import AMBIGUOUS_DATES, LOCAL_CLOCK, TIME_NAMES, describe_zone
from core.data.ingest.readers import RawTable
from core.data.ingest.time_inference import choose_time
from core.data.ingest.time_parts import assemble_times
from core.data.ingest.timestamp_text import split_timestamps
from core.data.time_zones import to_instants, to_local_times
from core.errors import UnknownLayoutError, UnreadableFileError
from core.messages import N_

YEAR_RANGE = (1900, 2100)
FRENCH_TIME_ZONE = "Europe/Paris"
UTC_TEMPLATE = N_("{file}: the timestamps are in UTC. They were converted to the time of France.")
UTC_TO_ZONE_TEMPLATE = N_("{file}: the timestamps are in UTC. They were converted to the local time of {zone}.")
DATE_KINDS = ("timestamp", "date")


@dataclass(frozen=True)
class RowTimes:
    """Times of the rows.

    local     times on the local clock
    instants  times without a jump at a clock change where the file has offsets, else `local`
    """

    local: pd.DatetimeIndex
    instants: pd.DatetimeIndex

    @property
    def days(self) -> pd.DatetimeIndex:
        """Local day of every row."""
        return self.local.normalize()


def find_time_columns(table: RawTable, accepted_names: tuple[str, ...] = ()) -> dict[str, Role]:
    """Return the columns that make the time of the rows, with their roles.

    A column with one of the `accepted_names` is the time. Else the columns are chosen as in a data file; of several
    columns of dates, one that is named like a time is preferred. Raises UnknownLayoutError if there is none.
    """
    columns = list(table.frame.columns)
    named_column = find_column(columns, accepted_names)
    if named_column is not None:
        return {named_column: "time"}
    facts = [describe_column(table.frame[column], column) for column in columns]
    named_dates = [column for column in facts if column.kind in DATE_KINDS and column.plain_name in TIME_NAMES]
    roles = choose_time([column for column in facts if column in named_dates or not _is_date(column, named_dates)])
    unreadable_column = find_column([column.name for column in facts if column.kind == "text"], TIME_NAMES)
    if not roles and unreadable_column is None:
        raise UnknownLayoutError(
            N_("{file}: no column of dates was found among {columns}. Accepted names: date, day, date_de_debut."),
            file=table.name,
            columns=preview_names(columns),
        )
    return roles or {str(unreadable_column): "time"}


def _is_date(column: ColumnFacts, named_dates: list[ColumnFacts]) -> bool:
    """Tell whether a column holds dates that are less likely the time than those of `named_dates`."""
    return bool(named_dates) and column.kind in DATE_KINDS


def read_times(table: RawTable, cells_by_role: Mapping[Role, pd.Series]) -> RowTimes:
    """Return the time of every row, on the local clock.

    Each timestamp stays on its own clock. Timestamps in UTC are converted to the zone of the table's options, by
    default to French time. What was converted, and dates
    with two readings, are noted in the table. Raises UnreadableFileError for a cell that is no date, and for a date
    outside 1900 to 2100.
    """
    if "time" not in cells_by_role:
        parsed = assemble_times({str(role): cells for role, cells in cells_by_role.items()}, table.name)
        times = RowTimes(parsed.times, parsed.times)
    else:
        parsed, times = _read_column(table, cells_by_role["time"])
    _note_readings(table, parsed)
    _check_years(table, next(iter(cells_by_role.values())), times.local)
    return times


def _read_column(table: RawTable, cells: pd.Series) -> tuple[ParsedDates, RowTimes]:
    parsed = parse_dates(cells, table.name)
    if parsed.is_converted:
        own_clock = parsed.times + pd.to_timedelta(np.nan_to_num(_find_offsets(cells)), unit="min")
        return parsed, RowTimes(pd.DatetimeIndex(own_clock).as_unit("ns"), parsed.times)
    if parsed.zone == "UTC":
        zone = table.options.zone
        _note_once(table, "time_zone", len(cells), UTC_TO_ZONE_TEMPLATE if zone else UTC_TEMPLATE, zone=zone)
        return parsed, RowTimes(to_local_times(parsed.times, zone or FRENCH_TIME_ZONE)[0], parsed.times)
    if parsed.fold is not None:
        return parsed, RowTimes(parsed.times, to_instants(parsed.times, parsed.fold, parsed.zone))
    return parsed, RowTimes(parsed.times, parsed.times)


def _find_offsets(cells: pd.Series) -> NDArray[np.float64]:
    """Return the offset from UTC of every cell in minutes, NaN without one."""
    if pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells):
        return np.full(len(cells), np.nan)
    codes, texts = pd.factorize(cells)
    offsets = split_timestamps(pa.array([str(text) for text in texts], pa.string())).offset
    return np.append(offsets, np.nan)[codes]


def _note_once(table: RawTable, kind: str, count: int, template: str, **values: object) -> None:
    """Add a note, unless another column of dates gave one of this kind."""
    if all(note.kind != kind for note in table.notes):
        table.add_note(kind, count, template, **values)


def _note_readings(table: RawTable, parsed: ParsedDates) -> None:
    if parsed.ambiguous:
        _note_once(table, "ambiguous_dates", len(parsed.times), AMBIGUOUS_DATES[parsed.order])
    if len(parsed.formats) > 1:
        _note_once(
            table, "mixed_date_formats", len(parsed.formats), N_("{file}: the dates have {count} different formats.")
        )
    if parsed.is_converted:
        template = N_("{file}: the timestamps have several offsets from UTC. Each one keeps its own local time.")
        _note_once(table, "time_zone", len(parsed.times), template)
    elif parsed.zone:
        _note_once(table, "time_zone", len(parsed.times), LOCAL_CLOCK, zone=describe_zone(parsed.zone))


def _check_years(table: RawTable, cells: pd.Series, times: pd.DatetimeIndex) -> None:
    bad_rows = np.flatnonzero((times.year < YEAR_RANGE[0]) | (times.year > YEAR_RANGE[1]))
    if len(bad_rows):
        raise UnreadableFileError(
            N_(
                "{file}, column {column!r}, row {row}: the date {value} is not accepted. Years from {first} "
                "to {last} are accepted."
            ),
            file=table.name,
            column=str(cells.name),
            row=int(bad_rows[0]) + 1,
            value=str(times[bad_rows[0]].date()),
            first=str(YEAR_RANGE[0]),
            last=str(YEAR_RANGE[1]),
        )
