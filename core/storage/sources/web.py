"""A table at an address of the web. The whole answer is read; the same answer as last time has nothing new."""

import hashlib
import http.client
import os
import posixpath
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from core.errors import AccessDeniedError, ServiceUnavailableError, UnreadableFileError
from core.messages import N_, Message
from core.settings import Settings
from core.storage.sources.addresses import WebAddress, check_host, hide_query, parse_address, resolve_host
from core.storage.sources.base import NO_STATE, Portion
from core.watches.source import WebSource

CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 15.0
TOTAL_TIMEOUT_S = 60.0  # of all requests of one reading, also of a server that sends a byte a second
MAX_REDIRECTS = 5
BLOCK_BYTES = 2**16
REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
REFUSALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}
CONDITIONS = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
"""Part of the state → header that asks for an answer only if it has changed."""
HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,200}")


@dataclass(frozen=True)
class WebReader:
    """Reader of one address.

    No proxy is used, because a proxy would resolve the name of the host again.
    """

    source: WebSource
    settings: Settings
    total_timeout_s: float = TOTAL_TIMEOUT_S

    def read(self, state: Mapping[str, Any], folder: Path, max_bytes: int, now: datetime) -> Portion:
        """Read the answer, up to the largest size of an upload; see `RowSource`."""
        headers = {header: str(state[name]) for name, header in CONDITIONS.items() if state.get(name)}
        with self._request(headers) as response:
            if response is None:
                return Portion((), state)
            path = folder / "0"
            with path.open("wb") as target:
                digest = _copy(response, target, self.settings.vigie_max_upload_mb * 2**20, self.source.url)
            marks = {"etag": response.headers.get("ETag", ""), "modified": response.headers.get("Last-Modified", "")}
        with path.open("rb") as file:
            is_same = digest == state.get("digest") or not file.read(BLOCK_BYTES).strip()
        new_state = {"digest": digest, **{name: mark for name, mark in marks.items() if HEADER_VALUE.fullmatch(mark)}}
        return Portion(() if is_same else ((path, _name_file(self.source.url)),), new_state)

    def check(self) -> None:
        """Make one request, and leave its answer; see `RowSource`."""
        with self._request({}):
            pass

    def start_late(self, since: datetime | None) -> Mapping[str, Any]:
        """Return the empty state: the answer is read as a whole."""
        return NO_STATE

    @contextmanager
    def _request(self, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse | None]:
        """Yield the answer after all redirects, each of them checked; None for an answer that has not changed."""
        deadline = time.monotonic() + self.total_timeout_s
        url = self.source.url
        for _ in range(MAX_REDIRECTS + 1):
            address = parse_address(url)
            check_host(address.host, self.settings)
            with _translate_errors(url, deadline), _connect(address, self.settings, deadline) as connection:
                connection.request("GET", address.target, headers=_list_headers(address, headers))
                with connection.getresponse() as response:
                    location = response.headers.get("Location")
                    if response.status not in REDIRECTS or not location:
                        yield _check_status(response, url)
                        return
            url = _follow(url, location)
        raise ServiceUnavailableError(
            N_("{address} redirects more than {count} times."), address=hide_query(self.source.url), count=MAX_REDIRECTS
        )


class _PinnedConnection(http.client.HTTPConnection):
    """Connection to an IP address that was checked, for the host of the address."""

    def __init__(self, address: WebAddress, ip: str) -> None:
        super().__init__(address.host, address.port, timeout=CONNECT_TIMEOUT_S)
        self.address, self.ip = address, ip

    def connect(self) -> None:
        self.sock = socket.create_connection((self.ip, self.address.port), CONNECT_TIMEOUT_S)
        self.sock.settimeout(SILENCE_TIMEOUT_S)
        if self.address.scheme == "https":
            self.sock = _create_context().wrap_socket(
                self.sock, server_hostname=self.address.host, do_handshake_on_connect=False
            )


def _create_context() -> ssl.SSLContext:
    """Return the settings of TLS, with the own authority of REQUESTS_CA_BUNDLE where there is one."""
    context = ssl.create_default_context()
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
        context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
    return context


@contextmanager
def _connect(address: WebAddress, settings: Settings, deadline: float) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection that is cut at the `deadline`, so that no server can hold it with a byte now and then."""
    connection = _PinnedConnection(address, resolve_host(address, settings))
    connection.connect()
    cut = threading.Timer(max(deadline - time.monotonic(), 0.0), _shut_down, [connection.sock])
    cut.daemon = True
    cut.start()
    try:
        if isinstance(connection.sock, ssl.SSLSocket):
            connection.sock.do_handshake()
        yield connection
    finally:
        cut.cancel()
        connection.close()


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it has ended
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # without the locks of TLS


def _list_headers(address: WebAddress, conditions: Mapping[str, str]) -> dict[str, str]:
    return {
        "Host": address.host_header,
        "Accept": "text/csv, application/json, */*;q=0.5",
        "Accept-Encoding": "identity",
        "User-Agent": "Vigie",
        "Connection": "close",
        **conditions,
    }


def _check_status(response: http.client.HTTPResponse, url: str) -> http.client.HTTPResponse | None:
    """Return an answer with a table, None for one that has not changed. Raises the errors of `RowSource`."""
    if response.status in (HTTPStatus.NOT_MODIFIED, HTTPStatus.NO_CONTENT):
        return None
    if response.status == HTTPStatus.OK:
        return response
    status = f"HTTP {response.status}"
    if response.status in REFUSALS:
        raise AccessDeniedError(N_("{address} denies access ({reason})."), address=hide_query(url), reason=status)
    raise ServiceUnavailableError(N_("{service} does not answer ({reason})."), service=hide_query(url), reason=status)


def _follow(url: str, location: str) -> str:
    """Return the address of a redirect. Raises AccessDeniedError for one from https to http."""
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise AccessDeniedError(
            N_("{address} redirects to {value!r}, which is not encrypted."),
            address=hide_query(url),
            value=hide_query(target),
        )
    return target


def _copy(response: http.client.HTTPResponse, target: IO[bytes], max_bytes: int, url: str) -> str:
    """Write the body of an answer, and return its digest. Raises UnreadableFileError above `max_bytes`."""
    hasher, size = hashlib.sha256(), 0
    while block := response.read1(BLOCK_BYTES):
        size += len(block)
        if size > max_bytes:
            raise UnreadableFileError(
                N_("{file}: the answer has more than {accepted} bytes. VIGIE_MAX_UPLOAD_MB sets the limit."),
                file=hide_query(url),
                accepted=max_bytes,
            )
        hasher.update(block)
        target.write(block)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return hasher.hexdigest()


@contextmanager
def _translate_errors(url: str, deadline: float) -> Iterator[None]:
    """Turn the errors of the network into ServiceUnavailableError, and an end at the deadline too."""
    reason: object = ""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        reason = error if str(error) else type(error).__name__
    is_late = time.monotonic() >= deadline
    if reason or is_late:
        raise ServiceUnavailableError(
            N_("{service} does not answer ({reason})."),
            service=hide_query(url),
            reason=Message(N_("the answer takes too long")) if is_late else str(reason),
        )


def _name_file(url: str) -> str:
    """Return the last part of the path of an address, or its host."""
    parts = urlsplit(url)
    return posixpath.basename(parts.path) or parts.hostname or "table"
