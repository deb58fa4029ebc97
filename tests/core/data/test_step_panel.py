"""The panel of steps: from seconds to years, on the local clock, without moved or invented values."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import DAY, Dataset, make_index
from core.data.frequencies import extend_periods, get_step, infer_frequency, list_seasons
from core.data.ingest.layouts.tidy_series import compute_usual_step
from core.data.panel import Panel
from core.data.regular_series import RegularSeries
from core.data.time_zones import to_local_times
from core.errors import DataError
from tests.support.sample_series import make_consumption, make_daily_dataset, make_hourly_dataset

SHORT_ALIASES = ("s", "30s", "min", "5min", "10min", "15min", "30min", "h", "90min", "2h", "6h", "12h")
DAY_ALIASES = ("D", "2D", "10D", "28D", "W-MON", "W-SUN")
MONTH_ALIASES = ("MS", "2MS", "QS-JAN", "QS-FEB", "6MS", "YS-JAN", "YS-JUL")
MONTH_END_ALIASES = ("ME", "QE-DEC", "YE-DEC")
ALIASES = (*SHORT_ALIASES, *DAY_ALIASES, *MONTH_ALIASES, *MONTH_END_ALIASES)


def make_series(times: pd.DatetimeIndex, values: np.ndarray, **fields: object) -> Dataset:
    """Return a dataset of one entity, whose step is read from its times."""
    frame = pd.DataFrame({"value": values}, index=make_index(["a"] * len(times), times))
    dataset = Dataset(frame, "tidy_series", files=("made.csv",), **fields)
    return dataset.replace(step=compute_usual_step(dataset))


@given(
    st.sampled_from(ALIASES),
    st.integers(8, 60),
    st.integers(0, 4000),
    st.integers(0, 86_399),
    st.lists(st.integers(2, 5), max_size=3),
)
def test_step_panel_keeps_every_value_at_its_place(
    alias: str, count: int, first_day: int, second: int, holes: list[int]
) -> None:
    """Whatever the step, the first moment and the holes, each value stays where it was, and holes are missing."""
    start = pd.Timestamp("2015-01-01") + first_day * DAY + pd.Timedelta(seconds=second if alias in SHORT_ALIASES else 0)
    times = pd.date_range(start, periods=count, freq=alias)
    is_row = np.ones(count, dtype=bool)
    is_row[holes] = False  # single holes: the usual step stays visible
    values = np.arange(count, dtype=float)
    panel = Panel.from_dataset(make_series(times[is_row], values[is_row]), "step")
    assert len(panel) == count
    assert np.array_equal(panel.amounts[:, 0], np.where(is_row, values, np.nan), equal_nan=True)
    longer = panel.extend(3)
    assert longer.periods.equals(pd.date_range(panel.periods[0], periods=count + 3, freq=panel.frequency))
    if alias not in MONTH_END_ALIASES:
        assert panel.periods.equals(pd.DatetimeIndex(times))
    series = RegularSeries.from_panel(panel)
    assert series.extend(3).times.equals(longer.periods)
    assert series.step == panel.step


@pytest.mark.parametrize(
    ("alias", "frequency", "seasons"),
    [
        ("min", "min", (1440, 10080, 525960)),
        ("30min", "30min", (48, 336, 17532)),
        ("7min", "7min", (1440, 75137)),
        ("D", "D", (7, 365)),
        ("2D", "2D", (183,)),
        ("W-WED", "W-WED", (52,)),
        ("14D", "14D", (26,)),
        ("MS", "MS", (12,)),
        ("ME", "MS", (12,)),
        ("QE-DEC", "QS-JAN", (4,)),
        ("QS-FEB", "QS-FEB", (4,)),
        ("YE-DEC", "YS-JAN", ()),
        ("YS-JUL", "YS-JUL", ()),
    ],
)
def test_frequency_of_times_is_read(alias: str, frequency: str, seasons: tuple[int, ...]) -> None:
    times = pd.date_range("2021-01-01", periods=30, freq=alias)
    step = compute_usual_step(make_series(times, np.zeros(30)))
    assert step is not None
    assert infer_frequency(times, step) == frequency
    assert list_seasons(frequency) == seasons


def test_month_ends_are_told_from_28_days() -> None:
    days = pd.date_range("2024-02-01", periods=14, freq="28D")
    assert infer_frequency(days, 28 * DAY) == "28D"
    assert get_step("28D") == 28 * DAY


def test_month_end_belongs_to_its_month() -> None:
    times = pd.date_range("2023-11-30", periods=4, freq="ME")
    panel = Panel.from_dataset(make_series(times, np.arange(4.0)), "step")
    assert panel.periods.strftime("%Y-%m-%d").tolist() == ["2023-11-01", "2023-12-01", "2024-01-01", "2024-02-01"]
    assert extend_periods(panel.periods, 1, panel.frequency)[0] == pd.Timestamp("2024-03-01")


def test_months_without_rows_are_missing() -> None:
    times = pd.date_range("2021-01-01", periods=24, freq="MS")
    panel = Panel.from_dataset(make_series(times[[0, 1, 2, 5, 6, *range(12, 24)]], np.ones(17)), "step")
    assert len(panel) == 24
    assert np.isnan(panel.amounts[:, 0]).sum() == 7


# ---- clock changes --------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["5min", "15min", "30min", "h"]),
    st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Sydney"]),
    st.integers(2012, 2030),
)
def test_step_panel_is_even_across_clock_changes(alias: str, zone: str, year: int) -> None:
    """Local steps stay even over a whole year of clock changes, and no missing value arises."""
    instants = pd.date_range(f"{year}-01-01 00:00", f"{year}-12-30", freq=alias)
    local, fold = to_local_times(instants, zone)
    dataset = make_series(local, np.arange(len(local), dtype=float), zone=zone)
    dataset = dataset.replace(
        fold=pd.Series(fold, index=dataset.frame.index), step=pd.Timedelta(instants[1] - instants[0])
    )
    panel = Panel.from_dataset(dataset, "step")
    assert (panel.periods[1:] - panel.periods[:-1] == panel.step).all()
    assert np.isfinite(panel.amounts).all()
    passes = pd.Series(dataset.values[:, 0], index=local).groupby(level=0).mean()
    assert np.array_equal(panel.amounts[panel.periods.get_indexer(passes.index), 0], passes.to_numpy())


def test_six_hour_steps_across_a_clock_change_are_in_utc() -> None:
    instants = pd.date_range("2024-03-28", periods=24, freq="6h")
    local, _ = to_local_times(instants, "Europe/Paris")
    dataset = make_series(local, np.arange(24.0), zone="Europe/Paris")
    panel = Panel.from_dataset(dataset, "step")
    assert panel.zone == "UTC"
    assert panel.periods.equals(instants)
    assert np.array_equal(panel.amounts[:, 0], np.arange(24.0))


def test_profile_becomes_steps_at_their_times() -> None:
    panel = Panel.from_dataset(make_hourly_dataset(make_consumption(3, 1), day_start=6), "step")
    assert (panel.frequency, panel.day_start, len(panel)) == ("h", 0, 72)
    assert str(panel.periods[0]) == "2021-01-01 06:00:00"


# ---- usual amounts --------------------------------------------------------------------------------------------------


def test_night_is_no_outlier_of_the_day_but_a_fault_is() -> None:
    """Hours are compared with the same hour of the days around them, not with the hours around them."""
    values = np.tile(np.r_[np.full(8, 1.0), np.full(16, 100.0)], 30)
    values[24 * 10 + 3] = 90.0  # at 3 in the morning
    times = pd.date_range("2024-01-01", periods=len(values), freq="h")
    panel = Panel.from_dataset(make_series(times, values), "step")
    assert np.flatnonzero(np.isnan(panel.training_targets[:, 0])).tolist() == [24 * 10 + 3]
    assert panel.last_known[24 * 10 + 3, 0] == 1.0


@pytest.mark.parametrize("alias", ["D", "h", "30min"])
def test_quiet_weekend_is_known_from_its_second_time_on(alias: str) -> None:
    times = pd.date_range("2024-01-01", pd.Timestamp("2024-02-12") - get_step(alias), freq=alias)  # six weeks
    values = np.where(times.dayofweek < 5, 100.0, 10.0)
    panel = Panel.from_dataset(make_series(times, values), "step")
    weeks = len(times) // 6
    assert np.array_equal(panel.last_known[2 * weeks :, 0], values[2 * weeks :])
    assert np.array_equal(panel.training_targets[:, 0], values)


@given(st.integers(30, 90), st.sampled_from([0.01, 0.2, 5.0, 80.0]), st.integers(1, 6), st.integers(0, 99))
def test_second_outlier_in_a_row_is_a_new_level(start: int, factor: float, length: int, seed: int) -> None:
    """The first one may be a fault and is skipped; after the last one the old level is known at once."""
    values = 100 + np.random.default_rng(seed).normal(0, 3, 100)
    values[start : start + length] *= factor
    times = pd.date_range("2024-01-01", periods=100, freq="D")
    known = Panel.from_dataset(make_series(times, values), "step").last_known[:, 0]
    assert known[start] == values[start - 1]
    assert np.array_equal(known[start + 1 : start + length], values[start + 1 : start + length])
    assert np.array_equal(known[start + length :], values[start + length :])


@pytest.mark.parametrize(("alias", "limit"), [("D", 14), ("W-MON", 2), ("MS", 2)])
def test_last_known_amount_is_repeated_for_two_weeks_or_two_periods(alias: str, limit: int) -> None:
    values = np.r_[np.arange(10.0) + 1, np.full(30, np.nan), 5.0]
    times = pd.date_range("2022-01-01", periods=41, freq=alias)
    panel = Panel.from_dataset(make_series(times[:40], values[:40]).replace(step=get_step(alias)), "step")
    assert np.isfinite(panel.last_known[:, 0]).sum() == 10 + limit


# ---- sum or mean ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "name", "values", "mean", "guessed"),
    [
        ("MWh", "x", "floats", False, False),
        ("°C", "x", "counts", True, False),
        ("€/MWh", "x", "floats", True, False),
        ("", "oil temperature", "counts", True, False),
        ("", "nb_calls", "floats", False, False),
        ("", "x", "counts", False, True),
        ("", "x", "floats", True, True),
    ],
)
def test_hours_are_summed_or_averaged(unit: str, name: str, values: str, mean: bool, guessed: bool) -> None:
    hours = {"floats": np.arange(48.0) + 0.5, "counts": np.arange(48.0)}[values]
    dataset = make_series(pd.date_range("2024-01-01", periods=48, freq="h"), hours, unit=unit)
    dataset = dataset.replace(frame=dataset.frame.set_axis([name], axis=1))
    panel = Panel.from_dataset(dataset)
    assert (panel.is_averaged, panel.is_guessed) == (mean, guessed)
    expected = hours.reshape(2, 24)
    assert np.allclose(panel.amounts[:, 0], expected.mean(axis=1) if mean else expected.sum(axis=1))
    assert np.allclose(Panel.from_dataset(dataset, aggregation="sum").amounts[:, 0], expected.sum(axis=1))
    assert np.allclose(Panel.from_dataset(dataset, aggregation="mean").amounts[:, 0], expected.mean(axis=1))


# ---- rejected data --------------------------------------------------------------------------------------------------


def test_step_panel_rejects_two_rows_for_one_step() -> None:
    dataset = make_series(pd.date_range("2024-01-01", periods=48, freq="h"), np.ones(48))
    with pytest.raises(DataError, match=r"made\.csv: a has several rows for 2024-01-01 07:00:00"):
        Panel.from_dataset(dataset.take_rows(np.array([*range(48), 7])), "step")


def test_step_panel_rejects_times_off_the_step() -> None:
    times = [*pd.date_range("2024-01-01", periods=48, freq="h"), pd.Timestamp("2024-01-03 00:07")]
    with pytest.raises(DataError, match=r"2024-01-03 00:07:00 does not match the step"):
        Panel.from_dataset(make_series(pd.DatetimeIndex(times), np.ones(49)), "step")


def test_step_panel_rejects_one_time_only() -> None:
    with pytest.raises(DataError, match="regular time step"):
        Panel.from_dataset(make_series(pd.to_datetime(["2024-01-01"]), np.ones(1)), "step")


def test_step_panel_rejects_mistyped_year_of_minutes() -> None:
    times = [*pd.date_range("2024-01-01", periods=48, freq="min"), pd.Timestamp("2203-01-01")]
    with pytest.raises(DataError, match=r"made\.csv: the dates range from .*2203"):
        Panel.from_dataset(make_series(pd.DatetimeIndex(times), np.ones(49)), "step")


def test_step_of_daily_rows_is_the_day() -> None:
    dataset = make_daily_dataset(make_consumption(40, 2))
    by_day, by_step = (Panel.from_dataset(dataset, resolution) for resolution in ("day", "step"))
    assert by_step.frequency == by_day.frequency == "D"
    assert by_step.periods.equals(by_day.periods)
    assert np.array_equal(by_step.values, by_day.values)
