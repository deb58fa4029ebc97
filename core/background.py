"""What goes on beside the pages of one server: runs that wait are delivered, slow libraries are warmed after the first page."""

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from core.run import workplace

logger = logging.getLogger(__name__)

REPLAY_EVERY = 5.0
_ending = threading.Event()


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """From the start of the server to its end."""
    _ending.clear()
    threading.Thread(target=_replay, daemon=True, name="replay").start()
    try:
        yield
    finally:
        _ending.set()


@cache
def warm() -> None:
    """Once per server, after the first page is out: what the first analysis would otherwise wait for."""
    threading.Thread(target=_warm, daemon=True, name="warm").start()


def _replay() -> None:
    """Deliver what waits; asked every few seconds, because a server comes back without telling."""
    while not _ending.wait(REPLAY_EVERY):
        workplace().tracking.replay()


def _warm() -> None:
    try:
        from core.analyses.anomalies import detectors
        from mlflow_utils import emissions

        detectors()
        emissions.warm(workplace().country)
        workplace().tracking.warm()
    except Exception:  # a server without warm libraries is slow once, not broken
        logger.warning("warming failed", exc_info=True)
