"""Delivery of the event log to Elasticsearch, and queries there. The data stream is a copy of the log files."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from core.circuit_breaker import ServiceBreaker
from core.errors import ServiceUnavailableError
from core.messages import N_
from core.redaction import strip_secrets
from core.settings import Settings
from core.storage.events.cursor import LogCursor, LogLine
from core.storage.events.es_mapping import (
    INDEX_TEMPLATE,
    LINE_ID_FIELD,
    STREAM_NAME,
    document_to_event,
    line_to_document,
)
from core.storage.events.log import Event, format_timestamp
from mlflow_utils.circuit_breaker import NO_TIMEOUT_S

T = TypeVar("T")
logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 5.0
INITIAL_BACKOFF_S, MAX_BACKOFF_S = 2.0, 60.0  # after a failed delivery
MAX_EVENTS_READ = 50_000
PAGE_SIZE = 2000
HTTP_CREATED, HTTP_CONFLICT, HTTP_BAD_REQUEST = 201, 409, 400


class DocumentDeferredError(Exception):
    """A refusal by Elasticsearch of a document that it may accept later."""


@dataclass(frozen=True)
class EventPage:
    """Events from Elasticsearch, oldest first.

    truncated       True if there are more events; these are the newest
    skipped         number of documents that are not valid events
    unknown_fields  number of ignored fields that are not in the schema of events
    """

    events: list[Event]
    truncated: bool
    skipped: int
    unknown_fields: int


class EventStream:
    """The outbox of events: it copies the event log in `folder` to the data stream `vigie-events` of Elasticsearch.

    redact   removes secrets from messages that are logged or shown
    """

    name, content, is_remote = N_("Events"), N_("events"), True

    def __init__(
        self, folder: Path, endpoint: str, user: str = "", password: str = "", redact: Callable[[str], str] = str
    ) -> None:
        self.location, self.last_error = endpoint, ""
        self._credentials = (user, password) if user else None
        self._cursor = LogCursor(folder)
        self._interactive_breaker = ServiceBreaker("Elasticsearch", redact=redact)
        self._background_breaker = ServiceBreaker(
            "Elasticsearch", NO_TIMEOUT_S, INITIAL_BACKOFF_S, max_reset_after_s=MAX_BACKOFF_S, redact=redact
        )
        self._cached_client: Any = None
        self._client_lock = threading.Lock()
        self._has_template = self._is_template_denied = False

    @classmethod
    def from_settings(cls, folder: Path, settings: Settings) -> "EventStream | None":
        """Return the stream of the settings, or None if they name no endpoint."""
        if not settings.elastic_deployment_endpoint:
            return None
        return cls(
            folder,
            settings.elastic_deployment_endpoint,
            settings.elastic_username,
            settings.elastic_password.get_secret_value(),
            partial(strip_secrets, settings=settings),
        )

    # ---- the outbox -------------------------------------------------------------------------------------------------

    def deliver_pending(self) -> int:
        """Send pending lines in order and return the number accepted.

        After a failure, nothing is sent during a backoff that doubles up to a minute. A line whose id exists already
        counts as sent: after a crash before the commit, lines are sent again and stored once.
        """
        accepted_count = 0
        _load_failure_types()  # imports the client before a page needs it

        def send_all(lines: list[LogLine]) -> None:
            nonlocal accepted_count
            while lines:
                self._ensure_template()
                count, wait_reason = self._send_batch(lines)
                accepted_count += count
                if wait_reason:
                    raise DocumentDeferredError(wait_reason)
                lines = self._cursor.next_batch()

        with suppress(ServiceUnavailableError), self._cursor.lock() as locked:
            if locked and (lines := self._cursor.next_batch()):
                self._call_server(self._background_breaker, lambda: send_all(lines))
        return accepted_count

    def count_pending(self) -> int:
        """Return the number of log lines that wait to be sent."""
        return self._cursor.count_pending()

    def count_rejected(self) -> int:
        """Return the number of lines rejected for good; `refused.jsonl` in the log folder lists them with reasons."""
        return self._cursor.count_rejected()

    def load_client(self) -> None:
        """Import the client of Elasticsearch and create it. Raises ValueError for an invalid address."""
        _load_failure_types()
        self._get_client()

    def check(self) -> str:
        """Return the version of the server. Raises ServiceUnavailableError after at most 1.5 s."""
        return str(self._query_server(lambda client: client.info()["version"]["number"]))

    def reset(self) -> None:
        """Close the circuit breakers, so the next call reaches the server."""
        self._interactive_breaker.reset()
        self._background_breaker.reset()

    # ---- sending ----------------------------------------------------------------------------------------------------

    def _ensure_template(self) -> None:
        """Create the index template, once per process.

        Without the right to do so, the template of an administrator is used. If there is none, Elasticsearch accepts
        no event.
        """
        from elasticsearch import AuthorizationException

        if self._has_template:
            return
        try:
            self._get_client().indices.put_index_template(name=STREAM_NAME, **INDEX_TEMPLATE)
        except AuthorizationException as error:
            self._is_template_denied = True
            logger.warning("the index template %s is left as it is: %s", STREAM_NAME, str(error)[:300])
        self._has_template = True

    def _send_batch(self, lines: list[LogLine]) -> tuple[int, str]:
        """Send one batch and commit the lines that are accepted or rejected for good.

        Returns the number of accepted lines and the reason why the others have to wait ("" if there are none).
        """
        results = self._send_bulk(lines)
        handled = list(takewhile(lambda pair: not pair[1].wait_reason, zip(lines, results, strict=True)))
        rejected = [(line, result.rejection_reason) for line, result in handled if result.rejection_reason]
        for line, reason in rejected:
            self._cursor.reject(line, reason)
        if rejected:
            logger.warning("%d events rejected for good, see refused.jsonl", len(rejected))
        self._cursor.commit([line for line, _ in handled])
        return len(handled) - len(rejected), results[len(handled)].wait_reason if len(handled) < len(lines) else ""

    def _send_bulk(self, lines: list[LogLine]) -> list["BulkItemResult"]:
        """Send the lines in one bulk request and return one result per line."""
        documents: dict[int, dict[str, Any]] = {}
        results = [BulkItemResult()] * len(lines)
        for number, line in enumerate(lines):
            if not line.text.strip():
                continue
            try:
                documents[number] = line_to_document(line.text, line.id)
            except ValueError as error:
                results[number] = BulkItemResult(rejection_reason=f"not an event: {error}")
        operations = [
            entry for number, body in documents.items() for entry in ({"create": {"_id": lines[number].id}}, body)
        ]
        options = {"require_data_stream": True} if self._is_template_denied else {}
        answers = (
            self._get_client().bulk(index=STREAM_NAME, operations=operations, **options)["items"] if operations else []
        )
        for number, answer in zip(documents, answers, strict=True):
            results[number] = _parse_bulk_item(answer["create"])
        return results

    # ---- reading ----------------------------------------------------------------------------------------------------

    def read_events(self, since: datetime | None = None, limit: int = MAX_EVENTS_READ) -> EventPage:
        """Return the newest events that began at `since` or later, at most `limit`.

        Raises ServiceUnavailableError if the server does not answer within 1.5 s per request.
        """
        events, skipped, unknown_fields = [], 0, 0
        sources = list(self._iter_newest(since, limit + 1))
        for source in reversed(sources[:limit]):
            try:
                event, unknown_count = document_to_event(source)
            except ValueError:
                skipped += 1
                continue
            events.append(event)
            unknown_fields += unknown_count
        return EventPage(events, len(sources) > limit, skipped, unknown_fields)

    def _iter_newest(self, since: datetime | None, limit: int) -> Iterator[Mapping[str, Any]]:
        """Yield documents page by page, newest first; documents that arrive meanwhile do not shift the pages."""
        query: dict[str, Any] = {"query": {"range": {"@timestamp": {"gte": format_timestamp(since)}}}} if since else {}
        query |= {"sort": [{"@timestamp": "desc"}, {LINE_ID_FIELD: "desc"}], "track_total_hits": False}
        while limit > 0:
            query["size"] = min(PAGE_SIZE, limit)
            response = self._query_server(
                lambda client: client.search(index=STREAM_NAME, ignore_unavailable=True, **query)
            )
            hits = response["hits"]["hits"]
            yield from (hit["_source"] for hit in hits)
            if len(hits) < query["size"]:
                return
            query["search_after"], limit = hits[-1]["sort"], limit - len(hits)

    # ---- the server -------------------------------------------------------------------------------------------------

    def _query_server(self, work: Callable[[Any], T]) -> T:
        """Run `work` with the client and the short timeout of interactive calls. Raises ServiceUnavailableError."""
        return self._call_server(self._interactive_breaker, lambda: work(self._get_client()))

    def _call_server(self, breaker: ServiceBreaker, work: Callable[[], T]) -> T:
        try:
            result = breaker.call(work, _load_failure_types())
        except ServiceUnavailableError:
            self.last_error = breaker.last_error
            raise
        self.last_error = ""
        return result

    def _get_client(self) -> Any:
        """Return the client, created once. Raises ValueError for an invalid address."""
        from elasticsearch import Elasticsearch

        with self._client_lock:
            if self._cached_client is None:
                self._cached_client = Elasticsearch(
                    self.location,
                    basic_auth=self._credentials,
                    request_timeout=REQUEST_TIMEOUT_S,
                    max_retries=0,
                    retry_on_timeout=False,
                )
            return self._cached_client


@dataclass(frozen=True)
class BulkItemResult:
    """Result for one line: the reason of a rejection or of a deferral; accepted if both are empty."""

    rejection_reason: str = ""
    wait_reason: str = ""


def _parse_bulk_item(response: Mapping[str, Any]) -> BulkItemResult:
    status, error = response["status"], response.get("error") or {}
    if status in (HTTP_CREATED, HTTP_CONFLICT):
        return BulkItemResult()
    if status == HTTP_BAD_REQUEST:
        return BulkItemResult(rejection_reason=f"{error.get('type')}: {error.get('reason')}")
    return BulkItemResult(wait_reason=f"{status} {error.get('type')}")


def _load_failure_types() -> tuple[type[Exception], ...]:
    """Return the exceptions of a failed call, including those for an invalid response, for example of a proxy."""
    from elasticsearch import ApiError, TransportError

    return (ApiError, TransportError, DocumentDeferredError, ValueError, KeyError, TypeError)
