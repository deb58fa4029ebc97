"""Maintenance windows, once and again."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.errors import OptionError
from core.watches.maintenance import MaintenanceWindow, is_in_maintenance
from tests.core.watches.judged_tables import START

HOUR = timedelta(hours=1)
PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("watch", "entity", "hours", "is_covered"),
    [
        *(("", "", 0, True), ("", "", 2, False), ("", "", -1, False), ("loads", "paris", 1, True)),
        *(("other", "", 1, False), ("loads", "lyon", 1, False)),
    ],
)
def test_window_covers_its_time_and_entity(watch: str, entity: str, hours: int, is_covered: bool) -> None:
    window = MaintenanceWindow(watch=watch, entity=entity, start=START, end=START + 2 * HOUR)
    assert is_in_maintenance([window], "loads", "paris", START + hours * HOUR) == is_covered
    assert not is_in_maintenance([], "loads", "paris", START)


@pytest.mark.parametrize(
    ("day", "hour", "is_covered"),
    [(1, 2, True), (1, 3, True), (1, 4, False), (1, 1, False), (2, 2, False), (8, 2, True)],
)
def test_recurring_window_follows_clock(day: int, hour: int, is_covered: bool) -> None:
    window = MaintenanceWindow(cron="0 2 * * MON", minutes=120, zone="Europe/Paris")
    assert window.covers("loads", "paris", datetime(2024, 7, day, hour, tzinfo=PARIS)) == is_covered  # 1 July: a Monday


def test_recurring_window_has_limits() -> None:
    window = MaintenanceWindow(cron="0 * * * *", minutes=30, start=START, end=START + 2 * HOUR)
    covered = [window.covers("loads", "", START + timedelta(minutes=minutes)) for minutes in (-60, 0, 45, 60, 120)]
    assert covered == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "needs a start and an end"),
        ({"start": START}, "needs a start and an end"),
        ({"start": START, "end": START}, "ends at"),
        ({"cron": "0 2 * * *"}, "length in minutes"),
        ({"cron": "soon", "minutes": 5}, "soon"),
        ({"cron": "0 2 * * *", "minutes": 5, "zone": "Mars/Olympus"}, "Mars"),
    ],
)
def test_window_without_times_is_rejected(fields: dict[str, object], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        MaintenanceWindow.model_validate(fields)
