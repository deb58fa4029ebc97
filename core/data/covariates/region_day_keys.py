"""Day and place of every row of a covariate file."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data import regions
from core.data.covariates.column_names import REGION_CODE_NAMES, REGION_NAMES, ZONE_NAMES, find_column, preview_names
from core.data.covariates.covariate_table import NATION, Places
from core.data.ingest.date_parsing import looks_like_dates, parse_dates
from core.data.ingest.layouts.base import TIME_NAMES, normalise_name
from core.data.ingest.readers import RawTable
from core.data.quality.findings import Finding
from core.errors import UnknownLayoutError, UnreadableFileError
from core.messages import N_, Message

YEAR_RANGE = (1900, 2100)
FRENCH_TIME_ZONE = "Europe/Paris"
UTC_NAMES = ("UTC", "UTC+00:00", "Etc/UTC", "GMT")
OFFSET_PATTERN = re.compile(r"(.*\d[T ]\d{1,2}:\d{2}.*?)\s*(Z|[+-]\d{2}(?::?\d{2})?)$")
NATION_NAMES = ("fr", "france", "national", "metropole", "francemetropolitaine")


def find_day_column(table: RawTable, accepted_names: tuple[str, ...] = TIME_NAMES) -> str:
    """Return the column with one of the `accepted_names`, else the first column of dates.

    Raises UnknownLayoutError if there is none.
    """
    columns = list(table.frame.columns)
    named_column = find_column(columns, accepted_names)
    chosen_column = named_column or next((column for column in columns if looks_like_dates(table.frame[column])), None)
    if chosen_column is None:
        raise UnknownLayoutError(
            N_("{file}: no column of dates was found among {columns}. Accepted names: date, day, date_de_debut."),
            file=table.name,
            columns=preview_names(columns),
        )
    return chosen_column


def read_days(table: RawTable, column: str, rows: NDArray[np.intp] | None = None) -> pd.DatetimeIndex:
    """Return the day of every row (of `rows` if given), in local time; timestamps in UTC are converted to French time.

    Raises UnreadableFileError for a cell that is no date, and for a date outside 1900 to 2100.
    """
    cells = table.frame[column] if rows is None else table.frame[column].iloc[rows]
    parsed = parse_dates(_to_local_time(cells), table.name)
    if parsed.ambiguous:
        table.add_note(
            "ambiguous_dates",
            len(parsed.times),
            N_(
                "{file}: every date can be read with the day or the month first. The dates were "
                "read with the day first."
            ),
        )
    dates = parsed.times.normalize()
    bad_rows = np.flatnonzero((dates.year < YEAR_RANGE[0]) | (dates.year > YEAR_RANGE[1]))
    if len(bad_rows):
        raise UnreadableFileError(
            N_(
                "{file}, column {column!r}: the date {value} is not accepted. Years from {first} "
                "to {last} are accepted."
            ),
            file=table.name,
            column=column,
            value=str(dates[bad_rows[0]].date()),
            first=str(YEAR_RANGE[0]),
            last=str(YEAR_RANGE[1]),
        )
    return dates


def _to_local_time(cells: pd.Series) -> pd.Series:
    """Return timestamps with a time zone in the local time of that zone.

    Otherwise midnight could fall on the day before.
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        zoned = cells.dt.tz_convert(FRENCH_TIME_ZONE) if str(cells.dt.tz) in UTC_NAMES else cells
        return zoned.dt.tz_localize(None)
    if pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells):
        return cells
    codes, texts = pd.factorize(cells)
    local_texts = _to_local_texts(pd.Series(np.asarray(texts, dtype=object)).astype(str))
    return pd.Series(np.array([*local_texts, None], dtype=object)[codes], index=cells.index, name=cells.name)


def _to_local_texts(texts: pd.Series) -> pd.Series:
    """Return texts without their offset; those in UTC are converted to French time."""
    parts = texts.str.extract(OFFSET_PATTERN)
    local = texts.where(parts[1].isna(), parts[0])
    in_utc = parts[1].str.strip("Z+-:0") == ""
    utc_times = pd.to_datetime(parts[0][in_utc], format="ISO8601", errors="coerce").dropna()
    if len(utc_times):
        french_times = utc_times.dt.tz_localize("UTC").dt.tz_convert(FRENCH_TIME_ZONE)
        local[utc_times.index] = french_times.dt.strftime("%Y-%m-%d %H:%M:%S")
    return local


def read_places(table: RawTable) -> tuple[Places, Places, NDArray[np.bool_]]:
    """Return the place of every row, the place as the file writes it, and a mask of the known places.

    Without a column of places, all rows belong to the whole country. Unknown names are noted in the table. Raises
    UnknownLayoutError if all names are unknown.
    """
    columns = list(table.frame.columns)
    column = (
        find_column(columns, REGION_NAMES)
        or find_column(columns, REGION_CODE_NAMES)
        or find_column(columns, ZONE_NAMES)
    )
    if column is None:
        nation = np.full(len(table.frame), NATION, dtype=object)
        return nation, nation, np.ones(len(nation), dtype=bool)
    cells = table.frame[column]
    written_places = cells.astype(object).where(cells.notna(), "").to_numpy()
    codes, names = pd.factorize(written_places)
    place_by_code = np.array([_parse_place(name) for name in names], dtype=object)
    is_known = np.array([place is not None for place in place_by_code])[codes]
    if not is_known.all():
        _report_unknown_places(
            table, column, pd.Series(written_places[~is_known]).astype(str), none_known=not is_known.any()
        )
    return place_by_code[codes], written_places, is_known


def _parse_place(name: object) -> str | None:
    """Return the canonical region, the school zone or the whole country that `name` means, or None."""
    word = normalise_name(str(name))
    zone = word.removeprefix("zone").upper()
    if zone in ("A", "B", "C"):
        return zone
    return NATION if word in NATION_NAMES else regions.normalise_region(name)


def _report_unknown_places(table: RawTable, column: str, names: pd.Series, none_known: bool) -> None:
    """Note unknown places in the table; raise UnknownLayoutError if none is known."""
    counts = names.value_counts()
    name_list = preview_names([name or "–" for name in counts.index])
    if none_known:
        raise UnknownLayoutError(
            N_(
                "{file}, column {column!r}: no French region was found among {names}. "
                "Accepted: present names, names before 2016, INSEE codes."
            ),
            file=table.name,
            column=column,
            names=name_list,
        )
    locations = tuple({"place": name, "rows": int(count)} for name, count in counts[: Finding.MAX_LOCATIONS].items())
    message = Message(
        N_("{file}, column {column!r}: {count} names are not French regions: {names}. Their {rows} rows are ignored."),
        {"file": table.name, "column": column, "count": len(counts), "rows": len(names), "names": name_list},
    )
    table.notes.append(Finding("unknown_places", len(counts), message, locations))
