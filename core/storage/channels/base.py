"""The contract of channels, and what can become of a message."""

from typing import Protocol
from urllib.parse import urlsplit

from core.errors import VigieError
from core.settings import Settings
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient

SOCKET_TIMEOUT_S = 10.0
"""Longest wait for one answer of a server; the whole of a delivery has its own limit."""
DELIVERY_HEADER = "X-Vigie-Delivery"
"""Header of mails and webhooks with the id of the message, the same on every attempt."""
MAX_REASON_CHARS = 300


TEMPORARY_STATES = frozenset({408, 425, 429})
"""States of HTTP below 500 that another attempt may change."""


class DeliveryRefusedError(VigieError):
    """A message that the other side will not take on another attempt either."""


def is_refusal(status: int) -> bool:
    """Tell whether a state of HTTP is no success, and another attempt is useless.

    Example:
        >>> [is_refusal(status) for status in (204, 301, 404, 429, 503)]
        [False, True, True, False, False]
    """
    return 300 <= status < 500 and status not in TEMPORARY_STATES


class Channel(Protocol):
    """A way to reach recipients. A module of this folder has these functions."""

    def check_address(self, address: str, settings: Settings) -> None:
        """Raise OptionError or AccessDeniedError for an address that is not accepted; contact nobody."""

    def describe_address(self, address: str) -> str:
        """Return the address for pages and messages, without its secrets."""

    def send(self, message: OutgoingMessage, recipient: Recipient, settings: Settings) -> None:
        """Send a message.

        Raises DeliveryRefusedError if another attempt is useless, ServiceUnavailableError if it may succeed.
        """


def shorten_reason(text: object) -> str:
    """Return what a server answered as one short line."""
    return " ".join(str(text).split())[:MAX_REASON_CHARS]


def describe_place(address: str, *, shows_host: bool = True) -> str:
    """Return scheme and host of an address: the rest may be a secret.

    Example:
        >>> describe_place("https://example.org:8443/hooks/5ecret"), describe_place("slack://5ecret", shows_host=False)
        ('https://example.org:8443/…', 'slack://…')
    """
    try:
        parts = urlsplit(address)
        place = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return "…"
    return f"{parts.scheme}://{place}/…" if shows_host and place else f"{parts.scheme}://…"
