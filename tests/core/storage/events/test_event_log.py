"""The event log: the published schema, files under stress, and one event for each action."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from core import __version__
from core.actor import Actor
from core.data.dataset import Dataset
from core.operations.feedback import FeedbackInput, submit_feedback
from core.runs.tracked_run import Run, record_event, track_run
from core.settings import ROOT
from core.storage.events.log import Details, Event, EventLog, build_event_schema
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.support.commands import start_code

ACTOR = Actor("ada", "Vigie test")
APPEND_SCRIPT = """
import sys
from pathlib import Path
from core.storage.events.log import Event, EventLog
log = EventLog(Path(sys.argv[1]))
for number in range(500):
    log.add(Event(event=f"{sys.argv[2]} {number}", status="completed", log_level="INFO", response_time=0,
                  error_message="é" * 300))
"""


def make_event(**fields: Any) -> Event:
    return Event(**{"event": "data_load", "status": "completed", "log_level": "INFO", "response_time": 0.5, **fields})


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Read the files without Vigie: one JSON object per line, without NaN or Infinity."""
    raw = b"".join(path.read_bytes() for path in sorted(folder.glob("events-*.jsonl")))
    return [json.loads(line, parse_constant=pytest.fail) for line in raw.decode().split("\n") if line]


def validate_event(written: dict[str, Any]) -> None:
    published = json.loads((ROOT / "docs" / "event.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(published).validate(written)
    assert written["timestamp"].endswith("Z")
    assert datetime.fromisoformat(written["timestamp"]).tzinfo == UTC


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "events")


# ---- the schema ----------------------------------------------------------------------------------------------------

UNIFIED_LOG = {
    "timestamp": "2024-09-17T10:12:34.123Z",
    "event": "model_execution",
    "model_name": "IsolationForest",
    "model_version": "1.0.0",
    "application_name": "AnomalyDetectionApp",
    "response_time": 1.345,
    "log_level": "INFO",
    "status": "completed",
    "cpu_usage": 15.2,
    "memory_usage": 62.5,
    "details": {
        "anomalies_count": 5,
        "noise_points_count": 2,
        "successful_predictions": 10,
        "failed_predictions": 1,
        "inputs": {"region": "Île-de-France", "social_movement": 1, "month": 9, "day_of_week": 2},
    },
}
"""Unified log of the earlier dashboards, whose users read these fields."""


@pytest.mark.parametrize("field", [*UNIFIED_LOG, *(f"details.{name}" for name in UNIFIED_LOG["details"])])  # type: ignore[attr-defined]
def test_field_of_the_unified_log_is_kept(field: str) -> None:
    validate_event(UNIFIED_LOG)
    written = json.loads(Event.model_validate(UNIFIED_LOG).to_json_line())
    expected: Any = UNIFIED_LOG
    for name in field.split("."):
        written, expected = written[name], expected[name]
    if field == "timestamp":
        assert datetime.fromisoformat(written) == datetime.fromisoformat(expected)
    elif field == "details":
        assert written.keys() >= expected.keys()
    else:
        assert written == expected


def test_event_schema_matches_published_file() -> None:
    published = (ROOT / "docs" / "event.schema.json").read_text(encoding="utf-8")
    assert json.loads(published) == build_event_schema()
    assert published.rstrip("\n") == json.dumps(build_event_schema(), indent=2)


def test_event_schema_is_valid_and_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(build_event_schema())
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        validate_event({**json.loads(make_event().to_json_line()), "surprise": 1})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"status": "failed", "log_level": "ERROR", "error_type": "ValueError", "error_message": 'no\n"rows" <b>é</b>'},
        {"status": "interrupted", "log_level": "WARNING", "model_name": "IsolationForest", "run_id": "a" * 32},
        {"cpu_usage": 640.0, "memory_usage": 99.9},  # the sum over all cores may exceed 100 %
        {"details": Details(anomalies_count=3, successful_predictions=100)},
        {"details": Details(inputs={"file_names": ["a.csv"], "share": 0.01, "seed": None, "where": Path("a")})},
        {"details": Details(inputs={"no number": float("nan")})},
        {"timestamp": datetime.fromisoformat("2026-11-22T01:30:00+02:00")},
    ],
)
def test_event_log_lines_follow_schema(log: EventLog, given: dict[str, Any]) -> None:
    log.add(make_event(**given))
    (written,) = read_lines(log.folder)
    validate_event(written)
    (again,) = log.read_events()
    assert (again.event, again.status, again.error_message) == (
        "data_load",
        written["status"],
        written["error_message"],
    )


def test_event_log_writes_utc() -> None:
    line = json.loads(make_event(timestamp=datetime.fromisoformat("2026-11-22T01:30:00+02:00")).to_json_line())
    assert line["timestamp"] == "2026-11-21T23:30:00.000000Z"


def test_event_log_has_one_file_per_month(log: EventLog) -> None:
    for month in (1, 12):
        log.add(make_event(timestamp=datetime(2026, month, 15, tzinfo=UTC)))
    assert [path.name for path in sorted(log.folder.iterdir())] == ["events-2026-01.jsonl", "events-2026-12.jsonl"]
    assert [event.timestamp.month for event in log.read_events()] == [1, 12]


# ---- the log under stress ------------------------------------------------------------------------------------------


def test_event_log_two_processes_write_whole_lines(log: EventLog) -> None:
    writers = [start_code(APPEND_SCRIPT, log.folder, name) for name in ("left", "right")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(read_lines(log.folder)) == 1000
    assert len({event.event for event in log.read_events()}) == 1000


def test_event_log_warns_if_folder_is_read_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        EventLog(tmp_path / "file" / "events").add(make_event())
    assert "event not written" in caplog.text


def test_event_log_reads_missing_folder_as_empty(log: EventLog) -> None:
    assert log.read_events() == []


def write_truncated_event(log: EventLog, text: str, end: bytes) -> None:
    """Write a whole event, then an event that a crash has cut off after these bytes."""
    log.add(make_event(event="whole"))
    (path,) = log.folder.iterdir()
    line = make_event(event="cut", error_message=text).to_json_line().encode()
    with path.open("ab") as file:
        file.write(line[: line.index(end) + len(end)])


def test_event_log_skips_truncated_line(log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    write_truncated_event(log, "reason", end=b"rea")
    assert [event.event for event in log.read_events()] == ["whole"]
    assert "unreadable event" in caplog.text


def test_event_log_skips_line_truncated_inside_letter(log: EventLog) -> None:
    log.add(make_event(event="whole"))
    (path,) = log.folder.iterdir()
    with path.open("ab") as file:
        file.write(b'{"event": "caf' + "é".encode()[:1])
    assert [event.event for event in log.read_events()] == ["whole"]


def test_event_log_keeps_event_after_crash(log: EventLog) -> None:
    write_truncated_event(log, "reason", end=b"rea")
    log.add(make_event(event="next"))
    assert [event.event for event in log.read_events()] == ["whole", "next"]


def test_event_log_keeps_unicode_line_separators(log: EventLog) -> None:
    log.add(make_event(error_message="one\u2028two\x85three"))
    assert [event.error_message for event in log.read_events()] == ["one\u2028two\x85three"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(np.float64(0.5), id="number"),
        pytest.param(pd.Timestamp("2026-01-01"), id="time"),
        pytest.param(np.int64(3), id="count"),
        pytest.param(object(), id="object"),
        pytest.param("\udce9.csv", id="file name"),
    ],
)
def test_event_log_accepts_any_input(log: EventLog, value: object) -> None:
    log.add(make_event(details=Details(inputs={"value": value})))
    validate_event(*read_lines(log.folder))


# ---- events of actions ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    """MLflow store of all tests, because creating its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    return Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artefacts").as_uri(), folder / "runs")


@pytest.fixture
def workspace(tracking: Tracking, tmp_path: Path) -> Workspace:
    return Workspace.in_folder(tmp_path, tracking)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    hours = pd.date_range("2026-01-01", periods=4, freq="h")
    index = pd.MultiIndex.from_product([["north"], hours], names=["entity", "time"])
    return Dataset(pd.DataFrame({"load": [1.0, 2.0, 3.0, 40.0]}, index), layout="tidy_series", files=("load é.csv",))


def work_in_run(run: Run, error: BaseException | None) -> None:
    """Do the work of a run: write an artifact, a metric and a count, and raise `error` if there is one."""
    (run.folder / "answer.txt").write_text("42")
    run.metrics["anomalies"] = 1.0
    run.details["anomalies_count"] = 1
    if error is not None:
        raise error


@pytest.mark.parametrize(
    ("error", "status", "level", "in_mlflow"),
    [
        (None, "completed", "INFO", "FINISHED"),
        (ValueError("no rows left"), "failed", "ERROR", "FAILED"),
        (KeyboardInterrupt(), "interrupted", "WARNING", "KILLED"),
        (SystemExit(1), "interrupted", "WARNING", "KILLED"),
    ],
    ids=["completed", "failed", "interrupted", "ended"],
)
def test_run_is_one_event_and_one_mlflow_run(
    workspace: Workspace,
    dataset: Dataset,
    request: pytest.FixtureRequest,
    error: BaseException | None,
    status: str,
    level: str,
    in_mlflow: str,
) -> None:
    experiment, caught = request.node.callspec.id, None
    try:
        with track_run(experiment, "isolation-forest", {"trees": 100}, dataset, ACTOR, workspace) as run:
            work_in_run(run, error)
    except BaseException as raised:  # noqa: BLE001 any exception must be raised again
        caught = raised
    assert caught is error

    (written,) = read_lines(workspace.events.folder)
    validate_event(written)
    assert (written["event"], written["status"], written["log_level"]) == ("model_execution", status, level)
    assert (written["model_name"], written["application_name"]) == ("isolation-forest", "Vigie test")
    assert (written["application_version"], written["model_version"]) == (__version__, written["run_id"])
    failed = isinstance(error, Exception)
    assert written["error_type"] == (type(error).__name__ if failed else None)
    assert written["error_message"] == (str(error) if failed else None)
    assert written["details"]["anomalies_count"] == 1
    assert written["details"]["inputs"] == {
        "trees": 100,
        "file_names": ["load é.csv"],
        "dataset": dataset.digest,
        "columns": ["load"],
    }
    assert 0 <= run.seconds <= written["response_time"]

    client = workspace.tracking.open_client()
    (mlflow_run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert (run.delivered, mlflow_run.info.run_id, mlflow_run.info.status) == (True, run.id, in_mlflow)
    assert written["run_id"] == run.id
    assert mlflow_run.data.params == {"trees": "100"}
    assert mlflow_run.data.metrics["anomalies"] == 1.0
    assert mlflow_run.data.tags["user"] == "ada"
    assert [artifact.path for artifact in client.list_artifacts(run.id)] == ["answer.txt", "checksums.json"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "completed"), (ValueError("bad file"), "failed"), (KeyboardInterrupt(), "interrupted")],
    ids=["completed", "failed", "interrupted"],
)
def test_action_without_model_is_one_event(workspace: Workspace, error: BaseException | None, status: str) -> None:
    caught = None
    try:
        with record_event("data_load", ACTOR, workspace, files=["a.csv"]) as inputs:
            inputs["rows"] = 12
            if error is not None:
                raise error
    except BaseException as raised:  # noqa: BLE001 any exception must be raised again
        caught = raised
    assert caught is error
    (written,) = read_lines(workspace.events.folder)
    validate_event(written)
    assert (written["event"], written["status"], written["run_id"]) == ("data_load", status, None)
    assert written["details"]["inputs"] == {"files": ["a.csv"], "rows": 12}


def test_unwritable_event_log_keeps_result(
    tracking: Tracking, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    unwritable_workspace = replace(
        Workspace.in_folder(tmp_path, tracking), events=EventLog(tmp_path / "file" / "events")
    )
    with track_run("no log", "isolation-forest", {}, dataset, ACTOR, unwritable_workspace) as run:
        work_in_run(run, None)
    assert (run.status, run.delivered) == ("completed", True)
    assert "events of runs wait" in caplog.text


def test_event_and_feedback_name_the_model_that_a_run_applies(workspace: Workspace, dataset: Dataset) -> None:
    """Its registered version, newest first, or the run that trained it."""
    with track_run("anomalies", "isolation-forest", {}, dataset, ACTOR, workspace) as trained:
        pass

    def give_feedback(run_id: str) -> str | None:
        submit_feedback(FeedbackInput("anomalies", run_id, rating=4), workspace=workspace, actor=ACTOR)
        return workspace.feedback.read_records()[-1].model_version

    def apply_model() -> str | None:
        with track_run("anomalies", "isolation-forest", {"model_run": trained.id}, dataset, ACTOR, workspace) as run:
            pass
        version = workspace.events.read_events()[-1].model_version
        assert version == give_feedback(run.id) == give_feedback(trained.id)
        return version

    assert apply_model() == trained.id
    client = workspace.tracking.open_client()
    client.create_registered_model("gas")
    for number in (1, 2):
        client.create_model_version("gas", f"runs:/{trained.id}/model", trained.id)
        assert apply_model() == f"gas/{number}"
