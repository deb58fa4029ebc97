"""Columns named by the times of one day: 07:00, 7h, HE8, 00:15-00:30."""

import re

from core.data.dataset import make_clock_labels

CLOCK_PATTERN = re.compile(
    r"(?:h|he|hour|heure|hour[ _]ending)?[ _]?(\d{1,2})(?:[:h_](\d{2})?(?::00)?)?"
    r"(?:\s*[-–]\s*\d{1,2}[:h]\d{2}(?::00)?)?",
    re.IGNORECASE,
)
"""Name of a column for a time of day: 07:00, 7h, hour_7, HE7, or the start of a range 07:00-08:00."""

PROFILE_COLUMN_COUNTS = (24, 48, 96, 144, 288)
MINUTES_PER_DAY = 24 * 60


def find_clock_columns(columns: list[str]) -> dict[str, str]:
    """Return column → start of its interval if the columns name all equal intervals of one day, else an empty mapping.

    Accepted are 24 hours, 48 half-hours, 96 quarter-hours, 144 and 288 intervals. Columns named by the end of their
    interval, 1 to 24 or 00:15 to 24:00, are moved back by one interval.

    Example:
        >>> times = find_clock_columns(["date", *(f"{hour}h" for hour in range(24))])
        >>> len(times), times["7h"]
        (24, '07:00')
        >>> find_clock_columns([f"HE{hour}" for hour in range(1, 25)])["HE1"]
        '00:00'
    """
    minutes_by_column = _parse_clock_minutes(columns)
    minutes = sorted(minutes_by_column.values())
    for count in PROFILE_COLUMN_COUNTS:
        step = MINUTES_PER_DAY // count
        for shift in (0, step):
            if minutes == list(range(shift, MINUTES_PER_DAY + shift, step)):
                return {column: _format_clock(minute - shift) for column, minute in minutes_by_column.items()}
    return {}


def _format_clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _parse_clock_minutes(columns: list[str]) -> dict[str, int]:
    """Return column → minute of the day for the columns that name one; empty if a number exceeds 24:00."""
    minutes = {}
    for column in columns:
        match = CLOCK_PATTERN.fullmatch(column.strip())
        if match:
            minutes[column] = 60 * int(match[1]) + int(match[2] or 0)
    return minutes if max(minutes.values(), default=0) <= MINUTES_PER_DAY else {}


def find_incomplete_day(columns: list[str]) -> tuple[list[str], list[str]] | None:
    """Return the missing and the repeated times of an incomplete day, or None.

    At least 12 columns must name a time of day; columns named by a plain number are not counted.
    """
    named = [column for column in columns if not column.strip().isdigit()]
    times = [_format_clock(minute) for minute in _parse_clock_minutes(named).values()]
    if len(times) < 12 or find_clock_columns(columns):
        return None
    count = next(
        (count for count in PROFILE_COLUMN_COUNTS if set(times) <= set(make_clock_labels(count))),
        PROFILE_COLUMN_COUNTS[-1],
    )
    return [time for time in make_clock_labels(count) if time not in times], sorted(
        {time for time in times if times.count(time) > 1}
    )
