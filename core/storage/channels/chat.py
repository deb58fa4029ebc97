"""Chats such as Slack, Teams and Mattermost, through Apprise.

Of Apprise, only these chats are used. Its other services run programs, read files or call any address.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

from core.errors import OptionError, ServiceUnavailableError
from core.messages import N_
from core.settings import Settings
from core.storage.channels.base import (
    SOCKET_TIMEOUT_S,
    DeliveryRefusedError,
    describe_place,
    is_refusal,
    shorten_reason,
)
from core.storage.sources.addresses import DEFAULT_PORTS, parse_address, resolve_host
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient

if TYPE_CHECKING:
    from apprise import NotifyBase

CLASSES = {
    "slack": ("slack", "NotifySlack"),
    "workflows": ("workflows", "NotifyWorkflows"),
    "mmost": ("mattermost", "NotifyMattermost"),
    "mmosts": ("mattermost", "NotifyMattermost"),
    "rocket": ("rocketchat", "NotifyRocketChat"),
    "rockets": ("rocketchat", "NotifyRocketChat"),
    "discord": ("discord", "NotifyDiscord"),
    "gchat": ("google_chat", "NotifyGoogleChat"),
}
"""Kind of an address → module and class of Apprise; workflows is Microsoft Teams."""
OWN_HOSTS = frozenset({"workflows", "mmost", "mmosts", "rocket", "rockets"})
"""Kinds whose address names the machine that is called; the others call the one of their service."""
PARAMETERS = frozenset({"channel", "to", "mode", "api-version", "sp", "sv", "sig", "key", "token", "ver", "pa"})
"""Parameters of an address that are accepted. Others read files, or switch off the check of certificates."""
ACCEPTED = "slack://…, workflows://… (Teams), mmosts://…, rockets://…, discord://…, gchat://…"
LOGGER = logging.getLogger("apprise")
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False  # its warnings name the secrets of addresses
STATUS = re.compile(r"error=(\d{3})")
"""The state of HTTP in a line of Apprise's log."""


def check_address(address: str, settings: Settings) -> None:
    """Raise OptionError for an address of another form, AccessDeniedError for a machine that may not be reached."""
    _load_chat(address, settings)


def describe_address(address: str) -> str:
    """Return the kind of the chat, and its machine where that comes first: the rest of the address is a secret."""
    kind = address.partition(":")[0].lower()
    return describe_place(address, shows_host=kind in ("https", "workflows", "mmost", "mmosts"))


def send(message: OutgoingMessage, recipient: Recipient, settings: Settings) -> None:
    """Send the short text of a message.

    Raises DeliveryRefusedError for an address or a message that the chat refuses, ServiceUnavailableError for a chat
    that does not answer.
    """
    from apprise import NotifyFormat

    chat, place = _load_chat(recipient.address, settings), describe_address(recipient.address)
    with _collect_log() as lines:
        is_sent = chat.notify(body=message.chat, title="", body_format=NotifyFormat.TEXT)
    if is_sent:
        return
    reason = shorten_reason(" ".join(lines)).rstrip(".") or "Apprise"
    status = STATUS.search(reason)
    if status and is_refusal(int(status[1])):
        raise DeliveryRefusedError(N_("{place} refuses the message: {reason}."), place=place, reason=reason)
    raise ServiceUnavailableError(N_("{place} cannot take the message now: {reason}."), place=place, reason=reason)


def _load_chat(address: str, settings: Settings) -> "NotifyBase":
    """Return the service of Apprise for an address. Raises OptionError, AccessDeniedError, ServiceUnavailableError."""
    from apprise import AppriseAsset

    asset = AppriseAsset(app_id="Vigie", http_redirects=False, allow_templates=False)
    chat, kind = None, ""
    for kind, fields in _parse_address(address):
        try:
            chat = _load_class(kind)(**fields, asset=asset)
        except TypeError:  # of a token of another form
            continue
        break
    if chat is None:
        raise OptionError(N_("The address of the chat is not accepted. Accepted: {accepted}."), accepted=ACCEPTED)
    if kind in OWN_HOSTS:
        scheme = "https" if chat.secure else "http"
        resolve_host(parse_address(f"{scheme}://{chat.host}:{chat.port or DEFAULT_PORTS[scheme]}"), settings)
    chat.socket_connect_timeout = chat.socket_read_timeout = SOCKET_TIMEOUT_S
    return chat


def _parse_address(address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kinds that an address may have, with the fields of their class; none with a parameter of another use.

    Besides the addresses of Apprise, those are known that Slack, Teams, Discord and Google show.
    """
    if not address.isprintable() or " " in address:
        return
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    names = {name.lower() for name, _value in parse_qsl(parts.query, keep_blank_values=True)}
    if not names <= PARAMETERS:
        return
    if parts.scheme in CLASSES:
        kinds, parse = [parts.scheme], "parse_url"
    else:
        kinds, parse = [*CLASSES] if parts.scheme == "https" else [], "parse_native_url"
    for kind in kinds:
        fields = getattr(_load_class(kind), parse)(address)
        if fields:
            yield kind, fields


def _load_class(kind: str) -> Any:
    module, name = CLASSES[kind]
    return getattr(import_module(f"apprise.plugins.{module}"), name)


@contextmanager
def _collect_log() -> Iterator[list[str]]:
    """Yield the warnings of Apprise in this thread: it tells its errors nowhere else."""
    handler = _LineHandler(threading.get_ident())
    LOGGER.addHandler(handler)
    try:
        yield handler.lines
    finally:
        LOGGER.removeHandler(handler)


class _LineHandler(logging.Handler):
    def __init__(self, thread: int) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = thread

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())
