"""Take what waits in the data folder to its services: runs to MLflow, events to Elasticsearch, feedback to S3.

Everything is written down first; delivering is asked for every few seconds by the app and by the worker, and doing it
twice changes nothing.
"""

import logging
import threading
from collections.abc import Callable

from core.circuit_breaker import Patience
from core.workspace import Workspace

logger = logging.getLogger(__name__)

DELIVERIES: dict[str, Callable[[Workspace], int]] = {
    "runs": lambda workspace: workspace.tracking.replay(),
    "events": lambda workspace: workspace.event_stream.ship() if workspace.event_stream else 0,
    "feedback": lambda workspace: workspace.feedback.deliver(),
}
"""By what is delivered: how, and how many were. None raises for a service that does not answer."""


def deliver(workspace: Workspace) -> dict[str, int]:
    """Deliver everything that waits, once; how much of each was delivered."""
    return {name: _delivered(name, workspace) for name in DELIVERIES}


def deliver_now(workspace: Workspace, seconds: float = 1.5) -> dict[str, int]:
    """As `deliver`, asking every service whatever it did before; for a person, who does not wait for long.

    Raises ServiceUnavailableError where it takes longer; it goes on in the background then.
    """
    workspace.tracking.try_again()
    if workspace.event_stream is not None:
        workspace.event_stream.try_again()
    workspace.feedback.try_again()
    return Patience("delivery", seconds, down_for=0).ask(lambda: deliver(workspace))


def keep_delivering(
    workspace: Workspace, every: float, ending: threading.Event, told: Callable[[str, int], None] = lambda *_: None
) -> None:
    """Deliver every so many seconds until `ending`, each kind in a thread of its own: one that hangs stops no other."""
    for name in DELIVERIES:
        threading.Thread(
            target=_again, args=(name, workspace, every, ending, told), daemon=True, name=f"deliver {name}"
        ).start()


def _again(
    name: str, workspace: Workspace, every: float, ending: threading.Event, told: Callable[[str, int], None]
) -> None:
    while True:
        count = _delivered(name, workspace)
        if count:
            told(name, count)
        if ending.wait(every):
            return


def _delivered(name: str, workspace: Workspace) -> int:
    try:
        return DELIVERIES[name](workspace)
    except Exception:
        logger.warning("%s could not be delivered", name, exc_info=True)
        return 0
