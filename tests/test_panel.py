"""The panel: days × entities × slots from every layout, without moved or invented values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.dataset import DAY, Dataset, clock_labels, keyed
from core.data.ingest.loading import load
from core.data.panel import Panel
from core.errors import DataError
from tests.series import SHAPE, consumption, daily, hourly


def tidy(start: str, hours: int, values: np.ndarray, zone: str = "", unit: str = "MWh") -> Dataset:
    """Return an hourly series of one entity, in local time if a time zone is given."""
    time = pd.date_range(start, periods=hours, freq="h", tz=zone or None).tz_localize(None)
    frame = pd.DataFrame({"value": values}, index=keyed(np.repeat("a", hours), time))
    return Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1), unit=unit, files=("hours.csv",))


def test_daily_amounts_stand_at_their_day_and_entity() -> None:
    amounts = consumption(30, 3)
    shuffled = daily(amounts).rows(np.random.default_rng(0).permutation(90))
    panel = Panel.of(shuffled)
    assert (panel.entities, panel.slots, len(panel)) == (("a", "b", "c"), ("day",), 30)
    assert np.array_equal(panel.values[:, :, 0], amounts)
    assert np.array_equal(panel.amounts, amounts)


def test_a_profile_is_added_up_or_kept_by_the_hour() -> None:
    amounts = consumption(30, 2)
    by_day, by_hour = (Panel.of(hourly(amounts), resolution) for resolution in ("day", "hour"))
    assert by_day.values.shape == (30, 2, 1)
    assert by_hour.values.shape == (30, 2, 24)
    assert by_hour.slots == tuple(clock_labels(24))
    assert np.allclose(by_day.amounts, amounts)
    assert np.allclose(by_hour.amounts, amounts)
    assert np.allclose(by_hour.values[3, 0], amounts[3, 0] * SHAPE / SHAPE.sum())


def test_power_is_averaged_and_not_added_up() -> None:
    panel = Panel.of(hourly(consumption(30, 1), unit="MW"))
    assert np.allclose(panel.amounts, Panel.of(hourly(consumption(30, 1)), "hour").amounts / 24)
    assert Panel.of(hourly(consumption(30, 1), unit="MW"), "hour").averaged


def test_an_hourly_series_becomes_days() -> None:
    values = np.arange(72.0)
    panel = Panel.of(tidy("2024-02-28", 72, values), "hour")
    assert [str(day.date()) for day in panel.days] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert np.array_equal(panel.values[1, 0], values[24:48])
    assert np.array_equal(Panel.of(tidy("2024-02-28", 72, values)).amounts[:, 0], values.reshape(3, 24).sum(axis=1))


def test_the_day_of_23_hours_is_unknown_and_no_day_is_moved() -> None:
    """31 March 2024 in Paris has no 02:00: its total is unknown, the totals of the days around it are known."""
    panel = Panel.of(tidy("2024-03-30", 24 + 23 + 24, np.ones(71), "Europe/Paris"), "hour")
    assert len(panel) == 3
    assert np.flatnonzero(np.isnan(panel.values[1, 0])).tolist() == [2]
    assert panel.amounts[:, 0].tolist()[::2] == [24, 24]
    assert np.isnan(panel.amounts[1, 0])


def test_the_day_of_25_hours_is_refused() -> None:
    with pytest.raises(DataError, match="several values"):
        Panel.of(tidy("2024-10-26", 24 + 25, np.ones(49), "Europe/Paris"))


def test_the_gas_day_begins_at_six() -> None:
    panel = Panel.of(hourly(consumption(3, 1), day_start=6), "hour")
    moments = panel.moments(panel.days)
    assert str(moments[0]) == "2021-01-02 00:00:00"
    assert str(moments[5]) == "2021-01-02 05:00:00"
    assert str(moments[6]) == "2021-01-01 06:00:00"
    assert len(moments) == 72
    assert Panel.of(hourly(consumption(3, 1), day_start=6)).moments(panel.days).equals(panel.days)


def test_a_gas_day_given_by_the_hour_is_the_same_day() -> None:
    profile = hourly(consumption(5, 2), day_start=6)
    one, other = (Panel.of(each, "hour") for each in (profile, profile.to_series()))
    assert one.days.equals(other.days)
    assert np.array_equal(one.values, other.values)


def test_missing_days_and_entities_that_end_early_are_unknown() -> None:
    whole = daily(consumption(40, 2))
    day = pd.DatetimeIndex(whole.time)
    gap = np.asarray((day >= "2021-01-10") & (day < "2021-01-15"))
    early = np.asarray((whole.entity == "b") & (day >= "2021-02-01"))
    panel = Panel.of(whole.rows(~gap & ~early))
    assert len(panel) == 40
    unknown = np.isnan(panel.amounts)
    assert np.flatnonzero(unknown[:, 0]).tolist() == [9, 10, 11, 12, 13]
    assert np.flatnonzero(unknown[:, 1]).tolist() == [9, 10, 11, 12, 13, *range(31, 40)]


def test_several_measures_are_chosen_by_name() -> None:
    one = daily(consumption(20, 1))
    both = one.replace(frame=one.frame.assign(calls=1.0))
    assert np.array_equal(Panel.of(both).values, Panel.of(one).values)
    assert (Panel.of(both, measure="calls").values == 1).all()
    with pytest.raises(DataError, match=r"made\.csv.*'traffic'.*value, calls"):
        Panel.of(both, measure="traffic")


def test_extending_adds_unknown_days_and_cutting_takes_them_away() -> None:
    panel = Panel.of(daily(consumption(20, 2)))
    longer = panel.extended(3)
    assert len(longer) == 23
    assert np.isnan(longer.values[20:]).all()
    assert np.array_equal(longer.until(longer.days[20]).values, panel.values)
    assert np.array_equal(panel.last(5).values, panel.values[15:])
    assert panel.last(5).days.equals(panel.days[15:])
    assert len(panel.last(99)) == 20


# ---- rejected data --------------------------------------------------------------------------------------------------


def test_two_rows_for_one_day_are_refused_by_name() -> None:
    whole = daily(consumption(20, 2))
    twice = whole.rows(np.array([*range(40), 25]))
    with pytest.raises(DataError, match=r"made\.csv: b has several rows for 2021-01-06"):
        Panel.of(twice)


def test_two_rows_at_different_hours_of_one_day_are_refused() -> None:
    whole = daily(consumption(20, 1))
    later = whole.frame.iloc[[4]].set_index(keyed(["a"], [pd.Timestamp("2021-01-05 18:00")]))
    with pytest.raises(DataError, match=r"a has several rows for 2021-01-05"):
        Panel.of(whole.replace(frame=pd.concat([whole.frame, later])))


def test_two_values_for_one_hour_are_refused() -> None:
    whole = tidy("2024-01-01", 48, np.ones(48))
    with pytest.raises(DataError, match="several values"):
        Panel.of(whole.rows(np.array([*range(48), 7])))


def test_rows_without_dates_are_refused() -> None:
    whole = daily(consumption(20, 1))
    undated = whole.replace(frame=whole.frame.set_index(keyed(np.repeat("a", 20), np.arange(20))))
    with pytest.raises(DataError, match=r"made\.csv has no dates"):
        Panel.of(undated)


def test_a_row_a_week_is_refused() -> None:
    with pytest.raises(DataError, match=r"made\.csv has one row every 7 days"):
        Panel.of(daily(consumption(60, 1), step=7 * DAY))


@pytest.mark.parametrize("year", [1921, 2203])
def test_a_mistyped_year_is_refused(year: int) -> None:
    whole = daily(consumption(60, 1))
    time = [*whole.time[:-1], whole.time[-1].replace(year=year)]
    with pytest.raises(DataError, match=rf"made\.csv: dates reach from .*{year}"):
        Panel.of(whole.replace(frame=whole.frame.set_index(keyed(np.repeat("a", 60), pd.DatetimeIndex(time)))))


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_of_days_and_a_file_of_hours(tmp_path: Path) -> None:
    time = pd.date_range("2024-01-01", periods=20, freq="D")
    pd.DataFrame({"date": time, "consumption (MWh)": np.arange(20.0)}).to_csv(tmp_path / "days.csv", index=False)
    assert Panel.of(load([tmp_path / "days.csv"])).amounts[:, 0].tolist() == list(range(20))
    time = pd.date_range("2024-01-01", periods=48, freq="h")
    pd.DataFrame({"timestamp": time, "load (MW)": np.arange(48.0)}).to_csv(tmp_path / "hours.csv", index=False)
    panel = Panel.of(load([tmp_path / "hours.csv"]))
    assert panel.unit == "MW"
    assert panel.amounts[:, 0].tolist() == [11.5, 35.5]


def test_the_gas_files(gas: Dataset) -> None:
    panel = Panel.of(gas)
    assert panel.values.shape == (2262, 15, 1)
    assert (panel.day_start, panel.unit, panel.averaged) == (6, "MWh", False)
    assert Panel.of(gas, "hour").values.shape == (2262, 15, 24)
