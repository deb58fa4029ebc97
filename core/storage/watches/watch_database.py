"""The database of the watches of one data folder, and how its stores find a watch in it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import CursorResult, select
from sqlalchemy.orm import Session

from core.errors import NotFoundError, ServiceUnavailableError
from core.messages import N_
from core.storage.database import ADVISORY_LOCK_ID, Database, parse_url
from core.storage.folder_id import load_folder_id
from core.storage.watches.tables import MIGRATIONS, WATCHES

T = TypeVar("T")
FILE_NAME = "watches.db"
TICK_TIMEOUT_S = 60.0  # of the rows of a tick: the first one may read a year of a thousand entities
WRITER_LOCK_ID = ADVISORY_LOCK_ID + 1  # sign-ins and jobs do not wait for a tick
LEASE_S = 30.0  # a worker extends it; reading and judging may hold the GIL for some seconds


class WatchDatabase:
    """The tables of watches in `folder`/watches.db, or in the database `url` that several data folders may share.

    lease_s  seconds without a sign of life after which another worker repeats a tick

    Write transactions run one after the other, in PostgreSQL too: what a transaction has read does not change before
    it ends. Every method raises ServiceUnavailableError if the database does not answer.
    """

    def __init__(self, folder: Path, url: str = "", lease_s: float = LEASE_S) -> None:
        self.folder, self.lease_s = folder, lease_s
        schema = MIGRATIONS.build_schema()
        self._database = Database(
            parse_url(url, folder / FILE_NAME), schema, "watches", serialize_writes=True, writer_lock=WRITER_LOCK_ID
        )
        self._workspace = ""

    @property
    def workspace(self) -> str:
        """Id of the data folder, by which a shared database tells folders apart."""
        self._workspace = self._workspace or load_folder_id(self.folder)
        return self._workspace

    def read(self, work: Callable[[Session], T], timeout_s: float | None = None) -> T:
        """Run `work` in one read transaction and return its result; `timeout_s` is for more rows than a page reads."""
        with _translate_errors():
            return self._database.read(work, timeout_s=timeout_s)

    def write(self, work: Callable[[Session], T], timeout_s: float | None = None) -> T:
        """Run `work` in one write transaction and return its result; a failure rolls back all changes."""
        with _translate_errors():
            return self._database.write(work, timeout_s=timeout_s)

    def fetch_version(self) -> str:
        """Return the name and version of the database, for example "PostgreSQL 15.14"."""
        with _translate_errors():
            return self._database.fetch_version()

    def read_change_stamp(self) -> tuple[int, ...] | None:
        """Return numbers that differ after a write of any process; None where only a query can tell."""
        return self._database.read_change_stamp()

    def load_driver(self) -> None:
        """Import the driver of the database."""
        self._database.load_driver()

    def reset(self) -> None:
        """Close the circuit breaker, so the next call reaches the database."""
        self._database.breaker.reset()

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._database.close()

    def find_watch_id(self, session: Session, name: str) -> int:
        """Return the key of the watch `name` in the tables. Raises NotFoundError."""
        number = session.scalar(select(WATCHES.c.id).where(WATCHES.c.workspace == self.workspace, has_name(name)))
        if number is None:
            raise make_missing_error(name)
        return number


def has_name(name: str) -> Any:
    """Return the SQL condition that a watch has this name."""
    return WATCHES.c.name == name


def make_missing_error(name: str) -> NotFoundError:
    """Return the error about a watch that is not, or no longer, stored."""
    return NotFoundError(N_("The watch {name} does not exist."), name=name[:80])


def count_changes(session: Session, statement: Any) -> int:
    """Execute a statement and return the number of rows that it changed."""
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount


def dump_record(record: BaseModel) -> str:
    """Return the JSON of a record, with numbers that are infinite or none: a score may be either."""
    return json.dumps(record.model_dump(mode="json"))


def to_seconds(instant: datetime) -> float:
    """Return seconds since 1970. Raises ValueError for a time without a zone, which would be taken for local time."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    return instant.timestamp()


def to_instant(seconds: float | None) -> datetime | None:
    """Return the instant of a column; None where it has no value."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except ServiceUnavailableError as error:
        raise ServiceUnavailableError(
            N_("The database of the watches does not answer ({reason}). New rows are judged when it answers again."),
            reason=error.message.values.get("reason", ""),
        ) from error
