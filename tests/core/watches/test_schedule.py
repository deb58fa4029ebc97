"""Schedules: forms, and ticks over clock changes and outages."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import OptionError
from core.watches.schedule import DAY, HOUR, MINUTE, Schedule, parse_schedule

ZONES = ("Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
CLOCK_CHANGES = [
    *(datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC)),  # Paris
    *(datetime(2024, 3, 10, 7, tzinfo=UTC), datetime(2024, 11, 3, 6, tzinfo=UTC)),  # New York
    *(datetime(2024, 4, 6, 15, tzinfo=UTC), datetime(2024, 10, 5, 15, 30, tzinfo=UTC)),  # Lord Howe, by half an hour
]
INTERVALS = ("1 minute", "7 minutes", "15 minutes", "90 min", "1 hour", "6 hours", "7 h", "1 day", "2 days", "1 week")
CRONS = (
    *("* * * * *", "*/15 * * * *", "30 2 * * *", "0,30 2,3 * * *", "0 0 * * *", "59 1 * * SUN", "0 */6 * * *"),
    *("15,45 1-3 * * MON-FRI", "0 7 1 JAN,JUL *", "0 0 L * *"),
)
schedules = st.builds(parse_schedule, st.sampled_from(INTERVALS + CRONS), st.sampled_from(ZONES))
instants = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds),
    st.sampled_from(CLOCK_CHANGES),
    st.integers(-2 * 86_400, 2 * 86_400),
)


@given(schedules, instants, st.integers(1, 100_000))
def test_ticks_neither_repeat_nor_vanish(schedule: Schedule, start: datetime, part: int) -> None:
    """From anywhere between two ticks, the next one and the last one are these two."""
    before, tick = start, schedule.find_next_tick(start)
    for _ in range(30):
        assert before < tick
        between = before + (tick - before) * (part / 100_001)
        assert schedule.find_next_tick(between) == tick
        assert schedule.find_latest_tick(tick) == tick
        assert schedule.find_latest_tick(tick + timedelta(microseconds=1)) == tick
        before, tick = tick, schedule.find_next_tick(tick)
        assert schedule.find_latest_tick(tick - timedelta(microseconds=1)) == before


@given(schedules, instants, st.floats(0, 400))
def test_missed_ticks_are_made_up_once(schedule: Schedule, start: datetime, days: float) -> None:
    last = schedule.find_next_tick(start)
    now = last + timedelta(days=days)
    due = schedule.find_due_tick(last, now)
    if due is None:
        assert schedule.find_next_tick(last) > now
    else:
        assert last < due <= now < schedule.find_next_tick(due)
        assert schedule.find_due_tick(due, now) is None


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Paris", datetime(2024, 3, 31), 23),
        ("Europe/Paris", datetime(2024, 10, 27), 25),
        ("Asia/Kolkata", datetime(2024, 3, 31), 24),
    ],
)
def test_hourly_ticks_follow_length_of_day(zone: str, day: datetime, hours: int) -> None:
    schedule = parse_schedule("1 hour", zone)
    midnight, end = (day.replace(tzinfo=ZoneInfo(zone)) + DAY * number for number in (0, 1))
    ticks = [midnight.astimezone(UTC)]
    while ticks[-1] < end:
        ticks.append(schedule.find_next_tick(ticks[-1]))
    assert ticks[-1] == end
    assert len(ticks) - 1 == hours
    assert {after - before for before, after in pairwise(ticks)} == {HOUR}


@pytest.mark.parametrize(
    ("cron", "day", "times"),
    [
        ("30 2 * * *", datetime(2024, 3, 31), ["03:00+0200"]),  # the clock skips 02:30
        ("30 2 * * *", datetime(2024, 10, 27), ["02:30+0200"]),  # it shows 02:30 twice
        ("30 2-3 * * *", datetime(2024, 10, 27), ["02:30+0200", "03:30+0100"]),
        ("0 0 * * *", datetime(2024, 10, 27), ["00:00+0200"]),
    ],
)
def test_cron_lines_follow_clock(cron: str, day: datetime, times: list[str]) -> None:
    schedule, zone = parse_schedule(cron, "Europe/Paris"), ZoneInfo("Europe/Paris")
    tick = schedule.find_next_tick(day.replace(tzinfo=zone) - MINUTE)
    ticks = []
    while tick.astimezone(zone).date() == day.date():
        ticks.append(f"{tick.astimezone(zone):%H:%M%z}")
        tick = schedule.find_next_tick(tick)
    assert ticks == times


def test_days_count_from_midnight_of_zone() -> None:
    now = datetime(2024, 10, 26, 12, tzinfo=UTC)  # a Saturday
    paris = ZoneInfo("Europe/Paris")
    assert parse_schedule("1 day", "Europe/Paris").find_next_tick(now) == datetime(2024, 10, 27, tzinfo=paris)
    assert parse_schedule("1 week", "Europe/Paris").find_next_tick(now) == datetime(2024, 10, 28, tzinfo=paris)


def test_day_without_midnight_begins_with_its_clock_change() -> None:
    schedule = parse_schedule("6 hours", "America/Sao_Paulo")
    tick = schedule.find_next_tick(datetime(2018, 11, 4, 2, 59, tzinfo=UTC))
    assert tick == datetime(2018, 11, 4, 3, tzinfo=UTC)  # 01:00 on the clock, which skips the hour from midnight
    assert schedule.find_next_tick(tick) == tick + 6 * HOUR


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        *(("15 minutes", 15 * MINUTE), ("every 15 minutes", 15 * MINUTE), ("Every hour", HOUR), ("1h", HOUR)),
        *(("toutes les 15 minutes", 15 * MINUTE), ("tous les 2 jours", 2 * DAY), ("  1   week ", 7 * DAY)),
    ],
)
def test_interval_forms(text: str, interval: timedelta) -> None:
    schedule = parse_schedule(text)
    assert schedule.interval == schedule.shortest_interval == interval


def test_intervals_are_described_in_words() -> None:
    assert str(parse_schedule("90 minutes").describe()) == "every 90 minutes"
    assert str(parse_schedule("60 minutes").describe()) == "every hour"
    assert str(parse_schedule("48 hours").describe()) == "every 2 days"


def test_shortest_interval_of_cron_line() -> None:
    assert parse_schedule("0,10 6 * * *").shortest_interval == 10 * MINUTE


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "15", "0 minutes", "30 seconds", "1.5 hours", "-5 minutes", "367 days", "999999 weeks"),
        *("60 * * * *", "* * * *", "0 * * * * *", "0 0 30 2 *", "0 0 * FOO *", "*/0 * * * *", "0 0 31 2,4 *", "' OR 1"),
    ],
)
def test_other_texts_name_what_is_accepted(text: str) -> None:
    with pytest.raises(OptionError, match="Accepted: ") as error:
        parse_schedule(text)
    assert repr(text) in str(error.value)


def test_unknown_zone_is_rejected() -> None:
    with pytest.raises(OptionError, match="Mars"):
        parse_schedule("1 hour", "Mars/Olympus")


@given(st.text(max_size=30) | st.text("0123456789*/,-#LW ", max_size=30))
def test_any_text_is_a_schedule_or_an_error(text: str) -> None:
    try:
        schedule = parse_schedule(text)
    except OptionError:
        return
    assert schedule.shortest_interval >= MINUTE
