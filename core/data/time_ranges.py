"""Ranges of time of a dataset that have a name: its last days, its years and seasons; and those of a user."""

import re
from dataclasses import dataclass

import pandas as pd

from core.data.dataset import DAY
from core.messages import N_, Message

LAST_DAYS = (7, 30, 90)
SEASON_NAMES = (N_("Winter {year}"), N_("Spring {year}"), N_("Summer {year}"), N_("Autumn {year}"))
SEASON_CODES = ("winter", "spring", "summer", "autumn")
SEASON_MONTHS = 3
SOUTHERN_ZONES = re.compile(
    r"Australia/|Antarctica/|Pacific/(Auckland|Fiji|Noumea|Tongatapu|Apia)|Africa/(Johannesburg|Harare|Maputo|Windhoek|"
    r"Gaborone|Lusaka|Maseru|Mbabane)|America/(Santiago|Sao_Paulo|Montevideo|Asuncion|La_Paz|Lima|Punta_Arenas|"
    r"Argentina|Buenos_Aires)|Indian/(Antananarivo|Mauritius|Reunion)"
)
"""Zones south of the equator, where winter begins in June."""
SPAN_SIGN = ".."
DATE_CHARS = len("2024-01-31")


@dataclass(frozen=True)
class TimeRange:
    """A range of time from `start` up to `end`.

    code    its text in an address: "30d", "2023", "winter-2022", "2024-01-05..2024-02-01"
    label   its name; None for the range of a user
    """

    code: str
    start: pd.Timestamp
    end: pd.Timestamp
    label: Message | None = None

    @property
    def span(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Start and end."""
        return self.start, self.end


@dataclass(frozen=True)
class DataSpan:
    """The time that a dataset, or a picture of it, covers.

    first, last  first time, and end of the last row
    until        end of what is shown after the data, such as a forecast
    zone         time zone of the clock, which tells the hemisphere of the seasons
    """

    first: pd.Timestamp
    last: pd.Timestamp
    until: pd.Timestamp
    zone: str = ""

    def list_last_days(self) -> list[TimeRange]:
        """Return the last days of the data, and what follows them, where the data are longer."""
        return [
            TimeRange(f"{days}d", start, self.until, Message(N_("Last {count} days"), {"count": days}))
            for days in LAST_DAYS
            if (start := self.last - days * DAY) > self.first
        ]

    def list_calendar_ranges(self) -> list[TimeRange]:
        """Return the years and the seasons that the data touch, newest first."""
        ranges = [*self._list_years(), *self._list_seasons()]
        return sorted(ranges, key=lambda part: (part.end, part.start), reverse=True)

    def find_range(self, code: str) -> TimeRange | None:
        """Return the range of a text of an address; None for another text, and for a range outside the data.

        Example:
            >>> span = DataSpan(*map(pd.Timestamp, ["2022-11-01", "2024-05-01", "2024-05-01"]))
            >>> [str(span.find_range(code).start) for code in ("30d", "winter-2022", "2023-02-01..2023-02-03")]
            ['2024-04-01 00:00:00', '2022-12-01 00:00:00', '2023-02-01 00:00:00']
            >>> span.find_range("winter-1950"), span.find_range("1970-01-01..1970-02-01"), span.find_range("soon")
            (None, None, None)
        """
        named = {part.code: part for part in (*self.list_last_days(), *self.list_calendar_ranges())}
        return named.get(code) or self._parse_own_range(code)

    def _parse_own_range(self, code: str) -> TimeRange | None:
        first, sign, last = code.partition(SPAN_SIGN)
        start, end = pd.to_datetime([first, last], format="ISO8601", errors="coerce", utc=True).tz_localize(None)
        if not sign or start is pd.NaT or end is pd.NaT:
            return None
        end += DAY if len(last) <= DATE_CHARS else pd.Timedelta(0)
        is_inside = start < end and start < self.until and end > self.first
        return TimeRange(code, start, end) if is_inside else None

    def _list_years(self) -> list[TimeRange]:
        years = range(self.first.year, (self.last - pd.Timedelta(1)).year + 1)
        return [
            TimeRange(
                str(year),
                pd.Timestamp(year, 1, 1),
                pd.Timestamp(year + 1, 1, 1),
                Message("{year}", {"year": str(year)}),
            )
            for year in years
        ]

    def _list_seasons(self) -> list[TimeRange]:
        """Return the seasons that the data touch: December to February is winter, or summer in the south."""
        offset = 2 if SOUTHERN_ZONES.match(self.zone) else 0
        starts = pd.date_range(f"{self.first.year - 1}-12-01", self.last, freq=pd.DateOffset(months=SEASON_MONTHS))
        ranges = []
        for number, start in enumerate(starts):
            end = start + pd.DateOffset(months=SEASON_MONTHS)
            if end > self.first and start < self.last:
                season = (number + offset) % len(SEASON_CODES)
                is_split = end.year > start.year and end.month > 1
                year = f"{start.year}–{end.year % 100:02d}" if is_split else str(start.year)
                label = Message(SEASON_NAMES[season], {"year": year})
                ranges.append(TimeRange(f"{SEASON_CODES[season]}-{start.year}", start, end, label))
        return ranges


def format_range(start: pd.Timestamp, end: pd.Timestamp) -> str:
    """Return the text of a range in an address: days where it has whole days, else days and minutes.

    Example:
        >>> format_range(pd.Timestamp("2024-01-05"), pd.Timestamp("2024-02-02"))
        '2024-01-05..2024-02-01'
        >>> format_range(pd.Timestamp("2024-01-05 13:22:41"), pd.Timestamp("2024-01-06"))
        '2024-01-05T13:22..2024-01-06T00:00'
    """
    if start == start.normalize() and end == end.normalize() and end > start:
        return f"{start:%Y-%m-%d}{SPAN_SIGN}{end - DAY:%Y-%m-%d}"
    return f"{start:%Y-%m-%dT%H:%M}{SPAN_SIGN}{end.ceil('min'):%Y-%m-%dT%H:%M}"
