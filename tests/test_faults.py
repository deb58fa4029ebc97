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

from benchmarks.faults import LONGEST_WAIT, Services, client, events_of, feedback_of, played, runs_of, services, waiting
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import VigieError
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run, tracked_run
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import deliver, free_port
from tests.servers import Running

pytestmark = pytest.mark.server
BY = Actor("alice", "tests")
ACTIONS = 40


def record(number: int, dataset: Dataset, at: Workspace, task: str = "tests") -> Run:
    """Record one small run."""
    with tracked_run(task, "Nothing", {"number": number}, dataset, BY, at) as run:
        run.metrics["number"] = number
        (run.folder / "note.txt").write_text(str(number))
    return run


# ---- MLflow, its database and its artifact store --------------------------------------------------------------------


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """All services, started."""
    with services(tmp_path_factory.mktemp("services")) as found:
        yield found


@pytest.fixture
def at(up: Services, tmp_path: Path) -> Workspace:
    tracking = Tracking(up.mlflow.url, None, tmp_path / "runs")
    tracking.preload()
    return Workspace.in_folder(tmp_path, tracking)


def numbers(up: Services, task: str) -> list[int]:
    """List the numbers of the task's runs on the server, sorted."""
    mlflow = MlflowClient(up.mlflow.url)
    experiment = mlflow.get_experiment_by_name(task)
    if experiment is None:
        return []
    return sorted(int(run.data.params["number"]) for run in mlflow.search_runs([experiment.experiment_id]))


@pytest.mark.parametrize("fault", ["killed", "frozen"])
@pytest.mark.parametrize("service", ["mlflow", "postgres", "gcs"])
def test_runs_wait_for_what_is_away_and_are_delivered_once(
    service: str, fault: str, up: Services, at: Workspace, sample: Dataset
) -> None:
    server: Running = getattr(up, service)
    task = f"{service} {fault}"
    record(0, sample, at, task)
    deliver(at)
    waits = []
    with tracked_run(task, "Nothing", {"number": 1}, sample, BY, at) as run:  # the service fails during a run
        server.kill() if fault == "killed" else server.freeze()
        (run.folder / "note.txt").write_text("1")
        began = time.perf_counter()
    waits.append(time.perf_counter() - began)
    for number in (2, 3, 4):
        began = time.perf_counter()
        run_too = record(number, sample, at, task)
        waits.append(time.perf_counter() - began - run_too.seconds)
        assert not run_too.delivered
    assert len(at.tracking.spool.pending()) == 4
    assert load_run(run.id, at).files.joinpath("note.txt").read_text() == "1"
    server.start() if fault == "killed" else server.thaw()
    deliver(at)
    assert numbers(up, task) == [0, 1, 2, 3, 4]
    assert max(waits) < LONGEST_WAIT


def test_figures_do_not_wait_for_files(up: Services, at: Workspace, sample: Dataset) -> None:
    up.gcs.kill()
    run = record(1, sample, at, "figures")
    record(2, sample, at, "figures")
    at.tracking.wait_for_delivery(30)
    at.tracking.deliver_pending()
    found = MlflowClient(up.mlflow.url).get_run(load_run(run.id, at).record.run_id)
    assert (found.data.metrics["number"], found.info.status) == (1, "FINISHED")
    assert len(at.tracking.spool.pending()) == 2
    assert at.tracking.spool.last_error() != ""
    up.gcs.start()
    deliver(at)
    assert numbers(up, "figures") == [1, 2]
    assert [file.path for file in MlflowClient(up.mlflow.url).list_artifacts(found.info.run_id)] == ["note.txt"]


def test_a_server_that_answers_a_question_late_does_not_make_two_runs(
    up: Services, at: Workspace, sample: Dataset
) -> None:
    """The server freezes after the request to create the run and responds after the client's timeout."""
    tracking, asked = at.tracking, threading.Event()
    made, tracking.__dict__["_create_run"] = tracking._create_run, None

    def made_while_it_hangs(*question: Any) -> Any:
        if not asked.is_set():
            up.mlflow.freeze()
            asked.set()
        return made(*question)

    tracking.__dict__["_create_run"] = made_while_it_hangs
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "2"
    try:
        run = record(1, sample, at, "late")
        tracking._open_calls.wait(10)
        tracking.wait_for_delivery(10)
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "15"
        up.mlflow.thaw()
    assert len(tracking.spool.pending()) == 1
    deliver(at)
    assert numbers(up, "late") == [1]
    with tracking.spool._connection() as connection:
        assert connection.execute("SELECT times FROM create_attempts").fetchall() != [(0,)]
    assert load_run(run.id, at).record.run_id in {each.info.run_id for each in _all(up, "late")}


def test_two_runs_of_one_key_become_one(up: Services, at: Workspace, sample: Dataset) -> None:
    run = record(1, sample, at, "twins")
    deliver(at)
    mlflow = MlflowClient(up.mlflow.url)
    key = at.tracking.spool.find(run.id)
    assert key is not None
    experiment = mlflow.get_experiment_by_name("twins")
    assert experiment is not None
    at.tracking.spool.record_create_attempt(key.key)
    mlflow.create_run(experiment.experiment_id, tags={"vigie.key": key.key})
    assert len(_all(up, "twins")) == 2
    at.tracking.deliver_pending()
    assert [each.info.run_id for each in _all(up, "twins")] == [key.run_id]


def _all(up: Services, task: str) -> list:  # type: ignore[type-arg]
    mlflow = MlflowClient(up.mlflow.url)
    experiment = mlflow.get_experiment_by_name(task)
    return list(mlflow.search_runs([experiment.experiment_id])) if experiment else []


def test_a_run_that_mlflow_refuses_is_in_nobodys_way(up: Services, at: Workspace, sample: Dataset) -> None:
    with tracked_run("refused", "Nothing", {"number": 0, "x" * 300: 1}, sample, BY, at) as run:
        run.metrics["number"] = 0
    for number in (1, 2):
        record(number, sample, at, "refused")
    at.tracking.wait_for_delivery(30)
    for _ in range(2):
        at.tracking.deliver_pending()
    assert [each.key for each in at.tracking.spool.pending()] == [run.key]
    assert "Param key" in at.tracking.spool.last_error()


# ---- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Folder on a disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Fill the disk; return the file that fills it."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    return ballast


def _fill_in_the_middle(at: Workspace, dataset: Dataset) -> None:
    with tracked_run("tests", "Nothing", {"number": 1}, dataset, BY, at) as run:
        fill(at.folder)
        (run.folder / "note.txt").write_text("1" * 10_000)


def test_a_full_disk_is_said_and_harms_nothing(small_disk: Path, sample: Dataset) -> None:
    at = Workspace.in_folder(small_disk, Tracking(f"http://127.0.0.1:{free_port()}", None, small_disk / "runs"))
    kept = record(0, sample, at)
    with pytest.raises(VigieError, match="full"):
        _fill_in_the_middle(at, sample)
    with pytest.raises(VigieError, match="full"):
        record(2, sample, at)
    assert load_run(kept.id, at).files.joinpath("note.txt").read_text() == "0"
    assert Tracking(at.tracking.uri, None, small_disk / "runs").spool.find(kept.key) is not None, (
        "a new process cannot find the run"
    )

    (small_disk / "ballast").unlink()
    record(3, sample, at)
    at.tracking.deliver_pending()
    told = {each.params["number"]: each.status for each in at.tracking.spool.pending()}
    assert told == {0: "completed", 1: "failed", 2: "failed", 3: "completed"}


def test_an_answer_that_was_found_before_the_disk_was_full_is_there(small_disk: Path, sample: Dataset) -> None:
    at = Workspace.in_folder(small_disk, Tracking(f"http://127.0.0.1:{free_port()}", None, small_disk / "runs"))
    with tracked_run("tests", "Nothing", {"number": 1}, sample, BY, at) as run:
        (run.folder / "note.txt").write_text("the answer")
        ballast = fill(small_disk)
    assert load_run(run.id, at).files.joinpath("note.txt").read_text() == "the answer"
    ballast.unlink()
    at.tracking.deliver_pending()
    [found] = at.tracking.spool.pending()
    assert (found.status, found.key) == ("completed", run.key)


# ---- killed processes and random faults -----------------------------------------------------------------------------


def test_a_process_killed_in_the_middle_of_actions(up: Services, tmp_path: Path) -> None:
    environment, journal = up.environment(tmp_path / "data"), tmp_path / "journal"
    with client(environment, tmp_path / "client.log", journal, 1000, 1100):
        until = time.monotonic() + 60
        while not journal.exists() or journal.read_text().count("ended") < 6:
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(random.Random(5).uniform(0, 0.6))
    told = journal.read_text()
    began = {number for number in range(1000, 1100) if f'"number": {number}, "state": "began"' in told}
    ended = {number for number in range(1000, 1100) if f'"number": {number}, "state": "ended"' in told}
    with client(environment, tmp_path / "second.log"):
        until = time.monotonic() + 120
        while waiting(tmp_path / "data") and time.monotonic() < until:
            time.sleep(0.5)
    runs, events, feedback = runs_of(up), events_of(up), feedback_of(up)
    assert ended < began, "no action was interrupted"
    assert {number for number in runs if number >= 1000} <= began
    assert {number: (runs[number], events[number], feedback[number]) for number in ended} == dict.fromkeys(
        ended, (1, 1, 1)
    )
    assert all(max(runs[number], events[number], feedback[number]) <= 1 for number in began)


def test_a_random_schedule_of_faults(tmp_path: Path) -> None:
    found = played(tmp_path, ACTIONS, seed=1)
    everything = dict.fromkeys(range(ACTIONS), 1)
    assert dict(found.runs) == everything
    assert dict(found.events) == everything
    assert dict(found.feedback) == everything
    assert found.files == ACTIONS
    assert max(found.of_runs) < LONGEST_WAIT
    assert max(found.of_feedback) < LONGEST_WAIT
    assert sum(found.faults.values()) >= 4
