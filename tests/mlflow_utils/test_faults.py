"""Outages of services, rejected runs and full disks: no record is lost or duplicated, and no user waits."""

import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from benchmarks.faults import (
    Services,
    count_events,
    count_feedback,
    count_pending,
    count_runs,
    run_client,
    run_schedule,
    start_services,
)
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import VigieError
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run, track_run
from core.workspace import Workspace
from mlflow_utils.tracking import MlflowUnavailableError, Tracking
from tests.conftest import assert_no_hang, deliver_all, find_free_port
from tests.support.servers import ServerProcess

pytestmark = pytest.mark.server
ALICE = Actor("alice", "tests")
ACTION_COUNT = 40
FIRST_KILLED_ACTION = 1000
"""The first number of an action of the killed process, whose records are on the same servers."""


def record(number: int, dataset: Dataset, workspace: Workspace, task: str = "tests") -> Run:
    """Record one small run."""
    with track_run(task, "Nothing", {"number": number}, dataset, ALICE, workspace) as run:
        run.metrics["number"] = number
        (run.folder / "note.txt").write_text(str(number))
    return run


# ---- MLflow, its database and its artifact store --------------------------------------------------------------------


@pytest.fixture(scope="module")
def running_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """All services, started."""
    with start_services(tmp_path_factory.mktemp("services")) as started_services:
        yield started_services


@pytest.fixture
def server_workspace(running_services: Services, tmp_path: Path) -> Workspace:
    tracking = Tracking(running_services.mlflow.url, None, tmp_path / "runs")
    tracking.preload()
    return Workspace.in_folder(tmp_path, tracking)


def list_run_numbers(running_services: Services, task: str) -> list[int]:
    """List the numbers of the task's runs on the server, sorted."""
    mlflow = MlflowClient(running_services.mlflow.url)
    experiment = mlflow.get_experiment_by_name(task)
    if experiment is None:
        return []
    return sorted(int(run.data.params["number"]) for run in mlflow.search_runs([experiment.experiment_id]))


@pytest.mark.parametrize("fault", ["killed", "frozen"])
@pytest.mark.parametrize("service", ["mlflow", "postgres", "gcs"])
def test_tracking_delivers_runs_once_after_outage(
    service: str, fault: str, running_services: Services, server_workspace: Workspace, sample: Dataset
) -> None:
    server: ServerProcess = getattr(running_services, service)
    task = f"{service} {fault}"
    record(0, sample, server_workspace, task)
    deliver_all(server_workspace)
    with (
        assert_no_hang(),
        track_run(task, "Nothing", {"number": 1}, sample, ALICE, server_workspace) as run,
    ):  # the service fails during a run
        server.kill() if fault == "killed" else server.freeze()
        (run.folder / "note.txt").write_text("1")
    for number in (2, 3, 4):
        with assert_no_hang():
            later_run = record(number, sample, server_workspace, task)
        assert not later_run.delivered
    assert len(server_workspace.tracking.spool.list_pending()) == 4
    assert load_run(run.id, server_workspace).files.joinpath("note.txt").read_text() == "1"
    server.start() if fault == "killed" else server.thaw()
    deliver_all(server_workspace)
    assert list_run_numbers(running_services, task) == [0, 1, 2, 3, 4]


def test_tracking_delivers_metrics_before_artifacts(
    running_services: Services, server_workspace: Workspace, sample: Dataset
) -> None:
    running_services.gcs.kill()
    run = record(1, sample, server_workspace, "figures")
    record(2, sample, server_workspace, "figures")
    server_workspace.tracking.wait_for_delivery(30)
    server_workspace.tracking.deliver_pending()
    stored_run = MlflowClient(running_services.mlflow.url).get_run(load_run(run.id, server_workspace).record.run_id)
    assert (stored_run.data.metrics["number"], stored_run.info.status) == (1, "FINISHED")
    assert len(server_workspace.tracking.spool.list_pending()) == 2
    assert server_workspace.tracking.spool.last_error() != ""
    running_services.gcs.start()
    deliver_all(server_workspace)
    assert list_run_numbers(running_services, "figures") == [1, 2]
    assert [file.path for file in MlflowClient(running_services.mlflow.url).list_artifacts(stored_run.info.run_id)] == [
        "checksums.json",
        "note.txt",
    ]


def test_late_create_response_does_not_duplicate_run(
    running_services: Services, server_workspace: Workspace, sample: Dataset
) -> None:
    """The server freezes after the request to create the run and responds after the client's timeout."""
    tracking, request_sent = server_workspace.tracking, threading.Event()
    create_run, tracking.__dict__["_create_run"] = tracking._create_run, None

    def create_run_while_frozen(*arguments: Any) -> Any:
        if not request_sent.is_set():
            running_services.mlflow.freeze()
            request_sent.set()
        return create_run(*arguments)

    tracking.__dict__["_create_run"] = create_run_while_frozen
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "2"
    try:
        run = record(1, sample, server_workspace, "late")
        tracking._open_calls.wait(10)
        tracking.wait_for_delivery(10)
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "15"
        running_services.mlflow.thaw()
    assert len(tracking.spool.list_pending()) == 1
    deliver_all(server_workspace)
    assert list_run_numbers(running_services, "late") == [1]
    assert tracking.spool._file.fetch_rows("SELECT times FROM create_attempts") != [(0,)]
    assert load_run(run.id, server_workspace).record.run_id in {
        stored_run.info.run_id for stored_run in _list_runs(running_services, "late")
    }


def test_tracking_merges_duplicate_runs(
    running_services: Services, server_workspace: Workspace, sample: Dataset
) -> None:
    run = record(1, sample, server_workspace, "twins")
    deliver_all(server_workspace)
    mlflow = MlflowClient(running_services.mlflow.url)
    entry = server_workspace.tracking.spool.find_run(run.id)
    assert entry is not None
    experiment = mlflow.get_experiment_by_name("twins")
    assert experiment is not None
    server_workspace.tracking.spool.record_create_attempt(entry.key)
    mlflow.create_run(experiment.experiment_id, tags={"vigie.key": entry.key})
    assert len(_list_runs(running_services, "twins")) == 2
    server_workspace.tracking.deliver_pending()
    assert [stored_run.info.run_id for stored_run in _list_runs(running_services, "twins")] == [entry.run_id]


def _list_runs(running_services: Services, task: str) -> list:  # type: ignore[type-arg]
    mlflow = MlflowClient(running_services.mlflow.url)
    experiment = mlflow.get_experiment_by_name(task)
    return list(mlflow.search_runs([experiment.experiment_id])) if experiment else []


def test_rejected_run_does_not_block_queue(
    running_services: Services, server_workspace: Workspace, sample: Dataset
) -> None:
    with track_run("refused", "Nothing", {"number": 0, "x" * 300: 1}, sample, ALICE, server_workspace) as run:
        run.metrics["number"] = 0
    for number in (1, 2):
        record(number, sample, server_workspace, "refused")
    server_workspace.tracking.wait_for_delivery(30)
    for _ in range(2):
        server_workspace.tracking.deliver_pending()
    assert [entry.key for entry in server_workspace.tracking.spool.list_pending()] == [run.key]
    assert "Param key" in server_workspace.tracking.spool.last_error()


# ---- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Folder on a disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("mounting a disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_disk(disk: Path) -> Path:
    """Fill the disk; return the file that fills it."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    return ballast


def _fill_disk_during_run(workspace: Workspace, dataset: Dataset) -> None:
    with track_run("tests", "Nothing", {"number": 1}, dataset, ALICE, workspace) as run:
        fill_disk(workspace.folder)
        (run.folder / "note.txt").write_text("1" * 10_000)


def test_tracked_run_reports_full_disk(small_disk: Path, sample: Dataset) -> None:
    workspace = Workspace.in_folder(
        small_disk, Tracking(f"http://127.0.0.1:{find_free_port()}", None, small_disk / "runs")
    )
    saved_run = record(0, sample, workspace)
    with pytest.raises(VigieError, match="full"):
        _fill_disk_during_run(workspace, sample)
    with pytest.raises(VigieError, match="full"):
        record(2, sample, workspace)
    assert load_run(saved_run.id, workspace).files.joinpath("note.txt").read_text() == "0"
    assert Tracking(workspace.tracking.uri, None, small_disk / "runs").spool.find_run(saved_run.key) is not None, (
        "a new process cannot find the run"
    )

    (small_disk / "ballast").unlink()
    record(3, sample, workspace)
    workspace.tracking.deliver_pending()
    statuses = {entry.params["number"]: entry.status for entry in workspace.tracking.spool.list_pending()}
    assert statuses == {0: "completed", 1: "failed", 2: "failed", 3: "completed"}


def test_tracked_run_keeps_result_on_full_disk(small_disk: Path, sample: Dataset) -> None:
    workspace = Workspace.in_folder(
        small_disk, Tracking(f"http://127.0.0.1:{find_free_port()}", None, small_disk / "runs")
    )
    with track_run("tests", "Nothing", {"number": 1}, sample, ALICE, workspace) as run:
        (run.folder / "note.txt").write_text("the answer")
        ballast = fill_disk(small_disk)
    assert load_run(run.id, workspace).files.joinpath("note.txt").read_text() == "the answer"
    ballast.unlink()
    workspace.tracking.deliver_pending()
    [entry] = workspace.tracking.spool.list_pending()
    assert (entry.status, entry.key) == ("completed", run.key)


def test_full_disk_leaves_no_store_with_some_of_its_tables(small_disk: Path) -> None:
    """MLflow creates its tables one by one: what it had begun could neither be used nor upgraded afterwards."""
    tracking, store = (
        Tracking(f"sqlite:///{small_disk / 'mlflow.db'}", None, small_disk / "runs"),
        small_disk / "mlflow.db",
    )
    ballast = fill_disk(small_disk)
    os.truncate(ballast, ballast.stat().st_size - 300_000)
    with pytest.raises(MlflowUnavailableError, match="full"):
        tracking.open_client()
    assert not store.exists()
    assert not list(small_disk.glob(".create-*"))
    ballast.unlink()
    assert tracking.open_client().search_experiments()


# ---- killed processes and random faults -----------------------------------------------------------------------------


def test_actions_survive_killed_process(running_services: Services, tmp_path: Path) -> None:
    environment, journal = running_services.environment(tmp_path / "data"), tmp_path / "journal"
    with run_client(environment, tmp_path / "client.log", journal, 1000, 1100):
        deadline = time.monotonic() + 60
        while not journal.exists() or journal.read_text().count("ended") < 6:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(random.Random(5).uniform(0, 0.6))
    entries = journal.read_text()
    started = {number for number in range(1000, 1100) if f'"number": {number}, "state": "began"' in entries}
    ended = {number for number in range(1000, 1100) if f'"number": {number}, "state": "ended"' in entries}
    with run_client(environment, tmp_path / "second.log"):
        deadline = time.monotonic() + 120
        while count_pending(tmp_path / "data") and time.monotonic() < deadline:
            time.sleep(0.5)
    runs, events, feedback = (
        count_runs(running_services),
        count_events(running_services),
        count_feedback(running_services),
    )
    assert ended < started, "no action was interrupted"
    assert {number for number in runs if number >= 1000} <= started
    assert {number: (runs[number], events[number], feedback[number]) for number in ended} == dict.fromkeys(
        ended, (1, 1, 1)
    )
    assert all(max(runs[number], events[number], feedback[number]) <= 1 for number in started)


def test_actions_survive_random_outages(running_services: Services, tmp_path: Path) -> None:
    outcome = run_schedule(running_services, tmp_path, ACTION_COUNT, seed=1)
    once_each = dict.fromkeys(range(ACTION_COUNT), 1)
    for records in (outcome.runs, outcome.events, outcome.feedback):
        assert {number: count for number, count in records.items() if number < FIRST_KILLED_ACTION} == once_each
    assert outcome.files == ACTION_COUNT
    assert sum(outcome.faults.values()) >= 4
