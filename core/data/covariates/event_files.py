"""Files of events: dates only, dates and names, dates and 0/1, ranges, with or without a place.

A day that the file does not name is a day without the event. A name that occurs often enough gets an effect of its own.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.column_names import (
    END_NAMES,
    FLAG_COLUMNS,
    HOLIDAY_NAMES,
    KEY_NAMES,
    NAME_SIGN,
    START_NAMES,
    find_column,
    find_covariate,
    is_flag,
)
from core.data.covariates.column_values import read_values
from core.data.covariates.covariate_table import Places, aggregate_by_day
from core.data.covariates.daily_values import make_missing_error, note_ignored
from core.data.covariates.events import expand_events, fill_years
from core.data.covariates.local_times import find_time_columns, read_times
from core.data.covariates.places import ZONES, read_places
from core.data.ingest.column_facts import TIME_PART_NAMES, ColumnFacts, describe_column
from core.data.ingest.layouts.base import normalise_name
from core.data.ingest.number_parsing import parse_numbers
from core.data.ingest.readers import RawTable
from core.messages import N_

MIN_NAME_DAYS = 5  # of a name, for an effect of its own
MIN_MEANT_SHARE = 0.5  # of the names of a file, that mean one flag
MAX_MARK_LETTERS = 3  # of a word for yes or no; a longer one may be a name
MAX_NAMES = 20  # with an effect of their own, the most frequent first
NAMED_FLAGS = ("holiday", "event")
NAME_COLUMNS = ("name", "nom", "names", "title", "titre", "label", "libelle", "description", "bezeichnung", "nombre")
NO_EVENT_WORDS = frozenset(("", "0", "-", "–", "no", "non", "nein", "none", "aucun", "false", "faux", "n", "nan"))
CALENDAR_NAMES = (
    *("weekday", "dayofweek", "jourdelasemaine", "wochentag", "anneescolaire", "week", "semaine", "woche", "quarter"),
    *(name for role in ("year", "month", "day") for name in TIME_PART_NAMES[role]),
)
"""Names of columns that repeat the date."""

FLAG_PATTERNS = {
    "strike": re.compile(r"strike|gr[eè]ve|streik|huelga|sciopero"),
    "school_break": re.compile(r"vacance|school|scolaire|ferien"),
    "holiday": re.compile(r"holiday|f[eé]ri[eé]|feiertag|festiv(?!al)|feriado"),
}
"""Flag → words of headers, names or the file that mean it, in the order of search."""


@dataclass(frozen=True)
class EventColumns:
    """Columns of a file of events.

    start     column with the day, or the first day
    end       column with the last day; None where every row is one day
    names     column with the names; None without
    marks     column of yes and no that says which rows are events; None where all are
    ignored   other columns
    """

    start: str
    end: str | None
    names: str | None
    marks: str | None
    ignored: tuple[str, ...]


def find_event_columns(table: RawTable) -> EventColumns | None:
    """Return the columns of a file of events, or None for a file that holds numbers of every day."""
    columns = [str(column) for column in table.frame.columns]
    start, end = (columns[0], None) if len(columns) == 1 else _find_span(table, columns)
    if start is None:
        time_columns = find_time_columns(table)
        if set(time_columns.values()) != {"time"}:
            return None
        start = next(iter(time_columns))
    others = [
        column
        for column in columns
        if column not in (start, end) and normalise_name(column) not in (*KEY_NAMES, *CALENDAR_NAMES)
    ]
    if any(find_covariate(column) not in (None, *FLAG_COLUMNS) for column in others):
        return None
    facts = [describe_column(table.frame[column], column) for column in others]
    marks = [column for column in facts if column.kind != "empty" and _is_marked(column)]
    texts = [column for column in facts if column.kind == "text" and column not in marks]
    has_numbers = any(column.kind in ("number", "clock", "empty") for column in facts if column not in marks)
    if has_numbers or len(marks) > 1 or not (end or texts or not marks):
        return None
    names = _choose_names([column.name for column in texts])
    ignored = tuple(column.name for column in texts if column.name != names)
    return EventColumns(start, end, names, marks[0].name if marks else None, ignored)


def _find_span(table: RawTable, columns: list[str]) -> tuple[str | None, str | None]:
    """Return the columns with the first and the last day of a range; (None, None) without both."""
    start, end = find_column(columns, START_NAMES), find_column(columns, END_NAMES)
    if start is None or end is None or start == end:
        return None, None
    kinds = {describe_column(table.frame[column].dropna(), column).kind for column in (start, end)}
    return (start, end) if kinds <= {"date", "timestamp", "empty", "number"} else (None, None)


def _is_marked(column: ColumnFacts) -> bool:
    """Tell whether a column holds yes and no only, or only yes."""
    if column.kind == "bool":
        return True
    filled = column.cells.dropna()
    texts = pd.Series(pd.unique(filled)).astype(str).str.strip().str.lower()
    if len(texts) > 4:
        return False
    if set(texts) <= {"x", "y", "o", "n", "j"}:
        return True
    values, bad_rows = parse_numbers(pd.Series(pd.unique(filled)))
    return len(texts) > 0 and not len(bad_rows) and set(values) <= {0.0, 1.0}


def _choose_names(columns: list[str]) -> str | None:
    """Return the column with the names of the events: by its name, else the first one."""
    flags = [column for column in columns if find_covariate(column) in FLAG_COLUMNS]
    return next(
        iter(
            [*filter(None, (find_column(columns, HOLIDAY_NAMES), find_column(columns, NAME_COLUMNS))), *flags, *columns]
        ),
        None,
    )


def build_events(table: RawTable, columns: EventColumns) -> tuple[str, pd.DataFrame]:
    """Return the flag of the events, and one row per place and day: 1 on the days of an event, else 0.

    The frame has one column more for every name that occurs on `MIN_NAME_DAYS` days or more. Raises UnknownLayoutError
    for a file without an event, and UnreadableFileError for a cell that is no date.
    """
    cells = table.frame[columns.start]
    start = end = read_times(table, {"time": cells}).days
    if columns.end:
        ends = table.frame[columns.end].astype(object)
        end = read_times(table, {"time": ends.where(ends.notna(), cells.astype(object))}).days
    place, _, is_event = read_places(table)
    names = _read_names(table, columns.names)
    if columns.marks:
        is_event = is_event & (read_values(table, columns.marks, "event") == 1)
    elif columns.names and not columns.end:
        is_event = is_event & (names != "")
    if not is_event.any():
        raise make_missing_error(table)
    flag = _choose_flag(table, columns, names[is_event], place[is_event])
    note_ignored(table, list(columns.ignored))
    event, days = expand_events(table, start[is_event], end[is_event])
    frame = _mark_names(flag, days, place[is_event][event], names[is_event][event])
    note_absent_days(table, frame, flag)
    return flag, frame


def _read_names(table: RawTable, column: str | None) -> NDArray[np.object_]:
    """Return the name of every row; "" for no event, and without a column of names."""
    if column is None:
        return np.full(len(table.frame), "", dtype=object)
    texts = table.frame[column].astype(object).where(table.frame[column].notna(), "").astype(str).str.strip()
    return texts.mask(texts.str.lower().isin(NO_EVENT_WORDS), "").to_numpy(dtype=object)


def _choose_flag(table: RawTable, columns: EventColumns, names: NDArray[np.object_], places: Places) -> str:
    """Return the flag that headers, school zones, names or the name of the file mean; "event" for any other."""
    headers = [header for header in (columns.marks, columns.names, columns.start) if header]
    for header in headers:
        covariate = find_covariate(header)
        if covariate in FLAG_COLUMNS:
            return str(covariate)
    if set(places) <= set(ZONES):
        return "school_break"
    texts = [*headers, re.sub(r"\.\w+$", "", table.name)]
    for flag, pattern in FLAG_PATTERNS.items():
        if any(pattern.search(text.lower()) for text in texts):
            return flag
    for flag, pattern in FLAG_PATTERNS.items():
        if np.mean([bool(pattern.search(str(name).lower())) for name in names]) >= MIN_MEANT_SHARE:
            return flag
    return "event"


def _mark_names(flag: str, days: pd.DatetimeIndex, places: Places, names: NDArray[np.object_]) -> pd.DataFrame:
    """Return the flag of all events, and one per frequent name, if there are several names."""
    values = pd.DataFrame({flag: np.ones(len(days))})
    if flag in NAMED_FLAGS and len(set(names)) > 1:
        day_counts = pd.DataFrame({"name": names, "day": days}).drop_duplicates()["name"].value_counts()
        frequent = day_counts[(day_counts >= MIN_NAME_DAYS) & (day_counts.index != "")].index[:MAX_NAMES]
        for name in frequent:
            values[f"{flag}{NAME_SIGN}{name}"] = (names == name).astype(float)
    return fill_years(aggregate_by_day(values, days, places))


def mark_named_events(table: RawTable) -> RawTable:
    """Return a table of daily values whose flags written as names are 0 and 1: "Noël" becomes 1, an empty cell 0."""
    named = [
        column
        for column in map(str, table.frame.columns)
        if find_covariate(column) in ("holiday", "event")
        and (facts := describe_column(table.frame[column], column)).kind == "text"
        and not _is_marked(facts)
        and facts.cells.dropna().astype(str).str.strip().str.len().max() > MAX_MARK_LETTERS
    ]
    flags = {column: (_read_names(table, column) != "").astype(float) for column in named}
    return replace(table, frame=table.frame.assign(**flags)) if flags else table


def name_flags(frame: pd.DataFrame) -> pd.DataFrame:
    """Return daily values, with columns of 0 and 1 under a name that says so: "promo" → "event: promo"."""
    binary = [
        column
        for column in frame
        if find_covariate(column) is None and frame[column].isin((0.0, 1.0)).sum() == frame[column].notna().sum() > 0
    ]
    return frame.rename(columns={column: f"event{NAME_SIGN}{column}" for column in binary})


def fill_absent_days(table: RawTable, frame: pd.DataFrame) -> pd.DataFrame:
    """Return flags with 0 on the days that the file lacks in its years, which is noted; complete flags as they are."""
    if not all(map(is_flag, frame.columns)):
        return frame
    days = frame.index.get_level_values("day")
    expected_rows = ((days.max() - days.min()).days + 1) * frame.index.get_level_values("place").nunique()
    if len(frame) == expected_rows and frame.notna().all(axis=None):
        return frame
    note_absent_days(table, frame, ", ".join(frame.columns))
    return fill_years(frame)


def note_absent_days(table: RawTable, frame: pd.DataFrame, flag: str) -> None:
    """Note that days which the file does not name are days without the event, and the names with their own effect."""
    days = frame.index.get_level_values("day")
    table.add_note(
        "absent_days",
        1,
        N_("{file}: days from {start} to {end} that the file does not name count as days without {flag}."),
        start=f"{days.min().year}-01-01",
        end=f"{days.max().year}-12-31",
        flag=flag,
    )
    named = [column.partition(NAME_SIGN)[2] for column in frame.columns if column.startswith(f"{flag}{NAME_SIGN}")]
    if named:
        table.add_note(
            "named_events",
            len(named),
            N_(
                "{file}: {count} name has its own effect ({names}). All others share one.",
                "{file}: {count} names have their own effect ({names}). All others share one.",
            ),
            names=", ".join(named),
        )
