"""Lengths of time in words become whole numbers of periods, or are refused."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.durations import count_periods, parse_duration
from core.errors import OptionError

LAST = pd.Timestamp("2024-01-31")
MONTH_START = pd.Timestamp("2024-01-01")


@pytest.mark.parametrize(
    ("text", "last", "frequency", "count"),
    [
        ("36h", LAST, "h", 36),
        ("36h", LAST, "30min", 72),
        ("1,5 h", LAST, "15min", 6),
        ("2w", LAST, "D", 14),
        ("2 semaines", LAST, "D", 14),
        ("3 jours", LAST, "h", 72),
        ("1 month", LAST, "D", 29),
        ("1 an", MONTH_START, "D", 366),
        ("3 months", MONTH_START, "MS", 3),
        ("2 ans", MONTH_START, "MS", 24),
        ("1 year", MONTH_START, "QS-JAN", 4),
        ("28 days", MONTH_START, "W-MON", 4),
        ("9", MONTH_START, "YS-JAN", 9),
    ],
)
def test_length_of_time_is_counted_in_periods(text: str, last: pd.Timestamp, frequency: str, count: int) -> None:
    assert count_periods(text, last, frequency) == count


@pytest.mark.parametrize(
    ("text", "frequency"),
    [
        ("36h", "D"),
        ("10 min", "15min"),
        ("1 month", "W-MON"),
        ("30 days", "MS"),
        ("1.5 months", "D"),
        ("1 month", "YS-JAN"),
    ],
)
def test_fraction_of_a_period_is_refused(text: str, frequency: str) -> None:
    with pytest.raises(OptionError, match="whole periods"):
        count_periods(text, MONTH_START, frequency)


@pytest.mark.parametrize("text", ["", "soon", "-3", "3 fortnights", "h", "1h30"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="Accepted: 7, 36h"):
        parse_duration(text)


@given(st.integers(1, 500), st.sampled_from(["min", "h", "D", "W-MON"]))
def test_number_of_steps_in_their_unit_is_that_number(count: int, frequency: str) -> None:
    unit = {"min": "min", "h": "h", "D": "d", "W-MON": "w"}[frequency]
    assert count_periods(f"{count}{unit}", LAST, frequency) == count_periods(count, LAST, frequency) == count
