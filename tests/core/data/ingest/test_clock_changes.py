"""Local clocks: offsets and zones in files, and hours that clock changes repeat or skip."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.data.panel import Panel
from core.data.quality.doctor import run_checks
from core.data.quality.repairs import apply_repairs
from core.data.read_options import ReadOptions
from core.data.time_zones import USUAL_ZONES, list_clock_changes, to_local_times
from core.errors import OptionError
from core.storage.datasets import DatasetStore

ZONES = [zone for zone in USUAL_ZONES if list_clock_changes(zone, 2023, 2024)]
FORMS = ("offset", "local time", "utc", "parquet")


def make_instants(days: int = 400, step: str = "1h", start: str = "2023-02-01") -> pd.DatetimeIndex:
    return pd.date_range(start, periods=days * (pd.Timedelta("1D") // pd.Timedelta(step)), freq=step)


def write_series(instants: pd.DatetimeIndex, zone: str, form: str, folder: Path) -> Path:
    zoned = instants.tz_localize("UTC").tz_convert(zone)
    table = pd.DataFrame({"time": zoned, "load_MW": np.arange(len(zoned)) % 97 + 0.5})
    path = folder / ("load.parquet" if form == "parquet" else "load.csv")
    if form == "parquet":
        table.to_parquet(path)
        return path
    texts = {
        "offset": [time.isoformat() for time in zoned],
        "local time": list(zoned.strftime("%d/%m/%Y %H:%M")),
        "utc": list(instants.strftime("%Y-%m-%dT%H:%M:%SZ")),
    }
    table.assign(time=texts[form]).to_csv(path, index=False)
    return path


def list_kinds(dataset: Dataset) -> list[str]:
    return [finding.kind for finding in run_checks(dataset).findings]


@settings(max_examples=8)  # each one writes and reads up to 38,000 rows
@given(st.sampled_from(ZONES), st.sampled_from(FORMS), st.sampled_from(["15min", "30min", "1h"]))
def test_load_keeps_the_local_clock(tmp_path: Path, zone: str, form: str, step: str) -> None:
    """Every row keeps its instant, no hour is missing or twice, whatever the form of the timestamps."""
    instants = make_instants(step=step)
    options = ReadOptions(zone=zone) if form == "utc" else ReadOptions()
    dataset = load([write_series(instants, zone, form, tmp_path)], options)
    local_times, fold = to_local_times(instants, zone)
    assert list(dataset.time) == list(local_times)
    assert dataset.is_second_pass.tolist() == fold.tolist()
    assert set(np.diff(dataset.compute_instants())) == {np.timedelta64(pd.Timedelta(step))}
    assert form == "local time" or (dataset.compute_instants() == instants).all()
    assert not set(list_kinds(dataset)) & {"missing_dates", "duplicate_keys", "doubtful_keys", "repeated_rows"}
    assert list_clock_changes(dataset.zone, 2023, 2024) == list_clock_changes(zone, 2023, 2024)


def test_timestamps_in_utc_stay_in_utc_unless_a_zone_is_chosen(tmp_path: Path) -> None:
    path = write_series(make_instants(), "Europe/Paris", "utc", tmp_path)
    dataset = load([path])
    assert (dataset.zone, list(dataset.time)) == ("UTC", list(make_instants()))
    assert load([path], ReadOptions(zone="Europe/Paris")).read_options.zone == "Europe/Paris"
    with pytest.raises(OptionError, match="zone = 'Mars/Olympus' is not accepted"):
        load([path], ReadOptions(zone="Mars/Olympus"))


def test_days_keep_their_date_in_any_zone(tmp_path: Path) -> None:
    days = pd.date_range("2024-03-01", periods=60, tz="Europe/Paris")
    pd.DataFrame({"day": days, "MWh": np.arange(60.0)}).to_parquet(tmp_path / "days.parquet")
    pd.DataFrame({"day": [day.isoformat() for day in days], "MWh": np.arange(60.0)}).to_csv(tmp_path / "days.csv")
    for name in ("days.parquet", "days.csv"):
        dataset = load([tmp_path / name])
        assert list(dataset.time) == list(days.tz_localize(None))
        assert dataset.zone == "Europe/Paris"
        assert "missing_dates" not in list_kinds(dataset)


def test_hour_25_is_the_second_pass_of_the_repeated_hour(tmp_path: Path) -> None:
    rows = [f"2024-11-03,{hour},{hour * 10}" for hour in range(1, 26)] + [f"2024-11-04,{h},{h}" for h in range(1, 25)]
    (tmp_path / "load.csv").write_text("Date,Hour Ending,MW\n" + "\n".join(rows))
    dataset = load([tmp_path / "load.csv"])
    second_pass = dataset.take_rows(dataset.is_second_pass)
    assert (list(second_pass.time), second_pass.values.tolist()) == ([pd.Timestamp("2024-11-03 01:00")], [[250.0]])
    assert not {"duplicate_keys", "doubtful_keys"} & set(list_kinds(dataset))


def test_real_duplicates_are_no_repeated_hours(tmp_path: Path) -> None:
    """A file that was glued from two copies has repeated rows everywhere, not in the hours of clock changes."""
    times = list(pd.date_range("2024-10-20", periods=24 * 14, freq="h").strftime("%Y-%m-%d %H:%M"))
    rows = [f"{time},{number}" for number, time in enumerate([*times, *times])]
    (tmp_path / "load.csv").write_text("time,MW\n" + "\n".join(rows))
    dataset = load([tmp_path / "load.csv"])
    assert (dataset.zone, dataset.fold) == ("", None)
    assert "doubtful_keys" in list_kinds(dataset)


def test_equal_values_in_both_passes_are_two_rows(tmp_path: Path) -> None:
    local_times, _ = to_local_times(make_instants(days=10, start="2024-10-20"), "Europe/Paris")
    pd.DataFrame({"time": local_times.strftime("%Y-%m-%d %H:%M"), "MW": 5.0}).to_csv(tmp_path / "a.csv", index=False)
    assert len(load([tmp_path / "a.csv"])) == 240


def test_days_of_23_and_25_hours_fill_a_profile(tmp_path: Path) -> None:
    dataset = load([write_series(make_instants(), "Europe/Paris", "local time", tmp_path)])
    profile = dataset.to_profile()
    assert profile.is_complete[1:-1].all()
    spring = profile.filter_rows(start=pd.Timestamp("2023-03-26"), end=pd.Timestamp("2023-03-26"))
    before, skipped, after = spring.values[0, 1:4]
    assert skipped == (before + after) / 2
    autumn = dataset.filter_rows(start=pd.Timestamp("2023-10-29"), end=pd.Timestamp("2023-10-29"))
    row = profile.filter_rows(start=pd.Timestamp("2023-10-29"), end=pd.Timestamp("2023-10-29")).values[0]
    assert len(autumn) == 25
    assert row[2] == autumn.values[2:4].mean()
    assert np.isfinite(Panel.from_dataset(dataset).values[1:-1]).all()


def test_missing_rows_are_inserted_without_the_skipped_hour(tmp_path: Path) -> None:
    instants = make_instants()
    local_times, _ = to_local_times(instants, "Europe/Paris")
    is_absent = (local_times >= "2024-01-10") & (local_times < "2024-01-11")
    dataset = load([write_series(instants[~is_absent], "Europe/Paris", "local time", tmp_path)])
    report = run_checks(dataset)
    gap = next(finding for finding in report.findings if finding.kind == "missing_dates")
    assert gap.count == 24
    repaired = apply_repairs(gap.repairs[:1], dataset)
    assert len(repaired) == len(instants)
    assert "missing_dates" not in list_kinds(repaired)


def test_stored_dataset_keeps_zone_fold_and_readings(tmp_path: Path) -> None:
    dataset = load([write_series(make_instants(), "Europe/Paris", "offset", tmp_path)])
    store = DatasetStore(tmp_path / "datasets")
    loaded = store.load(store.save(dataset))
    assert (loaded.zone, loaded.readings, loaded.read_options) == (dataset.zone, dataset.readings, dataset.read_options)
    assert loaded.is_second_pass.tolist() == dataset.is_second_pass.tolist()
    assert loaded.digest == dataset.digest


def test_files_of_summer_and_winter_are_on_one_clock(tmp_path: Path) -> None:
    """Each file has one offset; together they have the offsets of a zone."""
    for name, start in (("winter.csv", "2024-01-10T00:00"), ("summer.csv", "2024-07-10T00:00")):
        times = pd.date_range(start, periods=48, freq="h", tz="Europe/Paris")
        pd.DataFrame({"time": [t.isoformat() for t in times], "MW": np.arange(48.0)}).to_csv(
            tmp_path / name, index=False
        )
    dataset = load([tmp_path / "winter.csv", tmp_path / "summer.csv"])
    assert dataset.zone == "Europe/Paris"
    assert list(dataset.time[[0, 48]]) == [pd.Timestamp("2024-01-10"), pd.Timestamp("2024-07-10")]


def test_files_decide_the_order_of_dates_together(tmp_path: Path) -> None:
    """One file alone leaves the order of day and month open, and the decimal mark; the other decides both."""
    (tmp_path / "a.csv").write_text(
        "date;site;MW\n01/02/2024;north;1,234\n01/03/2024;north;1,250\n01/04/2024;north;1,260\n"
    )
    (tmp_path / "b.csv").write_text("date;site;MW\n01/13/2024;south;1,234.5\n01/14/2024;south;987.25\n")
    dataset = load([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert not [note for note in dataset.notes if note.kind.startswith("ambiguous")]
    assert list(dataset.time[:3]) == list(pd.date_range("2024-01-02", periods=3))
    assert dataset.values[:3, 0].tolist() == [1234.0, 1250.0, 1260.0]


@pytest.mark.parametrize(
    ("options", "times", "values"),
    [
        (ReadOptions(date_order="month first"), ["2024-01-02", "2024-01-03"], [1.234, 2.5]),
        (ReadOptions(date_order="day first", decimal_mark="comma"), ["2024-02-01", "2024-03-01"], [1234.0, 25.0]),
    ],
)
def test_options_decide_what_has_two_readings(
    options: ReadOptions, times: list[str], values: list[float], tmp_path: Path
) -> None:
    cells = ("1.234", "2.5") if options.decimal_mark != "comma" else ("1.234", "25")
    rows = zip(("01/02/2024", "01/03/2024"), cells, strict=True)
    (tmp_path / "a.csv").write_text("date;MW\n" + "\n".join(f"{date};{cell}" for date, cell in rows))
    dataset = load([tmp_path / "a.csv"], options)
    assert not [note.kind for note in dataset.notes if note.kind.startswith("ambiguous")]
    assert [str(time.date()) for time in dataset.time] == times
    assert dataset.values[:, 0].tolist() == values


def test_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "book.xlsx") as book:
        pd.DataFrame({"date": ["2024-01-01", "2024-01-02"], "MW": [1, 2]}).to_excel(
            book, sheet_name="load", index=False
        )
        pd.DataFrame({"date": ["2024-01-01", "2024-01-02"], "T": [7, 8]}).to_excel(
            book, sheet_name="weather", index=False
        )
    first = load([tmp_path / "book.xlsx"])
    assert "ignored_sheets" in [note.kind for note in first.notes]
    assert load([tmp_path / "book.xlsx"], ReadOptions(sheet="weather")).columns == ["T"]
    with pytest.raises(
        OptionError, match=r"book\.xlsx: there is no table in the sheet 'cost'. Accepted: load, weather"
    ):
        load([tmp_path / "book.xlsx"], ReadOptions(sheet="cost"))
