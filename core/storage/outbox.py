"""The contract of what is written down here first and delivered to a service later."""

from typing import Protocol

from core.messages import N_

MLFLOW_CONTENT = N_("runs")  # `Tracking.content`: mlflow_utils knows no catalogue


class Outbox(Protocol):
    """Records that are kept in the data folder until a service has them.

    Every record has a name of its own under which delivering it twice changes nothing. A workspace lists its outboxes
    once; the delivery threads, the page of health and its button work on that list.
    """

    @property
    def name(self) -> str:
        """The service, as the page of health calls it."""

    @property
    def content(self) -> str:
        """What is delivered, in the plural: "runs"."""

    @property
    def location(self) -> str:
        """Where records end: an address, or the folder that takes the place of a service that is not set."""

    @property
    def is_remote(self) -> bool:
        """Is a service set?"""

    @property
    def last_error(self) -> str:
        """Why the last call failed; "" after one that did not."""

    def deliver_pending(self) -> int:
        """Deliver what waits, oldest first; return how much was. Quiet where the service does not answer."""

    def pending_count(self) -> int:
        """Count the records that wait."""

    def rejected_count(self) -> int:
        """Count the records that the service will never take."""

    def check(self) -> str:
        """Return the service's version, "" where it tells none. Raises what is wrong."""

    def reset(self) -> None:
        """Ask the service at the next call, whatever happened before."""
