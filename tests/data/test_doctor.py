"""The data doctor on the real gas files, and on clean data with one planted fault each."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.dataset import Dataset, make_clock_labels, make_index
from core.data.ingest.loading import load
from core.data.quality import checks, repairs
from core.data.quality.doctor import QualityReport, run_checks
from core.data.quality.findings import Finding, Repair
from core.errors import OptionError

# ---- the real files -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def gas(shared_data: Path) -> Dataset:
    files = sorted((shared_data / "gas_france").glob("df_part*.csv"))
    if len(files) != 3:
        pytest.skip(f"the three gas files are not in {shared_data / 'gas_france'}")
    return load(files)


@pytest.fixture(scope="session")
def report(gas: Dataset) -> QualityReport:
    return run_checks(gas)


@pytest.fixture(scope="session")
def recipe(report: QualityReport) -> tuple[Repair, ...]:
    return proposed(report)


@pytest.fixture(scope="session")
def mended(gas: Dataset, recipe: tuple[Repair, ...]) -> Dataset:
    return repairs.apply_repairs(recipe, gas)


def proposed(report: QualityReport) -> tuple[Repair, ...]:
    """The first repair of every finding, each once."""
    return tuple({each.repairs[0].kind: each.repairs[0] for each in report.findings if each.repairs}.values())


def kinds(dataset: Dataset) -> dict[str, Finding]:
    return {finding.kind: finding for finding in run_checks(dataset).findings}


def test_the_figures_of_the_real_files(report: QualityReport) -> None:
    found = report.to_json()
    assert {name: found[name] for name in ("rows", "columns", "entities", "dates", "incomplete_rows")} == {
        "rows": 33_720,
        "columns": 24,
        "entities": 15,
        "dates": 2_262,
        "incomplete_rows": 45,
    }
    assert (found["strike_dates"], found["strike_rows"]) == (131, 1_929)
    assert (found["layout"], found["unit"]) == ("gas_daily", "MWh")
    assert (found["start"][:10], found["end"][:10]) == ("2018-06-01", "2024-08-09")
    assert json.loads(json.dumps(found)) == found


def test_the_faults_of_the_real_files(report: QualityReport) -> None:
    counts = {finding.kind: finding.count for finding in report.findings}
    assert counts == {
        "gross_outliers": 1,
        "shifted_hours": 21_540,
        "isolated_spikes": 8,
        "clock_change_zeros": 18,
        "clock_change_lows": 62,
        "clock_change_doubles": 67,
        "contradicting_totals": 1,
        "incomplete_rows": 45,
        "constant_columns": 1,
    }


def test_the_absurd_cell(report: QualityReport) -> None:
    (place,) = next(each for each in report.findings if each.kind == "gross_outliers").locations
    assert (place["entity"], place["time"][:10], place["column"]) == (
        "GRTgaz · pays de la loire",
        "2021-06-29",
        "19:00",
    )
    assert place["value"] == pytest.approx(1_045_440, abs=1)
    (total,) = next(each for each in report.findings if each.kind == "contradicting_totals").locations
    assert (total["sum"], total["total"]) == pytest.approx((1_066_058.38, 21_663.64))


def test_the_shift_of_six_hours(gas: Dataset) -> None:
    per_row, _ = checks.find_shifted_hours(gas)
    time = pd.DatetimeIndex(gas.time)
    operator = np.asarray(gas.entity.str.startswith("GRTgaz"))
    expected = operator & (time <= "2023-05-31") & (time.to_period("M") != pd.Period("2022-05"))
    assert np.array_equal(per_row, np.where(expected, 6, 0))
    assert not per_row[~operator].any()
    assert expected.sum() == 21_540


def test_undoing_the_shift(gas: Dataset) -> None:
    turned = repairs.apply_repairs([Repair("undo_hour_shift")], gas)
    assert np.allclose(np.sort(turned.values, axis=1), np.sort(gas.values, axis=1), equal_nan=True)
    holes = kinds(turned)["clock_change_zeros"]
    assert holes.count == 18
    assert {place["column"] for place in holes.locations} == {"02:00"}
    assert "08:00" in {place["column"] for place in kinds(gas)["clock_change_zeros"].locations}
    winter = pd.DatetimeIndex(turned.time).month.isin([11, 12, 1, 2])
    for entity in turned.entities:
        mornings = turned.frame[winter & (turned.entity == entity)].iloc[:, :12].median()
        assert mornings.idxmax() in ("06:00", "07:00", "08:00"), entity


def test_the_mended_cell_is_what_the_declared_total_leaves(gas: Dataset, mended: Dataset) -> None:
    key = ("GRTgaz · pays de la loire", pd.Timestamp("2021-06-29"))
    alone = repairs.apply_repairs([Repair("mend_outliers")], gas)
    assert alone.frame.loc[[key], "19:00"].item() == pytest.approx(1_045.44, abs=0.01)
    assert mended.frame.loc[[key], "13:00"].item() == pytest.approx(1_045.44, abs=0.01)
    changed = repairs.diff_datasets(gas, alone)
    assert list(changed["column"]) == ["19:00"]
    assert changed["before"].item() == pytest.approx(1_045_440.18)


def test_all_repairs_leave_nothing_to_mend(mended: Dataset) -> None:
    assert set(kinds(mended)) == {"constant_columns"}
    assert len(mended) == 33_720
    assert mended.is_complete.all()


def test_a_recipe_as_json_replays_to_the_same_digest(
    gas: Dataset, mended: Dataset, recipe: tuple[Repair, ...], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps([repair.to_json() for repair in recipe]))
    again = repairs.apply_repairs(repairs.parse_recipe(json.loads(path.read_text())), gas)
    backwards = repairs.apply_repairs(reversed(recipe), gas)
    assert again.digest == backwards.digest == mended.digest != gas.digest
    assert mended.source == gas.digest


def test_undo_is_the_recipe_without_it(gas: Dataset, recipe: tuple[Repair, ...]) -> None:
    assert repairs.apply_repairs([], gas).digest == gas.digest
    one, two = Repair("undo_hour_shift"), Repair("mend_outliers")
    without = [repair for repair in repairs.apply_repairs([one, two], gas).recipe if repair != two]
    assert repairs.apply_repairs(without, gas).digest == repairs.apply_repairs([one], gas).digest


# ---- planted faults -------------------------------------------------------------------------------------------------


def profile(days: int = 400, entities: int = 3) -> Dataset:
    """Smooth gas-like days with a morning peak, seasons and a little noise; nothing is wrong with them."""
    random = np.random.default_rng(0)
    dates = pd.date_range("2022-06-01", periods=days)
    hours = np.arange(24)
    shape = 1 + 0.4 * np.exp(-(((hours - 7) / 3) ** 2)) + 0.2 * np.exp(-(((hours - 19) / 3) ** 2))
    season = 1.5 + np.cos(2 * np.pi * (dates.dayofyear.to_numpy() - 20) / 365)
    size = np.repeat([100.0, 300.0, 800.0][:entities], days)
    values = size[:, None] * np.tile(season, entities)[:, None] * shape * random.normal(1, 0.01, (entities * days, 24))
    index = make_index(np.repeat(["nord", "ouest", "sud"][:entities], days), np.tile(dates, entities))
    return Dataset(
        frame=pd.DataFrame(values, index=index, columns=make_clock_labels(24)),
        layout="daily_profile",
        profile=True,
        step=pd.Timedelta(hours=1),
        unit="MWh",
        context=pd.DataFrame({"total": values.sum(axis=1)}, index=index),
    )


def series(freq: str = "h", periods: int = 24 * 100) -> Dataset:
    random = np.random.default_rng(1)
    times = pd.date_range("2024-01-01", periods=periods, freq=freq)
    values = 100 + 20 * np.sin(2 * np.pi * times.hour / 24) + random.normal(0, 1, periods)
    index = make_index(["nord"] * periods, times)
    return Dataset(pd.DataFrame({"value": values}, index=index), "tidy_series", step=pd.Timedelta(times[1] - times[0]))


def with_values(dataset: Dataset, change: Callable[[np.ndarray], None]) -> Dataset:
    """The dataset with some measurements changed, and no declared totals to contradict them."""
    values = dataset.values.copy()
    change(values)
    frame = pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns)
    return dataset.replace(frame=frame, context=None)


def planted(name: str) -> Dataset:
    """A clean dataset in which exactly one thing is wrong."""
    whole, long = profile(), series()
    time, entity = pd.DatetimeIndex(whole.time), np.asarray(whole.entity)
    if name == "missing_dates":
        return whole.take_rows(~((entity == "sud") & (time >= "2023-02-03") & (time <= "2023-02-05")))
    if name == "missing_hours":
        return long.take_rows(np.r_[0:500, 503:2400])
    if name == "duplicate_keys":
        again = whole.frame.iloc[[50, 700]] * 1.01
        return whole.replace(frame=pd.concat([whole.frame, again]), context=None)
    if name == "mixed_steps":
        crooked = pd.DatetimeIndex(long.time) + pd.to_timedelta(np.where(np.arange(2400) % 400 == 7, 20, 0), "min")
        return long.replace(frame=long.frame.set_axis(make_index(long.entity, crooked), axis=0))
    if name == "mixed_units":
        rows = (entity == "ouest") & (time.to_period("M") == pd.Period("2022-11"))
        return with_values(whole, lambda values: values.__setitem__(rows, values[rows] * 1000))
    if name == "shifted_hours":
        early = np.arange(183)  # the first entity, June to November
        return with_values(
            profile(days=730), lambda values: values.__setitem__(early, np.roll(values[early], 6, axis=1))
        )
    if name == "gross_outliers":
        return with_values(whole, lambda values: values.__setitem__((30, 5), 1e6))
    if name == "isolated_spikes":
        return with_values(whole, lambda values: values.__setitem__((100, 15), values[100, 15] * 3))
    if name.startswith("clock_change"):
        at, hour, times = {
            "clock_change_zeros": ("2023-03-26", 2, 0),
            "clock_change_lows": ("2023-03-26", 2, 0.3),
            "clock_change_doubles": ("2022-10-30", 2, 1.6),
        }[name]
        row = np.flatnonzero((entity == "sud") & (time == at))[0]
        return with_values(whole, lambda values: values.__setitem__((row, hour), values[row, hour] * times))
    if name == "contradicting_totals":
        return whole.replace(
            context=pd.DataFrame(
                {"total": whole.values.sum(axis=1) * np.where(np.arange(1200) == 9, 1.1, 1)}, index=whole.frame.index
            )
        )
    if name == "incomplete_rows":
        return with_values(whole, lambda values: values.__setitem__((slice(10, 13), slice(4, 7)), np.nan))
    if name == "constant_columns":
        return long.replace(frame=long.frame.assign(stuck=5.0))
    raise AssertionError(name)


PLANTED = {
    "missing_dates": ("missing_dates", 3),
    "missing_hours": ("missing_dates", 3),
    "duplicate_keys": ("duplicate_keys", 2),
    "mixed_steps": ("mixed_steps", 6),
    "mixed_units": ("mixed_units", 30),
    "shifted_hours": ("shifted_hours", 183),
    "gross_outliers": ("gross_outliers", 1),
    "isolated_spikes": ("isolated_spikes", 1),
    "clock_change_zeros": ("clock_change_zeros", 1),
    "clock_change_lows": ("clock_change_lows", 1),
    "clock_change_doubles": ("clock_change_doubles", 1),
    "contradicting_totals": ("contradicting_totals", 1),
    "incomplete_rows": ("incomplete_rows", 3),
    "constant_columns": ("constant_columns", 1),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_mended(name: str) -> None:
    dataset = planted(name)
    kind, count = PLANTED[name]
    found = kinds(dataset)
    assert kind in found, list(found)
    assert found[kind].count == count
    assert found[kind].locations
    assert found[kind].repairs
    assert kind not in kinds(repairs.apply_repairs([found[kind].repairs[0]], dataset))
    everything = repairs.apply_repairs(proposed(run_checks(dataset)), dataset)
    left = kinds(everything)
    if "incomplete_rows" in left:  # absent moments come back as rows without values; filling them is the next repair
        left = kinds(repairs.apply_repairs([left["incomplete_rows"].repairs[0]], everything))
    assert not left


@pytest.mark.parametrize(
    "name",
    [
        "mixed_units",
        "shifted_hours",
        "gross_outliers",
        "isolated_spikes",
        "clock_change_zeros",
        "clock_change_lows",
        "clock_change_doubles",
        "incomplete_rows",
    ],
)
def test_mending_comes_close_to_what_was_there(name: str) -> None:
    dataset = planted(name)
    clean = profile(days=len(dataset) // 3)
    repaired = repairs.apply_repairs([kinds(dataset)[PLANTED[name][0]].repairs[0]], dataset)
    assert np.abs(repaired.values / clean.values - 1).max() < 0.15


@pytest.mark.parametrize(
    "dataset",
    [
        profile(),
        profile(days=730),
        profile(entities=1),
        profile().to_series(),
        series(),
        series("15min"),
        series("D", 300),
    ],
    ids=("profile", "two years", "one entity", "unrolled", "hourly", "quarters", "daily"),
)
def test_clean_data_has_no_finding(dataset: Dataset) -> None:
    assert [finding.to_json() for finding in run_checks(dataset).findings] == []


@pytest.mark.parametrize(
    "keep",
    [
        lambda times: (times.hour >= 7) & (times.hour < 21),
        lambda times: times.dayofweek < 5,
        lambda times: (times.dayofweek < 5) & (times.hour >= 7) & (times.hour < 21),
    ],
    ids=("nights", "week-ends", "nights and week-ends"),
)
def test_regular_pauses_are_no_gaps(keep: Callable[[pd.DatetimeIndex], np.ndarray]) -> None:
    dataset = series()
    open_hours = dataset.take_rows(np.asarray(keep(pd.DatetimeIndex(dataset.time))))
    assert kinds(open_hours) == {}
    holiday = open_hours.take_rows(np.delete(np.arange(len(open_hours)), slice(300, 303)))
    assert set(kinds(holiday)) <= {"missing_dates"}


@pytest.mark.parametrize("written", [{"kind": "x"}, [1], [{"name": "x"}], "drop_duplicates", [{"kind": "melt"}]])
def test_a_recipe_that_is_none(written: object) -> None:
    with pytest.raises(OptionError):
        repairs.apply_repairs(repairs.parse_recipe(written), profile())
