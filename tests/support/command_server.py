"""Process that runs modules as `python -m MODULE …` in forks of itself: each one starts with the libraries imported.

A fork has its own environment, streams, signals, session and exit code, as any process. The import of the libraries
and the detection of the processor, which take seconds of each command, happen once: the workers of pytest-xdist share
the process that pytest starts before them.
"""

import atexit
import gc
import json
import logging
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from core.settings import ROOT

LIBRARIES = (
    *("core.__main__", "core.workspace", "core.jobs.worker", "pyarrow.pandas_compat", "plotly.io", "torch"),
    *("mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store", "alembic.command", "skops.io"),
    *("streamlit.web.cli", "streamlit.web.server.starlette", "uvicorn", "pages.navigation"),
    *("mlflow.cli", "mlflow.server.fastapi_app"),
)
PAGE_PARTS = ROOT / "pages" / "components"
STREAMS = ("stdin", "stdout", "stderr")
OUTPUT_FLAGS = os.O_WRONLY | os.O_APPEND
SOCKET_VARIABLE = "VIGIE_TEST_COMMANDS"
"""Variable with the path of the socket of a server that several processes share."""
POLL_S = 0.01
START_TIMEOUT_S = 600.0  # it may still import the libraries


class ForkedProcess:
    """Process that the server forked: the methods are those of `subprocess.Popen` that tests use.

    folder   has the files of the three streams; the process that waits for the fork adds its id and its exit code
    """

    def __init__(self, folder: Path) -> None:
        self.folder, deadline = folder, time.monotonic() + START_TIMEOUT_S
        while not (self.folder / "pid").exists():
            assert time.monotonic() < deadline, "the server of commands does not answer"
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

    def complete(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Wait for the end of the process, and return its exit code and its output."""
        code = self.wait()
        output, errors = ((self.folder / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(command, code, output, errors)

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
    """Connection to the process that forks.

    socket_path   of the server of another process; "" starts one, which ends with the process that started it
    """

    def __init__(self, socket_path: str = "") -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if socket_path:
            self._folder = Path(socket_path).parent
            return
        self._folder = Path(tempfile.mkdtemp(prefix="vigie-commands-"))  # the process removes it
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket_path))
        listener.listen(100)  # requests wait here while the libraries are imported
        command = [sys.executable, "-m", "tests.support.command_server", str(listener.fileno()), str(self._folder)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])
        listener.close()

    @property
    def socket_path(self) -> Path:
        """Path of the socket that takes requests."""
        return self._folder / "socket"

    def start(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        piped: str = "",
        output: Path | None = None,
        working_folder: Path = ROOT,
    ) -> ForkedProcess:
        """Start `python -m MODULE …` in `working_folder`; `piped` is its standard input.

        Standard output and errors are appended to the file `output`, or to `stdout` and `stderr` in the folder of the
        process.
        """
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        (folder / "stdin").write_text(piped)
        for name in ("stdout", "stderr"):
            if output is None:
                (folder / name).touch()
            else:
                output.touch()
                (folder / name).symlink_to(output)
        request = {"module": module, "arguments": arguments, "environment": dict(environment), "folder": str(folder)}
        request["working_folder"] = str(working_folder)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket_path))
            connection.sendall(json.dumps(request).encode())
        return ForkedProcess(folder)

    def stop(self) -> None:
        """End the server, unless another process started it."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(60)


@cache
def get_command_server() -> CommandServer:
    """Return the server of this process or of the pytest that started it; the first call starts it if there is none."""
    server = CommandServer(os.environ.get(SOCKET_VARIABLE, ""))
    atexit.register(server.stop)
    return server


def share_command_server() -> None:
    """Start the server, so that the processes that this one starts use it."""
    os.environ[SOCKET_VARIABLE] = str(get_command_server().socket_path)


def import_libraries() -> None:
    """Import what commands and pages import, and detect the processor."""
    from core.spec.task import list_tasks
    from mlflow_utils import emissions
    from tests.support.library_caches import PAGE_FUNCTIONS, TRACKING_FUNCTIONS, read_environment, remember

    logging.disable(logging.WARNING)  # Streamlit says that it does not run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functions = {mode.run for task in list_tasks() for mode in task.modes}
        for name in (*LIBRARIES, *sorted({function.partition(":")[0] for function in functions})):
            import_module(name)
        for path in sorted(PAGE_PARTS.rglob("[!_]*.py")):
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        emissions.preload("FRA")
        read_environment()
    remember(PAGE_FUNCTIONS + TRACKING_FUNCTIONS)
    logging.disable(logging.NOTSET)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(30)  # the timers of CodeCarbon, which have been cancelled
    del sys.modules["core.__main__"]  # the command runs it


def run_requests(listener: socket.socket) -> None:
    """Fork for each request until standard input ends. A second fork between the two waits for the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while listener in select.select([sys.stdin, listener], [], [])[0]:
        assert threading.active_count() == 1, threading.enumerate()  # a fork keeps the locks of other threads for ever
        with listener.accept()[0] as connection, connection.makefile() as lines:
            request = json.load(lines)
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            child = os.fork()
            if child == 0:
                os.setsid()  # so that a test can kill it together with its child processes
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
        os.dup2(os.open(Path(request["folder"]) / name, os.O_RDONLY if number == 0 else OUTPUT_FLAGS), number)
    sys.stdin = os.fdopen(0, closefd=False)  # as Python opens it: with `-W error`, it would complain at the end
    os.chdir(request["working_folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    import_module("numpy.random").seed()  # each process has other random numbers
    sys.argv = [request["module"], *request["arguments"]]
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        if isinstance(error.code, str):
            raise
        leave_quickly(error.code or 0)
    leave_quickly(0)


def leave_quickly(code: int) -> None:
    """End this process as Python does, but do not take its modules apart: that would copy most of their memory."""
    threading._shutdown()  # waits for the threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    import_libraries()
    gc.freeze()
    run_requests(socket.socket(fileno=int(sys.argv[1])))
    shutil.rmtree(sys.argv[2], ignore_errors=True)
