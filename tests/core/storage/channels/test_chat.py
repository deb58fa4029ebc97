"""Chats through Apprise: which addresses are accepted, what arrives, and how a refusal is told."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError
from core.settings import Settings
from core.storage.channels import sending
from core.storage.channels.base import DeliveryRefusedError
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient
from tests.support.receivers import WebReceiver, serve_web

TEXT = "New incident: <lyon> & *co*\nVigie 01234567"
MESSAGE = OutgoingMessage("0123456789abcdef" * 2, "", "", "", TEXT, datetime(2026, 3, 2, 6, tzinfo=UTC))
TOKEN = "a1b2c3d4e5f6g7h8i9j0k1l2m3"
SLACK_TOKENS = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


def make_settings(networks: str = "127.0.0.0/8") -> Settings:
    values: dict[str, Any] = {"vigie_source_networks": networks}
    return Settings.model_construct(**values)


def make_chat(address: str) -> Recipient:
    return Recipient(name="night", channel="chat", address=address)


@pytest.fixture
def receiver() -> Iterator[WebReceiver]:
    with serve_web() as server:
        yield server


def make_mattermost(receiver: WebReceiver) -> Recipient:
    return make_chat(f"mmost://{receiver.url.removeprefix('http://')}/{TOKEN}")


def test_chat_message_arrives_at_mattermost(receiver: WebReceiver) -> None:
    sending.send_message(MESSAGE, make_mattermost(receiver), make_settings())
    (request,) = receiver.requests
    assert request.path == f"/hooks/{TOKEN}"
    assert json.loads(request.body)["text"] == TEXT


def test_chat_message_arrives_at_slack_with_signs_that_are_text(
    receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack reads <!channel> as a call of everybody; the signs < and > arrive as text."""
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"{receiver.url}/services")
    sending.send_message(MESSAGE, make_chat(f"slack://{SLACK_TOKENS}/%23night"), make_settings())
    (request,) = receiver.requests
    assert request.path == f"/services/{SLACK_TOKENS}"
    assert "&lt;lyon&gt; &amp; *co*" in json.dumps(json.loads(request.body), ensure_ascii=False)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, DeliveryRefusedError) for status in (302, 400, 403, 404)),
        *((status, ServiceUnavailableError) for status in (429, 500)),
    ],
)
def test_chat_answer_decides_about_another_attempt(
    status: int, kind: type[Exception], receiver: WebReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status, receiver.headers = status, {"Location": f"{receiver.url}/elsewhere"}
    with pytest.raises(kind, match=f"mmost://127.0.0.1:.*error={status}") as caught:
        sending.send_message(MESSAGE, make_mattermost(receiver), make_settings())
    assert len(receiver.requests) == 1
    assert TOKEN not in str(caught.value)
    assert TOKEN not in caplog.text


def test_chat_without_a_server_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServiceUnavailableError, match="cannot take the message now"):
        sending.send_message(MESSAGE, make_chat(f"mmost://127.0.0.1:{port}/{TOKEN}"), make_settings())


@pytest.mark.parametrize(
    "address",
    [
        f"slack://{SLACK_TOKENS}/%23night",
        f"https://hooks.slack.com/services/{SLACK_TOKENS}",
        f"mmosts://127.0.0.1/{TOKEN}",
        f"rockets://{TOKEN}/{TOKEN}@127.0.0.1/%23night",
        "https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz012345",
        "https://chat.googleapis.com/v1/spaces/AAAAabcd/messages?key=AIzaSyDdI0hCZtE6vySjMm&token=a1b2c3d4e5f6g7h8i9j0k1l2m3",
        "workflows://127.0.0.1:443/643e69f83c8944e08f3fdc0a4fe9ef34/hLYOyNfWE5W8oMWKUkZk5PVQ8ku5XQZHC2UE0LY8xM8",
    ],
)
def test_chat_addresses_are_accepted(address: str) -> None:
    recipient = make_chat(address)
    sending.check_recipient(recipient, make_settings())
    shown = sending.describe_recipient(recipient)
    assert not any(part in shown for part in (TOKEN, SLACK_TOKENS, "hLYOyN", "abcdefghij", "643e69"))


@pytest.mark.parametrize(
    "address",
    [
        *("json://127.0.0.1/", "syslog://", "mailto://u:p@example.org", "dbus://", "form://127.0.0.1/", "windows://"),
        *("slack://", "mmost://", "nonsense", "https://example.org/", "file:///etc/passwd", "xml://127.0.0.1"),
        f"slack://{SLACK_TOKENS}?template=/etc/passwd",
        f"mmosts://127.0.0.1/{TOKEN}?verify=no",
        f"mmosts://127.0.0.1/{TOKEN}?redirect=yes",
        f"mmost://127.0.0.1/{TOKEN}\nmmost://127.0.0.1/{TOKEN}",
    ],
)
def test_chat_refuses_other_services_and_parameters(address: str) -> None:
    with pytest.raises(OptionError, match="address of the chat is not accepted") as caught:
        sending.check_recipient(make_chat(address), make_settings())
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("scheme", ["mmost", "mmosts", "rocket", "workflows"])
def test_chat_calls_no_private_address(scheme: str) -> None:
    path = f"{TOKEN}/{TOKEN}"
    address = f"{scheme}://127.0.0.1/{path}" if scheme != "rocket" else f"rocket://{path}@127.0.0.1/%23night"
    with pytest.raises(AccessDeniedError, match=r"127.0.0.1"):
        sending.send_message(MESSAGE, make_chat(address), make_settings(networks=""))
