"""Requests to addresses that users set: only to machines that may be called, at the address that was checked."""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from typing_extensions import override

from core.errors import ServiceUnavailableError
from core.messages import N_
from core.settings import Settings
from core.storage.channels.base import SOCKET_TIMEOUT_S, shorten_reason
from core.storage.channels.tls import make_tls_context
from core.storage.sources.addresses import WebAddress, resolve_host

TOTAL_S = 25.0  # after which the connection is cut, also of a server that sends a byte a second


@dataclass(frozen=True)
class WebAnswer:
    """Answer of a web server: its status, and the reason that it gives with it."""

    status: int
    reason: str


def post_body(address: WebAddress, body: bytes, headers: Mapping[str, str], settings: Settings) -> WebAnswer:
    """Send `body` with POST, through no proxy, and return the state of the answer.

    No redirect is followed, and the body of the answer is not read. The name of the host is resolved once.

    Raises AccessDeniedError for a machine that may not be called, ServiceUnavailableError for one that does not answer.
    """
    connection = _CheckedConnection(address, resolve_host(address, settings))
    try:
        connection.request("POST", address.target, body, {"Host": address.host_header, **headers})
        answer = connection.getresponse()
        return WebAnswer(answer.status, shorten_reason(answer.reason))
    except ssl.SSLCertVerificationError as error:
        raise ServiceUnavailableError(
            N_("The certificate of {place} is not accepted: {reason}."), place=address.host, reason=error.verify_message
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = shorten_reason(error) or type(error).__name__
        raise ServiceUnavailableError(
            N_("{service} does not answer ({reason})."), service=address.host, reason=reason
        ) from None
    finally:
        connection.release()


class _CheckedConnection(http.client.HTTPConnection):
    """A connection to the IP address that was checked, whatever the name of the host means by now."""

    def __init__(self, address: WebAddress, ip: str) -> None:
        super().__init__(address.host, address.port, timeout=SOCKET_TIMEOUT_S)
        self._address, self._ip = address, ip
        self._raw: socket.socket | None = None
        self._timer: threading.Timer | None = None

    @override
    def connect(self) -> None:
        self.sock = socket.create_connection((self._ip, self._address.port), SOCKET_TIMEOUT_S)
        self._raw = self.sock.dup()  # encryption takes the other one over
        self._timer = threading.Timer(TOTAL_S, _shut_down, [self._raw])
        self._timer.daemon = True
        self._timer.start()
        if self._address.scheme == "https":
            self.sock = make_tls_context().wrap_socket(self.sock, server_hostname=self._address.host)

    def release(self) -> None:
        """Close the connection, and end its limit of time: `close` is called before the answer is read."""
        self.close()
        if self._timer is not None and self._raw is not None:
            self._timer.cancel()
            self._raw.close()


def _shut_down(raw: socket.socket) -> None:
    with suppress(OSError):  # it has ended
        raw.shutdown(socket.SHUT_RDWR)
