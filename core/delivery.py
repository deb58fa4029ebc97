"""What waits in the data folder is taken to the services it is meant for: runs to MLflow, events to Elasticsearch,
feedback to S3.

Everything is written down first; delivering is asked for every few seconds by the app and by the worker, and doing it
twice changes nothing.
"""

import logging
import threading
from collections.abc import Callable

from core.patience import Patience
from core.run import Workplace

logger = logging.getLogger(__name__)

DELIVERIES: dict[str, Callable[[Workplace], int]] = {
    "runs": lambda at: at.tracking.replay(),
    "events": lambda at: at.event_stream.ship() if at.event_stream else 0,
    "feedback": lambda at: at.feedback.deliver(),
}
"""By what is delivered: how, and how many were. None raises for a service that does not answer."""


def deliver(at: Workplace) -> dict[str, int]:
    """Deliver everything that waits, once; how much of each was delivered."""
    return {name: _delivered(name, at) for name in DELIVERIES}


def deliver_now(at: Workplace, seconds: float = 1.5) -> dict[str, int]:
    """As `deliver`, asking every service whatever it did before; for a person, who does not wait for long.

    Raises Unreachable where it takes longer; it goes on in the background then.
    """
    at.tracking.try_again()
    if at.event_stream is not None:
        at.event_stream.try_again()
    at.feedback.try_again()
    return Patience("delivery", seconds, down_for=0).ask(lambda: deliver(at))


def keep_delivering(
    at: Workplace, every: float, ending: threading.Event, told: Callable[[str, int], None] = lambda *_: None
) -> None:
    """Deliver every so many seconds until `ending`, each kind in a thread of its own: one that hangs stops no other."""
    for name in DELIVERIES:
        threading.Thread(
            target=_again, args=(name, at, every, ending, told), daemon=True, name=f"deliver {name}"
        ).start()


def _again(name: str, at: Workplace, every: float, ending: threading.Event, told: Callable[[str, int], None]) -> None:
    while True:
        count = _delivered(name, at)
        if count:
            told(name, count)
        if ending.wait(every):
            return


def _delivered(name: str, at: Workplace) -> int:
    try:
        return DELIVERIES[name](at)
    except Exception:
        logger.warning("%s could not be delivered", name, exc_info=True)
        return 0
