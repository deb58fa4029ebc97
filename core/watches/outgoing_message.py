"""A message on its way to one recipient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class OutgoingMessage:
    """One message to one recipient, in the forms of all channels.

    id       32 hexadecimal digits, the same on every attempt
    subject  one line
    text     whole text, for a mail
    html     the same as HTML
    chat     short text, for a chat
    created  time of the attempt
    payload  the same as JSON, for a webhook; empty for others, because it has every incident
    """

    id: str
    subject: str
    text: str
    html: str
    chat: str
    created: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)
