"""The clock of all pages: stored instants in the time zone of the browser.

The times of measurements are those of their dataset and do not pass through here.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st
from babel import dates
from streamlit.elements.lib.column_types import ColumnConfig

from pages.components.i18n import _, get_date_format, get_language

UTC = "UTC"


def get_zone_name() -> str:
    """Return the time zone of the browser; UTC if the browser names none."""
    name = st.context.timezone or UTC
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC
    return name


def describe_zone() -> str:
    """Return a sentence with the time zone of the times of a page."""
    return _("Times in {zone}.").format(zone=get_zone_name())


def show_zone() -> None:
    """Show the time zone of the times of a page."""
    st.caption(describe_zone())


def to_browser_time(instant: datetime) -> datetime:
    """Return an instant in the time zone of the browser, without the zone."""
    return instant.astimezone(ZoneInfo(get_zone_name())).replace(tzinfo=None)


def to_browser_times(instants: pd.Series) -> pd.Series:
    """Return instants with a zone in the time zone of the browser, without the zone."""
    return instants.dt.tz_convert(get_zone_name()).dt.tz_localize(None)


def to_data_time(instant: datetime, zone: str) -> datetime:
    """Return a measured instant on the clock of its data in `zone`, without the zone.

    Data in an unknown zone, "", and in one that is no name, have their own clock, which is stored as if it were UTC.
    """
    try:
        local_time = pd.Timestamp(instant).tz_convert(zone or UTC)
    except (KeyError, ValueError, OSError):
        local_time = pd.Timestamp(instant).tz_convert(UTC)
    return local_time.tz_localize(None).to_pydatetime()


def from_data_time(data_time: datetime, zone: str) -> datetime:
    """Return the instant of a time on the clock of data in `zone`, the first one in a repeated hour."""
    try:
        return (
            pd.Timestamp(data_time)
            .tz_localize(zone or UTC, ambiguous=True, nonexistent="shift_forward")
            .to_pydatetime()
        )
    except (KeyError, ValueError, OSError):
        return pd.Timestamp(data_time).tz_localize(UTC).to_pydatetime()


def from_epoch_ms(milliseconds: int) -> datetime:
    """Return the time `milliseconds` after 1970-01-01 UTC, in the time zone of the browser."""
    return datetime.fromtimestamp(milliseconds / 1000, ZoneInfo(get_zone_name())).replace(tzinfo=None)


def to_epoch_ms(day: date, days_later: int = 0) -> int:
    """Return the start of a day in the time zone of the browser, in milliseconds since 1970-01-01 UTC."""
    start = datetime.combine(day + timedelta(days=days_later), time(), ZoneInfo(get_zone_name()))
    return int(start.timestamp() * 1000)


def format_instant(instant: datetime) -> str:
    """Return an instant with a zone as text for the reader, in the time zone of the browser."""
    return format_time(to_browser_time(instant))


def format_epoch_ms(milliseconds: int) -> str:
    """Return the time `milliseconds` after 1970-01-01 UTC as text for the reader."""
    return format_time(from_epoch_ms(milliseconds))


def format_time(browser_time: datetime) -> str:
    """Return a time of the browser's zone as text for the reader."""
    return dates.format_datetime(browser_time, "d MMM y HH:mm", locale=get_language())


def build_time_column(label: str, *, has_seconds: bool = False) -> ColumnConfig:
    """Return a table column of times in the browser's zone."""
    return st.column_config.DatetimeColumn(
        label, format=f"{get_date_format()} HH:mm{':ss' if has_seconds else ''}", width=150 if has_seconds else 125
    )
