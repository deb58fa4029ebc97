"""Conversion of stored times to the time zone of the browser."""

from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st


def to_browser_time(time: datetime) -> datetime:
    """Return `time` in the time zone of the browser, without the zone; in UTC if the browser names no zone."""
    try:
        zone = ZoneInfo(st.context.timezone or "UTC")
    except (KeyError, ValueError):
        zone = ZoneInfo("UTC")
    return time.astimezone(zone).replace(tzinfo=None)


def from_epoch_ms(milliseconds: int) -> datetime:
    """Return the time `milliseconds` after 1970-01-01 UTC, in the time zone of the server."""
    return datetime.fromtimestamp(milliseconds / 1000)
