"""Workers in processes of their own, started again where they die."""

import os
import subprocess
import sys
import time
from contextlib import suppress

from core.settings import ROOT

RESTART_INTERVAL_S = 5.0  # between two starts, for a worker that dies as soon as it begins
STOP_TIMEOUT_S = 8.0  # a worker gives its job back within it


class WorkerProcess:
    """One `python -m core worker`."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._started = -RESTART_INTERVAL_S

    @property
    def pid(self) -> int | None:
        """The process id of the one that was started last, dead or alive; None before and after."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Does it live?"""
        return self._process is not None and self._process.poll() is None

    def ensure_running(self) -> None:
        """Start it unless it runs."""
        if not self.is_running and time.monotonic() - self._started > RESTART_INTERVAL_S:
            self._started = time.monotonic()
            environment = {"OMP_NUM_THREADS": "1"} | os.environ
            command = [sys.executable, "-m", "core", "worker", *self.options]
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment)

    def terminate(self) -> None:
        """Ask it to end; it gives its job back."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        self._process.kill()
        self._process.wait()
        self._process = None
