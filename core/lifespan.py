"""What goes on beside the pages of one server: a worker does slow work, what waits is delivered, libraries are
warmed.
"""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from core import jobs
from core.errors import ServiceUnavailableError
from core.jobs.job import Living
from core.jobs.supervisor import Child
from core.jobs.worker import warm as warm_libraries
from core.outbox import start_delivery_threads
from core.workspace import get_workspace

DELIVER_EVERY = 5.0
LOOK_EVERY = 1.0
_ending = threading.Event()


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """From the start of the server to its end."""
    _ending.clear()
    start_delivery_threads(get_workspace(), DELIVER_EVERY, _ending)
    keeper = threading.Thread(target=_keep_worker, daemon=True, name="worker")
    keeper.start()
    try:
        yield
    finally:
        _ending.set()
        keeper.join()


@cache
def warm() -> None:
    """Once per server, after the first page is out: what the first analysis would otherwise wait for."""
    threading.Thread(target=warm_libraries, args=(get_workspace(),), daemon=True, name="warm").start()


def _keep_worker() -> None:
    """A worker of this server's own as long as no other serves the data folder; one that is a service is given way
    to.
    """
    child = Child("--beside")
    while not _ending.is_set():
        others = [worker for worker in _workers() if worker.pid != child.pid]
        if child.pid is None and not others:
            child.keep()
        elif not all(worker.beside for worker in others):
            child.end()
        _ending.wait(LOOK_EVERY)
    child.end()


def _workers() -> list[Living]:
    """Those that are known to live; jobs that nobody works on any more are offered again on the way."""
    try:
        jobs.tend(get_workspace())
        return jobs.workers(get_workspace())
    except ServiceUnavailableError:
        return []
