"""Servers that take what watches announce: a mail server and a web server, on free ports of this machine."""

import asyncio
import email
import email.policy
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.support.processes import find_free_port

MAIL_USER, MAIL_PASSWORD = "vigie", "p@ss/word-7:x"


@dataclass
class MailServer:
    """A mail server that keeps what it is sent, and answers as a test wants.

    rcpt_answer, mail_answer, data_answer  answers to a recipient, a sender and a message; "" accepts
    delay_s      wait before the answer to a message
    closes       True closes the connection instead of it
    """

    url: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    rcpt_answer: str = ""
    mail_answer: str = ""
    data_answer: str = ""
    delay_s: float = 0.0
    closes: bool = False

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 named by aiosmtpd
        if self.mail_answer:
            return self.mail_answer
        envelope.mail_from, envelope.mail_options = address, options
        return "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802 named by aiosmtpd
        if self.rcpt_answer:
            return self.rcpt_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 named by aiosmtpd
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.closes:
            server.transport.abort()
            return "421 closed"
        if self.data_answer:
            return self.data_answer
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.recipients += envelope.rcpt_tos
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def serve_mail(
    *, certificate: Path | None = None, needs_password: bool = False, is_encrypted: bool = False
) -> Iterator[MailServer]:
    """Serve mail.

    certificate     file with key and certificate; the server then offers STARTTLS
    needs_password  it asks for MAIL_USER and MAIL_PASSWORD
    is_encrypted    it is encrypted from the start
    """
    server, port = MailServer(), find_free_port()
    options: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        options |= {"ssl_context": context} if is_encrypted else {"tls_context": context}
    if needs_password:
        options |= {"authenticator": _check_password, "auth_require_tls": not is_encrypted}
    controller = Controller(server, hostname="127.0.0.1", port=port, enable_SMTPUTF8=False, **options)
    controller.start()
    server.url = f"{'smtps' if is_encrypted else 'smtp'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        controller.stop()


def _check_password(_server: Any, _session: Any, _envelope: Any, _mechanism: str, credentials: Any) -> AuthResult:
    is_right = isinstance(credentials, LoginPassword) and (credentials.login, credentials.password) == (
        MAIL_USER.encode(),
        MAIL_PASSWORD.encode(),
    )
    return AuthResult(success=is_right, handled=False)


@dataclass
class Request:
    """A request that a web server got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebReceiver:
    """A web server that keeps the requests that it gets, and answers with `status` after `delay_s`."""

    url: str
    status: int = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    on_request: Callable[[Request], None] = lambda _request: None


@contextmanager
def serve_web(certificate: Path | None = None) -> Iterator[WebReceiver]:
    """Receive requests with POST, encrypted with a certificate."""
    receiver = WebReceiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.requests.append(request)
            receiver.on_request(request)
            time.sleep(receiver.delay_s)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_certificate(path: Path) -> Path:
    """Write the key and the certificate of 127.0.0.1, signed by itself, to one file, and return its path."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vigie tests")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.TraditionalOpenSSL
    body = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.write_bytes(body + certificate.public_bytes(serialization.Encoding.PEM))
    return path
