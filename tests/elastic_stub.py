"""An Elasticsearch that answers as told, for the faults that a real server does not show when asked to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Stub:
    """Documents by id in the order of arrival, and what is answered instead for the next requests.

    refusals   statuses of whole requests, used up one by one
    trouble    status by document id, as long as it is there
    """

    url: str = ""
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[int] = field(default_factory=list)
    trouble: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    largest: int = 0

    def bulk(self, body: bytes) -> dict[str, Any]:
        lines = [json.loads(line) for line in body.splitlines()]
        self.largest = max(self.largest, len(lines) // 2)
        items = [
            self._create(action["create"]["_id"], source)
            for action, source in zip(lines[::2], lines[1::2], strict=True)
        ]
        return {"took": 1, "errors": any("error" in item["create"] for item in items), "items": items}

    def _create(self, identity: str, source: dict[str, Any]) -> dict[str, Any]:
        status = self.trouble.get(identity, 409 if identity in self.documents else 201)
        if status == 201:
            self.documents[identity] = source
            return {"create": {"_id": identity, "status": status}}
        return {
            "create": {"_id": identity, "status": status, "error": {"type": f"trouble_{status}", "reason": "as told"}}
        }


@contextmanager
def stub() -> Iterator[Stub]:
    """A stub on a free port."""
    found = Stub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.requests.append(self.path)
            status = found.refusals.pop(0) if found.refusals else 200
            answer: Any = {"error": {"type": f"refused_{status}", "reason": "as told"}, "status": status}
            if status == 200:
                answer = (
                    found.bulk(body)
                    if "_bulk" in self.path
                    else {"acknowledged": True, "version": {"number": "8.19.0"}}
                )
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=8")
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
