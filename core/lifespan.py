"""What goes on beside the pages of one server: a worker, deliveries, and the loading of slow libraries."""

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache

from core import jobs
from core.errors import VigieError
from core.jobs.preload import preload
from core.jobs.supervisor import WorkerProcess
from core.outbox import start_delivery_threads
from core.workspace import get_workspace

DELIVERY_INTERVAL_S = 5.0
SUPERVISION_INTERVAL_S = 1.0
_shutdown = threading.Event()


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """Do all this from the start of the server to its end."""
    _shutdown.clear()
    start_delivery_threads(get_workspace(), DELIVERY_INTERVAL_S, _shutdown)
    supervisor = threading.Thread(target=_supervise_worker, daemon=True, name="worker")
    supervisor.start()
    try:
        yield
    finally:
        _shutdown.set()
        supervisor.join()


@cache
def warm() -> None:
    """Load once per server, after the first page is out, what the first analysis would otherwise wait for."""
    threading.Thread(target=preload, args=(get_workspace(),), daemon=True, name="preload").start()


def _supervise_worker() -> None:
    process = WorkerProcess("--embedded")
    while not _shutdown.is_set():
        with suppress(VigieError):  # a queue that does not answer has no work either
            _start_or_stop(process)
        _shutdown.wait(SUPERVISION_INTERVAL_S)
    process.stop()


def _start_or_stop(process: WorkerProcess) -> None:
    """Keep a worker of this server's own unless another serves the data folder; give way to one that is a service."""
    own = (socket.gethostname(), process.pid)
    others = [worker for worker in jobs.list_workers(get_workspace()) if (worker.host, worker.pid) != own]
    if not process.is_running and not others:
        process.ensure_running()
    elif not all(worker.embedded for worker in others):
        process.stop()
