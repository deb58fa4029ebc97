"""Delivery of announcements, as persons see it: try a recipient, and look after messages that were given up."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from core.actor import Actor
from core.errors import NotFoundError
from core.messages import N_
from core.runs.tracked_run import record_event
from core.storage.channels.sending import check_recipient, send_message
from core.watches.message_texts import render_test
from core.watches.watch import Recipient
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.storage.watches.announcement_store import RejectedMessage


def try_recipient(recipient: Recipient, workspace: Workspace, actor: Actor) -> str:
    """Send a message to a recipient now that is marked as a test, and return its id; quiet hours and caps are not kept.

    Raises OptionError or AccessDeniedError for an address that is not accepted, DeliveryRefusedError where the other
    side refuses the message, ServiceUnavailableError where it does not answer, or a setting is missing.
    """
    with record_event("recipient_try", actor, workspace, recipient=recipient.name, channel=recipient.channel):
        check_recipient(recipient, workspace.settings)
        message = render_test(uuid4().hex, recipient, datetime.now(UTC))
        send_message(message, recipient, workspace.settings)
        return message.id


def list_undelivered(workspace: Workspace) -> "list[RejectedMessage]":
    """Return the messages that were given up, the last one first."""
    return workspace.watches.announcements.list_rejected()


def retry_message(message_id: str, workspace: Workspace, actor: Actor) -> int:
    """Let a message that was given up be sent again, under the same id; return the number of its announcements.

    Raises NotFoundError for any other message.
    """
    with record_event("announcement_retry", actor, workspace, message=message_id):
        count = workspace.watches.announcements.retry_rejected(message_id, datetime.now(UTC))
        workspace.announcements.reset()
        return _check_count(count, message_id)


def discard_message(message_id: str, workspace: Workspace, actor: Actor) -> int:
    """Forget a message that was given up; return the number of its announcements.

    Raises NotFoundError for any other message.
    """
    with record_event("announcement_discard", actor, workspace, message=message_id):
        return _check_count(workspace.watches.announcements.discard_rejected(message_id), message_id)


def _check_count(count: int, message_id: str) -> int:
    if not count:
        raise NotFoundError(
            N_("No message with the id {id} was given up. It may have been sent or forgotten since."),
            id=message_id[:80],
        )
    return count
