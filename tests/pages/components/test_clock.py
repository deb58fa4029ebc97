"""The clock of the pages: instants in the time zone of the browser, whatever zone the server has."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.components import clock

ZONES = ("UTC", "Europe/Paris", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia")


@pytest.mark.parametrize(
    ("browser", "zone"),
    [(None, "UTC"), ("", "UTC"), ("Mars/Base", "UTC"), ("../etc/passwd", "UTC"), ("Asia/Tokyo", "Asia/Tokyo")],
)
def test_clock_takes_zone_of_browser(monkeypatch: pytest.MonkeyPatch, browser: str | None, zone: str) -> None:
    monkeypatch.setattr(clock, "st", SimpleNamespace(context=SimpleNamespace(timezone=browser)))
    assert clock.get_zone_name() == zone


@given(zone=st.sampled_from(ZONES), instant=st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)))
def test_clock_converts_every_form_of_an_instant_alike(zone: str, instant: datetime) -> None:
    instant = instant.replace(microsecond=0, tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "get_zone_name", lambda: zone)
        expected = clock.to_browser_time(instant)
        assert clock.from_epoch_ms(int(instant.timestamp()) * 1000) == expected
        assert clock.to_browser_times(pd.Series([pd.Timestamp(instant)]))[0] == expected


@given(zone=st.sampled_from(ZONES), day=st.dates(date(2000, 1, 1), date(2037, 1, 1)))
def test_clock_starts_day_at_midnight_of_browser(zone: str, day: date) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "get_zone_name", lambda: zone)
        start, end = clock.to_epoch_ms(day), clock.to_epoch_ms(day, days_later=1)
        assert clock.from_epoch_ms(start - 1).date() < day
        assert clock.from_epoch_ms(end) >= datetime.combine(day + timedelta(days=1), datetime.min.time())
        assert timedelta(0) <= timedelta(milliseconds=end - start) <= timedelta(hours=26)
