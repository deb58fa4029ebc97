"""Delivery of what waits in the data folder, to the service each outbox of the workspace is for.

Everything is written down first; the app and the worker deliver every few seconds. Delivering twice changes nothing.
"""

import logging
import threading
from collections.abc import Callable

from core.circuit_breaker import ServiceBreaker
from core.storage.outbox import Outbox
from core.workspace import Workspace

logger = logging.getLogger(__name__)


def deliver(workspace: Workspace) -> dict[str, int]:
    """Deliver everything that waits, once; return how much of each content was delivered."""
    return {outbox.content: _deliver_one(outbox) for outbox in workspace.outboxes}


def deliver_now(workspace: Workspace, timeout_s: float = 1.5) -> dict[str, int]:
    """As `deliver`, asking every service whatever it did before; for a person, who does not wait for long.

    Raises ServiceUnavailableError where it takes longer; it goes on in the background then.
    """
    for outbox in workspace.outboxes:
        outbox.reset()
    return ServiceBreaker("delivery", timeout_s, reset_after_s=0).call(lambda: deliver(workspace))


def start_delivery_threads(
    workspace: Workspace,
    interval_s: float,
    ending: threading.Event,
    on_delivered: Callable[[str, int], None] = lambda *_: None,
) -> None:
    """Deliver every so many seconds until `ending`, each outbox in a thread of its own: one that hangs stops no other.

    on_delivered   called with the content and how much of it was delivered
    """
    for outbox in workspace.outboxes:
        threading.Thread(
            target=_delivery_loop,
            args=(outbox, interval_s, ending, on_delivered),
            daemon=True,
            name=f"deliver {outbox.content}",
        ).start()


def _delivery_loop(
    outbox: Outbox, interval_s: float, ending: threading.Event, on_delivered: Callable[[str, int], None]
) -> None:
    while True:
        count = _deliver_one(outbox)
        if count:
            on_delivered(outbox.content, count)
        if ending.wait(interval_s):
            return


def _deliver_one(outbox: Outbox) -> int:
    try:
        return outbox.deliver_pending()
    except Exception:
        logger.warning("%s could not be delivered", outbox.content, exc_info=True)
        return 0
