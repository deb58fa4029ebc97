"""The command `serve` with real processes: two on one data folder, and every way to end it leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from core.cli.shutdown import STOP_SIGNALS, install_shutdown_event
from core.settings import ROOT
from tests.conftest import find_free_port, wait_until_reachable
from tests.support.commands import build_environment
from tests.support.concurrency import wait_until

TIMEOUT_S = 120.0
SERVER_COUNT = 3  # the app, MLflow, and the process that ends both
Serve = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Function that starts `serve` on one data folder; whatever is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []
    former_handler = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under `nohup`, `serve` would ignore it, rightly

    def start(port: int, mlflow_port: int = 0, mlflow_url: str = "", workers: int = 1) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "core", "serve", "--port", str(port), "--mlflow-port", str(mlflow_port)]
        settings = {"MLFLOW_TRACKING_URI": mlflow_url, "VIGIE_WORKERS": str(workers)}
        environment = build_environment(tmp_path / "data", settings)
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        for running in list_processes(process):
            with suppress(psutil.NoSuchProcess):
                running.kill()
        process.communicate(timeout=30)
    signal.signal(signal.SIGHUP, former_handler)


def list_processes(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return a process and everything that it has started."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    return []


def wait_until_ended(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while living := [process for process in processes if is_running(process)]:
        assert time.monotonic() < deadline, [(process.cmdline(), process.status()) for process in living]
        time.sleep(0.05)


def is_running(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_for_workers(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Wait until the app has started its workers, and return all processes of `serve`."""
    wait_until(lambda: sum("worker" in running.cmdline() for running in list_processes(process)) == 2)
    return list_processes(process)


@pytest.mark.server
def test_second_serve_says_who_serves_the_folder_or_shares_it(serve: Serve) -> None:
    """Both start at the same instant on a new folder. An app that uses the MLflow server of the first may share it.

    The first one is killed, the next one takes over. A signal ends each one with all its processes.
    """
    addresses = [(find_free_port(), find_free_port()) for _ in range(2)]
    ports = {serve(app, mlflow, workers=2): (app, mlflow) for app, mlflow in addresses}
    wait_until(lambda: any(process.poll() is not None for process in ports))
    [refused] = [process for process in ports if process.poll() is not None]
    [first] = [process for process in ports if process.poll() is None]
    app, mlflow = ports[first]
    output, errors = refused.communicate(timeout=30)
    assert (refused.returncode, output) == (1, "")
    assert len(errors.splitlines()) == 1, errors
    for words in (
        f"process {first.pid} on",
        f"http://127.0.0.1:{app}",
        f"MLFLOW_TRACKING_URI=http://127.0.0.1:{mlflow}",
    ):
        assert words in errors
    checks = (f"http://127.0.0.1:{app}/_stcore/health", f"http://127.0.0.1:{mlflow}/health")
    for url in checks:
        wait_until_reachable(url, TIMEOUT_S)
    second_app = find_free_port()
    sharing = serve(second_app, mlflow_url=f"http://127.0.0.1:{mlflow}")
    wait_until_reachable(f"http://127.0.0.1:{second_app}/_stcore/health", TIMEOUT_S)
    sharing_processes = list_processes(sharing)
    sharing.send_signal(signal.SIGINT)
    processes = wait_for_workers(first)
    assert sharing.wait(TIMEOUT_S) == 0
    wait_until_ended(sharing_processes)
    assert all(map(is_running, processes))
    first.kill()
    again = serve(app, mlflow)
    wait_until_ended(processes)
    for url in checks:
        wait_until_reachable(url, TIMEOUT_S)
    processes = list_processes(again)
    assert len(processes) > SERVER_COUNT
    again.send_signal(signal.SIGHUP)  # the terminal was closed
    assert again.wait(TIMEOUT_S) == 0
    wait_until_ended(processes)
    for url in checks:
        with pytest.raises(OSError, match="refused"):
            wait_until_reachable(url, seconds=0)
    output, errors = again.communicate()
    assert "Traceback" not in first.communicate()[1] + errors
    assert f"http://127.0.0.1:{app}\n" in output
    assert f"http://127.0.0.1:{mlflow}\n" in output


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_signals_ask_for_the_shutdown(number: signal.Signals) -> None:
    former_handlers = {number: signal.signal(number, signal.SIG_DFL) for number in STOP_SIGNALS}
    try:
        shutdown = install_shutdown_event()
        assert not shutdown.is_set()
        signal.raise_signal(number)
        assert shutdown.is_set()
    finally:
        for former_number, handler in former_handlers.items():
            signal.signal(former_number, handler)


@pytest.mark.server
def test_worker_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core", "worker", "--workers", "2"]
    environment = build_environment(tmp_path / "data", {"MLFLOW_TRACKING_URI": ""})
    parent = subprocess.Popen(command, cwd=ROOT, env=environment, text=True)
    try:
        wait_until(lambda: len(list_processes(parent)) == 3)
        processes = list_processes(parent)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(30)
    wait_until_ended(processes)
