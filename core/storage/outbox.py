"""The outbox contract: records are written locally first and delivered to a service later."""

from typing import Protocol

from core.messages import N_

MLFLOW_CONTENT = N_("runs")  # `Tracking.content`; marked here because mlflow_utils does not import core


class Outbox(Protocol):
    """Records that are kept in the data folder until a service has them.

    Each record has a unique name, so delivering it twice changes nothing. A workspace has one list of its outboxes.
    The delivery threads and the page *Health* use that list.
    """

    @property
    def name(self) -> str:
        """Name of the service on the page *Health*."""

    @property
    def content(self) -> str:
        """Plural noun for the delivered records, for example "runs"."""

    @property
    def location(self) -> str:
        """Destination of the records: the address of the service, or a folder if no service is configured."""

    @property
    def is_remote(self) -> bool:
        """True if a service is configured."""

    @property
    def last_error(self) -> str:
        """Error of the last call; "" if it succeeded."""

    def deliver_pending(self) -> int:
        """Deliver pending records, oldest first, and return the number delivered.

        A service that does not answer raises no error here.
        """

    def count_pending(self) -> int:
        """Return the number of pending records."""

    def count_rejected(self) -> int:
        """Return the number of records that the service has rejected for good."""

    def load_client(self) -> None:
        """Import what `check` needs. This may take seconds, which are not the service's."""

    def check(self) -> str:
        """Return the version of the service, or "" if it has none. Raises an error if the service does not work."""

    def reset(self) -> None:
        """Close the circuit breaker, so the next call reaches the service."""
