"""The data doctor on the real gas files, and on clean data with one injected issue each."""

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
from core.data.recipes import parse_recipe
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
    return propose_repairs(report)


@pytest.fixture(scope="session")
def repaired_gas(gas: Dataset, recipe: tuple[Repair, ...]) -> Dataset:
    return repairs.apply_repairs(recipe, gas)


def propose_repairs(report: QualityReport) -> tuple[Repair, ...]:
    """Return the first repair of every finding, one per kind."""
    return tuple(
        {finding.repairs[0].kind: finding.repairs[0] for finding in report.findings if finding.repairs}.values()
    )


def index_findings(dataset: Dataset) -> dict[str, Finding]:
    return {finding.kind: finding for finding in run_checks(dataset).findings}


def test_doctor_summarises_real_gas_files(report: QualityReport) -> None:
    summary = report.to_json()
    assert {name: summary[name] for name in ("rows", "columns", "entities", "dates", "incomplete_rows")} == {
        "rows": 33_720,
        "columns": 24,
        "entities": 15,
        "dates": 2_262,
        "incomplete_rows": 45,
    }
    assert (summary["strike_dates"], summary["strike_rows"]) == (131, 1_929)
    assert (summary["layout"], summary["unit"]) == ("gas_daily", "MWh")
    assert (summary["start"][:10], summary["end"][:10]) == ("2018-06-01", "2024-08-09")
    assert json.loads(json.dumps(summary)) == summary


def test_doctor_counts_issues_of_real_gas_files(report: QualityReport) -> None:
    counts = {finding.kind: finding.count for finding in report.findings}
    assert counts == {
        "gross_outliers": 1,
        "shifted_hours": 21_540,
        "isolated_spikes": 8,
        "clock_change_zeros": 18,
        "clock_change_lows": 62,
        "clock_change_doubles": 67,
        "spikes_and_dips": 34,
        "contradicting_totals": 1,
        "incomplete_rows": 45,
        "constant_columns": 1,
    }


def test_doctor_locates_gas_outlier_cell(report: QualityReport) -> None:
    (location,) = next(finding for finding in report.findings if finding.kind == "gross_outliers").locations
    assert (location["entity"], location["time"][:10], location["column"]) == (
        "GRTgaz · pays de la loire",
        "2021-06-29",
        "19:00",
    )
    assert location["value"] == pytest.approx(1_045_440, abs=1)
    (total_location,) = next(finding for finding in report.findings if finding.kind == "contradicting_totals").locations
    assert (total_location["sum"], total_location["total"]) == pytest.approx((1_066_058.38, 21_663.64))


def test_doctor_finds_six_hour_shift(gas: Dataset) -> None:
    per_row, _ = checks.find_shifted_hours(gas)
    time = pd.DatetimeIndex(gas.time)
    operator = np.asarray(gas.entity.str.startswith("GRTgaz"))
    expected = operator & (time <= "2023-05-31") & (time.to_period("M") != pd.Period("2022-05"))
    assert np.array_equal(per_row, np.where(expected, 6, 0))
    assert not per_row[~operator].any()
    assert expected.sum() == 21_540


def test_repair_undoes_hour_shift(gas: Dataset) -> None:
    shifted_back = repairs.apply_repairs([Repair("undo_hour_shift")], gas)
    assert np.allclose(np.sort(shifted_back.values, axis=1), np.sort(gas.values, axis=1), equal_nan=True)
    zero_hours = index_findings(shifted_back)["clock_change_zeros"]
    assert zero_hours.count == 18
    assert {location["column"] for location in zero_hours.locations} == {"02:00"}
    assert "08:00" in {location["column"] for location in index_findings(gas)["clock_change_zeros"].locations}
    winter = pd.DatetimeIndex(shifted_back.time).month.isin([11, 12, 1, 2])
    for entity in shifted_back.entities:
        mornings = shifted_back.frame[winter & (shifted_back.entity == entity)].iloc[:, :12].median()
        assert mornings.idxmax() in ("06:00", "07:00", "08:00"), entity


def test_repair_of_outlier_cell_matches_declared_total(gas: Dataset, repaired_gas: Dataset) -> None:
    key = ("GRTgaz · pays de la loire", pd.Timestamp("2021-06-29"))
    repaired = repairs.apply_repairs([Repair("mend_outliers")], gas)
    assert repaired.frame.loc[[key], "19:00"].item() == pytest.approx(1_045.44, abs=0.01)
    assert repaired_gas.frame.loc[[key], "13:00"].item() == pytest.approx(1_045.44, abs=0.01)
    difference = repairs.diff_datasets(gas, repaired)
    assert list(difference["column"]) == ["19:00"]
    assert difference["before"].item() == pytest.approx(1_045_440.18)


def test_repairs_leave_no_repairable_issue(repaired_gas: Dataset) -> None:
    findings = index_findings(repaired_gas)
    assert set(findings) <= {"constant_columns", "spikes_and_dips"}
    if "spikes_and_dips" in findings:  # other hours of a series may stand out of its noise once the first are repaired
        assert findings["spikes_and_dips"].count <= 3
    assert len(repaired_gas) == 33_720
    assert repaired_gas.is_complete.all()


def test_recipe_json_replays_to_same_digest(
    gas: Dataset, repaired_gas: Dataset, recipe: tuple[Repair, ...], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps([repair.to_json() for repair in recipe]))
    replayed = repairs.apply_repairs(parse_recipe(json.loads(path.read_text()))[1], gas)
    reversed_replay = repairs.apply_repairs(reversed(recipe), gas)
    assert replayed.digest == reversed_replay.digest == repaired_gas.digest != gas.digest
    assert repaired_gas.source == gas.digest


def test_recipe_without_repair_undoes_it(gas: Dataset, recipe: tuple[Repair, ...]) -> None:
    assert repairs.apply_repairs([], gas).digest == gas.digest
    first, second = Repair("undo_hour_shift"), Repair("mend_outliers")
    remaining = [repair for repair in repairs.apply_repairs([first, second], gas).recipe if repair != second]
    assert repairs.apply_repairs(remaining, gas).digest == repairs.apply_repairs([first], gas).digest


# ---- injected issues ------------------------------------------------------------------------------------------------


def make_profile(days: int = 400, entities: int = 3) -> Dataset:
    """Make clean gas-like days with a morning peak, seasons and a little noise."""
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


def make_series(freq: str = "h", periods: int = 24 * 100) -> Dataset:
    random = np.random.default_rng(1)
    times = pd.date_range("2024-01-01", periods=periods, freq=freq)
    values = 100 + 20 * np.sin(2 * np.pi * times.hour / 24) + random.normal(0, 1, periods)
    index = make_index(["nord"] * periods, times)
    return Dataset(pd.DataFrame({"value": values}, index=index), "tidy_series", step=pd.Timedelta(times[1] - times[0]))


def change_values(dataset: Dataset, change: Callable[[np.ndarray], None]) -> Dataset:
    """Return the dataset with changed measurements, and without the declared totals that they would contradict."""
    values = dataset.values.copy()
    change(values)
    frame = pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns)
    return dataset.replace(frame=frame, context=None)


def make_faulty_dataset(name: str) -> Dataset:
    """Make a clean dataset with exactly one injected issue."""
    clean_profile, clean_series = make_profile(), make_series()
    time, entity = pd.DatetimeIndex(clean_profile.time), np.asarray(clean_profile.entity)
    if name == "missing_dates":
        return clean_profile.take_rows(~((entity == "sud") & (time >= "2023-02-03") & (time <= "2023-02-05")))
    if name == "missing_hours":
        return clean_series.take_rows(np.r_[0:500, 503:2400])
    if name == "duplicate_keys":
        repeated_rows = clean_profile.frame.iloc[[50, 700]] * 1.01
        return clean_profile.replace(frame=pd.concat([clean_profile.frame, repeated_rows]), context=None)
    if name == "mixed_steps":
        irregular_times = pd.DatetimeIndex(clean_series.time) + pd.to_timedelta(
            np.where(np.arange(2400) % 400 == 7, 20, 0), "min"
        )
        return clean_series.replace(
            frame=clean_series.frame.set_axis(make_index(clean_series.entity, irregular_times), axis=0)
        )
    if name == "mixed_units":
        rows = (entity == "ouest") & (time.to_period("M") == pd.Period("2022-11"))
        return change_values(clean_profile, lambda values: values.__setitem__(rows, values[rows] * 1000))
    if name == "shifted_hours":
        shifted_rows = np.arange(183)  # the first entity, June to November
        return change_values(
            make_profile(days=730),
            lambda values: values.__setitem__(shifted_rows, np.roll(values[shifted_rows], 6, axis=1)),
        )
    if name == "gross_outliers":
        return change_values(clean_profile, lambda values: values.__setitem__((30, 5), 1e6))
    if name == "isolated_spikes":
        return change_values(clean_profile, lambda values: values.__setitem__((100, 15), values[100, 15] * 3))
    if name.startswith("clock_change"):
        date, hour, factor = {
            "clock_change_zeros": ("2023-03-26", 2, 0),
            "clock_change_lows": ("2023-03-26", 2, 0.3),
            "clock_change_doubles": ("2022-10-30", 2, 1.6),
        }[name]
        row = np.flatnonzero((entity == "sud") & (time == date))[0]
        return change_values(clean_profile, lambda values: values.__setitem__((row, hour), values[row, hour] * factor))
    if name == "contradicting_totals":
        return clean_profile.replace(
            context=pd.DataFrame(
                {"total": clean_profile.values.sum(axis=1) * np.where(np.arange(1200) == 9, 1.1, 1)},
                index=clean_profile.frame.index,
            )
        )
    if name == "incomplete_rows":
        return change_values(clean_profile, lambda values: values.__setitem__((slice(10, 13), slice(4, 7)), np.nan))
    if name == "constant_columns":
        return clean_series.replace(frame=clean_series.frame.assign(stuck=5.0))
    raise AssertionError(name)


EXPECTED_FINDINGS = {
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


@pytest.mark.parametrize("name", EXPECTED_FINDINGS)
def test_doctor_finds_and_repairs_injected_issue(name: str) -> None:
    dataset = make_faulty_dataset(name)
    kind, count = EXPECTED_FINDINGS[name]
    findings = index_findings(dataset)
    assert kind in findings, list(findings)
    assert findings[kind].count == count
    assert findings[kind].locations
    assert findings[kind].repairs
    assert kind not in index_findings(repairs.apply_repairs([findings[kind].repairs[0]], dataset))
    repaired = repairs.apply_repairs(propose_repairs(run_checks(dataset)), dataset)
    remaining = index_findings(repaired)
    if "incomplete_rows" in remaining:  # missing timestamps become rows without values, which the next repair fills
        remaining = index_findings(repairs.apply_repairs([remaining["incomplete_rows"].repairs[0]], repaired))
    assert not remaining


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
def test_repair_restores_approximate_values(name: str) -> None:
    dataset = make_faulty_dataset(name)
    clean = make_profile(days=len(dataset) // 3)
    repaired = repairs.apply_repairs([index_findings(dataset)[EXPECTED_FINDINGS[name][0]].repairs[0]], dataset)
    assert np.abs(repaired.values / clean.values - 1).max() < 0.15


@pytest.mark.parametrize(
    "dataset",
    [
        make_profile(),
        make_profile(days=730),
        make_profile(entities=1),
        make_profile().to_series(),
        make_series(),
        make_series("15min"),
        make_series("D", 300),
    ],
    ids=("profile", "two years", "one entity", "unrolled", "hourly", "quarters", "daily"),
)
def test_doctor_accepts_clean_data(dataset: Dataset) -> None:
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
def test_doctor_accepts_regular_pauses(keep: Callable[[pd.DatetimeIndex], np.ndarray]) -> None:
    dataset = make_series()
    open_hours = dataset.take_rows(np.asarray(keep(pd.DatetimeIndex(dataset.time))))
    assert index_findings(open_hours) == {}
    holiday = open_hours.take_rows(np.delete(np.arange(len(open_hours)), slice(300, 303)))
    assert set(index_findings(holiday)) <= {"missing_dates"}


@pytest.mark.parametrize("written", [{"kind": "x"}, [1], [{"name": "x"}], "drop_duplicates", [{"kind": "melt"}]])
def test_parse_recipe_rejects_invalid_recipe(written: object) -> None:
    with pytest.raises(OptionError):
        repairs.apply_repairs(parse_recipe(written)[1], make_profile())
