"""Process that runs modules as `python -m MODULE …` in forks of itself: each one starts with the libraries imported.

A fork has its own environment, streams, signals and exit code, as any process. The import of the libraries and the
detection of the processor, which take seconds of each command, happen once.
"""

import atexit
import gc
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from core.settings import ROOT

LIBRARIES = (
    *("core.__main__", "core.workspace", "core.jobs.worker", "pyarrow.pandas_compat", "plotly.io", "torch"),
    *("mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store", "alembic.command", "skops.io"),
)
STREAMS = ("stdin", "stdout", "stderr")
POLL_S = 0.01


class ForkedProcess:
    """Process that the server forked: the methods are those of `subprocess.Popen` that tests use.

    folder   has the files of the three streams; the process that waits for the fork adds its id and its exit code
    """

    def __init__(self, folder: Path, server: "subprocess.Popen[str]") -> None:
        self.folder = folder
        while not (self.folder / "pid").exists():
            assert server.poll() is None, "the server of commands has ended"
            time.sleep(POLL_S)
        self.pid = int((self.folder / "pid").read_text())

    def poll(self) -> int | None:
        """Return the exit code, negative after a signal; None while the process runs."""
        path = self.folder / "code"
        return int(path.read_text()) if path.exists() else None

    def wait(self, timeout_s: float = 180) -> int:
        """Return the exit code. Raises TimeoutExpired after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout_s)
            time.sleep(POLL_S)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process without warning."""
        self.send_signal(signal.SIGKILL)


class CommandServer:
    """Connection to the process that forks; that process ends with the one that holds the connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="vigie-commands-"))  # the process removes it
        self._numbers = count()
        command = [sys.executable, "-m", "tests.support.command_server", str(self._folder)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True)

    def start(self, module: str, *arguments: str, environment: Mapping[str, str], piped: str = "") -> ForkedProcess:
        """Start `python -m MODULE …`; `piped` is its standard input."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        for name in STREAMS:
            (folder / name).write_text(piped if name == "stdin" else "")
        request = {"module": module, "arguments": arguments, "environment": dict(environment), "folder": str(folder)}
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return ForkedProcess(folder, self._process)

    def stop(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@cache
def get_command_server() -> CommandServer:
    """Return the server of this process; the first call starts it."""
    server = CommandServer()
    atexit.register(server.stop)
    return server


def import_libraries() -> None:
    """Import what commands import, and detect the processor."""
    from core.spec.task import list_tasks
    from mlflow_utils import emissions

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functions = {mode.run for task in list_tasks() for mode in task.modes}
        for name in (*LIBRARIES, *sorted({function.partition(":")[0] for function in functions})):
            import_module(name)
        emissions.preload("FRA")
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(30)  # the timers of CodeCarbon, which have been cancelled
    del sys.modules["core.__main__"]  # the command runs it


def run_requests() -> None:
    """Fork for each line of standard input. A second fork between the two waits for the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in iter(sys.stdin.readline, ""):
        assert threading.active_count() == 1, threading.enumerate()  # a fork keeps the locks of other threads for ever
        request = json.loads(line)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            child = os.fork()
            if child == 0:
                run_module(request)
            wait_for_exit(child, Path(request["folder"]))


def wait_for_exit(child: int, folder: Path) -> None:
    """Write the id of a fork and its exit code into its folder; does not return."""
    try:
        _write_whole(folder / "pid", child)
        _write_whole(folder / "code", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    finally:
        os._exit(0)


def _write_whole(path: Path, value: int) -> None:
    """Write a file that nobody can read half written."""
    new_path = path.with_suffix(".new")
    new_path.write_text(str(value))
    new_path.rename(path)


def run_module(request: dict[str, Any]) -> None:
    """Become the process of a module; does not return."""
    for number, name in enumerate(STREAMS):
        os.dup2(os.open(Path(request["folder"]) / name, os.O_RDONLY if number == 0 else os.O_WRONLY), number)
    sys.stdin = os.fdopen(0)
    os.environ.clear()
    os.environ.update(request["environment"])
    import_module("numpy.random").seed()  # each process has other random numbers
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    import_libraries()
    gc.freeze()
    run_requests()
    shutil.rmtree(sys.argv[1], ignore_errors=True)
