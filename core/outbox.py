"""Delivery of the outboxes of a workspace to their services.

Records are written to the data folder first. The app and the worker deliver them every few seconds. Delivery is
idempotent.
"""

import logging
import threading
from collections.abc import Callable

from core.circuit_breaker import ServiceBreaker
from core.storage.events.run_events import write_run_events
from core.storage.outbox import Outbox
from core.workspace import Workspace

logger = logging.getLogger(__name__)

ANNOUNCEMENT_INTERVAL_S = 1.0  # the longest: somebody waits for an alarm


def deliver(workspace: Workspace) -> dict[str, int]:
    """Deliver all pending records once. Return content → number of records delivered."""
    counts = {outbox.content: _deliver_one(outbox, workspace) for outbox in workspace.outboxes}
    counts[workspace.announcements.content] += workspace.announcements.wait_for_messages()
    return counts


def deliver_now(workspace: Workspace, timeout_s: float = 1.5) -> dict[str, int]:
    """Deliver all pending records on the request of a user; return the number of delivered records by content.

    All circuit breakers are reset first. Raises ServiceUnavailableError after `timeout_s` seconds; the delivery then
    continues in the background.
    """
    for outbox in workspace.outboxes:
        outbox.reset()
    return ServiceBreaker("delivery", timeout_s, reset_after_s=0).call(lambda: deliver(workspace))


def start_delivery_threads(
    workspace: Workspace,
    interval_s: float,
    shutdown: threading.Event,
    on_delivered: Callable[[str, int], None] = lambda *_: None,
) -> None:
    """Deliver every `interval_s` seconds, announcements every second, until `shutdown` is set.

    Each outbox has its own thread, so that one that hangs does not stop the others.

    on_delivered   called with the content and the number of records delivered
    """
    for outbox in workspace.outboxes:
        threading.Thread(
            target=_delivery_loop,
            args=(outbox, workspace, _choose_interval(outbox, workspace, interval_s), shutdown, on_delivered),
            daemon=True,
            name=f"deliver {outbox.content}",
        ).start()


def _delivery_loop(
    outbox: Outbox,
    workspace: Workspace,
    interval_s: float,
    shutdown: threading.Event,
    on_delivered: Callable[[str, int], None],
) -> None:
    while True:
        count = _deliver_one(outbox, workspace)
        if count:
            on_delivered(outbox.content, count)
        if shutdown.wait(interval_s):
            return


def _choose_interval(outbox: Outbox, workspace: Workspace, interval_s: float) -> float:
    return min(interval_s, ANNOUNCEMENT_INTERVAL_S) if outbox is workspace.announcements else interval_s


def _deliver_one(outbox: Outbox, workspace: Workspace) -> int:
    """Deliver the pending records of an outbox; before MLflow has a run, the log has its event."""
    try:
        if outbox is workspace.tracking:
            write_run_events(workspace.tracking.spool, workspace.events)
        return outbox.deliver_pending()
    except Exception:
        logger.warning("%s could not be delivered", outbox.content, exc_info=True)
        return 0
