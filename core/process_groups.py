"""Process groups that end together. `python -m core.process_groups` ends those of a parent that was killed.

The parent writes the number of each group to the standard input of this process. The end of the input is the end of the
parent, whatever the reason.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

STOP_TIMEOUT_S = 8.0  # time for a worker to requeue its job, and for a server to end
POLL_INTERVAL_S = 0.05


def stop_groups(groups: Iterable[int]) -> None:
    """Send SIGTERM to the process groups, wait up to `STOP_TIMEOUT_S` seconds, then kill what is left."""
    living, deadline = set(groups), time.monotonic() + STOP_TIMEOUT_S
    for group in living:
        _send_signal(group, signal.SIGTERM)
    while living and time.monotonic() < deadline:
        living = {group for group in living if _has_processes(group)}
        time.sleep(POLL_INTERVAL_S)
    for group in living:
        _send_signal(group, signal.SIGKILL)


def _has_processes(group: int) -> bool:
    """Tell whether a process of the group runs; wait for children that have ended, which count otherwise."""
    with suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _send_signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    stop_groups([int(line) for line in sys.stdin])
