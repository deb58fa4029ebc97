"""Stand-in for Cloud Run before a server: it lets requests through that carry an identity token for its address.

It is Google's token service as well. A token is valid until `expire_tokens`; a client that looks at the time in it
should fetch another after `TOKEN_S` already.
"""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

TOKEN_S = 2
EARLY_S = 225  # before its end, a token counts as expired for Google's library
TOKEN_PATH = "/token"
HOP_HEADERS = {"host", "connection", "transfer-encoding", "content-length", "authorization"}


@dataclass
class Gate:
    """The gate: its address, the valid tokens, the audiences of all tokens, and the number of requests it refused."""

    url: str
    target: str
    tokens: set[str] = field(default_factory=set)
    given: int = 0
    audiences: set[str] = field(default_factory=set)
    refused: int = 0

    def give_token(self, assertion: str) -> str:
        """Return a new token for the audience that a signed request names."""
        payload = assertion.split(".")[1]
        self.audiences.add(json.loads(base64.urlsafe_b64decode(payload + "=="))["target_audience"])
        self.given += 1
        parts = ({"alg": "none"}, {"exp": int(time.time()) + EARLY_S + TOKEN_S, "number": self.given})
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        token = ".".join((*encoded, "c2ln"))
        self.tokens.add(token)
        return token

    def accepts(self, authorization: str) -> bool:
        """Tell whether a header carries a token that has not expired."""
        return authorization.removeprefix("Bearer ") in self.tokens

    def expire_tokens(self) -> None:
        """Let all tokens end now."""
        self.tokens.clear()


def write_key_file(path: Path, gate: Gate) -> None:
    """Write the key file of a service account whose tokens come from the gate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    entry = {"type": "service_account", "client_email": "vigie@tests.example", "private_key": text}
    path.write_text(json.dumps(entry | {"token_uri": gate.url + TOKEN_PATH, "private_key_id": "1"}), encoding="utf-8")


@contextmanager
def open_gate(target: str) -> Iterator[Gate]:
    """Run a gate before the server `target` until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._answer()

        do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

        def log_message(self, format: str, *values: object) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == TOKEN_PATH:
                assertion = parse_qs(body.decode())["assertion"][0]
                self._send(200, json.dumps({"id_token": gate.give_token(assertion)}).encode())
            elif gate.accepts(self.headers.get("Authorization", "")):
                self._forward(body)
            else:
                gate.refused += 1
                self._send(403, b"Forbidden")

        def _forward(self, body: bytes) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_HEADERS}
            request = urllib.request.Request(
                gate.target + self.path, body if body else None, headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    self._send(response.status, response.read(), response.headers.get("Content-Type", ""))
            except urllib.error.HTTPError as error:
                with error:
                    self._send(error.code, error.read(), error.headers.get("Content-Type", ""))

        def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    gate = Gate(f"http://127.0.0.1:{server.server_address[1]}", target)
    thread = Thread(target=server.serve_forever, daemon=True, name="gate")
    thread.start()
    try:
        yield gate
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
