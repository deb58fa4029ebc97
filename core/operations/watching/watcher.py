"""The part of a worker that asks watches when they are due."""

import logging
import os
import socket
import threading
import time
from datetime import UTC, datetime
from uuid import uuid4

from core.errors import ServiceUnavailableError
from core.operations.watching.refit import submit_due_refits
from core.operations.watching.tick import run_due_ticks
from core.workspace import Workspace

POLL_S = 1.0
REFIT_POLL_S = 60.0  # between two looks for models whose date of retraining has come
MAX_PAUSE_S = 60.0  # between two attempts while the database does not answer

logger = logging.getLogger(__name__)


def watch_loop(workspace: Workspace, shutdown: threading.Event) -> None:
    """Run the ticks of watches that are due until the shutdown; a tick that runs is finished.

    Models that are due to be trained again become jobs, which any worker takes.

    Each process with this loop takes ticks that no other has. A database that does not answer is asked again, more and
    more rarely.
    """
    worker, pause_s, next_refits_s = make_worker_name(), POLL_S, 0.0
    while not shutdown.wait(pause_s):
        try:
            run_due_ticks(workspace, worker, datetime.now(UTC), shutdown.is_set)
            if time.monotonic() >= next_refits_s:
                next_refits_s = time.monotonic() + REFIT_POLL_S
                submit_due_refits(workspace, datetime.now(UTC))
            pause_s = POLL_S
        except ServiceUnavailableError as error:
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
            logger.warning("the watches cannot be asked now: %s", error)
        except Exception:
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
            logger.exception("the watches cannot be asked now")


def run_ticks_once(workspace: Workspace, shutdown: threading.Event) -> int:
    """Run the ticks that are due now, and return their number. Raises ServiceUnavailableError."""
    return run_due_ticks(workspace, make_worker_name(), datetime.now(UTC), shutdown.is_set)


def make_worker_name() -> str:
    """Return a name of this thread that no other worker has."""
    return f"{socket.gethostname()[:50]}:{os.getpid()}:{uuid4().hex[:8]}"
