"""Stub of Elasticsearch with set answers, for faults that a real server does not produce on demand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Stub:
    """Documents by id in order of arrival, and the errors to return.

    `refusals` are HTTP statuses of the next whole requests, each used once.
    `status_by_id` gives the status of a document by its id, for every request.
    """

    url: str = ""
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[int] = field(default_factory=list)
    status_by_id: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    max_batch_size: int = 0

    def create_documents(self, body: bytes) -> dict[str, Any]:
        """Store the documents of a bulk request and return the body of the response."""
        lines = [json.loads(line) for line in body.splitlines()]
        self.max_batch_size = max(self.max_batch_size, len(lines) // 2)
        items = [
            self._create_document(action["create"]["_id"], source)
            for action, source in zip(lines[::2], lines[1::2], strict=True)
        ]
        return {"took": 1, "errors": any("error" in item["create"] for item in items), "items": items}

    def _create_document(self, identity: str, source: dict[str, Any]) -> dict[str, Any]:
        status = self.status_by_id.get(identity, 409 if identity in self.documents else 201)
        if status == 201:
            self.documents[identity] = source
            return {"create": {"_id": identity, "status": status}}
        return {
            "create": {"_id": identity, "status": status, "error": {"type": f"trouble_{status}", "reason": "as told"}}
        }


@contextmanager
def run_stub() -> Iterator[Stub]:
    """Run a stub on a free port of the local host and yield it."""
    server_stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server_stub.requests.append(self.path)
            status = server_stub.refusals.pop(0) if server_stub.refusals else 200
            answer: Any = {"error": {"type": f"refused_{status}", "reason": "as told"}, "status": status}
            if status == 200:
                answer = (
                    server_stub.create_documents(body)
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
    server_stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server_stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
