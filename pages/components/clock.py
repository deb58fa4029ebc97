"""Convert times between what is stored and what the browser's clock says."""

from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st


def to_browser_time(time: datetime) -> datetime:
    """Return `time` on the clock of the browser, without its zone; in UTC where the browser does not name one."""
    try:
        zone = ZoneInfo(st.context.timezone or "UTC")
    except (KeyError, ValueError):
        zone = ZoneInfo("UTC")
    return time.astimezone(zone).replace(tzinfo=None)


def from_epoch_ms(milliseconds: int) -> datetime:
    """Return the time that lies `milliseconds` after 1970, in the server's time zone."""
    return datetime.fromtimestamp(milliseconds / 1000)
