"""Worker processes, restarted when they die."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from core.process_groups import STOP_TIMEOUT_S
from core.settings import ROOT

RESTART_INTERVAL_S = 5.0  # minimum time between two starts, for a worker that dies at once


class WorkerProcess:
    """One process `python -m core worker`, which ends with the process that started it."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = -RESTART_INTERVAL_S

    @property
    def pid(self) -> int | None:
        """Id of the last started process, dead or alive; None before the first start and after `stop`."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """True if the process is running."""
        return self._process is not None and self._process.poll() is None

    def ensure_running(self) -> None:
        """Start the process unless it is running or was started less than `RESTART_INTERVAL_S` ago."""
        if not self.is_running and time.monotonic() - self._started_at > RESTART_INTERVAL_S:
            self._started_at = time.monotonic()
            # the working folder stays, because settings may hold relative paths; no module is imported from it (-P)
            code = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
            environment = {"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": code}
            options = ["--workers", "1", "--parent", str(os.getpid()), *self.options]
            self._process = subprocess.Popen([sys.executable, "-P", "-m", "core", "worker", *options], env=environment)

    def terminate(self) -> None:
        """Send SIGTERM; the worker requeues its job and ends."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """Send SIGTERM, wait up to `STOP_TIMEOUT_S` seconds, then kill the process."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        self._process.kill()
        self._process.wait()
        self._process = None


def stop_all(processes: Sequence[WorkerProcess]) -> None:
    """Stop worker processes, all at the same time."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.stop()
