"""Server processes: a free port, the wait for an answer, and the end. This module imports nothing slow."""

import os
import socket
import time
import urllib.request
from contextlib import suppress
from typing import Protocol


class Process(Protocol):
    """Process that leads its own process group: a `Popen` or a `ForkedProcess`."""

    pid: int

    def wait(self, timeout: float, /) -> int:
        """Return the exit code."""


def find_free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_reachable(url: str, seconds: float = 60) -> None:
    """Wait until `url` answers. Raises OSError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def kill_process_tree(process: Process) -> None:
    """Kill a server and its child processes without warning, as a power failure does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait(10)
