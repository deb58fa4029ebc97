"""The spool: every run is written to this SQLite file before MLflow hears of it, and leaves it when MLflow has it all.

A run of a process that was killed is found here too, still `interrupted`. Rows stay after delivery as the memory of
which key became which MLflow run.
"""

import errno
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from mlflow_utils.run_record import Record

OUT_OF_SIGHT = 6 * 3600.0
FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE NOT NULL,
    run_id TEXT NOT NULL DEFAULT '',
    record TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'waiting', 'delivered')),
    owner TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS runs_by_run_id ON runs (run_id);
CREATE TABLE IF NOT EXISTS asked (
    key TEXT PRIMARY KEY,
    times INTEGER NOT NULL DEFAULT 1,
    since REAL NOT NULL
);
"""


class Spool:
    """Runs in the order in which they began; `folder/<key>/` holds the files of each.

    A disk that is full is an OSError (ENOSPC), whoever noticed it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.database = (folder / "spool.db").resolve()
        try:
            with self._connection() as connection:
                connection.executescript(SCHEMA)
        except OSError:  # no room, and none is needed where the tables are there
            if not self.database.exists():
                raise

    def files(self, key: str) -> Path:
        """The folder with the artifacts of a run."""
        return self.folder / key

    def open(self, record: Record) -> None:
        """Write a run down as it begins."""
        self.files(record.key).mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO runs (key, run_id, record, state, owner) VALUES (?, ?, ?, 'open', ?)",
                (record.key, record.run_id, record.to_json(), _me()),
            )

    def update(self, record: Record, state: str) -> None:
        """Write down what became of it: `open` while it goes on, `waiting` for delivery, `delivered`.

        A run that was never written down (the disk was full) is from now on; the MLflow run it once became stays.
        """
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO runs (key, run_id, record, state, owner) VALUES (:key, :run_id, :record, :state, :owner)"
                " ON CONFLICT (key) DO UPDATE SET run_id = coalesce(nullif(run_id, ''), :run_id),"
                " record = :record, state = :state, error = ''",
                {
                    "key": record.key,
                    "run_id": record.run_id,
                    "record": record.to_json(),
                    "state": state,
                    "owner": _me(),
                },
            )

    def note(self, key: str, error: str) -> None:
        """Remember why a run still waits."""
        with self._connection() as connection:
            connection.execute("UPDATE runs SET error = ? WHERE key = ?", (error[:2000], key))

    def name(self, key: str, run_id: str) -> str:
        """Remember which MLflow run a run has become; the one it became first, if somebody was quicker."""
        with self._connection() as connection:
            connection.execute("UPDATE runs SET run_id = ? WHERE key = ? AND run_id = ''", (run_id, key))
            row = connection.execute("SELECT run_id FROM runs WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else run_id

    def waiting(self) -> list[Record]:
        """Runs that MLflow does not have, oldest first; runs still going on in a living process are not among them."""
        rows = self._rows("SELECT record, run_id, state, owner FROM runs WHERE state != 'delivered' ORDER BY number")
        return [
            _record(record, run_id) for record, run_id, state, owner in rows if state == "waiting" or not _alive(owner)
        ]

    def last_error(self) -> str:
        """Why the newest of the runs that wait does; "" where none does, or none was refused."""
        rows = self._rows("SELECT error FROM runs WHERE state = 'waiting' AND error != '' ORDER BY number DESC LIMIT 1")
        return str(rows[0][0]) if rows else ""

    def find(self, run: str) -> Record | None:
        """The run with this key or MLflow id, if it began on this machine."""
        rows = self._rows("SELECT record, run_id FROM runs WHERE key = ? OR run_id = ? LIMIT 1", run, run)
        return _record(*rows[0]) if rows else None

    def find_completed(self, tag: str, value: str) -> Record | None:
        """Return a completed run with this tag that began on this machine."""
        rows = self._rows(
            "SELECT record, run_id FROM runs WHERE json_extract(record, '$.status') = 'completed'"
            " AND json_extract(record, '$.tags.\"' || ? || '\"') = ? LIMIT 1",
            tag,
            value,
        )
        return _record(*rows[0]) if rows else None

    def newest(self, limit: int) -> list[Record]:
        """The runs that began on this machine last, whatever became of them, newest first."""
        rows = self._rows("SELECT record, run_id FROM runs ORDER BY number DESC LIMIT ?", limit)
        return [_record(*row) for row in rows]

    # ---- questions to MLflow whose answers may have been lost --------------------------------------------------------

    def ask(self, key: str) -> None:
        """Remember that MLflow is asked to make this run, before it is asked."""
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO asked (key, since) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET times = times + 1",
                (key, time.time()),
            )

    def answered(self, key: str) -> None:
        """The answer came: where it was the only question, there is one run and no doubt of it."""
        with self._connection() as connection:
            connection.execute("DELETE FROM asked WHERE key = ? AND times = 1", (key,))

    def doubted(self) -> list[Record]:
        """Delivered runs that MLflow may have made twice."""
        rows = self._rows(
            "SELECT record, run_id FROM runs JOIN asked USING (key) WHERE state = 'delivered' ORDER BY number"
        )
        return [_record(*row) for row in rows]

    def delivered(self, record: Record) -> None:
        """MLflow has all of it; a doubt lasts from now."""
        self.update(record, "delivered")
        with self._connection() as connection:
            connection.execute("UPDATE asked SET since = ? WHERE key = ?", (time.time(), record.key))

    def believe(self, older_than: float) -> None:
        """Doubt no more what was delivered so many seconds ago."""
        with self._connection() as connection:
            connection.execute(
                "DELETE FROM asked WHERE since < ? AND key IN (SELECT key FROM runs WHERE state = 'delivered')",
                (time.time() - older_than,),
            )

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds. On a full disk SQLite has no room for files of its own: then as it was last put
        together.
        """
        try:
            with self._connection() as connection:
                return connection.execute(query, values).fetchall()
        except OSError:
            with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
                return connection.execute(query, values).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self.database, timeout=10)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.database)) from error
            raise


def _record(written: str, run_id: str) -> Record:
    record = Record.from_json(written)
    record.run_id = run_id or record.run_id
    return record


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.0f}"


def _alive(owner: str) -> bool:
    """Does the process still run? One on another machine or in another container cannot be seen: it has six hours."""
    host, pid, created = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return time.time() - float(created) < OUT_OF_SIGHT
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" == created
    except psutil.Error:
        return False
