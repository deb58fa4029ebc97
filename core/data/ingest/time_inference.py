"""Choice of the column, or the columns, that make the time of a table."""

from collections.abc import Iterable

import numpy as np

from core.data.columns import Role
from core.data.ingest.column_facts import TIME_PART_NAMES, ColumnFacts, count_unique
from core.data.ingest.date_parsing import looks_like_numeric_times
from core.data.ingest.layouts.base import TIME_NAMES
from core.data.ingest.number_parsing import parse_numbers
from core.messages import N_

NUMERIC_TIME_NAMES = (
    *TIME_NAMES,
    *("ts", "epoch", "epochms", "epochs", "unix", "unixtime", "timestampms", "index", "heure"),
)

TIME_REASONS: dict[Role, str] = {
    "time": N_("dates and times"),
    "date": N_("dates, completed by a column of times of day"),
    "time_of_day": N_("times of day"),
    "hour": N_("hours 0 to 23"),
    "hour_ending": N_("hours 1 to 24, each named by its end"),
    "minute": N_("minutes"),
    "second": N_("seconds"),
    "year": N_("years"),
    "month": N_("months"),
    "day": N_("days of the month"),
}


def choose_time(columns: list[ColumnFacts]) -> dict[str, Role]:
    """Return the roles of the columns that make the time, in order of preference.

    A column of timestamps; a column of dates with a column of times of day or hours, if the dates alone repeat; years,
    months and days; numbers that are times.

    Example:
        >>> import pandas as pd
        >>> from core.data.ingest.column_facts import describe_column
        >>> table = pd.DataFrame({"date": ["2024-01-30", "2024-01-30"], "hour": [0, 1], "MW": [5, 6]})
        >>> choose_time([describe_column(table[name], name) for name in table])
        {'date': 'date', 'hour': 'hour'}
    """
    by_name = sorted(columns, key=lambda column: column.plain_name not in TIME_NAMES)
    timestamps = [column for column in by_name if column.kind == "timestamp"]
    dates = [column for column in by_name if column.kind == "date"]
    if timestamps and not _is_named_time(dates[:1], timestamps[0]):
        return {timestamps[0].name: "time"}
    if dates:
        clock = _find_clock(columns)
        repeats = count_unique([dates[0]]) < len(dates[0].cells)
        if clock and repeats and count_unique([dates[0], *_pick(columns, clock)]) > count_unique([dates[0]]):
            return {dates[0].name: "date", **clock}
        return {dates[0].name: "time"}
    years = [column for column in columns if column.is_part("year")]
    months = [column for column in columns if column.is_part("month")]
    if years and months:
        days: dict[str, Role] = {column.name: "day" for column in columns if column.is_part("day")}
        clock = _find_clock(columns) if days else {}
        return {years[0].name: "year", months[0].name: "month", **days, **clock}
    numeric = [column for column in columns if column.kind == "number" and _is_numeric_time(column, columns)]
    return {numeric[0].name: "time"} if numeric else {}


def _is_named_time(dates: list[ColumnFacts], timestamp: ColumnFacts) -> bool:
    """Tell whether a column of dates is named like a time, tells as many rows apart, and the timestamps are not."""
    return (
        bool(dates)
        and dates[0].plain_name in TIME_NAMES
        and timestamp.plain_name not in TIME_NAMES
        and count_unique(dates) >= count_unique([timestamp])
    )


def _pick(columns: list[ColumnFacts], names: Iterable[str]) -> list[ColumnFacts]:
    return [column for column in columns if column.name in names]


def _find_clock(columns: list[ColumnFacts]) -> dict[str, Role]:
    """Return the roles of the columns that give the time of day: one of clock times, or hours and minutes."""
    clocks = [column for column in columns if column.kind == "clock"]
    if clocks:
        return {clocks[0].name: "time_of_day"}
    hour_ending = [
        column
        for column in columns
        if column.is_part("hour_ending")
        or (
            column.plain_name in TIME_PART_NAMES["hour"]
            and column.is_whole
            and column.lowest == 1
            and column.highest == 24
        )
    ]
    hours = [column for column in columns if column.is_part("hour") and column.highest < 24]
    if not hours and not hour_ending:
        return {}
    roles: dict[str, Role] = {hour_ending[0].name: "hour_ending"} if hour_ending else {hours[0].name: "hour"}
    smaller_parts: tuple[Role, ...] = ("minute", "second")
    for role in smaller_parts:
        roles |= {column.name: role for column in columns if column.is_part(role)}
    return roles


def _is_numeric_time(column: ColumnFacts, columns: list[ColumnFacts]) -> bool:
    """Tell whether numbers are times: by their name, or as a first column of whole numbers that never fall."""
    if not looks_like_numeric_times(column.cells):
        return False
    if column.plain_name in NUMERIC_TIME_NAMES:
        return True
    values, _ = parse_numbers(column.cells)
    is_first = column is columns[0] and len(columns) > 1
    return (
        is_first
        and column.is_whole
        and column.lowest >= 10**7
        and len(values) > 1
        and bool((np.diff(values) > 0).all())
    )
