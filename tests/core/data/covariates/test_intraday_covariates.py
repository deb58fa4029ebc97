"""Covariates at the times of the day: what is read, joined to the steps of the data, and changed by a scenario."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.data.covariates import Covariates, CovariateTable, join_covariates, read_covariates
from core.data.covariates.intraday import DayGrid, compute_deviations
from core.data.dataset import Dataset, make_index
from core.storage.covariates import CovariateStore

START = "2024-03-04"
DAYS = 6


def make_loads(step: str = "h", entities: tuple[str, ...] = ("Lyon",), zone: str = "") -> Dataset:
    times = pd.date_range(START, pd.Timestamp(START) + pd.Timedelta(days=DAYS), freq=step, inclusive="left")
    index = make_index(np.repeat(list(entities), len(times)), np.tile(times, len(entities)))
    frame = pd.DataFrame({"load": np.arange(len(index), dtype=float)}, index=index)
    return Dataset(frame, "tidy_series", step=pd.Timedelta(times[1] - times[0]), zone=zone, files=("loads.csv",))


def write_weather(folder: Path, step: str = "h", days: int = DAYS) -> tuple[CovariateTable, Floats]:
    """Return the table of a file with a wave of 4 °C over the day, warmer each day, and its values."""
    times = pd.date_range(START, pd.Timestamp(START) + pd.Timedelta(days=days), freq=step, inclusive="left")
    celsius = 5.0 + np.floor((times - times[0]) / pd.Timedelta(days=1)) + 4 * np.sin(2 * np.pi * times.hour / 24)
    path = folder / "weather.csv"
    pd.DataFrame({"time": times, "temperature": celsius.round(6)}).to_csv(path, index=False)
    (table,) = read_covariates([path])
    return table, np.asarray(celsius)


def read_hours(covariates: Covariates, entity: str = "Lyon", column: str = "temperature") -> Floats:
    """Return the values of all slots in order of time."""
    deviations = covariates.read_deviations(column, [entity], covariates.days)[:, 0]
    daily = covariates.to_array([entity], covariates.days)[:, 0, covariates.columns.index(column)]
    return np.asarray((daily[:, None] + deviations).ravel())


def join(dataset: Dataset, *tables: CovariateTable) -> Covariates:
    return join_covariates(dataset, tables, pd.Timestamp(START) + pd.Timedelta(days=DAYS - 1), calendar="none")


def test_hours_of_a_file_are_known_at_their_hours(tmp_path: Path) -> None:
    table, celsius = write_weather(tmp_path)
    assert table.intraday is not None
    assert np.allclose(read_hours(join(make_loads(), table)), celsius)


@pytest.mark.parametrize(("file_step", "data_step"), [("30min", "h"), ("3h", "h"), ("h", "15min"), ("6h", "30min")])
def test_other_steps_of_a_file_are_averaged_or_interpolated(tmp_path: Path, file_step: str, data_step: str) -> None:
    table, _ = write_weather(tmp_path, file_step)
    values = read_hours(join(make_loads(data_step), table))
    assert table.intraday is not None
    source = table.intraday.loc[""]["temperature"].resample(data_step).mean().interpolate(limit_area="inside")
    assert np.allclose(values[: len(source)], source)
    assert np.isnan(values[len(source) :]).all()  # nothing is made up after the last value


@pytest.mark.parametrize("file_step", ["D", "12h"])
def test_few_values_a_day_count_by_day(tmp_path: Path, file_step: str) -> None:
    table, _ = write_weather(tmp_path, file_step)
    assert table.intraday is None
    assert join(make_loads(), table).intraday is None


def test_daily_data_have_covariates_by_day(tmp_path: Path) -> None:
    table, celsius = write_weather(tmp_path)
    covariates = join(make_loads("D"), table)
    assert covariates.intraday is None
    assert np.allclose(covariates.values[0, :, 0], celsius.reshape(DAYS, 24).mean(axis=1))


def test_note_of_a_file_of_hours_tells_how_its_numbers_are_used(tmp_path: Path) -> None:
    table, _ = write_weather(tmp_path)
    (text,) = [str(note.message) for note in table.notes if note.kind == "aggregated_rows"]
    assert "the numbers at their times" in text


def test_column_that_is_the_same_all_day_counts_by_day(tmp_path: Path) -> None:
    times = pd.date_range(START, periods=24 * DAYS, freq="h")
    path = tmp_path / "price.csv"
    price = np.repeat(np.arange(DAYS, dtype=float), 24)
    pd.DataFrame({"time": times, "price": price, "wind": times.hour * 1.0}).to_csv(path, index=False)
    covariates = join(make_loads(), *read_covariates([path]))
    assert covariates.intraday is not None
    assert list(covariates.intraday.columns) == ["wind"]


def test_covariates_among_the_data_are_known_at_their_hours() -> None:
    dataset = make_loads(entities=("Lyon", "Nice"))
    celsius = np.random.default_rng(0).normal(10, 3, len(dataset.frame))
    holiday = np.zeros(len(celsius))
    dataset = dataset.replace(
        covariates=pd.DataFrame({"temperature": celsius, "holiday": holiday}, index=dataset.frame.index)
    )
    covariates = join(dataset)
    assert covariates.intraday is not None
    assert list(covariates.intraday.columns) == ["temperature"]
    assert np.allclose(read_hours(covariates, "Nice"), celsius[24 * DAYS :])


@given(seed=st.integers(0, 10_000), day_start=st.sampled_from([0, 6]))
def test_deviations_and_days_give_back_the_values(seed: int, day_start: int) -> None:
    """Each value is found at its time: slots before the start of the day lie on the next date."""
    random = np.random.default_rng(seed)
    days = pd.date_range(START, periods=4)
    times = pd.date_range(START, periods=24 * 5, freq="h")
    rows = random.normal(size=(len(times), 1))
    daily = random.normal(size=(1, 4, 1))
    deviations = compute_deviations(
        rows, np.zeros(len(times), dtype=np.intp), times, daily, DayGrid(days, 24, day_start)
    )
    values = deviations[0, :, :, 0] + daily[0]
    for number, day in enumerate(days):
        for hour in range(24):
            moment = day + pd.Timedelta(hours=hour) + pd.Timedelta(days=int(hour < day_start))
            assert values[number, hour] == pytest.approx(rows[times.get_loc(moment), 0])


def test_long_gap_of_a_file_stays_unknown(tmp_path: Path) -> None:
    times = pd.date_range(START, periods=24 * DAYS, freq="h")
    frame = pd.DataFrame({"time": times, "temperature": np.sin(np.arange(len(times)))}).drop(index=[7, *range(30, 40)])
    frame.to_csv(tmp_path / "weather.csv", index=False)
    values = read_hours(join(make_loads(), *read_covariates([tmp_path / "weather.csv"])))
    assert np.flatnonzero(np.isnan(values)).tolist() == list(range(30, 40))


def test_other_value_of_a_day_moves_its_hours(tmp_path: Path) -> None:
    table, celsius = write_weather(tmp_path)
    covariates = join(make_loads(), table)
    warmer = covariates.replace_column("temperature", covariates.frame["temperature"] + 2)
    assert np.allclose(read_hours(warmer), celsius + 2)
    assert covariates.drop_columns(["temperature"]).intraday is None


def test_stored_table_keeps_its_hours(tmp_path: Path) -> None:
    table, _ = write_weather(tmp_path)
    store = CovariateStore(tmp_path / "store")
    (stored,) = store.load(store.save([table]))
    assert stored.intraday is not None
    assert table.intraday is not None
    pd.testing.assert_frame_equal(stored.intraday, table.intraday, check_freq=False)
    assert stored.digest == table.digest
    assert CovariateTable(table.kind, table.frame, table.file).digest != table.digest


def test_utc_hours_of_a_file_count_on_the_clock_of_the_data(tmp_path: Path) -> None:
    times = pd.date_range(START, periods=24 * DAYS, freq="h", tz="UTC")
    path = tmp_path / "weather.csv"
    frame = pd.DataFrame({"time": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "temperature": times.hour * 1.0})
    frame.to_csv(path, index=False)
    covariates = join(make_loads(zone="America/New_York"), *read_covariates([path], "America/New_York"))
    hours = read_hours(covariates).reshape(DAYS, 24)
    assert hours[2].tolist() == [(hour + 5) % 24 for hour in range(24)]
