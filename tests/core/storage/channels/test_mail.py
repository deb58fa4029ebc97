"""Mail: a real server that encrypts, asks for a password, refuses, is slow and breaks off."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from core.errors import OptionError, ServiceUnavailableError
from core.settings import Settings
from core.storage.channels import mail, sending
from core.storage.channels.base import DeliveryRefusedError
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient
from tests.support.receivers import MAIL_PASSWORD, MAIL_USER, MailServer, serve_mail, write_certificate

ADA = Recipient(name="ada", channel="mail", address="ada@example.org", language="fr")
MESSAGE = OutgoingMessage(
    id="0123456789abcdef" * 2,
    subject="[Vigie] Débit élevé",
    text="Débit élevé à Orléans.\n.\nFin",
    html="<p>Débit élevé</p>",
    chat="",
    created=datetime(2026, 3, 2, 6, tzinfo=UTC),
)


def make_settings(url: str, **values: object) -> Settings:
    fields = {"vigie_smtp_url": SecretStr(url), "vigie_mail_from": "vigie@example.org", **values}
    return Settings.model_construct(**fields)  # type: ignore[arg-type]


def add_password(url: str, password: str = MAIL_PASSWORD) -> str:
    scheme, _, place = url.partition("://")
    return f"{scheme}://{MAIL_USER}:{quote(password, safe='')}@{place}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("mail") / "server.pem")


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with serve_mail() as server:
        yield server


def test_mail_arrives_with_its_headers_and_both_forms(mail_server: MailServer) -> None:
    sending.send_message(MESSAGE, ADA, make_settings(mail_server.url))
    (received,) = mail_server.mails
    assert mail_server.recipients == ["ada@example.org"]
    assert received["Message-ID"] == f"<{MESSAGE.id}@example.org>"
    assert received["X-Vigie-Delivery"] == MESSAGE.id
    assert (received["From"], received["To"]) == ("Vigie <vigie@example.org>", "ada@example.org")
    assert received["Subject"] == "[Vigie] Débit élevé"
    assert received["Auto-Submitted"] == "auto-generated"
    assert received["Content-Language"] == "fr"
    text, page = received.get_body(("plain",)), received.get_body(("html",))
    assert text is not None
    assert page is not None
    assert text.get_content().replace("\r\n", "\n").strip() == MESSAGE.text
    assert page.get_content().strip() == MESSAGE.html


@given(st.text(max_size=80), st.text(max_size=200))
def test_mail_never_has_a_header_of_others(subject: str, text: str) -> None:
    message = OutgoingMessage(MESSAGE.id, f"x {subject}\r\nBcc: all@example.org", text, text, "", MESSAGE.created)
    built = mail.build_mail(message, ADA, make_settings("smtp://127.0.0.1"))
    head = bytes(built).partition(b"\r\n\r\n")[0]
    names = {line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))}
    assert names <= {
        *(b"From", b"To", b"Subject", b"Date", b"Message-ID", b"X-Vigie-Delivery", b"Auto-Submitted"),
        *(b"X-Auto-Response-Suppress", b"MIME-Version", b"Content-Type", b"Content-Language"),
    }


@pytest.mark.parametrize(
    "address",
    [
        *("a@b.c\nBcc: d@e.f", "a@b.c,d@e.f", "Ada <a@b.c>", "ada", "@b.c", "a@", "a b@c.d", "a@b@c", "(x)a@b.c"),
        *(f"{'a' * 300}@b.c", "é@b.c", "a@b.c\x00", " a@b.c"),
    ],
)
def test_mail_address_is_one_address(address: str) -> None:
    recipient = ADA.model_copy(update={"address": address})
    with pytest.raises(OptionError, match="not a mail address"):
        sending.check_recipient(recipient, make_settings("smtp://127.0.0.1"))


def test_mail_is_encrypted_and_signs_in(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for is_encrypted in (False, True):
        with serve_mail(certificate=certificate, needs_password=True, is_encrypted=is_encrypted) as server:
            settings = make_settings(add_password(server.url))
            sending.send_message(MESSAGE, ADA, settings)
            mail.check_server(settings)
            assert len(server.mails) == 1
            with pytest.raises(ServiceUnavailableError, match=r"refuses the user or the password.*535") as caught:
                sending.send_message(MESSAGE, ADA, make_settings(add_password(server.url, "wrong-guess-1")))
            assert "wrong-guess-1" not in str(caught.value)


def test_mail_needs_a_certificate_that_is_known(certificate: Path) -> None:
    with serve_mail(certificate=certificate) as server:
        with pytest.raises(ServiceUnavailableError, match=r"certificate of .* is not accepted"):
            sending.send_message(MESSAGE, ADA, make_settings(server.url))
        assert not server.mails


def test_mail_password_is_not_sent_in_the_clear(mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_is_this_machine", lambda _host: False)
    with pytest.raises(ServiceUnavailableError, match="offers no encryption"):
        sending.send_message(MESSAGE, ADA, make_settings(add_password(mail_server.url)))


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ({"rcpt_answer": "550 no such user"}, "refuses the recipient: 550 no such user"),
        ({"data_answer": "554 looks like spam"}, "refuses the message: 554 looks like spam"),
    ],
)
def test_mail_that_is_refused_is_not_sent_again(mail_server: MailServer, answer: dict[str, str], refusal: str) -> None:
    vars(mail_server).update(answer)
    with pytest.raises(DeliveryRefusedError, match=refusal):
        sending.send_message(MESSAGE, ADA, make_settings(mail_server.url))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"rcpt_answer": "450 try later"}, "refuses the recipient: 450 try later"),
        ({"data_answer": "452 disk full"}, "refuses the message: 452 disk full"),
        ({"mail_answer": "550 who are you"}, "refuses the sender vigie@example.org: 550 who are you"),
        ({"closes": True}, "does not answer"),
    ],
)
def test_mail_that_may_be_accepted_later_is_sent_again(
    mail_server: MailServer, answer: dict[str, object], problem: str
) -> None:
    vars(mail_server).update(answer)
    with pytest.raises(ServiceUnavailableError, match=problem):
        sending.send_message(MESSAGE, ADA, make_settings(mail_server.url))


def test_mail_server_that_hangs_or_drips_is_left(mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SEND_TIMEOUT_S", 0.5)
    mail_server.delay_s = 1.0
    with pytest.raises(ServiceUnavailableError, match=r"no answer in 0.5 s"):
        sending.send_message(MESSAGE, ADA, make_settings(mail_server.url))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServiceUnavailableError, match=r"no answer in 0.5 s"):
            sending.send_message(MESSAGE, ADA, make_settings(url))
    for thread in threading.enumerate():
        if thread.name.startswith("call "):
            thread.join(15)


def test_mail_needs_a_server() -> None:
    with pytest.raises(ServiceUnavailableError, match="Set VIGIE_SMTP_URL"):
        sending.send_message(MESSAGE, ADA, make_settings(""))
    assert mail.describe_server(make_settings("")) == ""
    assert mail.describe_server(make_settings("smtps://u:hunter2@mail.example.org")) == "smtps://mail.example.org:465"


@pytest.mark.parametrize("host", ["mail.example.org", "127.0.0.1", "[::1]"])
def test_mail_has_a_sender_without_a_setting(host: str) -> None:
    built = mail.build_mail(MESSAGE, ADA, make_settings(f"smtp://{host}:25", vigie_mail_from=""))
    assert "<vigie@" in built["From"]


@pytest.mark.parametrize("url", ["smtp://mail", "smtps://u:p%40ss@mail.example.org", "smtp://[::1]:2525/", ""])
def test_mail_server_address_is_accepted(url: str) -> None:
    assert Settings(vigie_smtp_url=SecretStr(url)).vigie_smtp_url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        *("mail.example.org", "http://mail.example.org", "smtp://", "smtp://mail:99999", "smtp://mail/path"),
        *("smtp://u:w%C3%B6rd@mail", "smtp://u:p@ss/word@mail", "smtp://mail?x=1", "smtp://[::1"),
    ],
)
def test_mail_server_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="accepted are smtp://"):
        Settings(vigie_smtp_url=SecretStr(url))
