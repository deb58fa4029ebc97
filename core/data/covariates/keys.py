"""Day and place of every row of a covariate file."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data import regions
from core.data.covariates.names import REGION, REGION_CODE, ZONE, first_named, listed
from core.data.covariates.tables import NATION, Places
from core.data.ingest.dates import looks_like_dates, moments
from core.data.ingest.layouts.base import TIME, plain
from core.data.ingest.readers import Table
from core.data.quality.findings import Finding
from core.errors import UnknownLayoutError, UnreadableFileError
from core.messages import N_, Text

YEARS = (1900, 2100)
CLOCK_OF_FRANCE = "Europe/Paris"
UTC = ("UTC", "UTC+00:00", "Etc/UTC", "GMT")
OFFSET = re.compile(r"(.*\d[T ]\d{1,2}:\d{2}.*?)\s*(Z|[+-]\d{2}(?::?\d{2})?)$")
NATIONAL = ("fr", "france", "national", "metropole", "francemetropolitaine")


def day_column(table: Table, accepted: tuple[str, ...] = TIME) -> str:
    """Return the column with one of the `accepted` names, else the first column of dates.

    Raises UnknownLayoutError if there is none.
    """
    columns = list(table.frame.columns)
    named = first_named(columns, accepted)
    found = named or next((column for column in columns if looks_like_dates(table.frame[column])), None)
    if found is None:
        raise UnknownLayoutError(
            N_("{file}: no column of dates among {columns}. Accepted: date, day, date_de_debut."),
            file=table.name,
            columns=listed(columns),
        )
    return found


def days(table: Table, column: str, rows: NDArray[np.intp] | None = None) -> pd.DatetimeIndex:
    """Return the day of every row (of `rows` if given), in local time; timestamps in UTC are converted to French time.

    Raises UnreadableFileError for a cell that is no date, and for a date outside 1900 to 2100.
    """
    cells = table.frame[column] if rows is None else table.frame[column].iloc[rows]
    read = moments(_local(cells), table.name)
    if read.ambiguous:
        table.note(
            "ambiguous_dates",
            len(read.times),
            N_("{file}: day and month could be exchanged in every date; read with the day first."),
        )
    found = read.times.normalize()
    beyond = np.flatnonzero((found.year < YEARS[0]) | (found.year > YEARS[1]))
    if len(beyond):
        raise UnreadableFileError(
            N_("{file}, column {column!r}: {value} lies outside {first} to {last}."),
            file=table.name,
            column=column,
            value=str(found[beyond[0]].date()),
            first=str(YEARS[0]),
            last=str(YEARS[1]),
        )
    return found


def _local(cells: pd.Series) -> pd.Series:
    """Return timestamps with a time zone in the local time of that zone.

    Otherwise midnight could fall on the day before.
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        zoned = cells.dt.tz_convert(CLOCK_OF_FRANCE) if str(cells.dt.tz) in UTC else cells
        return zoned.dt.tz_localize(None)
    if pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells):
        return cells
    codes, texts = pd.factorize(cells)
    local = _local_texts(pd.Series(np.asarray(texts, dtype=object)).astype(str))
    return pd.Series(np.array([*local, None], dtype=object)[codes], index=cells.index, name=cells.name)


def _local_texts(texts: pd.Series) -> pd.Series:
    """Return texts without their offset; those in UTC are converted to French time."""
    parts = texts.str.extract(OFFSET)
    local = texts.where(parts[1].isna(), parts[0])
    in_utc = parts[1].str.strip("Z+-:0") == ""
    read = pd.to_datetime(parts[0][in_utc], format="ISO8601", errors="coerce").dropna()
    if len(read):
        french = read.dt.tz_localize("UTC").dt.tz_convert(CLOCK_OF_FRANCE)
        local[read.index] = french.dt.strftime("%Y-%m-%d %H:%M:%S")
    return local


def places(table: Table) -> tuple[Places, Places, NDArray[np.bool_]]:
    """Return the place of every row, the place as the file writes it, and a mask of the known places.

    Without a column of places, all rows belong to the whole country. Unknown names are noted in the table. Raises
    UnknownLayoutError if all names are unknown.
    """
    columns = list(table.frame.columns)
    column = first_named(columns, REGION) or first_named(columns, REGION_CODE) or first_named(columns, ZONE)
    if column is None:
        nation = np.full(len(table.frame), NATION, dtype=object)
        return nation, nation, np.ones(len(nation), dtype=bool)
    cells = table.frame[column]
    written = cells.astype(object).where(cells.notna(), "").to_numpy()
    codes, names = pd.factorize(written)
    found = np.array([_place(name) for name in names], dtype=object)
    known = np.array([each is not None for each in found])[codes]
    if not known.all():
        _tell_unknown(table, column, pd.Series(written[~known]).astype(str), none_known=not known.any())
    return found[codes], written, known


def _place(name: object) -> str | None:
    """Return the canonical region, the school zone or the whole country that `name` means, or None."""
    word = plain(str(name))
    zone = word.removeprefix("zone").upper()
    if zone in ("A", "B", "C"):
        return zone
    return NATION if word in NATIONAL else regions.canonical(name)


def _tell_unknown(table: Table, column: str, names: pd.Series, none_known: bool) -> None:
    """Note unknown places in the table; raise UnknownLayoutError if none is known."""
    counts = names.value_counts()
    shown = listed([name or "–" for name in counts.index])
    if none_known:
        raise UnknownLayoutError(
            N_(
                "{file}, column {column!r}: no French region among {names}. Accepted: names of today, of "
                "before 2016, INSEE codes."
            ),
            file=table.name,
            column=column,
            names=shown,
        )
    where = tuple({"place": name, "rows": int(count)} for name, count in counts[: Finding.PLACES].items())
    text = Text(
        N_("{file}, column {column!r}: {count} names are no French region, their {rows} rows were left out: {names}."),
        {"file": table.name, "column": column, "count": len(counts), "rows": len(names), "names": shown},
    )
    table.notes.append(Finding("unknown_places", len(counts), text, where))
