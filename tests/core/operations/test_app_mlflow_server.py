"""The MLflow server beside an app, with real processes: one for each folder, which ends with the app."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from core.actor import Actor
from core.data.dataset import Dataset
from core.operations.mlflow_server import keep_mlflow_running
from core.runs.comparison import get_experiment_url
from core.runs.stored_runs import get_run_url
from core.runs.tracked_run import track_run
from core.settings import ROOT, Settings
from core.storage.serve_lock import find_mlflow_address
from core.workspace import Workspace
from mlflow_utils.rest import request
from tests.support.commands import build_environment
from tests.support.concurrency import wait_until
from tests.support.processes import find_free_port

START_TIMEOUT_S = 300.0  # the server is started later than the app, with less priority, by another app after a kill
StartApp = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start_app(workspace: Workspace) -> Iterator[StartApp]:
    """Function that starts the background work of an app on the folder of `workspace`; it is killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(address: str) -> "subprocess.Popen[bytes]":
        settings = {"VIGIE_MLFLOW_ADDRESS": address, "MLFLOW_TRACKING_URI": "", "VIGIE_WORKERS": "1"}
        command = [sys.executable, "-m", "tests.support.app_lifespan"]
        environment = build_environment(workspace.folder, settings)
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment))
        return started[-1]

    yield start
    for process in started:
        for running in list_processes(process):
            with suppress(psutil.NoSuchProcess):
                running.kill()
        process.wait(30)


def list_processes(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        return [*parent.children(recursive=True), parent]
    return []


def has_ended(processes: list[psutil.Process]) -> bool:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


@pytest.mark.server
def test_apps_on_one_folder_have_one_server_that_ends_with_them(
    workspace: Workspace, sample: Dataset, start_app: StartApp
) -> None:
    """The port is in use, so the next one is taken. The first app is killed, and the second one has a server then."""
    with track_run("tests", "Nothing", {}, sample, Actor("alice", "tests"), workspace) as run:
        (run.folder / "note.txt").write_text("here")
    assert get_run_url(run.id, workspace) == get_experiment_url("tests", workspace) == ""
    port = find_free_port()
    first = start_app(f"127.0.0.1:{port}")
    wait_until(lambda: find_mlflow_address(workspace.folder), START_TIMEOUT_S)
    second = start_app(f"127.0.0.1:{port}")
    url = find_mlflow_address(workspace.folder)
    assert url == f"http://127.0.0.1:{port}"
    assert get_run_url(run.id, workspace).startswith(f"{url}/#/experiments/")
    assert f"/runs/{run.id}?" in get_run_url(run.id, workspace)
    assert "note.txt" in request(url, f"/api/2.0/mlflow/artifacts/list?run_id={run.id}", 30)
    processes = list_processes(first)
    first.kill()
    wait_until(lambda: has_ended(processes), START_TIMEOUT_S)
    wait_until(lambda: find_mlflow_address(workspace.folder), START_TIMEOUT_S)
    processes = list_processes(second)
    assert any("mlflow" in process.cmdline() for process in processes)
    second.terminate()
    second.wait(120)
    assert has_ended(processes)
    assert find_mlflow_address(workspace.folder) == ""


def test_server_that_is_turned_off_or_set_is_not_started(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("core.operations.mlflow_server.START_DELAY_S", 0.0)
    for values in ({"vigie_mlflow_address": "off"}, {"mlflow_tracking_uri": "http://mlflow:5000"}):
        settings = workspace.settings.model_copy(update=values)
        keep_mlflow_running(replace(workspace, settings=settings), "", threading.Event())
    assert not (tmp_path / "serve.lock").exists()


@pytest.mark.parametrize("address", ["5000", "127.0.0.1", "http://127.0.0.1:5000", "on", "127.0.0.1:port"])
def test_address_without_host_or_port_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="vigie_mlflow_address"):
        Settings(vigie_mlflow_address=address)
