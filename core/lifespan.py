"""Background work of a server: embedded worker, deliveries, preload of slow libraries, collection of garbage."""

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache

from core import collector, jobs
from core.errors import VigieError
from core.jobs.preload import preload
from core.jobs.supervisor import WorkerProcess
from core.outbox import start_delivery_threads
from core.workspace import Workspace, get_workspace

DELIVERY_INTERVAL_S = 5.0
SUPERVISION_INTERVAL_S = 1.0


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """Run the delivery threads and the embedded worker from the start of the server to its end."""
    workspace, shutdown = get_workspace(), threading.Event()
    start_delivery_threads(workspace, DELIVERY_INTERVAL_S, shutdown)
    supervisor = threading.Thread(target=_supervise_worker, args=(workspace, shutdown), daemon=True, name="worker")
    supervisor.start()
    try:
        yield
    finally:
        shutdown.set()
        supervisor.join()


@cache
def start_preload() -> None:
    """Load slow libraries in the background, once per server, so that the first analysis does not wait for them."""
    threading.Thread(target=_preload_and_collect, args=(get_workspace(),), daemon=True, name="preload").start()


def _preload_and_collect(workspace: Workspace) -> None:
    """Load the libraries, then collect the garbage of the pages until the end of the process."""
    preload(workspace)
    collector.freeze_loaded_objects()
    collector.collect_periodically(threading.Event())


def _supervise_worker(workspace: Workspace, shutdown: threading.Event) -> None:
    process = WorkerProcess("--embedded")
    while not shutdown.is_set():
        with suppress(VigieError):  # without an answer from the queue there is no job to run
            _start_or_stop(process, workspace)
        shutdown.wait(SUPERVISION_INTERVAL_S)
    process.stop()


def _start_or_stop(process: WorkerProcess, workspace: Workspace) -> None:
    """Start the embedded worker where the data folder has no other; stop it where one runs as a service."""
    own_worker = (socket.gethostname(), process.pid)
    other_workers = [worker for worker in jobs.list_workers(workspace) if (worker.host, worker.pid) != own_worker]
    if not process.is_running and not other_workers:
        process.ensure_running()
    elif not all(worker.embedded for worker in other_workers):
        process.stop()
