"""Tracking of runs with a real MLflow server that is killed, hangs and restarts."""

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.actor import Actor
from core.data.dataset import Dataset
from core.runs.stored_runs import get_run_cost, get_run_url, is_pending, load_run
from core.runs.tracked_run import track_run
from core.workspace import Workspace
from mlflow_utils import runs as mlflow_runs
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import KEY_TAG, Tracking
from tests.conftest import StartServer, assert_no_hang, create_workspace, find_free_port, kill_process_tree
from tests.support.commands import run_code

ACTOR = Actor("alice", "tests")


def track_small_run(number: int, dataset: Dataset, workspace: Workspace) -> str:
    """Track one small run, and return its id."""
    with track_run("tests", "Nothing", {"number": number}, dataset, ACTOR, workspace) as run:
        run.metrics["number"] = number
        (run.folder / "note.txt").write_text(str(number))
    return run.id


def list_run_numbers(client: MlflowClient) -> list[int]:
    """Return the numbers of the runs on the server in the order of their start."""
    experiment = client.get_experiment_by_name("tests")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [int(run.data.params["number"]) for run in runs]


@pytest.mark.server
def test_tracking_delivers_ten_runs_around_server_kill(
    tmp_path: Path, empty_store: Path, sample: Dataset, mlflow_server: tuple[str, StartServer]
) -> None:
    uri, start = mlflow_server
    server = start()
    workspace = create_workspace(tmp_path / "client", empty_store, uri)
    ids = [track_small_run(number, sample, workspace) for number in range(3)]
    kill_process_tree(server)
    for number in range(3, 7):
        with assert_no_hang():
            ids.append(track_small_run(number, sample, workspace))
    assert [pending.params["number"] for pending in workspace.tracking.spool.list_pending()] == [3, 4, 5, 6]
    start()
    workspace.tracking.reset()
    ids += [track_small_run(number, sample, workspace) for number in range(7, 10)]
    workspace.tracking.deliver_pending()

    client = MlflowClient(uri)
    assert list_run_numbers(client) == list(range(10))
    assert workspace.tracking.spool.list_pending() == []
    for number, run in enumerate(ids):
        stored = load_run(run, workspace)
        assert client.get_run(stored.record.run_id).info.status == "FINISHED"
        assert client.get_run(stored.record.run_id).data.metrics["number"] == number
        assert [file.path for file in client.list_artifacts(stored.record.run_id)] == ["checksums.json", "note.txt"]
    workspace.tracking.deliver_pending()
    assert list_run_numbers(client) == list(range(10))
    assert get_run_url(ids[0], workspace).startswith(f"{uri}/#/experiments/")


@pytest.mark.server
def test_tracking_delivers_run_started_before_outage_once(
    tmp_path: Path, empty_store: Path, sample: Dataset, mlflow_server: tuple[str, StartServer]
) -> None:
    uri, start = mlflow_server
    server = start()
    workspace = create_workspace(tmp_path / "client", empty_store, uri)
    with track_run("tests", "Nothing", {"number": 0}, sample, ACTOR, workspace) as run:
        run_id = run.id
        kill_process_tree(server)
    assert not run.delivered
    start()
    workspace.tracking.reset()
    assert workspace.tracking.deliver_pending() == 1
    assert workspace.tracking.deliver_pending() == 0
    assert list_run_numbers(MlflowClient(uri)) == [0]
    assert load_run(run_id, workspace).record.run_id == run_id
    assert MlflowClient(uri).get_run(run_id).info.status == "FINISHED"


@pytest.fixture
def hanging_server() -> Iterator[str]:
    """Address of a server that accepts connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connections.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    for connection in connections:
        connection.close()


def test_tracking_does_not_wait_for_hanging_server(
    tmp_path: Path, empty_store: Path, sample: Dataset, hanging_server: str
) -> None:
    workspace = create_workspace(tmp_path, empty_store, hanging_server)
    with assert_no_hang():
        run = track_small_run(1, sample, workspace)
    assert load_run(run, workspace).record.status == "completed"
    assert is_pending(run, workspace)
    workspace.tracking.reset()
    with assert_no_hang():
        assert get_run_url(run, workspace) == ""
        assert mlflow_runs.list_latest_runs(workspace.tracking, "tests") == []


def test_tracking_does_not_wait_for_absent_server(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    workspace = create_workspace(tmp_path, empty_store, f"http://127.0.0.1:{find_free_port()}")
    with assert_no_hang():
        run = track_small_run(1, sample, workspace)
    assert get_run_url(run, workspace) == ""
    assert get_run_cost(run, workspace).seconds >= 0
    assert mlflow_runs.list_latest_runs(workspace.tracking, "tests") == []


def test_tracking_killed_process_leaves_interrupted_run(tmp_path: Path, workspace: Workspace) -> None:
    script = f"""
import os
from pathlib import Path
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import Tracking
folder = Path({str(workspace.tracking.spool.folder)!r})
tracking = Tracking({workspace.tracking.uri!r}, {(tmp_path / "mlartifacts").as_uri()!r}, folder)
tracking.start_run(Record("tests", "killed", params={{"number": 1}}))
os.kill(os.getpid(), 9)
"""
    assert run_code(script).returncode == -signal.SIGKILL
    assert workspace.tracking.deliver_pending() == 1
    client = MlflowClient(workspace.tracking.uri)
    assert list_run_numbers(client) == [1]
    [run] = mlflow_runs.list_latest_runs(workspace.tracking, "tests")
    assert run.status == "interrupted"
    assert client.get_run(run.run_id).info.status == "KILLED"


def test_tracking_leaves_run_of_living_process_alone(workspace: Workspace) -> None:
    workspace.tracking.start_run(Record("tests", "going on"))
    assert workspace.tracking.spool.list_pending() == []


def test_tracking_finds_created_run_by_key(workspace: Workspace) -> None:
    """The process crashes after the answer of MLflow and before the id of the run is stored."""
    created = Record("tests", "made", params={"number": 5})
    workspace.tracking.start_run(created)
    without_id = Record("tests", "made", key=created.key, params={"number": 5})
    workspace.tracking.spool._file.execute(("UPDATE runs SET run_id = '', record = ?", (without_id.to_json(),)))
    assert workspace.tracking.save_outcome(without_id)
    assert workspace.tracking.deliver_run(without_id)
    assert list_run_numbers(MlflowClient(workspace.tracking.uri)) == [5]
    assert without_id.run_id == created.run_id


def test_tracking_fetches_run_of_other_machine(tmp_path: Path, workspace: Workspace, sample: Dataset) -> None:
    run = track_small_run(7, sample, workspace)
    other_tracking = Tracking(workspace.tracking.uri, None, tmp_path / "elsewhere")
    stored = mlflow_runs.load_run(other_tracking, run)
    assert stored is not None
    assert (stored.files / "note.txt").read_text() == "7"
    assert stored.record.tags[KEY_TAG] == stored.record.key
    by_key = mlflow_runs.load_run(Tracking(workspace.tracking.uri, None, tmp_path / "third"), stored.record.key)
    assert by_key is not None
    assert by_key.record.run_id == run
    assert mlflow_runs.load_run(other_tracking, "0" * 32) is None
    assert mlflow_runs.load_run(other_tracking, "../../etc/passwd") is None


def test_tracking_restores_deleted_experiment(workspace: Workspace, sample: Dataset) -> None:
    track_small_run(1, sample, workspace)
    client = MlflowClient(workspace.tracking.uri)
    experiment = client.get_experiment_by_name("tests")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    workspace.tracking.reset()
    track_small_run(2, sample, workspace)
    assert 2 in list_run_numbers(client)


def test_tracking_sends_every_field_of_a_run(workspace: Workspace, sample: Dataset) -> None:
    run = track_small_run(3, sample, workspace)
    mlflow_run = MlflowClient(workspace.tracking.uri).get_run(run)
    tags, metrics = mlflow_run.data.tags, mlflow_run.data.metrics
    assert tags["dataset.digest"] == sample.digest
    assert tags["dataset.files"] == "sample_gas_daily.csv"
    assert tags["user"] == "alice"
    assert tags["vigie.status"] == "completed"
    assert {"code.version", "code.revision", "emissions.method", "emissions.country"} <= tags.keys()
    assert tags["emissions.method"].startswith("codecarbon")
    assert tags["emissions.country"] == "FRA"
    assert metrics["emissions_kg"] > 0
    assert metrics["energy_kwh"] > 0
    assert metrics["seconds"] > 0
