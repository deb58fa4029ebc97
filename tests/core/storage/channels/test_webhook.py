"""Webhooks: a receiver that checks the signature, refusals, and addresses that must not be called."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError
from core.settings import ROOT, Settings
from core.storage.channels import sending, web
from core.storage.channels.base import DeliveryRefusedError
from core.watches.message_texts import render_message, render_test
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient
from tests.support.receivers import WebReceiver, serve_web, write_certificate
from tests.support.sample_announcements import announce, make_incident

KEY = "a-long-random-text-of-both-sides"
MESSAGE = OutgoingMessage(
    id="0123456789abcdef" * 2,
    subject="",
    text="",
    html="",
    chat="",
    created=datetime(2026, 3, 2, 6, tzinfo=UTC),
    payload={"kind": "incidents", "incidents": [{"entity": "Orléans"}]},
)


def make_settings(**values: object) -> Settings:
    fields: dict[str, Any] = {"vigie_webhook_key": SecretStr(KEY), "vigie_source_networks": "127.0.0.0/8", **values}
    return Settings.model_construct(**fields)


def make_hook(address: str) -> Recipient:
    return Recipient(name="desk", channel="webhook", address=address)


def load_documented_check() -> Callable[[dict[str, str], bytes, str], bool]:
    """Return the function of the documentation with which receivers check a request."""
    text = (ROOT / "docs" / "reference" / "webhooks.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    return names["is_from_vigie"]  # type: ignore[no-any-return]


def is_signed(headers: dict[str, str], body: bytes, key: str = KEY) -> bool:
    return load_documented_check()({name.title(): value for name, value in headers.items()}, body, key)


@pytest.fixture
def receiver() -> Iterator[WebReceiver]:
    with serve_web() as server:
        yield server


def test_webhook_is_signed_json(receiver: WebReceiver) -> None:
    sending.send_message(MESSAGE, make_hook(f"{receiver.url}/hooks/5ecret?team=nuit"), make_settings())
    (request,) = receiver.requests
    assert request.path == "/hooks/5ecret?team=nuit"
    assert json.loads(request.body) == MESSAGE.payload
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["x-vigie-delivery"] == MESSAGE.id
    assert is_signed(request.headers, request.body)
    assert not is_signed(request.headers, request.body + b" ")
    assert not is_signed(request.headers, request.body, "another key")
    later = request.headers | {"x-vigie-timestamp": str(int(request.headers["x-vigie-timestamp"]) + 1)}
    assert not is_signed(later, request.body)


def test_webhook_needs_a_key(receiver: WebReceiver) -> None:
    with pytest.raises(ServiceUnavailableError, match="Set VIGIE_WEBHOOK_KEY"):
        sending.send_message(MESSAGE, make_hook(receiver.url), make_settings(vigie_webhook_key=SecretStr("")))
    assert not receiver.requests


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, None) for status in (200, 202, 204)),
        *((status, DeliveryRefusedError) for status in (400, 401, 404, 410, 301, 307)),
        *((status, ServiceUnavailableError) for status in (408, 429, 500, 503)),
    ],
)
def test_webhook_answer_decides_about_another_attempt(
    status: int, kind: type[Exception] | None, receiver: WebReceiver
) -> None:
    receiver.status, receiver.headers = status, {"Location": f"{receiver.url}/elsewhere"}
    hook = make_hook(f"{receiver.url}/hooks/5ecret")
    if kind is None:
        sending.send_message(MESSAGE, hook, make_settings())
    else:
        with pytest.raises(kind, match=str(status)) as caught:
            sending.send_message(MESSAGE, hook, make_settings())
        assert "5ecret" not in str(caught.value)
    assert len(receiver.requests) == 1


def test_webhook_that_hangs_is_left(receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SEND_TIMEOUT_S", 0.3)
    receiver.delay_s = 0.6
    with pytest.raises(ServiceUnavailableError, match=r"no answer in 0.3 s"):
        sending.send_message(MESSAGE, make_hook(receiver.url), make_settings())


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_webhook_that_drips_is_cut(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps every wait for the next byte short."""
    monkeypatch.setattr(web, "TOTAL_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cut = threading.Event()

        def drip() -> None:
            connection, _address = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(start)
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.02)
            cut.set()

        threading.Thread(target=drip, daemon=True).start()
        hook = make_hook(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        with suppress(ServiceUnavailableError):  # an answer of which the state has come is one
            sending.send_message(MESSAGE, hook, make_settings())
        assert cut.wait(10)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("call http")]


def test_webhook_without_a_server_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServiceUnavailableError, match="refused"):
        sending.send_message(MESSAGE, make_hook(f"http://127.0.0.1:{port}/"), make_settings())


def test_webhook_is_encrypted_with_a_certificate_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = write_certificate(tmp_path / "server.pem")
    with serve_web(certificate) as receiver:
        with pytest.raises(ServiceUnavailableError, match=r"certificate of 127.0.0.1 is not accepted"):
            sending.send_message(MESSAGE, make_hook(receiver.url), make_settings())
        assert not receiver.requests
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        sending.send_message(MESSAGE, make_hook(receiver.url), make_settings())
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0.0.0.0", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::1]", "[fd00::1]"),
        *("[::ffff:127.0.0.1]", "[fe80::1]", "224.0.0.1", "100.64.0.1"),
    ],
)
def test_webhook_calls_no_private_address(host: str) -> None:
    hook = make_hook(f"http://{host}:8080/hooks/5ecret")
    for work in (sending.check_recipient, lambda *given: sending.send_message(MESSAGE, *given)):
        with pytest.raises(AccessDeniedError) as caught:
            work(hook, make_settings(vigie_source_networks=""))
        assert "5ecret" not in str(caught.value)


def test_webhook_is_called_at_the_address_that_was_checked(
    receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name means an allowed address when it is checked, and another one afterwards (DNS rebinding)."""
    port, answers = int(receiver.url.rpartition(":")[2]), iter(["127.0.0.1", "10.255.255.1"])
    resolve = socket.getaddrinfo

    def resolve_twice(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve(next(answers) if host == "hooks.example.org" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_twice)
    sending.send_message(MESSAGE, make_hook(f"http://hooks.example.org:{port}/"), make_settings())
    assert receiver.requests[0].headers["host"] == f"hooks.example.org:{port}"


@pytest.mark.parametrize(
    "address",
    [
        *("ftp://example.org/x", "https://", "https://u:p@example.org/5ecret", "file:///etc/passwd", "example.org/x"),
        *("https://example.org/\r\nX-Evil: 1", "https://2130706433/", "https://0x7f.1/", "http://[::1"),
    ],
)
def test_webhook_address_has_one_form(address: str) -> None:
    with pytest.raises(OptionError, match="Accepted: https://host/path") as caught:
        sending.check_recipient(make_hook(address), make_settings())
    assert "5ecret" not in str(caught.value)
    assert "5ecret" not in sending.describe_recipient(make_hook(address))


def test_documentation_lists_the_fields_of_the_body() -> None:
    now = datetime(2026, 3, 2, 6, tzinfo=UTC)
    hook = make_hook("https://example.org/")
    told = render_message(MESSAGE.id, [announce(make_incident())], hook, now, "https://vigie.example.org").payload
    text = (ROOT / "docs" / "reference" / "webhooks.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)` \|", text.partition("## Body")[2], re.MULTILINE))
    assert documented == {*told, *told["incidents"][0], *render_test(MESSAGE.id, hook, now).payload}
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example is not None
    shown = json.loads(example[1])
    assert set(shown) == set(told)
    assert set(shown["incidents"][0]) == set(told["incidents"][0])
    assert set(shown["incidents"][0]["incident"]) <= set(told["incidents"][0]["incident"])
