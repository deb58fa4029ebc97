"""Named ranges of time, their codes in an address, and ranges of users."""

import itertools

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import DAY
from core.data.time_ranges import DataSpan, format_range


def make_span(first: str, last: str, until: str = "", zone: str = "") -> DataSpan:
    return DataSpan(pd.Timestamp(first), pd.Timestamp(last), pd.Timestamp(until or last), zone)


def test_last_days_end_with_forecast_and_are_shorter_than_data() -> None:
    ranges = make_span("2024-01-01", "2024-02-15", "2024-02-29").list_last_days()
    assert [part.code for part in ranges] == ["7d", "30d"]
    assert [str(edge.date()) for edge in ranges[1].span] == ["2024-01-16", "2024-02-29"]


def test_years_and_seasons_have_names_and_codes() -> None:
    ranges = make_span("2022-12-15", "2023-07-01").list_calendar_ranges()
    assert [(part.code, str(part.label)) for part in ranges] == [
        ("2023", "2023"),
        ("summer-2023", "Summer 2023"),
        ("spring-2023", "Spring 2023"),
        ("winter-2022", "Winter 2022–23"),
        ("2022", "2022"),
    ]
    assert [str(edge.date()) for edge in ranges[3].span] == ["2022-12-01", "2023-03-01"]


def test_seasons_turn_south_of_equator() -> None:
    south = make_span("2023-06-10", "2024-01-20", zone="Australia/Sydney").list_calendar_ranges()
    labels = {part.code: str(part.label) for part in south if not part.code.isdigit()}
    assert labels == {"winter-2023": "Winter 2023", "spring-2023": "Spring 2023", "summer-2023": "Summer 2023–24"}


@pytest.mark.parametrize(
    "code",
    [
        "",
        "..",
        "7",
        "2021",
        "winter",
        "2023-02-01",
        "2023-03-01..2023-02-01",
        "1900-01-01..1900-02-01",
        "x..y",
        "<script>",
        "2023-02-01..9999-99-99",
        "99999999d",
        "2024-01-01T25:00..2024-01-02",
    ],
)
def test_strange_codes_are_no_range(code: str) -> None:
    assert make_span("2022-12-15", "2023-07-01").find_range(code) is None


@given(st.text(max_size=30))
def test_any_text_is_range_or_none(code: str) -> None:
    span = make_span("2022-12-15", "2023-07-01")
    chosen = span.find_range(code)
    assert chosen is None or (chosen.start < chosen.end and chosen.start < span.until and chosen.end > span.first)


@given(st.integers(0, 200 * 1440), st.integers(1, 60 * 1440))
def test_ranges_of_users_round_trip(start_min: int, length_min: int) -> None:
    start = pd.Timestamp("2022-12-20") + pd.Timedelta(minutes=start_min)
    end = start + pd.Timedelta(minutes=length_min)
    chosen = make_span("2022-12-15", "2024-07-01").find_range(format_range(start, end))
    assert chosen is not None
    assert chosen.span == (start, end)


@given(st.dates(pd.Timestamp("1950-01-01").date(), pd.Timestamp("2100-01-01").date()), st.integers(1, 2000))
def test_every_named_range_is_found_by_code(first: object, days: int) -> None:
    start = pd.Timestamp(str(first))
    span = DataSpan(start, start + days * DAY, start + (days + 3) * DAY)
    ranges = [*span.list_last_days(), *span.list_calendar_ranges()]
    assert ranges
    assert [span.find_range(part.code) for part in ranges] == ranges
    assert all(part.end > span.first and part.start < span.last for part in ranges)
    seasons = sorted((part for part in ranges if "-" in part.code), key=lambda part: part.start)
    assert all(one.end == other.start for one, other in itertools.pairwise(seasons))
    assert seasons[0].start <= span.first
    assert seasons[-1].end >= span.last
