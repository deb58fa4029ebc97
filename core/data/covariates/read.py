"""Reader of covariate files: finds covariates and their units, and returns one row per place and day."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.column_names import (
    ALIASES,
    END_NAMES,
    FLAG_COLUMNS,
    HOLIDAY_NAMES,
    KEY_NAMES,
    KIND_BY_COLUMN,
    START_NAMES,
    STRIKE_NAMES,
    find_column,
    find_covariate,
    parse_break_zone,
    preview_names,
)
from core.data.covariates.covariate_table import CovariateTable, aggregate_by_day
from core.data.covariates.events import drop_undecided_days, expand_strikes, mark_days
from core.data.covariates.region_day_keys import find_day_column, read_days, read_places
from core.data.ingest.clock_columns import find_clock_columns, find_incomplete_day
from core.data.ingest.date_parsing import looks_like_dates
from core.data.ingest.files import open_sources
from core.data.ingest.layouts.base import TIME_NAMES, normalise_name
from core.data.ingest.loading import FileInput
from core.data.ingest.number_parsing import parse_numbers
from core.data.ingest.readers import RawTable, read_table
from core.data.ingest.units import parse_unit
from core.data.quality.sentinels import mark_sentinels
from core.errors import InputError, UnknownLayoutError, UnreadableFileError
from core.messages import N_

DURATION_PATTERN = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?")
ACCEPTED_EXAMPLES = (
    "temperature, TMin, TMax, wind, humidity, movement_social, taux_grevistes, nom_jour_ferie, vacances_zone_a …"
)


def read_covariates(files: Sequence[FileInput]) -> list[CovariateTable]:
    """Read one table per file of weather, strikes, public holidays or school breaks, in the order of the files.

    Other numbers per day are accepted as kind "other". Raises InputError without files, UnreadableFileError for bad
    cells, and UnknownLayoutError for a file without dates, known regions or covariates.
    """
    if not files:
        raise InputError(N_("No file was given."))
    with open_sources(list(files)) as sources:
        return [_build_covariate_table(read_table(source)) for source in sources]


def _build_covariate_table(table: RawTable) -> CovariateTable:
    """Detect the kind of `table` by its columns, and build the covariate table."""
    columns = [str(column) for column in table.frame.columns]
    covariates = {find_covariate(column) for column in columns}
    if "strike" not in covariates and any(normalise_name(column) in STRIKE_NAMES for column in columns):
        kind, frame = "strikes", _build_strikes(table)
    elif "holiday" not in covariates and find_column(columns, HOLIDAY_NAMES):
        kind, frame = "holidays", _build_holidays(table)
    elif any(map(parse_break_zone, columns)):
        kind, frame = "school_breaks", _build_school_breaks(table)
    else:
        kind, frame = _build_daily(table)
    return CovariateTable(kind, frame, table.name, tuple(table.notes))


def _build_strikes(table: RawTable) -> pd.DataFrame:
    columns = list(table.frame.columns)
    start = read_days(table, find_day_column(table, (*START_NAMES, *TIME_NAMES)))
    end = start.to_series(index=range(len(start)))
    end_column = find_column(columns, END_NAMES)
    if end_column:
        rows_with_end = np.flatnonzero(table.frame[end_column].notna())
        end.iloc[rows_with_end] = read_days(table, end_column, rows_with_end)
    rate_column = next((column for column in columns if find_covariate(column) == "strike_rate"), None)
    rate = _read_values(table, rate_column, "strike_rate") if rate_column else np.full(len(start), np.nan)
    place, _, has_place = read_places(table)
    return expand_strikes(table, start[has_place], pd.DatetimeIndex(end)[has_place], rate[has_place], place[has_place])


def _build_holidays(table: RawTable) -> pd.DataFrame:
    day = read_days(table, find_day_column(table))
    place, _, has_place = read_places(table)
    return mark_days(day[has_place], place[has_place], "holiday")


def _build_school_breaks(table: RawTable) -> pd.DataFrame:
    """Turn one column per school zone into one row per zone and day."""
    day = read_days(table, find_day_column(table))
    zones = [(zone, column) for column in table.frame.columns if (zone := parse_break_zone(column))]
    values = [_read_values(table, column, "school_break") for _, column in zones]
    frame = aggregate_by_day(
        pd.DataFrame({"school_break": np.concatenate(values)}),
        pd.DatetimeIndex(np.tile(day, len(zones))),
        np.repeat(np.array([zone for zone, _ in zones], dtype=object), len(day)),
    )
    return drop_undecided_days(table, frame)


def _build_daily(table: RawTable) -> tuple[str, pd.DataFrame]:
    """Build one row per place and day from columns of covariates, and return the kind and the rows.

    Without a known covariate, every column of numbers is used.
    """
    date_column = find_day_column(table)
    columns = [
        column for column in table.frame.columns if column != date_column and normalise_name(column) not in KEY_NAMES
    ]
    covariate_by_column = _find_covariates(table, columns) or _find_numeric_columns(table, columns)
    values = pd.DataFrame({name: _read_values(table, column, name) for column, name in covariate_by_column.items()})
    if values.isna().all(axis=None):
        raise UnreadableFileError(
            N_("{file}: the columns {columns} contain no number."),
            file=table.name,
            columns=preview_names(covariate_by_column),
        )
    day = read_days(table, date_column)
    place, written_places, has_place = read_places(table)
    frame = aggregate_by_day(
        _add_mean_temperature(values)[has_place], day[has_place], place[has_place], written_places[has_place]
    )
    if len(frame) < has_place.sum():
        table.add_note(
            "aggregated_rows",
            int(has_place.sum()) - len(frame),
            N_(
                "{file}: {rows} rows were aggregated to {days}, one per place and day. Numbers "
                "are averaged. The largest value is used for yes/no columns."
            ),
            rows=int(has_place.sum()),
            days=len(frame),
        )
    kind = next((KIND_BY_COLUMN.get(name, "weather") for name in frame.columns if name in ALIASES), "other")
    return kind, drop_undecided_days(table, frame) if list(frame.columns) == ["school_break"] else frame


def _find_covariates(table: RawTable, columns: list[str]) -> dict[str, str]:
    """Return column → covariate in canonical order, the first column of each covariate.

    The other columns are noted in the table.
    """
    column_by_covariate: dict[str | None, str] = {}
    for column in columns:
        column_by_covariate.setdefault(find_covariate(column), column)
    covariate_by_column = {column_by_covariate[name]: name for name in ALIASES if name in column_by_covariate}
    other_columns = [column for column in columns if column not in covariate_by_column]
    if covariate_by_column and other_columns:
        table.add_note(
            "ignored_columns",
            len(other_columns),
            N_("{file}: {count} columns are not covariates and are ignored: {columns}."),
            columns=preview_names(other_columns),
        )
    return covariate_by_column


def _find_numeric_columns(table: RawTable, columns: list[str]) -> dict[str, str]:
    """Return every column of numbers under its own name; a file with columns for the times of a day has none.

    Raises UnknownLayoutError if there is no such column.
    """
    has_clock_columns = find_clock_columns(columns) or find_incomplete_day(columns)
    numeric = {
        column: column for column in columns if not has_clock_columns and _is_mostly_numeric(table.frame[column])
    }
    if not numeric:
        raise UnknownLayoutError(
            N_("{file}: no covariate was found among the columns {columns}. Accepted columns: {accepted}."),
            file=table.name,
            columns=preview_names(table.frame.columns),
            accepted=ACCEPTED_EXAMPLES,
        )
    return numeric


def _is_mostly_numeric(cells: pd.Series) -> bool:
    values, bad_rows = parse_numbers(cells.dropna().iloc[:500])
    return len(values) > 0 and len(bad_rows) < 0.5 * len(values) and not looks_like_dates(cells)


def _read_values(table: RawTable, column: str, name: str) -> NDArray[np.float64]:
    """Return a column as numbers in the unit of its covariate.

    Unreadable cells are noted in the table and become NaN.
    """
    cells = _parse_day_lengths(table.frame[column]) if name == "day_length" else table.frame[column]
    values, bad_rows = parse_numbers(cells, table.decimal_mark)
    if len(bad_rows):
        table.add_note(
            "unreadable_cells",
            len(bad_rows),
            N_(
                "{file}, column {column!r}: {count} cells are not usable numbers (first: row "
                "{row}, {value!r}). They are read as missing values."
            ),
            column=column,
            row=int(bad_rows[0]) + 1,
            value=str(cells.iloc[bad_rows[0]])[:60],
        )
    values = _clear_sentinels(table, column, values)
    if name in FLAG_COLUMNS:
        return np.where(np.isnan(values), np.nan, values > 0)
    if name.startswith("temperature") and parse_unit(column) == "°F":
        table.add_note("converted_unit", len(values), N_("{file}: °F was converted to °C ({column!r})."), column=column)
        return (values - 32) / 1.8
    return values * _get_unit_factor(column, name)


def _clear_sentinels(table: RawTable, column: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values with NaN for placeholder numbers, which are noted in the table."""
    is_sentinel = mark_sentinels(values)
    if not is_sentinel.any():
        return values
    table.add_note(
        "sentinels",
        int(is_sentinel.sum()),
        N_("{file}, column {column!r}: {count} placeholder numbers ({value}) are read as missing values."),
        column=column,
        value=f"{values[is_sentinel][0]:g}",
    )
    return np.where(is_sentinel, np.nan, values)


def _get_unit_factor(column: str, name: str) -> float:
    """Return the factor from the unit in the name of a column to that of the covariate: s to hours, m/s to km/h."""
    unit = column.lower().replace(" ", "")
    if name == "day_length" and "second" in unit:
        return 1 / 3600
    return 3.6 if name == "wind" and ("m/s" in unit or "m.s-1" in unit) else 1.0


def _parse_day_lengths(cells: pd.Series) -> pd.Series:
    """Return day lengths such as "8:23:0" as hours: 8.383. Numeric columns and unreadable cells stay unchanged."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells
    codes, texts = pd.factorize(cells)
    lengths = [_parse_duration(str(text)) for text in texts]
    return pd.Series(np.array([*lengths, None], dtype=object)[codes], index=cells.index)


def _parse_duration(text: str) -> object:
    match = DURATION_PATTERN.fullmatch(text.strip())
    return sum(int(part or 0) / 60**power for power, part in enumerate(match.groups())) if match else text


def _add_mean_temperature(values: pd.DataFrame) -> pd.DataFrame:
    """Add the mean of the lowest and the highest temperature where the mean temperature is missing."""
    if not {"temperature_min", "temperature_max"} <= set(values.columns):
        return values
    midpoint = (values["temperature_min"] + values["temperature_max"]) / 2
    mean = values["temperature"].fillna(midpoint) if "temperature" in values else midpoint
    return pd.DataFrame({"temperature": mean, **{name: values[name] for name in values if name != "temperature"}})
