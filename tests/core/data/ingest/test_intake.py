"""Files of every form: one truth written in many ways, and small files that were once read wrongly."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.data.quality.doctor import run_checks
from core.data.read_options import ReadOptions
from core.errors import UnreadableFileError
from core.storage.datasets import DatasetStore
from tests.support.written_tables import OPTIONS, FileForm, draw_form, read_back

forms = st.builds(
    FileForm, **{name: st.sampled_from(options) for name, options in OPTIONS.items()}, seed=st.integers(0, 9)
)


@given(forms)
def test_file_of_any_form_is_never_read_wrongly(tmp_path: Path, form: FileForm) -> None:
    outcome, explanation = read_back(form, tmp_path)
    assert outcome != "wrong", explanation


def test_files_of_most_forms_are_read_right(tmp_path: Path) -> None:
    """benchmarks/intake.py reads five thousand."""
    outcomes = [read_back(draw_form(seed), tmp_path)[0] for seed in range(10_000, 10_120)]
    assert outcomes.count("right") >= 0.97 * len(outcomes)


# ---- small files that were read wrongly -----------------------------------------------------------------------------


def load_case(shared_data: Path, *names: str) -> Dataset:
    return load([shared_data / "cases" / "files" / name for name in names])


DAYS = ["2024-01-30", "2024-01-31", "2024-02-01"]

CASES: dict[str, tuple[list[str], list[Any], str]] = {
    "min-A1-epoch-ms.csv": (["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00"], [5, 6, 7], ""),
    "min-A2-compact.csv": (DAYS, [5, 6, 7], ""),
    "min-A3-parts.csv": (["2024-01-30 22:00", "2024-01-30 23:00", "2024-01-31 00:00"], [5, 6, 7], ""),
    "min-B1-date-and-time.csv": (
        ["2024-01-30 00:00", "2024-01-30 12:00", "2024-01-31 00:00", "2024-01-31 12:00"],
        [5, 6, 7, 8],
        "MW",
    ),
    "min-B2-hour-ending.csv": (["2024-01-30 00:00", "2024-01-30 23:00", "2024-01-31 00:00"], [5, 6, 7], "MW"),
    "min-E1-daily-offset.csv": (["2024-06-30", "2024-07-01", "2024-07-02"], [5, 6, 7], "MWh"),
    "min-E2-daily-offset.parquet": (["2024-06-30", "2024-07-01", "2024-07-02"], [5, 6, 7], "MWh"),
    "min-F-thousands-dots.csv": (DAYS, [[987, 8.5], [1012, 9.5], [1250, 7.5]], ""),
    "min-K-two-sheets.xlsx": (["2024-01-01", "2024-01-02", "2024-02-01", "2024-02-02"], [5, 6, 5, 6], "MWh"),
    "min-L-milliwatts.csv": (DAYS[:2], [1.5, 1.6], "mW"),
    "min-M1-footer.csv": (DAYS[:2], [5, 6], "MW"),
    "min-M2-trailing-delimiter.csv": (DAYS[:2], [5, 6], "MW"),
    "min-M3-units-row.csv": (DAYS[:2], [[5, 1], [6, 2]], ""),
    "min-M4-metadata-pair.csv": (["2024-01-30 00:00", "2024-01-30 00:30"], [5, 6], "W"),
    "min-N1-am-pm.csv": (["2024-01-30 23:00", "2024-01-31 00:00"], [0, 1], "MW"),
    "min-N2-24h.csv": (["2024-01-30 23:00", "2024-01-31 00:00"], [0, 1], "MW"),
    "min-N3-yy-dots.csv": (["2024-01-30", "2024-01-31"], [0, 1], "MW"),
    "min-N4-month-names.csv": (["2024-01-01", "2024-02-01"], [0, 1], "MW"),
    "min-N5-iso-week.csv": (["2024-01-22", "2024-01-29"], [0, 1], "MW"),
    "min-N6-range.csv": (["2024-01-30 00:00", "2024-01-30 01:00"], [0, 1], "MW"),
    "min-N7-month.csv": (["2024-01-01", "2024-02-01"], [0, 1], "MW"),
    "min-P-minus-sign.csv": (DAYS, [-5.5, -6.5, 1.5], ""),
    "two-dates.csv": (["2021-03-01 00:00", "2021-03-01 00:30", "2021-03-01 01:00"], [60000, 59000, 58500], "MW"),
    "unnamed-index.csv": (
        ["2013-01-01 01:00", "2013-01-01 02:00", "2013-01-01 03:00"],
        [57806.5, 56941.5, 55120],
        "MW",
    ),
    "plain.csv.gz": (["2020-01-01", "2020-01-02", "2020-01-03"], [1, 2, 3], ""),
}


def test_every_case_file_can_be_stored(shared_data: Path, tmp_path: Path) -> None:
    """Also with its notes, which may hold any value of a file."""
    store = DatasetStore(tmp_path)
    for path in sorted((shared_data / "cases" / "files").iterdir()):
        dataset = load([path])
        assert store.load(store.save(dataset)).notes == dataset.notes


@pytest.mark.parametrize("name", CASES)
def test_case_file_is_read_right(shared_data: Path, name: str) -> None:
    times, values, unit = CASES[name]
    dataset = load_case(shared_data, name)
    assert list(dataset.time) == list(pd.to_datetime(times))
    np.testing.assert_array_equal(dataset.values, np.array(values, dtype=float).reshape(len(times), -1))
    assert dataset.unit == unit
    assert len(dataset.entities) == 1


def test_percent_cells_are_numbers(shared_data: Path) -> None:
    dataset = load_case(shared_data, "min-C1-percent.csv")
    assert dataset.frame["cpu"].tolist()[:4] == [40.5, 41.5, 40.5, 41.5]
    assert {column.name: column.unit for column in dataset.readings}["cpu"] == "%"


def test_status_column_is_context(shared_data: Path) -> None:
    dataset = load_case(shared_data, "min-C2-status.csv")
    assert (len(dataset.entities), dataset.columns) == (1, ["MW"])
    assert dataset.context is not None
    assert list(dataset.context) == ["quality"]


@pytest.mark.parametrize("name", ["min-C3-attack.csv", "min-J-minus-one.csv"])
def test_labels_are_recognised(shared_data: Path, name: str) -> None:
    dataset = load_case(shared_data, name)
    assert dataset.labels is not None
    assert dataset.labels.tolist()[:4] == [False, False, True, False]


def test_undecided_labels_are_refused(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=4).strftime("%Y-%m-%d")
    pd.DataFrame({"date": days, "MW": range(4), "label": [-1, -1, -1, 1]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UnreadableFileError, match="not clear which label is abnormal"):
        load([tmp_path / "a.csv"])


def test_empty_columns_are_ignored(shared_data: Path) -> None:
    dataset = load_case(shared_data, "min-C4-empty-a.csv", "min-C4-empty-b.csv")
    assert dataset.entities == ["min-C4-empty-a", "min-C4-empty-b"]
    assert dataset.values[:, 0].tolist() == [5, 6, 500, 600]
    assert [finding.kind for finding in run_checks(dataset).findings] == []


def test_numeric_key_is_an_entity(shared_data: Path) -> None:
    dataset = load_case(shared_data, "min-D-numeric-key.csv")
    assert (dataset.entities, dataset.columns, dataset.unit) == (["101", "102"], ["kWh"], "kWh")


def test_comma_inside_dates_is_no_delimiter(shared_data: Path) -> None:
    dataset = load_case(shared_data, "min-G-comma-in-date.csv")
    assert dataset.columns == ["MW", "T"]
    assert dataset.values[0].tolist() == [12.5, 3.0]


def test_month_first_dates_are_told(shared_data: Path) -> None:
    assert [note.kind for note in load_case(shared_data, "min-H-month-first.csv").notes] == ["ambiguous_dates"]


def test_sentinels_are_an_issue_with_a_repair(shared_data: Path) -> None:
    [finding] = [
        finding
        for finding in run_checks(load_case(shared_data, "min-I-sentinels.csv")).findings
        if finding.kind == "sentinels"
    ]
    assert finding.count == 8
    assert [repair.kind for repair in finding.repairs] == ["clear_sentinels"]


def test_half_hour_columns_are_a_daily_profile(shared_data: Path) -> None:
    dataset = load_case(shared_data, "min-O-48-columns.csv")
    assert (dataset.layout, dataset.step, dataset.values[0, :3].tolist()) == (
        "daily_profile",
        pd.Timedelta("30min"),
        [0, 1, 2],
    )


def test_staggered_columns_are_entities(shared_data: Path) -> None:
    dataset = load_case(shared_data, "wide-regions.csv")
    assert (dataset.layout, dataset.entities, len(dataset)) == ("wide_series", ["EAST", "NORTH", "SOUTH"], 9)
    assert dataset.is_complete.all()


def test_regular_step_may_start_at_any_second(shared_data: Path) -> None:
    assert [finding.kind for finding in run_checks(load_case(shared_data, "five-minutes-53.csv")).findings] == []


# ---- long and wide tables -------------------------------------------------------------------------------------------


def write_long_table(folder: Path, unit: list[str], name: str = "metric") -> Path:
    times = np.repeat(pd.date_range("2024-01-01", periods=48, freq="h").strftime("%Y-%m-%d %H:%M"), 4)
    table = pd.DataFrame({"time": times, "host": ["web", "web", "db", "db"] * 48, name: ["cpu", "memory"] * 96})
    table["value"] = np.arange(192) / 2
    if unit:
        table["unit"] = unit * 96
    table.to_csv(folder / "long.csv", index=False)
    return folder / "long.csv"


@pytest.mark.parametrize(
    ("unit", "name", "columns", "common_unit"),
    [
        ([], "metric", ["cpu", "memory"], ""),
        (["%", "GiB"], "what", ["cpu [%]", "memory [GiB]"], ""),
        (["%", "%"], "kpi", ["cpu", "memory"], "%"),
    ],
)
def test_variables_of_a_long_table_become_columns(
    unit: list[str], name: str, columns: list[str], common_unit: str, tmp_path: Path
) -> None:
    dataset = load([write_long_table(tmp_path, unit, name)])
    assert (dataset.layout, dataset.columns, dataset.entities, dataset.unit) == (
        "long_series",
        columns,
        ["db", "web"],
        common_unit,
    )
    assert (len(dataset), dataset.step) == (96, pd.Timedelta("1h"))
    assert dataset.values[:2].tolist() == [[0.0, 0.5], [1.0, 1.5]]


def test_repeated_variable_is_a_duplicate_key(tmp_path: Path) -> None:
    path = write_long_table(tmp_path, [])
    path.write_text(path.read_text() + "2024-01-02 23:00,db,cpu,7\n")
    dataset = load([path])
    assert "duplicate_keys" in [finding.kind for finding in run_checks(dataset).findings]
    assert dataset.values[-1, 0] == 7


def test_names_of_sites_stay_entities(tmp_path: Path) -> None:
    dataset = load([write_long_table(tmp_path, ["MW", "MW"], "line")])
    assert (dataset.layout, dataset.columns, len(dataset.entities)) == ("tidy_series", ["value"], 4)
    options = ReadOptions(roles=("line=variable",))
    assert load([tmp_path / "long.csv"], options).columns == ["cpu", "memory"]


def test_wide_table_keeps_labels_for_every_entity(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=40)
    table = pd.DataFrame({"day": days, "NORTH_MW": range(40), "SOUTH_MW": range(40), "label": [0] * 39 + [1]})
    table.loc[:9, "NORTH_MW"] = np.nan
    table.to_csv(tmp_path / "wide.csv", index=False)
    dataset = load([tmp_path / "wide.csv"])
    assert (dataset.layout, dataset.unit, len(dataset)) == ("wide_series", "MW", 70)
    assert dataset.labels is not None
    assert dataset.labels.groupby("entity", observed=True).sum().tolist() == [1, 1]


def test_numbered_columns_are_told_and_become_entities_on_request(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=30)
    table = pd.DataFrame({"day": days, **{f"MT_{number:03d}": np.arange(30.0) for number in range(1, 5)}})
    table.to_csv(tmp_path / "meters.csv", index=False)
    dataset = load([tmp_path / "meters.csv"])
    assert (dataset.layout, [note.kind for note in dataset.notes]) == ("tidy_series", ["uncertain_layout"])
    chosen = load([tmp_path / "meters.csv"], ReadOptions(layout="wide_series"))
    assert (chosen.entities, chosen.notes) == (["MT_001", "MT_002", "MT_003", "MT_004"], ())


# ---- line breaks in cells -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_header_with_a_line_break_is_one_row(end: str, tmp_path: Path) -> None:
    lines = ["Title of the export", 'date,"load', '(MW)",note', "2024-01-01,5,a", "2024-01-02,6,b", "2024-01-03,7,c"]
    (tmp_path / "a.csv").write_bytes(end.join(lines).encode())
    dataset = load([tmp_path / "a.csv"])
    assert (dataset.columns, dataset.unit, dataset.values[:, 0].tolist()) == (["load (MW)"], "MW", [5, 6, 7])


def test_line_break_in_the_last_cell_is_no_line_below_the_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('x,y,name\n0.0,0,Ne\n0.5,1,"N\ne"\n')
    dataset = load([tmp_path / "a.csv"], ReadOptions(roles=("name=entity",)))
    assert (dataset.entities, len(dataset), dataset.notes) == (["N\ne", "Ne"], 2, ())


def test_date_by_name_is_the_time_beside_an_identifier_that_looks_like_one(tmp_path: Path) -> None:
    rows = [f"2024-03-{day:02d}T00:00:00-11;2024-03-{day:02d};{day}" for day in range(1, 20)]
    (tmp_path / "a.csv").write_text("ID;Date;TMoy (°C)\n" + "\n".join(rows), encoding="utf-8")
    dataset = load([tmp_path / "a.csv"])
    assert (list(dataset.time), dataset.zone) == (list(pd.date_range("2024-03-01", periods=19)), "")
