"""The event log on its way to Elasticsearch, and back from there. The files are the truth; the stream is a copy."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from core.circuit_breaker import Patience
from core.redaction import without_secrets
from core.settings import Settings, settings
from core.storage.events.cursor import Backlog, Line
from core.storage.events.es_mapping import ID, STREAM, TEMPLATE, document, event_of
from core.storage.events.log import Event, stamp

T = TypeVar("T")
logger = logging.getLogger(__name__)

REQUEST = 5.0  # seconds that one request may take
LONGEST_PAUSE = 60.0
MOST_READ = 50_000
PAGE = 2000
CREATED, KNOWN, WRONG = 201, 409, 400


class DocumentRejectedError(Exception):
    """Elasticsearch answered, and did not take a document that it may take later."""


@dataclass(frozen=True)
class Reading:
    """Events read back, oldest first.

    capped   there were more: these are the newest
    skipped  documents that are no events
    strange  fields that no event has, left out of what was read
    """

    events: list[Event]
    capped: bool
    skipped: int
    strange: int


class EventStream:
    """The data stream `vigie-events` on one Elasticsearch, fed from the event log in `folder`."""

    def __init__(self, folder: Path, endpoint: str, user: str = "", password: str = "") -> None:
        self._waiting = Backlog(folder)
        self._address, self._credentials = endpoint, (user, password) if user else None
        self._patience = Patience("Elasticsearch")
        self._pause = Pause()
        self._connected: Any = None
        self._connecting = threading.Lock()
        self._template_made = self._template_refused = False
        self._error = ""

    @classmethod
    def of(cls, folder: Path, given: Settings) -> "EventStream | None":
        """The stream that the settings name; None where they name none."""
        if not given.elastic_deployment_endpoint:
            return None
        return cls(
            folder, given.elastic_deployment_endpoint, given.elastic_username, given.elastic_password.get_secret_value()
        )

    # ---- what the health page asks ----------------------------------------------------------------------------------

    def backlog(self) -> int:
        """How many lines of the log wait to be sent."""
        return self._waiting.count()

    def refused(self) -> int:
        """How many lines Elasticsearch will never take; `refused.jsonl` in the log's folder says which, and why."""
        return self._waiting.refused()

    @property
    def last_error(self) -> str:
        """Why nothing was sent or read the last time; "" where all is well."""
        return without_secrets(self._error or self._patience.last_error, settings())

    def check(self) -> str:
        """The server's version. Raises ServiceUnavailableError after at most 1.5 s."""
        return str(self._asked(lambda client: client.info()["version"]["number"]))

    # ---- sending ----------------------------------------------------------------------------------------------------

    def ship(self) -> int:
        """Send what waits, in its order; how many lines were taken.

        After a failure nothing is sent for a while that doubles, up to a minute. A line whose id is there already is as
        good as sent: what was sent before a crash and not noted is sent again, and stored once.
        """
        if not self._pause.over:
            return 0
        with self._waiting.alone() as alone:
            return self._ship() if alone else 0

    def try_again(self) -> None:
        """Send and ask at the next call, whatever happened before."""
        self._pause.end()
        self._patience.try_again()

    def _ship(self) -> int:
        taken, failures = 0, _failures()  # here, so that the client is loaded before a page needs it
        try:
            while lines := self._waiting.batch():
                self._make_template()
                count, obstacle = self._send(lines)
                taken += count
                if obstacle:
                    raise DocumentRejectedError(obstacle)
                self._error = self._patience.last_error = ""
            self._pause.end()
        except failures as error:
            self._error = _said(error)
            self._pause.begin()
            logger.warning("events wait for Elasticsearch: %s", self.last_error)
        return taken

    def _make_template(self) -> None:
        """Once per process. Where the user may not, an administrator has made it, or Elasticsearch takes nothing."""
        from elasticsearch import AuthorizationException

        if self._template_made:
            return
        try:
            self._client().indices.put_index_template(name=STREAM, **TEMPLATE)
        except AuthorizationException as error:
            self._template_refused = True
            logger.warning("the index template %s is left as it is: %s", STREAM, _said(error))
        self._template_made = True

    def _send(self, lines: list[Line]) -> tuple[int, str]:
        """Send one batch and note what is done with: how many were taken, and why the rest has to wait ("" without
        rest).
        """
        outcomes = self._outcomes(lines)
        done = list(takewhile(lambda pair: not pair[1].wait, zip(lines, outcomes, strict=True)))
        refused = [(line, outcome.refused) for line, outcome in done if outcome.refused]
        for line, reason in refused:
            self._waiting.refuse(line, reason)
        if refused:
            logger.warning("%d events refused for good, see refused.jsonl", len(refused))
        self._waiting.advance([line for line, _ in done])
        return len(done) - len(refused), outcomes[len(done)].wait if len(done) < len(lines) else ""

    def _outcomes(self, lines: list[Line]) -> list["Outcome"]:
        """What became of each line."""
        documents: dict[int, dict[str, Any]] = {}
        found = [Outcome()] * len(lines)
        for place, line in enumerate(lines):
            if not line.text.strip():
                continue
            try:
                documents[place] = document(line.text, line.id)
            except ValueError as error:
                found[place] = Outcome(refused=f"not an event: {error}")
        operations = [
            part for place, body in documents.items() for part in ({"create": {"_id": lines[place].id}}, body)
        ]
        only = {"require_data_stream": True} if self._template_refused else {}
        answers = self._client().bulk(index=STREAM, operations=operations, **only)["items"] if operations else []
        for place, answer in zip(documents, answers, strict=True):
            found[place] = _outcome(answer["create"])
        return found

    # ---- reading ----------------------------------------------------------------------------------------------------

    def read(self, since: datetime | None = None, most: int = MOST_READ) -> Reading:
        """The newest events that began at `since` or later. Raises ServiceUnavailableError where no answer
        comes within 1.5 s.
        """
        events, skipped, strange = [], 0, 0
        sources = list(self._newest(since, most + 1))
        for source in reversed(sources[:most]):
            try:
                event, fields = event_of(source)
            except ValueError:
                skipped += 1
                continue
            events.append(event)
            strange += fields
        return Reading(events, len(sources) > most, skipped, strange)

    def _newest(self, since: datetime | None, most: int) -> Iterator[Mapping[str, Any]]:
        """Documents, the newest first, page by page; what arrives meanwhile is newer than the page and does not
        disturb.
        """
        asked: dict[str, Any] = {"query": {"range": {"@timestamp": {"gte": stamp(since)}}}} if since else {}
        asked |= {"sort": [{"@timestamp": "desc"}, {ID: "desc"}], "track_total_hits": False}
        while most > 0:
            asked["size"] = min(PAGE, most)
            hits = self._asked(lambda client: client.search(index=STREAM, ignore_unavailable=True, **asked))["hits"][
                "hits"
            ]
            yield from (hit["_source"] for hit in hits)
            if len(hits) < asked["size"]:
                return
            asked["search_after"], most = hits[-1]["sort"], most - len(hits)

    # ---- the server -------------------------------------------------------------------------------------------------

    def _asked(self, question: Callable[[Any], T]) -> T:
        """For somebody who waits. Raises ServiceUnavailableError."""
        return self._patience.ask(lambda: question(self._client()), _failures())

    def _client(self) -> Any:
        """One client per process. Raises ValueError for an address that is none."""
        from elasticsearch import Elasticsearch

        with self._connecting:
            if self._connected is None:
                self._connected = Elasticsearch(
                    self._address,
                    basic_auth=self._credentials,
                    request_timeout=REQUEST,
                    max_retries=0,
                    retry_on_timeout=False,
                )
            return self._connected


class Pause:
    """How long to leave a server alone: 1 to 2 s after the first failure, doubling, at most a minute."""

    def __init__(self) -> None:
        self._failures = 0
        self.until = 0.0

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until

    def begin(self) -> float:
        """After one more failure; how many seconds."""
        self._failures += 1
        seconds = min(LONGEST_PAUSE, 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
        self.until = time.monotonic() + seconds
        return seconds

    def end(self) -> None:
        self._failures, self.until = 0, 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of a line: `refused` for good, to `wait` for a better moment, else taken; both say why."""

    refused: str = ""
    wait: str = ""


def _outcome(answer: Mapping[str, Any]) -> Outcome:
    status, error = answer["status"], answer.get("error") or {}
    if status in (CREATED, KNOWN):
        return Outcome()
    if status == WRONG:
        return Outcome(refused=f"{error.get('type')}: {error.get('reason')}")
    return Outcome(wait=f"{status} {error.get('type')}")


def _failures() -> tuple[type[Exception], ...]:
    """What asking Elasticsearch may raise; an answer that is none (a proxy's) counts as well."""
    from elasticsearch import ApiError, TransportError

    return (ApiError, TransportError, DocumentRejectedError, ValueError, KeyError, TypeError)


def _said(error: Exception) -> str:
    """What the server or the network said, in few words, without what was sent."""
    return str(error)[:300]
