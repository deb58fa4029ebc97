"""Reader of covariate files: finds covariates and their units, and returns one row per place and day."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.events import listed_days, strike_days, without_unwritten_terms
from core.data.covariates.keys import day_column, days, places
from core.data.covariates.names import (
    ALIASES,
    END,
    FLAGS,
    HOLIDAY_NAME,
    KEYS,
    KIND_OF,
    START,
    STRIKE_WORDS,
    break_zone,
    canonical_column,
    first_named,
    listed,
)
from core.data.covariates.tables import CovariateTable, by_day
from core.data.ingest.cells import numbers
from core.data.ingest.dates import looks_like_dates
from core.data.ingest.files import unpacked
from core.data.ingest.layouts.base import TIME, broken_day, clock_columns, plain
from core.data.ingest.loading import File
from core.data.ingest.readers import Table, read_table
from core.errors import InputError, UnknownLayoutError, UnreadableFileError
from core.messages import N_

HOURS = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?")
ACCEPTED = "temperature, TMin, TMax, wind, humidity, movement_social, taux_grevistes, nom_jour_ferie, vacances_zone_a …"


def read_covariates(files: Sequence[File]) -> list[CovariateTable]:
    """Read one table per file of weather, strikes, public holidays or school breaks, in the order of the files.

    Other numbers per day are accepted as kind "other". Raises InputError without files, UnreadableFileError for bad
    cells, and UnknownLayoutError for a file without dates, known regions or covariates.
    """
    if not files:
        raise InputError(N_("No file was given."))
    with unpacked(list(files)) as sources:
        return [_driver_table(read_table(source)) for source in sources]


def _driver_table(table: Table) -> CovariateTable:
    """Detect the kind of `table` by its columns, and build the covariate table."""
    columns = [str(column) for column in table.frame.columns]
    flags = {canonical_column(column) for column in columns}
    if "strike" not in flags and any(plain(column) in STRIKE_WORDS for column in columns):
        kind, frame = "strikes", _strikes(table)
    elif "holiday" not in flags and first_named(columns, HOLIDAY_NAME):
        kind, frame = "holidays", _holidays(table)
    elif any(map(break_zone, columns)):
        kind, frame = "school_breaks", _breaks(table)
    else:
        kind, frame = _daily(table)
    return CovariateTable(kind, frame, table.name, tuple(table.notes))


def _strikes(table: Table) -> pd.DataFrame:
    columns = list(table.frame.columns)
    start = days(table, day_column(table, (*START, *TIME)))
    end = start.to_series(index=range(len(start)))
    end_column = first_named(columns, END)
    if end_column:
        written = np.flatnonzero(table.frame[end_column].notna())
        end.iloc[written] = days(table, end_column, written)
    rate_column = next((column for column in columns if canonical_column(column) == "strike_rate"), None)
    rate = _values(table, rate_column, "strike_rate") if rate_column else np.full(len(start), np.nan)
    place, _, known = places(table)
    return strike_days(table, start[known], pd.DatetimeIndex(end)[known], rate[known], place[known])


def _holidays(table: Table) -> pd.DataFrame:
    day = days(table, day_column(table))
    place, _, known = places(table)
    return listed_days(day[known], place[known], "holiday")


def _breaks(table: Table) -> pd.DataFrame:
    """Turn one column per school zone into one row per zone and day."""
    day = days(table, day_column(table))
    zones = [(zone, column) for column in table.frame.columns if (zone := break_zone(column))]
    values = [_values(table, column, "school_break") for _, column in zones]
    frame = by_day(
        pd.DataFrame({"school_break": np.concatenate(values)}),
        pd.DatetimeIndex(np.tile(day, len(zones))),
        np.repeat(np.array([zone for zone, _ in zones], dtype=object), len(day)),
    )
    return without_unwritten_terms(table, frame)


def _daily(table: Table) -> tuple[str, pd.DataFrame]:
    """Build one row per place and day from columns of covariates, and return the kind and the rows.

    Without a known covariate, every column of numbers is used.
    """
    dated = day_column(table)
    columns = [column for column in table.frame.columns if column != dated and plain(column) not in KEYS]
    chosen = _drivers(table, columns) or _other_numbers(table, columns)
    values = pd.DataFrame({name: _values(table, column, name) for column, name in chosen.items()})
    if values.isna().all(axis=None):
        raise UnreadableFileError(
            N_("{file}: no number in the columns {columns}."), file=table.name, columns=listed(chosen)
        )
    day = days(table, dated)
    place, written, known = places(table)
    frame = by_day(_with_mean_temperature(values)[known], day[known], place[known], written[known])
    if len(frame) < known.sum():
        table.note(
            "aggregated_rows",
            int(known.sum()) - len(frame),
            N_(
                "{file}: {rows} rows became {days}, one for each place and day: their mean, of flags the largest value."
            ),
            rows=int(known.sum()),
            days=len(frame),
        )
    kind = next((KIND_OF.get(name, "weather") for name in frame.columns if name in ALIASES), "other")
    return kind, without_unwritten_terms(table, frame) if list(frame.columns) == ["school_break"] else frame


def _drivers(table: Table, columns: list[str]) -> dict[str, str]:
    """Return column → covariate in canonical order, the first column of each covariate.

    The other columns are noted in the table.
    """
    found: dict[str | None, str] = {}
    for column in columns:
        found.setdefault(canonical_column(column), column)
    chosen = {found[name]: name for name in ALIASES if name in found}
    rest = [column for column in columns if column not in chosen]
    if chosen and rest:
        table.note(
            "ignored_columns",
            len(rest),
            N_("{file}: {count} columns are no drivers and were left out: {columns}."),
            columns=listed(rest),
        )
    return chosen


def _other_numbers(table: Table, columns: list[str]) -> dict[str, str]:
    """Return every column of numbers under its own name; a file with columns for the times of a day has none.

    Raises UnknownLayoutError if there is no such column.
    """
    measured = clock_columns(columns) or broken_day(columns)
    numeric = {column: column for column in columns if not measured and _mostly_numbers(table.frame[column])}
    if not numeric:
        raise UnknownLayoutError(
            N_("{file}: no driver known in advance among the columns {columns}. Accepted: {accepted}."),
            file=table.name,
            columns=listed(table.frame.columns),
            accepted=ACCEPTED,
        )
    return numeric


def _mostly_numbers(cells: pd.Series) -> bool:
    values, bad = numbers(cells.dropna().iloc[:500])
    return len(values) > 0 and len(bad) < 0.5 * len(values) and not looks_like_dates(cells)


def _values(table: Table, column: str, name: str) -> NDArray[np.float64]:
    """Return a column as numbers in the unit of its covariate.

    Unreadable cells are noted in the table and become NaN.
    """
    cells = _hours(table.frame[column]) if name == "day_length" else table.frame[column]
    values, bad = numbers(cells, table.decimal)
    if len(bad):
        table.note(
            "unreadable_cells",
            len(bad),
            N_(
                "{file}, column {column!r}: {count} cells are no usable number (first: row {row}, {value!r}); "
                "read as missing."
            ),
            column=column,
            row=int(bad[0]) + 1,
            value=str(cells.iloc[bad[0]])[:60],
        )
    if name in FLAGS:
        return np.where(np.isnan(values), np.nan, values > 0)
    return values * _factor(column, name)


def _factor(column: str, name: str) -> float:
    """Return the factor from the unit in the name of a column to that of the covariate: s to hours, m/s to km/h."""
    unit = column.lower().replace(" ", "")
    if name == "day_length" and "second" in unit:
        return 1 / 3600
    return 3.6 if name == "wind" and ("m/s" in unit or "m.s-1" in unit) else 1.0


def _hours(cells: pd.Series) -> pd.Series:
    """Return day lengths such as "8:23:0" as hours: 8.383."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells
    codes, texts = pd.factorize(cells)
    lengths = [_length(str(text)) for text in texts]
    return pd.Series(np.array([*lengths, None], dtype=object)[codes], index=cells.index)


def _length(text: str) -> object:
    match = HOURS.fullmatch(text.strip())
    return sum(int(part or 0) / 60**power for power, part in enumerate(match.groups())) if match else text


def _with_mean_temperature(values: pd.DataFrame) -> pd.DataFrame:
    """Add the mean of the lowest and the highest temperature where the mean temperature is missing."""
    if not {"temperature_min", "temperature_max"} <= set(values.columns):
        return values
    middle = (values["temperature_min"] + values["temperature_max"]) / 2
    mean = values["temperature"].fillna(middle) if "temperature" in values else middle
    return pd.DataFrame({"temperature": mean, **{name: values[name] for name in values if name != "temperature"}})
