"""Proxy in front of a search server: it translates media types, records requests, and produces faults on demand."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError

PLAIN_MEDIA_TYPE = "application/json"


@dataclass
class Answer:
    """Response of the server: a JSON object, or a text that is sent as it is."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


Fault = Callable[[Answer], Answer]
"""Function that spoils the answer of the server."""


@dataclass
class SearchProxy:
    """Requests so far, and the faults of the next composite aggregations, each used once; None is no fault."""

    url: str = ""
    faults: list[Fault | None] = field(default_factory=list)
    requests: list["Request"] = field(default_factory=list)

    def list_pages(self) -> list[dict[str, Any]]:
        """Return the composite aggregations that were asked for."""
        return [request.body["aggs"]["buckets"]["composite"] for request in self.requests if request.is_page]


@dataclass(frozen=True)
class Request:
    """Request of the client."""

    path: str
    text: str
    authorization: str

    @property
    def body(self) -> Any:
        return json.loads(self.text) if self.text else {}

    @property
    def is_page(self) -> bool:
        return '"composite"' in self.text


def refuse(status: int, retry_after: str = "", reason: str = "as told") -> Fault:
    """Return a fault: an error of the server."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    body = {"error": {"type": f"refused_{status}", "reason": reason}, "status": status}
    return lambda _: Answer(status, body, headers)


def lose_shard(answer: Answer) -> Answer:
    """Answer as if one of two shards had failed."""
    return Answer(200, answer.body | {"_shards": {"total": 2, "successful": 1, "skipped": 0, "failed": 1}})


def cut_off(answer: Answer) -> Answer:
    """Answer as if the search had been cut off by its timeout."""
    return Answer(200, answer.body | {"timed_out": True})


def send_login_page(_: Answer) -> Answer:
    """Answer as a login page in front of the server does."""
    return Answer(200, "<html>Sign in</html>", {"Content-Type": "text/html"})


@contextmanager
def run_search_proxy(target: str) -> Iterator[SearchProxy]:
    """Run a proxy of the server `target` on a free port of the local host and yield it."""
    proxy = SearchProxy()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.path, body.decode(), self.headers.get("Authorization", ""))
            proxy.requests.append(request)
            answer = forward(target, self.command, self.path, body, self.headers)
            if request.is_page and proxy.faults and (fault := proxy.faults.pop(0)) is not None:
                answer = fault(answer)
            content = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
            headers = {
                "Content-Type": "application/vnd.elasticsearch+json;compatible-with=8",
                "X-Elastic-Product": "Elasticsearch",
                "Content-Length": str(len(content)),
            }
            with suppress(BrokenPipeError, ConnectionResetError):  # a client that did not wait
                self.send_response(answer.status)
                for name, value in (headers | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def forward(target: str, method: str, path: str, body: bytes, headers: HTTPMessage) -> Answer:
    """Send a request to the server and return its answer.

    The client names the fields of `_field_caps` in the body, as Elasticsearch accepts it since 8.5; osmem wants them in
    the address.
    """
    if "_field_caps" in path:
        path, body = f"{path}?fields={','.join(json.loads(body)['fields'])}", b""
    media_type = "application/x-ndjson" if "ndjson" in headers.get("Content-Type", "") else PLAIN_MEDIA_TYPE
    request = urllib.request.Request(
        f"{target}{path}", body or None, {"Content-Type": media_type, "Accept": PLAIN_MEDIA_TYPE}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return Answer(response.status, json.loads(response.read()))
    except HTTPError as error:
        return Answer(error.code, json.loads(error.read()))
