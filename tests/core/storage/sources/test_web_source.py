"""A table at an address of the web: real servers that change, redirect, lie, hang and send without end."""

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.data.ingest.loading import load
from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError, UnreadableFileError
from core.settings import Settings
from core.storage.sources import Arrivals, check_source, read_arrivals
from core.storage.sources.web import WebReader
from core.watches.source import WebSource

ROWS = b"time,MW\n2024-01-01 00:00,5\n2024-01-01 01:00,6\n"
Answer = Callable[[BaseHTTPRequestHandler], None]


class TableServer(ThreadingHTTPServer):
    """Server on this machine; `answers` are functions by path, `requests` the paths and headers that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), TableHandler)
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that have gone."""


class TableHandler(BaseHTTPRequestHandler):
    server: TableServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers.items())))
        self.server.answers[self.path.partition("?")[0]](self)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def send(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Return the function that answers with `body`; _ in names of headers stands for -."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirect(target: str) -> Answer:
    return send(b"", 302, Location=target)


@pytest.fixture
def server() -> Iterator[TableServer]:
    table_server = TableServer()
    threading.Thread(target=table_server.serve_forever, args=(0.01,), daemon=True).start()
    yield table_server
    table_server.shutdown()
    table_server.server_close()


@pytest.fixture
def settings() -> Settings:
    return Settings.model_construct(vigie_source_hosts="127.0.0.1, localhost", vigie_source_networks="127.0.0.0/8, ::1")


def take(url: str, settings: Settings, folder: Path, cursor: str = "") -> Arrivals:
    target = folder / f"tick-{time.monotonic_ns()}"
    target.mkdir()
    return read_arrivals(WebSource(url=url), cursor, target, settings)


def test_changed_answer_arrives_once(server: TableServer, settings: Settings, tmp_path: Path) -> None:
    server.answers["/load.csv"] = send(ROWS)
    first = take(f"{server.url}/load.csv?key=hunter2", settings, tmp_path)
    assert [(path.read_bytes(), name) for path, name in first.files] == [(ROWS, "load.csv")]
    second = take(f"{server.url}/load.csv?key=hunter2", settings, tmp_path, first.cursor)
    assert not second.files
    server.answers["/load.csv"] = send(ROWS + b"2024-01-01 02:00,7\n")
    assert take(f"{server.url}/load.csv?key=hunter2", settings, tmp_path, second.cursor).files
    assert server.requests[0][1]["Host"] == f"127.0.0.1:{server.server_port}"


def test_server_that_knows_versions_sends_nothing_twice(
    server: TableServer, settings: Settings, tmp_path: Path
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        is_known = handler.headers.get("If-None-Match") == '"v1"' and "If-Modified-Since" in handler.headers
        send(b"" if is_known else ROWS, 304 if is_known else 200, ETag='"v1"', Last_Modified="Mon, 01 Jan 2024")(
            handler
        )

    server.answers["/"] = answer
    first = take(server.url, settings, tmp_path)
    assert [name for _, name in first.files] == ["127.0.0.1"]
    second = take(server.url, settings, tmp_path, first.cursor)
    assert (second.files, second.cursor) == ((), first.cursor)


@pytest.mark.parametrize(
    "body",
    [
        ROWS,
        b'[{"time": "2024-01-01 00:00", "MW": 5}, {"time": "2024-01-01 01:00", "MW": 6}]',
        b'{"columns": ["time", "MW"], "data": [["2024-01-01 00:00", 5], ["2024-01-01 01:00", 6]]}',
        b'{"time": "2024-01-01 00:00", "MW": 5}\n{"time": "2024-01-01 01:00", "MW": 6}\n',
        b'{"status": "ok", "rows": [{"time": "2024-01-01 00:00", "MW": 5}, {"time": "2024-01-01 01:00", "MW": 6}]}',
    ],
)
def test_forms_of_tables_are_read(body: bytes, server: TableServer, settings: Settings, tmp_path: Path) -> None:
    server.answers["/table"] = send(body)
    dataset = load(list(take(f"{server.url}/table", settings, tmp_path).files))
    assert dataset.frame["MW"].tolist() == [5, 6]


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_empty_answer_has_nothing_new(body: bytes, server: TableServer, settings: Settings, tmp_path: Path) -> None:
    server.answers["/table"] = send(body)
    assert not take(f"{server.url}/table", settings, tmp_path).files


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (401, AccessDeniedError, r"/table\?… denies access \(HTTP 401\)"),
        (403, AccessDeniedError, "HTTP 403"),
        (404, ServiceUnavailableError, "HTTP 404"),
        (500, ServiceUnavailableError, "HTTP 500"),
        (206, ServiceUnavailableError, "HTTP 206"),
    ],
)
def test_refusal_is_told(
    status: int, error: type[Exception], text: str, server: TableServer, settings: Settings, tmp_path: Path
) -> None:
    server.answers["/table"] = send(b"no", status)
    url = f"{server.url}/table?key=hunter2"
    with pytest.raises(error, match=text) as raised:
        take(url, settings, tmp_path)
    assert "hunter2" not in str(raised.value)
    with pytest.raises(error):
        check_source(WebSource(url=url), settings)


def test_dead_server_is_unavailable(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        with pytest.raises(ServiceUnavailableError, match="Connection refused"):
            take(url, settings, tmp_path)


def test_redirects_are_followed_and_checked(server: TableServer, settings: Settings, tmp_path: Path) -> None:
    port = server.server_port
    server.answers |= {
        "/a": redirect("/b?x=1"),
        "/b": redirect(f"http://localhost:{port}/c"),
        "/c": send(ROWS),
        "/metadata": redirect("http://169.254.169.254/latest/meta-data/"),
        "/other": redirect("http://example.org/"),
        "/file": redirect("file:///etc/passwd"),
        "/user": redirect(f"http://ann:hunter2@127.0.0.1:{port}/c"),
        "/loop": redirect("/loop"),
    }
    check_source(WebSource(url=f"{server.url}/a"), settings)
    assert take(f"{server.url}/a", settings, tmp_path).files
    for path, error in (
        ("metadata", AccessDeniedError),
        ("other", AccessDeniedError),
        ("file", OptionError),
        ("user", OptionError),
        ("loop", ServiceUnavailableError),
    ):
        with pytest.raises(error):
            take(f"{server.url}/{path}", settings, tmp_path)
    assert [path for path, _ in server.requests].count("/loop") == 6


def test_address_outside_of_networks_gets_no_request(server: TableServer, settings: Settings, tmp_path: Path) -> None:
    closed = settings.model_copy(update={"vigie_source_networks": ""})
    with pytest.raises(AccessDeniedError, match="not public"):
        take(f"{server.url}/load.csv", closed, tmp_path)
    assert not server.requests


def test_name_is_resolved_once(
    server: TableServer, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner of a name could give it an address of this network after the check (DNS rebinding)."""
    server.answers["/load.csv"] = send(ROWS)
    real, asked = socket.getaddrinfo, []

    def resolve(host: str, *arguments: object, **options: object) -> object:
        asked.append(host)
        return real("127.0.0.1" if host == "data.example.org" else host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    named = settings.model_copy(update={"vigie_source_hosts": "data.example.org"})
    assert take(f"http://data.example.org:{server.server_port}/load.csv", named, tmp_path).files
    assert asked == ["data.example.org", "127.0.0.1"], "the connection is made to the address that was checked"
    assert server.requests[0][1]["Host"] == f"data.example.org:{server.server_port}"


def test_too_large_answer_is_refused(server: TableServer, settings: Settings, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:  # until the reader hangs up
            handler.wfile.write(b"2024-01-01,5\n" * 10_000)

    server.answers["/endless"] = answer
    small = settings.model_copy(update={"vigie_max_upload_mb": 1})
    with pytest.raises(UnreadableFileError, match="more than 1,048,576 bytes"):
        take(f"{server.url}/endless", small, tmp_path)


@pytest.mark.parametrize("part", ["headers", "body"])
def test_slow_answer_is_cut(part: str, server: TableServer, settings: Settings, tmp_path: Path) -> None:
    """A byte now and then would hold a worker for ever."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if part == "body":
            send(b"", Content_Length="100000")(handler)
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.01)

    server.answers["/slow"] = answer
    reader = WebReader(WebSource(url=f"{server.url}/slow"), settings, total_timeout_s=0.3)
    with pytest.raises(ServiceUnavailableError, match="the answer takes too long"):
        reader.read({}, tmp_path, 1000, datetime.now(UTC))


@pytest.mark.parametrize("has_length", [True, False])
def test_cut_answer_is_refused(has_length: bool, server: TableServer, settings: Settings, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if has_length:
            send(ROWS, Content_Length="1000")(handler)
        else:
            send(b"5\r\ntime,\r\n", Content_Length="", Transfer_Encoding="chunked")(handler)
        handler.close_connection = True

    server.answers["/cut"] = answer
    with pytest.raises(ServiceUnavailableError, match="IncompleteRead"):
        take(f"{server.url}/cut", settings, tmp_path)


def test_silent_handshake_is_cut(settings: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        reader = WebReader(WebSource(url=url), settings, total_timeout_s=0.2)
        with pytest.raises(ServiceUnavailableError, match="the answer takes too long"):
            reader.read({}, tmp_path, 1000, datetime.now(UTC))


def test_answer_of_another_protocol_is_refused(settings: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"220 mail.example.org ESMTP\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ServiceUnavailableError, match="220 mail"):
            take(f"http://127.0.0.1:{listener.getsockname()[1]}/", settings, tmp_path)


# ---- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """File with a certificate for the name localhost, which signs itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def secure_server(server: TableServer, certificate: Path) -> TableServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def test_certificate_is_that_of_the_name(
    secure_server: TableServer, certificate: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to an address, and the certificate is compared with the name."""
    port = secure_server.server_port
    secure_server.answers |= {"/load.csv": send(ROWS), "/plain": redirect(f"http://localhost:{port}/load.csv")}
    with pytest.raises(ServiceUnavailableError, match="certificate verify failed"):
        take(f"https://localhost:{port}/load.csv", settings, tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert take(f"https://localhost:{port}/load.csv", settings, tmp_path).files
    with pytest.raises(ServiceUnavailableError, match="IP address mismatch"):
        take(f"https://127.0.0.1:{port}/load.csv", settings, tmp_path)
    with pytest.raises(AccessDeniedError, match="not encrypted"):
        take(f"https://localhost:{port}/plain", settings, tmp_path)
