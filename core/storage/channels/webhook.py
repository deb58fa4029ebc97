"""Webhooks: JSON with a signature, so that a receiver knows who sent it, and when.

The form of the JSON and the check of the signature are documented in docs/reference/webhooks.md.
"""

import hashlib
import hmac
import json
import time

from core import __version__
from core.errors import OptionError, ServiceUnavailableError
from core.messages import N_
from core.settings import Settings
from core.storage.channels.base import DELIVERY_HEADER, DeliveryRefusedError, describe_place, is_refusal
from core.storage.channels.web import post_body
from core.storage.sources.addresses import WebAddress, parse_address, resolve_host
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient

TIMESTAMP_HEADER, SIGNATURE_HEADER = "X-Vigie-Timestamp", "X-Vigie-Signature"
SIGNATURE_VERSION = "v1"


def check_address(address: str, settings: Settings) -> None:
    """Raise OptionError for an address of another form, AccessDeniedError for a machine that may not be reached."""
    resolve_host(_parse_address(address), settings)


def describe_address(address: str) -> str:
    """Return scheme and host: the rest of the address may be a secret."""
    return describe_place(address)


def send(message: OutgoingMessage, recipient: Recipient, settings: Settings) -> None:
    """Send a message as JSON, signed now.

    Raises DeliveryRefusedError for an answer of 300 to 499, ServiceUnavailableError for one of 500 on, without an
    answer, and without VIGIE_WEBHOOK_KEY.
    """
    key = settings.vigie_webhook_key.get_secret_value()
    if not key:
        raise ServiceUnavailableError(N_("Webhooks are signed, and no key is set. Set VIGIE_WEBHOOK_KEY."))
    body = json.dumps(message.payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"Vigie/{__version__}",
        DELIVERY_HEADER: message.id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: f"{SIGNATURE_VERSION}={sign_body(key, timestamp, body)}",
    }
    answer = post_body(_parse_address(recipient.address), body, headers, settings)
    place = describe_address(recipient.address)
    values = {"place": place, "code": str(answer.status), "reason": answer.reason}
    if 300 <= answer.status < 400:
        template = N_("{place} sends to another address, which is not followed: HTTP {code}. Set the new address.")
        raise DeliveryRefusedError(template, **values)
    if is_refusal(answer.status):
        raise DeliveryRefusedError(N_("{place} refuses the message: HTTP {code} {reason}."), **values)
    if not 200 <= answer.status < 300:
        raise ServiceUnavailableError(N_("{place} cannot take the message now: HTTP {code} {reason}."), **values)


def _parse_address(url: str) -> WebAddress:
    """Return the parts of an address. Raises OptionError, without the address, whose path may be a secret."""
    try:
        return parse_address(url)
    except OptionError:
        raise OptionError(
            N_("The address of the webhook is not accepted. Accepted: https://host/path, without user and password.")
        ) from None


def sign_body(key: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a body: HMAC-SHA256 of the timestamp, a full stop and the body, hexadecimal.

    Example:
        >>> sign_body("key", "1790000000", b"{}")[:16]
        '099d33989336226b'
    """
    return hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
