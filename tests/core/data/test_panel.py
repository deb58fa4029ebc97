"""The panel: days × entities × slots from every layout, without moved or invented values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.dataset import DAY, Dataset, make_clock_labels, make_index
from core.data.ingest.loading import load
from core.data.panel import Panel
from core.errors import DataError
from tests.support.sample_series import HOURLY_SHAPE, make_consumption, make_daily_dataset, make_hourly_dataset


def make_hourly_series(start: str, hours: int, values: np.ndarray, zone: str = "", unit: str = "MWh") -> Dataset:
    """Return an hourly series of one entity, in local time if a time zone is given."""
    time = pd.date_range(start, periods=hours, freq="h", tz=zone or None).tz_localize(None)
    frame = pd.DataFrame({"value": values}, index=make_index(np.repeat("a", hours), time))
    return Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1), unit=unit, files=("hours.csv",))


def test_panel_places_amounts_by_day_and_entity() -> None:
    amounts = make_consumption(30, 3)
    shuffled = make_daily_dataset(amounts).take_rows(np.random.default_rng(0).permutation(90))
    panel = Panel.from_dataset(shuffled)
    assert (panel.entities, panel.slots, len(panel)) == (("a", "b", "c"), ("day",), 30)
    assert np.array_equal(panel.values[:, :, 0], amounts)
    assert np.array_equal(panel.amounts, amounts)


def test_panel_sums_profile_or_keeps_hours() -> None:
    amounts = make_consumption(30, 2)
    by_day, by_hour = (Panel.from_dataset(make_hourly_dataset(amounts), resolution) for resolution in ("day", "hour"))
    assert by_day.values.shape == (30, 2, 1)
    assert by_hour.values.shape == (30, 2, 24)
    assert by_hour.slots == tuple(make_clock_labels(24))
    assert np.allclose(by_day.amounts, amounts)
    assert np.allclose(by_hour.amounts, amounts)
    assert np.allclose(by_hour.values[3, 0], amounts[3, 0] * HOURLY_SHAPE / HOURLY_SHAPE.sum())


def test_panel_averages_power() -> None:
    panel = Panel.from_dataset(make_hourly_dataset(make_consumption(30, 1), unit="MW"))
    assert np.allclose(
        panel.amounts, Panel.from_dataset(make_hourly_dataset(make_consumption(30, 1)), "hour").amounts / 24
    )
    assert Panel.from_dataset(make_hourly_dataset(make_consumption(30, 1), unit="MW"), "hour").is_averaged


def test_panel_turns_hourly_series_into_days() -> None:
    values = np.arange(72.0)
    panel = Panel.from_dataset(make_hourly_series("2024-02-28", 72, values), "hour")
    assert [str(day.date()) for day in panel.periods] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert np.array_equal(panel.values[1, 0], values[24:48])
    assert np.array_equal(
        Panel.from_dataset(make_hourly_series("2024-02-28", 72, values)).amounts[:, 0],
        values.reshape(3, 24).sum(axis=1),
    )


def test_panel_marks_23_hour_day_as_unknown() -> None:
    """31 March 2024 in Paris has no 02:00: its total is unknown, the totals of the days around it are known."""
    panel = Panel.from_dataset(make_hourly_series("2024-03-30", 24 + 23 + 24, np.ones(71), "Europe/Paris"), "hour")
    assert len(panel) == 3
    assert np.flatnonzero(np.isnan(panel.values[1, 0])).tolist() == [2]
    assert panel.amounts[:, 0].tolist()[::2] == [24, 24]
    assert np.isnan(panel.amounts[1, 0])


def test_panel_rejects_25_hour_day() -> None:
    with pytest.raises(DataError, match="several values"):
        Panel.from_dataset(make_hourly_series("2024-10-26", 24 + 25, np.ones(49), "Europe/Paris"))


def test_panel_gas_day_starts_at_six() -> None:
    panel = Panel.from_dataset(make_hourly_dataset(make_consumption(3, 1), day_start=6), "hour")
    timestamps = panel.make_timestamps(panel.periods)
    assert str(timestamps[0]) == "2021-01-02 00:00:00"
    assert str(timestamps[5]) == "2021-01-02 05:00:00"
    assert str(timestamps[6]) == "2021-01-01 06:00:00"
    assert len(timestamps) == 72
    assert (
        Panel.from_dataset(make_hourly_dataset(make_consumption(3, 1), day_start=6))
        .make_timestamps(panel.periods)
        .equals(panel.periods)
    )


def test_panel_hourly_gas_day_matches_profile() -> None:
    profile = make_hourly_dataset(make_consumption(5, 2), day_start=6)
    from_profile, from_series = (Panel.from_dataset(dataset, "hour") for dataset in (profile, profile.to_series()))
    assert from_profile.periods.equals(from_series.periods)
    assert np.array_equal(from_profile.values, from_series.values)


def test_panel_marks_missing_days_as_unknown() -> None:
    dataset = make_daily_dataset(make_consumption(40, 2))
    day = pd.DatetimeIndex(dataset.time)
    gap = np.asarray((day >= "2021-01-10") & (day < "2021-01-15"))
    early = np.asarray((dataset.entity == "b") & (day >= "2021-02-01"))
    panel = Panel.from_dataset(dataset.take_rows(~gap & ~early))
    assert len(panel) == 40
    unknown = np.isnan(panel.amounts)
    assert np.flatnonzero(unknown[:, 0]).tolist() == [9, 10, 11, 12, 13]
    assert np.flatnonzero(unknown[:, 1]).tolist() == [9, 10, 11, 12, 13, *range(31, 40)]


def test_panel_selects_measure_by_name() -> None:
    single_measure = make_daily_dataset(make_consumption(20, 1))
    two_measures = single_measure.replace(frame=single_measure.frame.assign(calls=1.0))
    assert np.array_equal(Panel.from_dataset(two_measures).values, Panel.from_dataset(single_measure).values)
    assert (Panel.from_dataset(two_measures, measure="calls").values == 1).all()
    with pytest.raises(DataError, match=r"made\.csv.*'traffic'.*value, calls"):
        Panel.from_dataset(two_measures, measure="traffic")


def test_panel_extends_and_cuts_days() -> None:
    panel = Panel.from_dataset(make_daily_dataset(make_consumption(20, 2)))
    longer = panel.extend(3)
    assert len(longer) == 23
    assert np.isnan(longer.values[20:]).all()
    assert np.array_equal(longer.select_before(longer.periods[20]).values, panel.values)
    assert np.array_equal(panel.tail(5).values, panel.values[15:])
    assert panel.tail(5).periods.equals(panel.periods[15:])
    assert len(panel.tail(99)) == 20


# ---- rejected data --------------------------------------------------------------------------------------------------


def test_panel_rejects_two_rows_for_one_day() -> None:
    dataset = make_daily_dataset(make_consumption(20, 2))
    with_repeated_row = dataset.take_rows(np.array([*range(40), 25]))
    with pytest.raises(DataError, match=r"made\.csv: b has several rows for 2021-01-06"):
        Panel.from_dataset(with_repeated_row)


def test_panel_rejects_daily_rows_at_different_hours() -> None:
    dataset = make_daily_dataset(make_consumption(20, 1))
    later_row = dataset.frame.iloc[[4]].set_index(make_index(["a"], [pd.Timestamp("2021-01-05 18:00")]))
    with pytest.raises(DataError, match=r"a has several rows for 2021-01-05"):
        Panel.from_dataset(dataset.replace(frame=pd.concat([dataset.frame, later_row])))


def test_panel_rejects_two_values_for_one_hour() -> None:
    dataset = make_hourly_series("2024-01-01", 48, np.ones(48))
    with pytest.raises(DataError, match="several values"):
        Panel.from_dataset(dataset.take_rows(np.array([*range(48), 7])))


def test_panel_rejects_rows_without_dates() -> None:
    dataset = make_daily_dataset(make_consumption(20, 1))
    undated = dataset.replace(frame=dataset.frame.set_index(make_index(np.repeat("a", 20), np.arange(20))))
    with pytest.raises(DataError, match=r"made\.csv has no dates"):
        Panel.from_dataset(undated)


def test_panel_rejects_weekly_rows() -> None:
    with pytest.raises(DataError, match=r"made\.csv has one row every 7 days"):
        Panel.from_dataset(make_daily_dataset(make_consumption(60, 1), step=7 * DAY))


@pytest.mark.parametrize("year", [1921, 2203])
def test_panel_rejects_mistyped_year(year: int) -> None:
    dataset = make_daily_dataset(make_consumption(60, 1))
    time = [*dataset.time[:-1], dataset.time[-1].replace(year=year)]
    with pytest.raises(DataError, match=rf"made\.csv: the dates range from .*{year}"):
        Panel.from_dataset(
            dataset.replace(frame=dataset.frame.set_index(make_index(np.repeat("a", 60), pd.DatetimeIndex(time))))
        )


# ---- files ----------------------------------------------------------------------------------------------------------


def test_panel_reads_daily_and_hourly_files(tmp_path: Path) -> None:
    time = pd.date_range("2024-01-01", periods=20, freq="D")
    pd.DataFrame({"date": time, "consumption (MWh)": np.arange(20.0)}).to_csv(tmp_path / "days.csv", index=False)
    assert Panel.from_dataset(load([tmp_path / "days.csv"])).amounts[:, 0].tolist() == list(range(20))
    time = pd.date_range("2024-01-01", periods=48, freq="h")
    pd.DataFrame({"timestamp": time, "load (MW)": np.arange(48.0)}).to_csv(tmp_path / "hours.csv", index=False)
    panel = Panel.from_dataset(load([tmp_path / "hours.csv"]))
    assert panel.unit == "MW"
    assert panel.amounts[:, 0].tolist() == [11.5, 35.5]


def test_panel_reads_gas_files(gas: Dataset) -> None:
    panel = Panel.from_dataset(gas)
    assert panel.values.shape == (2262, 15, 1)
    assert (panel.day_start, panel.unit, panel.is_averaged) == (6, "MWh", False)
    assert Panel.from_dataset(gas, "hour").values.shape == (2262, 15, 24)
