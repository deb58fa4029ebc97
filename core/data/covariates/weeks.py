"""Covariate files by week: a row with the number of a week counts for its seven days."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.covariates.column_names import find_column
from core.data.ingest.column_facts import TIME_PART_NAMES, describe_column
from core.data.ingest.readers import RawTable
from core.errors import UnreadableFileError
from core.messages import N_

WEEK_TEXT = re.compile(r"(\d{4})[-_ /]?(?:W|S|KW|SEM)[-_ ]?(\d{1,2})", re.IGNORECASE)
WEEK_NAMES = ("week", "weeknumber", "isoweek", "semaine", "numerosemaine", "woche", "kw", "kalenderwoche", "semana")
WEEK_DAYS = 7


def expand_weeks(table: RawTable) -> RawTable:
    """Return a table with one row per day, where its time is a week: "2024-W05", or a year and a number of a week.

    Weeks are those of ISO 8601: they begin on Monday. Another table is returned as it is. Raises UnreadableFileError
    for a week that the year does not have.
    """
    columns = [str(column) for column in table.frame.columns]
    text_column = next((column for column in columns if _holds_weeks(table.frame[column])), None)
    week_column, year_column = find_column(columns, WEEK_NAMES), find_column(columns, TIME_PART_NAMES["year"])
    has_dates = any(describe_column(table.frame[column], column).kind in ("date", "timestamp") for column in columns)
    if text_column:
        parts = table.frame[text_column].astype(str).str.strip().str.extract(WEEK_TEXT).astype(float)
        used = [text_column]
    elif week_column and year_column and not has_dates:
        used = [year_column, week_column]
        parts = table.frame[used].apply(pd.to_numeric, errors="coerce")
    else:
        return table
    mondays = _find_mondays(table, parts, used[-1])
    rows = np.repeat(np.arange(len(table.frame)), WEEK_DAYS)
    days = mondays[rows] + pd.to_timedelta(np.tile(np.arange(WEEK_DAYS), len(table.frame)), unit="D")
    frame = table.frame.drop(columns=used).iloc[rows].reset_index(drop=True)
    frame.insert(0, "date", days.strftime("%Y-%m-%d"))
    table.add_note(
        "weeks",
        len(table.frame),
        N_(
            "{file}: the only row is a week. It counts for its seven days.",
            "{file}: the {count} rows are weeks. Each one counts for its seven days.",
        ),
    )
    return replace(table, frame=frame)


def _holds_weeks(cells: pd.Series) -> bool:
    """Tell whether all cells of a column are weeks such as "2024-W05"."""
    if pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells):
        return False
    texts = pd.Series(pd.unique(cells.dropna())).astype(str).str.strip()
    return len(texts) > 0 and bool(texts.str.fullmatch(WEEK_TEXT).all())


def _find_mondays(table: RawTable, parts: pd.DataFrame, column: str) -> pd.DatetimeIndex:
    """Return the Monday of every row from its year and week."""
    mondays = []
    for row, (year, week) in enumerate(parts.to_numpy(dtype=float)):
        try:
            mondays.append(pd.Timestamp.fromisocalendar(int(year), int(week), 1))
        except (ValueError, OverflowError) as error:
            raise UnreadableFileError(
                N_("{file}, column {column!r}, row {row}: {value!r} is not a week. Accepted: 2024-W05, 1 to 53."),
                file=table.name,
                column=column,
                row=row + 1,
                value=str(table.frame[column].iloc[row]),
            ) from error
    return pd.DatetimeIndex(mondays)
