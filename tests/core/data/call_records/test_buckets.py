"""Counts from buckets: worked examples, traffic against a brute-force sum, trunks that appear or die."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.call_records.buckets import build_counts, parse_interval, sum_records, to_dataset
from core.data.ingest.loading import load
from core.data.regular_series import RegularSeries
from core.data.time_zones import to_local_times
from core.errors import DataError, OptionError
from core.exports import to_parquet_bytes, write_csv

QUARTER = pd.Timedelta("15min")
START = pd.Timestamp("2020-08-30T22:43:32")


def make_records(calls: list[tuple[str, str, int, str]]) -> pd.DataFrame:
    """Return records of (trunk, start, seconds, cause); a call of 0 s was not answered."""
    trunks, starts, seconds, causes = zip(*calls, strict=True)
    times = pd.Series(pd.to_datetime(list(starts)))
    return pd.DataFrame(
        {
            "ORIG_T1T7": trunks,
            "null_duration": [value == 0 for value in seconds],
            "rc_group": causes,
            "Call_Start_Time": times,
            "Call_End_Time": times + pd.to_timedelta(list(seconds), unit="s"),
        }
    )


def count(calls: list[tuple[str, str, int, str]], by_trunk: bool = True) -> pd.DataFrame:
    return build_counts(sum_records(make_records(calls), QUARTER), QUARTER, by_trunk)


def test_call_shares_its_seconds_among_intervals() -> None:
    counts = count([("T1", str(START), 748, "HANG_UP")])
    assert counts["timestamp"].dt.strftime("%H:%M").tolist() == ["22:30", "22:45"]
    assert counts["erlang"].round(4).tolist() == [0.0978, 0.7333]
    assert counts["total"].tolist() == [1, 0]


@pytest.mark.parametrize(("answered", "null", "total", "ccr"), [(2488, 213, 2701, 0.9211), (3323, 194, 3517, 0.9448)])
def test_attempts_and_ccr_of_worked_example(answered: int, null: int, total: int, ccr: float) -> None:
    buckets = pd.DataFrame(
        {
            "trunk": "T1",
            "first": START.floor(QUARTER),
            "last": START.floor(QUARTER),
            "null_duration": [False, True],
            "cause_group": ["HANG_UP", "BUSY"],
            "calls": [answered, null],
            "first_seconds": 0.0,
            "last_seconds": [100.0, 0.0],
        }
    )
    [row] = build_counts(buckets, QUARTER, by_trunk=False).to_dict("records")
    assert (row["answered"], row["null_duration"], row["total"], row["ko_busy"]) == (answered, null, total, null)
    assert round(row["ccr"], 4) == ccr


def test_missing_bucket_counts_zero_with_undefined_ccr() -> None:
    counts = count([("T1", "2020-08-30 10:01", 60, "OK"), ("T1", "2020-08-30 10:31", 0, "NET-FAIL")])
    assert counts["answered"].tolist() == [1, 0, 0]
    assert counts["null_duration"].tolist() == [0, 0, 1]
    np.testing.assert_array_equal(counts["ccr"], [1.0, np.nan, 0.0])
    assert counts["ko_net_fail"].tolist() == [0, 0, 1]


def test_trunk_counts_from_its_first_call_to_the_end() -> None:
    """A trunk that appears has no rows before; one that dies keeps its zeros, which are the fault to see."""
    calls = [("dies", "2020-08-30 10:00", 60, "OK"), ("appears", "2020-08-30 10:31", 60, "OK")]
    counts = count(calls).set_index(["trunk", "timestamp"])["total"]
    assert counts["dies"].tolist() == [1, 0, 0]
    assert counts["appears"].tolist() == [1]


def test_call_until_the_end_of_an_interval_needs_no_further_one() -> None:
    counts = count([("T1", "2020-08-30 10:00", 900, "OK")])
    assert counts["erlang"].tolist() == [1.0]


def test_period_cuts_the_seconds_after_its_end() -> None:
    buckets = sum_records(make_records([("T1", "2020-08-30 10:10", 3600, "OK")]), QUARTER)
    start, end = pd.Timestamp("2020-08-30 09:45"), pd.Timestamp("2020-08-30 10:30")
    counts = build_counts(buckets, QUARTER, False, start, end)
    assert counts["erlang"].tolist() == pytest.approx([0.0, 300 / 900, 1.0])


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 7200), st.integers(0, 9000)), min_size=1, max_size=30
    ),
    st.sampled_from(["5min", "15min", "1h"]),
)
def test_traffic_equals_sum_per_second(calls: list[tuple[str, int, int]], step: str) -> None:
    interval, midnight = parse_interval(step), pd.Timestamp("2020-08-30")
    texts = [(trunk, str(midnight + pd.Timedelta(seconds=start)), length, "X") for trunk, start, length in calls]
    counts = build_counts(sum_records(make_records(texts), interval), interval, by_trunk=True)
    for trunk, rows in counts.groupby("trunk", observed=True):
        is_busy = np.zeros(20_000)
        for name, start, length in calls:
            if name == trunk:
                is_busy[start : start + length] += 1
        for row in rows.itertuples():
            first = int((row.timestamp.tz_localize(None) - midnight).total_seconds())
            seconds = int(interval.total_seconds())
            assert row.erlang == pytest.approx(is_busy[first : first + seconds].sum() / seconds)
    erlang_seconds = counts["erlang"].sum() * interval.total_seconds()
    assert erlang_seconds == pytest.approx(sum(length for _, _, length in calls))
    assert counts["total"].sum() == len(calls)


@pytest.mark.parametrize(("day", "hours"), [("2020-03-29", 23), ("2020-10-25", 25)])
def test_day_of_clock_change_has_all_its_hours(day: str, hours: int) -> None:
    """Records are in UTC; on the clock of Paris the day then has 23 or 25 hours, each with its calls."""
    first = pd.Timestamp(day, tz="Europe/Paris").tz_convert("UTC").tz_localize(None)
    times = pd.date_range(first, periods=hours * 4, freq=QUARTER)
    counts = count([("T1", str(time), 60, "OK") for time in times])
    assert counts["total"].tolist() == [1] * hours * 4
    local, fold = to_local_times(pd.DatetimeIndex(counts["timestamp"]).tz_localize(None), "Europe/Paris")
    assert set(local.strftime("%Y-%m-%d")) == {day}
    assert fold.sum() == (4 if hours == 25 else 0)


@pytest.mark.parametrize("by_trunk", [True, False])
@pytest.mark.parametrize("trunks", [("T1", "T2"), ("331", "442")])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_export_of_counts_loads_as_the_same_dataset(
    by_trunk: bool, trunks: tuple[str, str], suffix: str, tmp_path: Path
) -> None:
    calls = [(trunks[0], "2020-10-24 23:31", 100, "OK"), (trunks[1], "2020-10-25 00:46", 0, "BUSY")]
    calls += [(trunks[0], "2020-10-25 02:00", 5000, "OK")]
    counts = count(calls, by_trunk)
    path = tmp_path / f"counts{suffix}"
    if suffix == ".csv":
        write_csv(counts, path)
    else:
        path.write_bytes(to_parquet_bytes(counts))
    expected, dataset = to_dataset(counts, QUARTER), load([path])
    assert dataset.entities == expected.entities
    assert (dataset.columns, dataset.zone, dataset.unit) == (expected.columns, "UTC", "")
    assert dataset.step == expected.step
    np.testing.assert_array_equal(dataset.entity_codes, expected.entity_codes)
    np.testing.assert_array_equal(dataset.time, expected.time)
    np.testing.assert_array_equal(dataset.values, expected.values)
    series = RegularSeries.from_dataset(dataset, "ccr", "total")
    assert np.isnan(series.values[np.nan_to_num(series.attempts) == 0]).all()


@pytest.mark.parametrize("interval", ["", "7min", "0min", "2D", "-15min", "quarter", "100ms", "NaT"])
def test_interval_that_does_not_divide_a_day_is_refused(interval: str) -> None:
    with pytest.raises(OptionError, match="interval = "):
        parse_interval(interval)


def test_dates_too_far_apart_are_refused() -> None:
    with pytest.raises(DataError, match=r"1700-01-01.*too long"):
        count(
            [
                ("T1", "1700-01-01", 1, "OK"),
                ("T2", "1960-01-01", 1, "OK"),
                *[(f"t{n}", "1800-01-01", 1, "OK") for n in range(20)],
            ]
        )


def test_many_groups_of_causes_are_refused() -> None:
    with pytest.raises(DataError, match="101 different values"):
        count([("T1", "2020-08-30", 0, f"cause {number}") for number in range(101)])


def test_no_record_is_refused() -> None:
    buckets = sum_records(make_records([("T1", "2020-08-30", 1, "OK")]), QUARTER)
    with pytest.raises(DataError, match="No call record"):
        build_counts(buckets.iloc[:0], QUARTER, by_trunk=True)
