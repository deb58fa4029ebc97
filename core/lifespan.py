"""Background work of a server: workers, deliveries, MLflow's pages, preload of libraries, collection of garbage."""

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache

from core import collector, jobs
from core.errors import VigieError
from core.jobs.preload import preload
from core.jobs.supervisor import WorkerProcess, stop_all
from core.jobs.worker_count import choose_worker_count
from core.operations.mlflow_server import keep_mlflow_running
from core.operations.upgrades import warn_about_versions
from core.outbox import start_delivery_threads
from core.workspace import Workspace, get_workspace

DELIVERY_INTERVAL_S = 5.0
SUPERVISION_INTERVAL_S = 1.0


@asynccontextmanager
async def lifespan(app: object, url: str = "") -> AsyncIterator[None]:
    """Run deliveries, embedded workers and an MLflow server from the start of the server to its end.

    url  address of the app
    """
    workspace, shutdown = get_workspace(), threading.Event()
    warn_about_versions(workspace)
    start_delivery_threads(workspace, DELIVERY_INTERVAL_S, shutdown)
    supervisors = [
        threading.Thread(target=_supervise_workers, args=(workspace, shutdown), daemon=True, name="workers"),
        threading.Thread(target=keep_mlflow_running, args=(workspace, url, shutdown), daemon=True, name="mlflow"),
    ]
    for supervisor in supervisors:
        supervisor.start()
    try:
        yield
    finally:
        shutdown.set()
        for supervisor in supervisors:
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


def _supervise_workers(workspace: Workspace, shutdown: threading.Event) -> None:
    processes = [WorkerProcess("--embedded") for _ in range(choose_worker_count(workspace.settings))]
    while not shutdown.is_set():
        with suppress(VigieError):  # without an answer from the queue there is no job to run
            _start_or_stop(processes, workspace)
        shutdown.wait(SUPERVISION_INTERVAL_S)
    stop_all(processes)


def _start_or_stop(processes: list[WorkerProcess], workspace: Workspace) -> None:
    """Start the embedded workers where the data folder has no others; stop them where one runs as a service."""
    own_workers = {(socket.gethostname(), process.pid) for process in processes}
    other_workers = [worker for worker in jobs.list_workers(workspace) if (worker.host, worker.pid) not in own_workers]
    if not other_workers:
        for process in processes:
            process.ensure_running()
    elif not all(worker.embedded for worker in other_workers):
        stop_all(processes)
