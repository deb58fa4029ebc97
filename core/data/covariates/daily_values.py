"""Covariates with one or more rows per day: the columns that hold them, and their values per place, day and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.column_names import ALIASES, KEY_NAMES, find_covariate, preview_names
from core.data.covariates.column_values import read_values
from core.data.covariates.covariate_table import Places, aggregate_by_day
from core.data.covariates.entity_headers import PlaceHeader, find_place_headers
from core.data.covariates.intraday import build_intraday
from core.data.covariates.local_times import RowTimes, find_time_columns, read_times
from core.data.covariates.places import find_place_column, read_places
from core.data.ingest.clock_columns import find_clock_columns, find_incomplete_day
from core.data.ingest.column_facts import describe_column
from core.data.ingest.layouts.base import normalise_name
from core.data.ingest.readers import RawTable
from core.data.ingest.role_inference import infer_roles
from core.errors import UnknownLayoutError, UnreadableFileError
from core.messages import N_

MAX_DESCRIBED_COLUMNS = 15

ACCEPTED_EXAMPLES = (
    "temperature, TMin, TMax, wind, humidity, movement_social, taux_grevistes, nom_jour_ferie, vacances_zone_a …"
)


@dataclass(frozen=True)
class _Rows:
    """Values of covariates, each row with its time and place.

    times           times on the local clock
    instants        times without a jump at a clock change
    written_places  places as the file writes them
    """

    values: pd.DataFrame
    times: pd.DatetimeIndex
    instants: pd.DatetimeIndex
    places: Places
    written_places: Places

    def take(self, is_used: NDArray[np.bool_]) -> "_Rows":
        """Return the rows where `is_used` is True."""
        columns = (self.values, self.times, self.instants, self.places, self.written_places)
        return _Rows(*(column[is_used] for column in columns))


def build_values(table: RawTable, entities: Sequence[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Build one row per place and day from columns of covariates, and one per place and time, see `build_intraday`.

    A table has one column per covariate, or one per covariate and region or entity of the data. Without a known
    covariate, every column of numbers is used. Raises UnknownLayoutError if there is none, and UnreadableFileError if
    none has a number.
    """
    time_columns = find_time_columns(table)
    columns = [
        column
        for column in table.frame.columns
        if column not in time_columns and normalise_name(column) not in KEY_NAMES
    ]
    times = read_times(table, {role: table.frame[column] for column, role in time_columns.items()})
    is_first_copy = _find_first_copies(table)
    covariate_by_column = _find_covariates(table, columns)
    header_by_column = {} if covariate_by_column else find_place_headers(table, columns, entities)
    if header_by_column:
        note_ignored(table, [column for column in columns if column not in header_by_column])
        all_rows = _stack_places(table, header_by_column, times)
        rows = all_rows.take(np.tile(is_first_copy, len(all_rows.times) // len(is_first_copy)))
    else:
        values = _read_columns(table, covariate_by_column or _find_numeric_columns(table, columns))
        places, written_places, has_place = read_places(table)
        all_rows = _Rows(_add_mean_temperature(values), times.local, times.instants, places, written_places)
        rows = all_rows.take(has_place & is_first_copy)
    note_conflicts(table, rows.values, rows.instants, rows.written_places)
    frame = aggregate_by_day(rows.values, rows.times, rows.places, rows.written_places)
    intraday = build_intraday(rows.values, rows.times, rows.places, rows.written_places)
    _note_aggregation(table, len(rows.values), len(frame), has_times=intraday is not None)
    _note_months(table, rows.times.normalize())
    return frame, intraday


def _find_first_copies(table: RawTable) -> NDArray[np.bool_]:
    """Return a mask of the rows that differ from every earlier row in a cell; note the others in the table."""
    is_repeated = table.frame.duplicated().to_numpy()
    if is_repeated.any():
        table.add_note(
            "repeated_rows",
            int(is_repeated.sum()),
            N_(
                "{file}: {count} row equals an earlier row. One copy was kept.",
                "{file}: {count} rows equal an earlier row. One copy of each was kept.",
            ),
        )
    return ~is_repeated


# ---- columns --------------------------------------------------------------------------------------------------------


def _find_covariates(table: RawTable, columns: list[str]) -> dict[str, str]:
    """Return column → covariate in canonical order, the first column of each covariate.

    The other columns are noted in the table.
    """
    column_by_covariate: dict[str | None, str] = {}
    for column in columns:
        column_by_covariate.setdefault(find_covariate(column), column)
    covariate_by_column = {column_by_covariate[name]: name for name in ALIASES if name in column_by_covariate}
    if covariate_by_column:
        note_ignored(table, [column for column in columns if column not in covariate_by_column])
    return covariate_by_column


def note_ignored(table: RawTable, columns: list[str]) -> None:
    """Add a note that names the columns that are no covariates."""
    if columns:
        table.add_note(
            "ignored_columns",
            len(columns),
            N_(
                "{file}: {count} column is not a covariate and is ignored: {columns}.",
                "{file}: {count} columns are not covariates and are ignored: {columns}.",
            ),
            columns=preview_names(columns),
        )


def _find_numeric_columns(table: RawTable, columns: list[str]) -> dict[str, str]:
    """Return every column of numbers under its own name; a file with columns for the times of a day has none.

    Raises UnknownLayoutError if there is no such column.
    """
    roles = infer_roles(table.frame).roles
    has_clock_columns = find_clock_columns(columns) or find_incomplete_day(columns)
    numeric = [] if has_clock_columns else [column for column in columns if roles[column] in ("measure", "covariate")]
    if not numeric:
        raise make_missing_error(table)
    place_column = find_place_column(table)
    note_ignored(table, [column for column in columns if column not in (*numeric, place_column)])
    return {column: column for column in numeric}


def make_missing_error(table: RawTable) -> UnknownLayoutError:
    """Return the error for a table without a covariate: each column with its kind and first cell."""
    return UnknownLayoutError(
        N_("{file}: no usable covariate was found. Columns: {columns}. Accepted columns: {accepted}."),
        file=table.name,
        columns=_describe_columns(table),
        accepted=ACCEPTED_EXAMPLES,
    )


def _describe_columns(table: RawTable) -> str:
    """Return the columns, each with its kind and the first cell: "name (text, row 1: 'a')"."""
    texts = []
    for column in list(table.frame)[:MAX_DESCRIBED_COLUMNS]:
        cells = table.frame[column]
        filled_rows = np.flatnonzero(cells.notna())
        first_cell = f", row {filled_rows[0] + 1}: {str(cells.iloc[filled_rows[0]])[:40]!r}" if len(filled_rows) else ""
        texts.append(f"{str(column)[:40]} ({describe_column(cells, str(column)).kind}{first_cell})")
    return "; ".join(texts)


def _read_columns(table: RawTable, covariate_by_column: Mapping[str, str]) -> pd.DataFrame:
    """Return the numbers of the columns under the names of their covariates, without columns that have none.

    Raises UnreadableFileError if no column has a number.
    """
    values = pd.DataFrame({name: read_values(table, column, name) for column, name in covariate_by_column.items()})
    return _drop_empty(table, values, {name: column for column, name in covariate_by_column.items()})


def _drop_empty(table: RawTable, values: pd.DataFrame, column_by_covariate: Mapping[str, str]) -> pd.DataFrame:
    is_empty = values.isna().all()
    empty_columns = [column_by_covariate[name] for name in values.columns[is_empty]]
    if is_empty.all():
        raise UnreadableFileError(
            N_("{file}: no column of a covariate contains a number. Columns: {columns}. Accepted: {accepted}."),
            file=table.name,
            columns=_describe_columns(table),
            accepted="5, 5.5, 5,5, 5.5 °C, 0/1, yes/no, oui/non",
        )
    if empty_columns:
        table.add_note(
            "empty_columns",
            len(empty_columns),
            N_(
                "{file}: {count} column contains no number and is ignored: {columns}.",
                "{file}: {count} columns contain no number and are ignored: {columns}.",
            ),
            columns=preview_names(empty_columns),
        )
    return values.loc[:, ~is_empty]


def _add_mean_temperature(values: pd.DataFrame) -> pd.DataFrame:
    """Add the mean of the lowest and the highest temperature where the mean temperature is missing."""
    if not {"temperature_min", "temperature_max"} <= set(values.columns):
        return values
    midpoint = (values["temperature_min"] + values["temperature_max"]) / 2
    mean = values["temperature"].fillna(midpoint) if "temperature" in values else midpoint
    return pd.DataFrame({"temperature": mean, **{name: values[name] for name in values if name != "temperature"}})


# ---- a column per place ---------------------------------------------------------------------------------------------


def _stack_places(table: RawTable, header_by_column: Mapping[str, PlaceHeader], times: RowTimes) -> _Rows:
    """Turn one column per covariate and place into one row per place and time."""
    headers = list(header_by_column.values())
    places = {header.written: header.place for header in headers}
    covariates = dict.fromkeys(header.covariate for header in headers)
    names = [*(name for name in ALIASES if name in covariates), *(name for name in covariates if name not in ALIASES)]
    columns = {(header.covariate, header.written): column for column, header in header_by_column.items()}
    blocks = [
        pd.DataFrame(
            {
                name: read_values(table, columns[name, written], name) if (name, written) in columns else np.nan
                for name in names
            },
            index=range(len(times.local)),
        )
        for written in places
    ]
    values = pd.concat(blocks, ignore_index=True)
    column_by_covariate = {header.covariate: column for column, header in reversed(list(header_by_column.items()))}
    return _Rows(
        _add_mean_temperature(_drop_empty(table, values, column_by_covariate)),
        pd.DatetimeIndex(np.tile(times.local, len(places))),
        pd.DatetimeIndex(np.tile(times.instants, len(places))),
        np.repeat(np.array(list(places.values()), dtype=object), len(times.local)),
        np.repeat(np.array(list(places), dtype=object), len(times.local)),
    )


# ---- rows -----------------------------------------------------------------------------------------------------------


def note_conflicts(table: RawTable, values: pd.DataFrame, times: pd.DatetimeIndex, places: Places) -> None:
    """Note in the table how many times of a place have several rows with different values, and what is used."""
    keys = pd.DataFrame({"place": places, "time": times})
    different = pd.concat([keys, values.reset_index(drop=True)], axis=1).drop_duplicates()[["place", "time"]]
    is_conflict = different.duplicated()
    if is_conflict.any():
        conflicts = different[is_conflict].drop_duplicates()
        first = conflicts.iloc[0]
        table.add_note(
            "conflicting_rows",
            len(conflicts),
            N_(
                "{file}: {count} day or time has several rows with different values ({first}). Numbers are "
                "averaged. The largest value is used for yes/no columns.",
                "{file}: {count} days or times have several rows with different values (first: {first}). "
                "Numbers are averaged. The largest value is used for yes/no columns.",
            ),
            first=f"{first['time']:%Y-%m-%d %H:%M} {first['place']}".replace(" 00:00", "").strip(),
        )


def _note_aggregation(table: RawTable, row_count: int, day_count: int, has_times: bool) -> None:
    """Note that there are several rows a day; `has_times` tells whether their times count."""
    if day_count < row_count:
        table.add_note(
            "aggregated_rows",
            row_count - day_count,
            N_(
                "{file}: {rows} rows were aggregated to {days}, one per place and day. Numbers "
                "are averaged. The largest value is used for yes/no columns. Forecasts of the times of a day can use "
                "the numbers at their times."
            )
            if has_times
            else N_(
                "{file}: {rows} rows were aggregated to {days}, one per place and day. Numbers "
                "are averaged. The largest value is used for yes/no columns."
            ),
            rows=row_count,
            days=day_count,
        )


def _note_months(table: RawTable, days: pd.DatetimeIndex) -> None:
    """Note dates that name months: such values are known for one day of a month only."""
    months = days.unique()
    if len(months) > 2 and (months.day == 1).all():
        table.add_note(
            "monthly_dates",
            len(months),
            N_("{file}: all dates are first days of a month. The values count for these {count} days only."),
        )
