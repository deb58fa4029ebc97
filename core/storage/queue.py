"""The queue of jobs and the notes kept of them, on huey: a SQLite file in the data folder, or Redis at an address.

Both sides trust nobody: messages and notes are JSON, never pickles, and what is anything else is left out.
"""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huey import RedisHuey, SqliteHuey  # type: ignore[import-untyped]
from huey.constants import EmptyData  # type: ignore[import-untyped]
from huey.exceptions import HueyException  # type: ignore[import-untyped]
from huey.registry import Message  # type: ignore[import-untyped]
from huey.serializer import Serializer  # type: ignore[import-untyped]

from core.errors import ServiceUnavailableError
from core.messages import N_

PATIENCE = 1.0  # seconds a page may wait for a queue that does not answer
DOWN_FOR = 2.0  # one found unreachable is not asked again for so long
NAME = "vigie"

logger = logging.getLogger(__name__)


class JsonSerializer(Serializer):  # type: ignore[misc]
    """huey's messages as JSON: an id, a task's name and its words. Nothing else of a message is written or believed."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps({"id": data.id, "name": data.name, "args": list(data.args)}).encode()

    def _deserialize(self, data: bytes) -> Any:
        found = json.loads(data)
        words = tuple(str(word) for word in found["args"])
        return Message(id=str(found["id"]), name=str(found["name"]), args=words, kwargs={}, retries=0, retry_delay=0)


class Queue:
    """Messages (a few words each) in their order, and notes (JSON objects) by name.

    folder   of the SQLite file, made where it is missing
    url      redis://…; "" for the file

    Every method raises ServiceUnavailableError, at once where it did so a moment ago, else after at most about
    a second.
    """

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder, self.url = folder, url
        self._huey: Any = None
        self._task: Any = None
        self._down_until = 0.0
        self._lock = threading.Lock()

    # ---- messages -----------------------------------------------------------------------------------------------

    def push(self, *words: str) -> None:
        """Add a message at the end."""
        with self._reached() as huey:
            huey.enqueue(self._task.s(*words))

    def pop(self) -> tuple[str, ...] | None:
        """Take the first message; None where there is none, or what was there is no message of ours."""
        with self._reached() as huey:
            data = huey.storage.dequeue()
        return None if data is None else self._words(data)

    def messages(self) -> list[tuple[str, ...]]:
        """What waits, the first one first."""
        with self._reached() as huey:
            found = huey.storage.enqueued_items()
        return [words for words in map(self._words, found) if words is not None]

    def _words(self, data: bytes) -> tuple[str, ...] | None:
        try:
            return tuple(self._huey.deserialize_task(data).args)
        except (ValueError, KeyError, TypeError, RecursionError, HueyException) as error:
            logger.warning("a message in the queue is not one of Vigie's and is left out: %s", type(error).__name__)
            return None

    # ---- notes --------------------------------------------------------------------------------------------------

    def read(self, name: str) -> dict[str, Any] | None:
        """The note; None where there is none."""
        with self._reached() as huey:
            data = huey.storage.peek_data(name)
        return None if data is EmptyData else _note(data)

    def notes(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Every note whose name begins with `prefix`, by the rest of its name."""
        with self._reached() as huey:
            found = huey.storage.result_items()
        notes = {name.removeprefix(prefix): _note(data) for name, data in found.items() if name.startswith(prefix)}
        return {name: note for name, note in notes.items() if note is not None}

    def write(self, name: str, note: dict[str, Any]) -> None:
        with self._reached() as huey:
            huey.storage.put_data(name, _bytes(note))

    def claim(self, name: str, note: dict[str, Any]) -> bool:
        """Write the note unless there is one of this name; of all that try at once, one succeeds."""
        with self._reached() as huey:
            return bool(huey.storage.put_if_empty(name, _bytes(note)))

    def drop(self, *names: str) -> None:
        with self._reached() as huey:
            for name in names:
                huey.storage.delete_data(name)

    # ---- the way there ------------------------------------------------------------------------------------------

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        """The huey, opened when it is first asked for; one thread at a time, so that only one waits for a dead one."""
        with self._lock:
            if time.monotonic() < self._down_until:
                raise self._unreachable()
            try:
                if self._huey is None:
                    self._open()
                yield self._huey
            except self._failures() as error:
                self._down_until = time.monotonic() + DOWN_FOR
                logger.warning("the queue of jobs does not answer: %s: %s", type(error).__name__, error)
                raise self._unreachable() from error

    def _open(self) -> None:
        options = {"results": False, "serializer": JsonSerializer()}
        if self.url:
            opened = RedisHuey(NAME, blocking=False, connection_pool=_pool(self.url), **options)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            opened = SqliteHuey(NAME, filename=str(self.folder / "jobs.db"), timeout=PATIENCE, **options)
        self._task = opened.task(name="job")(_done_elsewhere)
        self._huey = opened

    def _failures(self) -> tuple[type[Exception], ...]:
        if not self.url:
            return (OSError, sqlite3.Error)
        from redis.exceptions import RedisError

        return (OSError, ValueError, RedisError)

    def _unreachable(self) -> ServiceUnavailableError:
        place = urlsplit(self.url).hostname if self.url else str(self.folder / "jobs.db")
        return ServiceUnavailableError(
            N_(
                "The queue of slow work ({place}) does not answer. Results on record can be seen; new work has to wait."
            ),
            place=place,
        )


def _pool(url: str) -> Any:
    """Connections that give up soon; Redis' own would try for ten seconds and more."""
    from redis import ConnectionPool
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return ConnectionPool.from_url(
        url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE / 2, retry=Retry(NoBackoff(), 0)
    )


def _done_elsewhere(*words: str) -> None:
    """What huey calls the task: workers take the words of a message and do the work themselves."""


def _bytes(note: dict[str, Any]) -> bytes:
    return json.dumps(note, ensure_ascii=False).encode()


def _note(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        logger.warning("a note in the queue is not one of Vigie's and is left out")
        return None
    return found if isinstance(found, dict) else None
