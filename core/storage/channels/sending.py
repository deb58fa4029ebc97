"""The choice of the channel, and the limit of time of a delivery."""

from functools import partial

from core.circuit_breaker import ServiceBreaker
from core.data.time_zones import check_zone
from core.errors import OptionError
from core.messages import N_
from core.settings import Settings
from core.storage.channels import chat, mail, webhook
from core.storage.channels.base import Channel
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient

CHANNELS: dict[str, Channel] = {"mail": mail, "webhook": webhook, "chat": chat}
SEND_TIMEOUT_S = 30.0
"""Longest time of a delivery, after which it counts as failed; a slow server may still complete it."""


def check_recipient(recipient: Recipient, settings: Settings) -> None:
    """Raise OptionError or AccessDeniedError for what is not accepted of a recipient; send nothing.

    Raises ServiceUnavailableError for an address whose machine has no address now.
    """
    check_zone(recipient.zone)
    if bool(recipient.quiet_from) != bool(recipient.quiet_until):
        raise OptionError(
            N_("Quiet hours need a begin and an end, such as 22:00 and 07:00; {value!r} is one of them alone."),
            value=recipient.quiet_from or recipient.quiet_until,
        )
    CHANNELS[recipient.channel].check_address(recipient.address, settings)


def describe_recipient(recipient: Recipient) -> str:
    """Return the address of a recipient without its secrets."""
    return CHANNELS[recipient.channel].describe_address(recipient.address)


def send_message(message: OutgoingMessage, recipient: Recipient, settings: Settings) -> None:
    """Send a message in less than `SEND_TIMEOUT_S`.

    Raises DeliveryRefusedError, OptionError or AccessDeniedError if another attempt is useless,
    ServiceUnavailableError if it may succeed.
    """
    send = CHANNELS[recipient.channel].send
    breaker = ServiceBreaker(describe_recipient(recipient), SEND_TIMEOUT_S, reset_after_s=0)
    breaker.call(partial(send, message, recipient, settings), ())
