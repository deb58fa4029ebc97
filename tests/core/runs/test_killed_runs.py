"""Runs of killed processes: whatever the step at which the process dies, runs and events agree."""

from collections import Counter
from pathlib import Path

import pytest

from core.actor import Actor
from core.data.dataset import Dataset
from core.outbox import deliver
from core.runs.tracked_run import track_run
from core.storage.events.log import Event, EventLog
from core.storage.events.run_events import write_run_events
from core.workspace import Workspace
from mlflow_utils.run_record import Record
from mlflow_utils.runs import list_latest_runs
from tests.conftest import find_free_port
from tests.support.commands import run_module

CORE_FILES = ("core/runs/tracked_run.py", "core/storage/events/run_events.py", "core/storage/events/log.py")
SPOOL_FILES = ("mlflow_utils/spool.py",)
TRACKING_FILES = ("mlflow_utils/tracking.py",)


def kill_at_every_step(workspace: Workspace, uri: str, stride: int, *files: str) -> int:
    """Kill runs at every `stride`-th step in the files; return the number of started processes."""
    process = run_module("tests.support.killed_runs", workspace.folder, uri, stride, *files)
    assert process.returncode == 0, process.stderr
    return int(process.stdout)


def track_numbered_run(number: int, dataset: Dataset, workspace: Workspace) -> None:
    with track_run("tests", "Nothing", {"number": number}, dataset, Actor("alice", "tests"), workspace):
        pass


def get_number(event: Event) -> int:
    return int(event.details.inputs["number"])


def check_runs_have_one_event_each(workspace: Workspace) -> list[Record]:
    """Check that the spool and the log tell the same, and that MLflow has each run once; return the runs."""
    write_run_events(workspace.tracking.spool, workspace.events)
    runs = workspace.tracking.spool.list_newest(10_000)
    events = workspace.events.read_events()
    assert Counter(map(get_number, events)) == Counter(int(run.params["number"]) for run in runs)
    assert {get_number(event): event.status for event in events} == {
        int(run.params["number"]): run.status for run in runs
    }
    deliver(workspace)
    assert workspace.tracking.spool.list_pending() == []
    delivered = list_latest_runs(workspace.tracking, "tests", limit=10_000)
    assert sorted(int(run.params["number"]) for run in delivered) == sorted(int(run.params["number"]) for run in runs)
    assert [get_number(event) for event in workspace.events.read_events()] == [get_number(event) for event in events]
    return runs


@pytest.mark.parametrize("files", [CORE_FILES, SPOOL_FILES], ids=["core", "spool"])
def test_killed_run_has_exactly_one_event(files: tuple[str, ...], workspace: Workspace) -> None:
    started = kill_at_every_step(workspace, f"http://127.0.0.1:{find_free_port()}", 1, *files)
    runs = check_runs_have_one_event_each(workspace)
    statuses = Counter(run.status for run in runs)
    assert started > 40
    assert statuses["interrupted"] > 5, "killed before they were stored"
    assert statuses["completed"] > 10, "killed after their end was stored"


def test_run_killed_while_mlflow_is_told_has_exactly_one_event(workspace: Workspace) -> None:
    started = kill_at_every_step(workspace, workspace.tracking.uri, 9, *TRACKING_FILES, *SPOOL_FILES)
    assert started > 20
    assert len(check_runs_have_one_event_each(workspace)) > 20


def test_event_that_the_disk_refuses_is_written_later(workspace: Workspace, sample: Dataset) -> None:
    workspace.events.folder.parent.mkdir(exist_ok=True)
    workspace.events.folder.write_text("no folder")
    track_numbered_run(1, sample, workspace)
    workspace.events.folder.unlink()
    track_numbered_run(2, sample, workspace)
    assert [get_number(event) for event in workspace.events.read_events()] == [1, 2]


def test_event_cut_by_a_power_cut_is_written_again(tmp_path: Path, workspace: Workspace, sample: Dataset) -> None:
    track_numbered_run(1, sample, workspace)
    [file] = workspace.events.list_files()
    line = file.read_text()
    assert workspace.events.has_line(line)
    file.write_text(line[: len(line) // 2])
    assert not workspace.events.has_line(line)
    EventLog(file.parent).add_line(line)
    assert [get_number(event) for event in workspace.events.read_events()] == [1]
