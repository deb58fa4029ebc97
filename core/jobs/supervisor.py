"""Workers in processes of their own, started again where they die."""

import os
import subprocess
import sys
import time
from contextlib import suppress

from core.settings import ROOT

RESTART = 5.0  # seconds between two starts, for a worker that dies as soon as it begins
LEAVE = 8.0  # that it has to put its job back in


class Child:
    """One `python -m core worker`."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._started = -RESTART

    @property
    def pid(self) -> int | None:
        """None where it does not run."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process is not None else None

    def keep(self) -> None:
        """See that it runs."""
        if self.pid is None and time.monotonic() - self._started > RESTART:
            self._started = time.monotonic()
            environment = {"OMP_NUM_THREADS": "1"} | os.environ
            self._process = subprocess.Popen(
                [sys.executable, "-m", "core", "worker", *self.options], cwd=ROOT, env=environment
            )

    def ask_to_end(self) -> None:
        """It then puts its job back."""
        if self._process is not None:
            self._process.terminate()

    def end(self) -> None:
        """Ask it to end, and see that it does."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE)
        self._process.kill()
        self._process.wait()
        self._process = None
