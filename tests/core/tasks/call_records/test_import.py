"""Import of call records as a run: dataset, result, command, job, and what never leaves the records."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from core.actor import Actor
from core.data.call_records.simulator import CallSimulator
from core.data.ingest.loading import load
from core.errors import OptionError
from core.progress import Progress
from core.runs.card_data import describe_result
from core.runs.result import RESULT_FOLDER, load_mode_result
from core.runs.stored_runs import load_run, load_task_result
from core.spec.codec import encode
from core.spec.command_line import reproduce_command
from core.spec.task import get_task, run_job
from core.tasks.call_records.import_run import import_records
from core.tasks.call_records.import_spec import ImportSpec
from core.workspace import Workspace
from tests.support.commands import assert_one_line_error, read_json_output, run_vigie

ALICE = Actor("alice", "tests")
PRIVATE = ("3314209", "Customer 1 Ltd", "CUSTOMER_NAME", "CALLING_NUMBER")
CALL = "CDR_ID,ORIG_T1T7,DURATION,Call_Start_Time\n1,T1,748,2020-08-30T22:43:32Z\n2,T1,-1,2020-08-30T22:43:32Z\n"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """File of two days of records on three trunks."""
    path = tmp_path / "calls.parquet"
    CallSimulator(trunks=3, days=2, calls_per_hour=40).write_parquet(path)
    return path


def test_import_stores_counts_as_dataset(records: Path, workspace: Workspace) -> None:
    result, run = import_records(ImportSpec((str(records),), by="trunk"), workspace=workspace, actor=ALICE)
    dataset = workspace.datasets.load(result.dataset)
    assert dataset.entities == ["T001", "T002", "T003"]
    assert (dataset.step, dataset.zone, dataset.files) == (pd.Timedelta("15min"), "UTC", ("calls.parquet",))
    assert dataset.digest == result.dataset
    assert dataset.frame["total"].sum() == result.records == result.metrics()["calls"]
    stored = load_task_result(run.id, workspace)
    pd.testing.assert_frame_equal(stored.to_frame(), result.counts, check_categorical=False)
    assert describe_result("call_records", stored).counts["trunks"] == 3
    assert load_run(run.id, workspace).record.metrics["records"] == result.records


def test_private_columns_are_in_no_event_run_dataset_or_export(
    records: Path, workspace: Workspace, tmp_path: Path
) -> None:
    """Masked numbers and customer names stay in the records, also where an import fails."""
    assert pd.read_parquet(records)["CUSTOMER_NAME"].isin(PRIVATE).any()
    result, _ = import_records(ImportSpec((str(records),), by="trunk"), workspace=workspace, actor=ALICE)
    result.to_frame().to_csv(tmp_path / "export.csv")
    (tmp_path / "headless.csv").write_text("1,T1,331420901XXX,Customer 1 Ltd\n" * 2, encoding="utf-8")
    for spec in (
        ImportSpec((str(tmp_path / "headless.csv"),)),
        ImportSpec((str(records),), by="trunk", trunk_column="CUSTOMER_NAME"),
    ):
        with pytest.raises(Exception, match=r"headless|never read"):
            import_records(spec, workspace=workspace, actor=ALICE)
    written = [
        path for path in tmp_path.rglob("*") if path.is_file() and path not in (records, tmp_path / "headless.csv")
    ]
    assert len(written) > 5
    for path in written:
        content = path.read_bytes()
        assert not any(text.encode() in content for text in PRIVATE[:2]), path
    for path in written:  # Parquet files are compressed
        if path.suffix == ".parquet":
            assert not set(PRIVATE) & {*pd.read_parquet(path).columns}
            assert not pd.read_parquet(path).astype(str).isin(PRIVATE).any(axis=None)


def test_import_tells_what_does_not_count(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "day.csv").write_text(CALL, encoding="utf-8")
    result, _ = import_records(ImportSpec((str(tmp_path / "calls"),)), workspace=workspace, actor=ALICE)
    assert (result.records, dict(result.rejected)) == (2, {"duration": 1})
    [note] = [str(note) for note in result.notes]
    assert note == "1 of 2 records has a negative or no duration and does not count."
    assert [str(note.message) for note in workspace.datasets.load(result.dataset).notes] == [note]


def test_intervals_after_the_last_start_are_left_out_of_a_long_import(workspace: Workspace, tmp_path: Path) -> None:
    """Nobody knows whether calls began there, so they must not look like an outage."""
    lines = [*CALL.splitlines()[:2], "3,T1,7200,2020-09-01T10:00:00Z"]
    (tmp_path / "calls.csv").write_text("\n".join(lines), encoding="utf-8")
    spec = ImportSpec((str(tmp_path / "calls.csv"),))
    result, _ = import_records(spec, workspace=workspace, actor=ALICE)
    assert result.last == "2020-09-01 10:00:00+00:00"
    assert "last 7 intervals" in str(result.notes[0])
    spec = ImportSpec((str(tmp_path / "calls.csv"),), end="2020-09-01")
    result, _ = import_records(spec, workspace=workspace, actor=ALICE)
    assert (result.last, result.notes) == ("2020-09-01 23:45:00+00:00", ())


def test_import_runs_as_job(records: Path, workspace: Workspace) -> None:
    arguments = json.loads(json.dumps(encode(ImportSpec((str(records),)))))
    run_id = run_job("call_records", arguments, workspace=workspace, actor=ALICE, progress=Progress())
    result = load_task_result(run_id, workspace)
    assert result.to_frame()["trunk"].unique().tolist() == ["all"]
    assert reproduce_command(get_task("call_records"), result.spec) == (
        f"python -m core calls import {records} --interval=15min --by=all"
    )


def test_mode_can_have_a_result_of_its_own(records: Path, workspace: Workspace) -> None:
    """The spec of a stored result tells its class, so one task can have results of several kinds."""
    task = get_task("call_records")
    own = replace(task, result="core.tasks.batch.result:BatchScoringResult")
    assert own.get_result_entry("ImportSpec").endswith(":ImportResult")
    assert own.get_result_entry("OtherSpec").endswith(":BatchScoringResult")
    result, run = import_records(ImportSpec((str(records),)), workspace=workspace, actor=ALICE)
    loaded = load_mode_result(own, load_run(run.id, workspace).files / RESULT_FOLDER)
    assert type(loaded) is type(result)


def test_command_writes_counts_that_load_back(records: Path, workspace: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "counts.csv"
    process = run_vigie(
        tmp_path, "calls", "import", records, "--by", "trunk", "--out", out, "--json", MLFLOW_TRACKING_URI=""
    )
    answer = read_json_output(process)
    assert answer["metrics"]["trunks"] == 3
    dataset = load([out])
    assert dataset.frame["total"].sum() == answer["metrics"]["calls"]
    process = run_vigie(tmp_path, "calls", "import", MLFLOW_TRACKING_URI="")
    assert_one_line_error(process, 2, "Give files with call records, or --elasticsearch.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"records": (), "elasticsearch": ""}, "Give files with call records"),
        ({"elasticsearch": "http://localhost:9200"}, "only one of these options: FILE / --elasticsearch"),
        ({"index": "calls-*"}, "--index cannot be combined with FILE"),
        ({"interval": "7min"}, "interval = '7min'"),
        ({"start": "2020-09-02", "end": "2020-09-01"}, "ends at 2020-09-02 00:00:00, but it starts at 2020-09-02"),
        ({"end": "soon"}, "end = 'soon'"),
        ({"cause_column": "CUSTOMER_NAME"}, "cause_column = 'CUSTOMER_NAME'"),
        ({"by": "customer"}, "by = 'customer'"),
    ],
)
def test_options_that_are_not_accepted(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        ImportSpec(**{"records": ("calls.csv",), **options}).check()
