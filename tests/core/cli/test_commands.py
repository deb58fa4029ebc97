"""The command line, each command in a process of its own."""

import json
from pathlib import Path

import pandas as pd
import pytest

from core.data.dataset import Dataset
from tests.conftest import Command, find_free_port
from tests.support.commands import assert_one_line_error, run_vigie, run_vigie_afresh


@pytest.fixture(scope="module")
def sample_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert run_vigie(folder, "sample", "gas_daily", "--out", folder / "gas.csv").returncode == 0
    return folder / "gas.csv"


def test_doctor_command_on_gas_files(vigie: Command, gas_files: list[Path]) -> None:
    process = vigie("doctor", *gas_files, "--json")
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    finding_by_kind = {finding["kind"]: finding for finding in answer["findings"]}
    assert (answer["rows"], answer["entities"]) == (33_720, 15)
    assert (answer["dates"], answer["incomplete_rows"]) == (2_262, 45)
    assert (answer["strike_dates"], answer["strike_rows"]) == (131, 1_929)
    assert finding_by_kind["clock_change_zeros"]["count"] == 18
    assert finding_by_kind["isolated_spikes"]["count"] == 8
    [cell] = finding_by_kind["gross_outliers"]["where"]
    assert (cell["time"], cell["entity"], cell["column"]) == ("2021-06-29", "GRTgaz · pays de la loire", "19:00")
    assert cell["value"] == pytest.approx(1_045_440.182)
    shifts = finding_by_kind["shifted_hours"]["where"]
    assert {(shift["from"], shift["to"]) for shift in shifts} == {
        ("2018-06-01", "2022-04-30"),
        ("2022-06-01", "2023-05-31"),
    }
    assert {shift["shift_hours"] for shift in shifts} == {6.0}
    assert len({shift["entity"] for shift in shifts}) == 12


def test_doctor_command_on_rows_without_dates(vigie: Command, tmp_path: Path) -> None:
    path = tmp_path / "kpis.csv"
    assert vigie("sample", "kpi_matrix", "--out", path).returncode == 0
    assert "7,200 rows, 1 entities, no dates, no unit, layout kpi_matrix" in vigie("doctor", path).stdout
    help_text = " ".join(vigie("doctor", "--help").stdout.replace("│", " ").split())
    assert "NPZ, SEQ, NetMob23" in help_text


def test_commands_take_layout_and_roles(vigie: Command, tmp_path: Path) -> None:
    """A file with two readings: the command says which one it took, and another one can be given."""
    path = tmp_path / "meters.csv"
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d")
    rows = [(day, number, number + position) for position, day in enumerate(days) for number in (7, 8)]
    pd.DataFrame(rows, columns=["day", "pump", "flow"]).to_csv(path, index=False)
    process = vigie("doctor", path, "--json")
    answer = json.loads(process.stdout)
    assert answer["entities"] == 2
    assert "the column 'pump' tell rows with the same time apart" in process.stderr
    assert "(--role COLUMN=ROLE)" in process.stderr
    assert [column["role"] for column in answer["read_columns"]] == ["time", "entity", "measure"]
    answer = json.loads(vigie("doctor", path, "--role", "pump=measure", "--json").stdout)
    assert (answer["entities"], answer["columns"]) == (1, 2)
    process = vigie("doctor", path, "--json")
    assert "read with other options before: --role=pump=measure" in process.stderr
    answer = json.loads(vigie("doctor", path, "--layout", "kpi_matrix", "--role", "day=ignore", "--json").stdout)
    assert answer["dates"] == 0
    assert_one_line_error(vigie("doctor", path, "--role", "pump=king"), 2, "Accepted: COLUMN=ROLE")
    assert_one_line_error(vigie("doctor", path, "--role", "valve=entity"), 2, "'valve'")


def test_detect_command_on_gas_files(gas_files: list[Path], tmp_path: Path) -> None:
    """A new process in a new data folder, as a user starts it."""
    out = tmp_path / "scores.csv"
    process = run_vigie_afresh(
        tmp_path / "data",
        *("detect", *gas_files, "--detector", "isolation-forest", "--baseline", "everything"),
        *("--contamination", "0.01", "--out", out, "--json"),
    )
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    assert (answer["metrics"]["rows"], answer["metrics"]["anomalies"]) == (33_675, 337)
    keys = {"run_id", "recorded", "metrics", "notes", "seconds", "emissions_kg", "incidents", "promise_kept"}
    assert set(answer) == keys
    assert answer["incidents"][0]["explanation"]
    assert answer["recorded"] is True
    scores = pd.read_csv(out)
    assert len(scores) == 33_675
    assert scores["score"].is_monotonic_decreasing
    assert scores["anomaly"].sum() == 337


def test_detect_command_applies_model(vigie: Command, sample_file: Path, tmp_path: Path) -> None:
    first = json.loads(vigie("detect", sample_file, "--set", "share=0.8", "--contamination", 0.02, "--json").stdout)
    out = tmp_path / "scores.parquet"
    second = vigie("detect", sample_file, "--model", first["run_id"], "--out", out, "--json")
    assert second.returncode == 0, second.stderr
    answer = json.loads(second.stdout)
    assert answer["metrics"]["anomalies"] == first["metrics"]["anomalies"]
    assert answer["run_id"] != first["run_id"]
    assert len(pd.read_parquet(out)) == answer["metrics"]["rows"]


def test_doctor_command_replays_recipe(vigie: Command, sample_file: Path, tmp_path: Path) -> None:
    findings = json.loads(vigie("doctor", sample_file, "--json").stdout)["findings"]
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps([finding["repairs"][0] for finding in findings if finding["repairs"]]))
    clean = tmp_path / "clean.parquet"
    process = vigie("doctor", sample_file, "--recipe", recipe, "--out", clean, "--json")
    answer = json.loads(process.stdout)
    assert answer["incomplete_rows"] == 0
    assert len(pd.read_parquet(clean)) == answer["rows"]
    detection = vigie("detect", clean, "--json")
    assert detection.returncode == 0, detection.stderr


def test_command_prints_readable_text(vigie: Command, sample_file: Path) -> None:
    assert "incomplete_rows" in vigie("doctor", sample_file).stdout
    output = vigie("detect", sample_file).stdout
    assert "anomalies in" in output
    assert "g CO2" in output
    assert vigie("--help").stdout.count("│") > 4 or "doctor" in vigie("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["doctor", "absent.csv"], "absent.csv"),
        (["detect", "absent.csv"], "absent.csv"),
        (["detect", "SAMPLE", "--detector", "oracle"], "isolation-forest"),
        (["detect", "SAMPLE", "--contamination", "0.7"], "0 to 0.5"),
        (["detect", "SAMPLE", "--set", "share"], "NAME=VALUE"),
        (["detect", "SAMPLE", "--set", "trees=3"], "share"),
        (["detect", "SAMPLE", "--baseline", "moon"], "calendar"),
        (["detect", "SAMPLE", "--out", "scores.xls"], "parquet"),
        (["doctor", "SAMPLE", "--recipe", "absent.json"], "absent.json"),
        (["sample", "weather"], "gas_daily"),
    ],
)
def test_command_reports_invalid_input_in_one_line(
    vigie: Command, sample_file: Path, arguments: list[str], words: str
) -> None:
    process = vigie(*[str(sample_file) if argument == "SAMPLE" else argument for argument in arguments])
    assert process.returncode == 2
    assert process.stdout == ""
    assert words in process.stderr
    assert "Traceback" not in process.stderr
    if "moon" not in arguments:  # Typer draws a box around its own message
        assert len(process.stderr.strip().splitlines()) == 1


def test_detect_command_reports_unknown_run(vigie: Command, sample_file: Path) -> None:
    process = vigie("detect", sample_file, "--model", "f" * 32)
    assert process.returncode == 1
    assert "was not found" in process.stderr


def test_worker_command_delivers_pending_runs(tmp_path: Path, sample: Dataset, empty_store: Path) -> None:
    from tests.conftest import create_workspace
    from tests.mlflow_utils.test_tracking import track_small_run

    folder = tmp_path / "data"
    folder.mkdir()
    workspace = create_workspace(folder, empty_store, f"http://127.0.0.1:{find_free_port()}")
    track_small_run(1, sample, workspace)
    assert len(workspace.tracking.spool.list_pending()) == 1
    process = run_vigie(folder, "worker", "--once")
    assert process.returncode == 0, process.stderr
    assert "1 runs delivered" in process.stderr
    assert workspace.tracking.spool.list_pending() == []


def test_commands_write_csv_in_chosen_form(vigie: Command, tmp_path: Path) -> None:
    """A file for a French spreadsheet is the same dataset; the command that writes it reads it, too."""
    french, english = tmp_path / "french.csv", tmp_path / "english.csv"
    assert vigie("sample", "tidy_series", "--out", french, "--csv-format", "comma").returncode == 0
    assert ";" in french.read_text(encoding="utf-8-sig").splitlines()[0]
    out = tmp_path / "out.csv"
    for target, options in ((out, ("--csv-format", "comma")), (english, ())):
        process = vigie("doctor", french, "--out", target, *options)
        assert process.returncode == 0, process.stderr
    pd.testing.assert_frame_equal(pd.read_csv(out, sep=";", decimal=","), pd.read_csv(english))
    process = vigie("detect", french, "--csv-format", "tab")
    assert_one_line_error(process, 2, "--csv-format = 'tab' is not accepted. Accepted: point, comma")
