"""The spool: every run is written to this SQLite file before MLflow hears of it, and leaves it when MLflow has it all.

A run of a process that was killed is found here too, still `interrupted`. Rows stay after delivery as the memory of
which key became which MLflow run.
"""

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from mlflow_utils.record import Record

OUT_OF_SIGHT = 6 * 3600.0

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
"""


class Spool:
    """Runs in the order in which they began; `folder/<key>/` holds the files of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.database = folder / "spool.db"
        with self._connection() as connection:
            connection.executescript(SCHEMA)

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

    def update(self, record: Record, state: str, error: str = "") -> None:
        """Write down what became of it: `open` while it goes on, `waiting` for delivery, `delivered`."""
        with self._connection() as connection:
            connection.execute(
                "UPDATE runs SET run_id = ?, record = ?, state = ?, error = ? WHERE key = ?",
                (record.run_id, record.to_json(), state, error[:2000], record.key),
            )

    def name(self, key: str, run_id: str) -> None:
        """Remember which MLflow run a run has become."""
        with self._connection() as connection:
            connection.execute(
                "UPDATE runs SET run_id = ?, record = json_set(record, '$.run_id', ?) WHERE key = ?",
                (run_id, run_id, key),
            )

    def waiting(self) -> list[Record]:
        """Runs that MLflow does not have, oldest first; runs still going on in a living process are not among them."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT record, state, owner FROM runs WHERE state != 'delivered' ORDER BY number"
            ).fetchall()
        return [Record.from_json(record) for record, state, owner in rows if state == "waiting" or not _alive(owner)]

    def find(self, run: str) -> Record | None:
        """The run with this key or MLflow id, if it began on this machine."""
        with self._connection() as connection:
            row = connection.execute("SELECT record FROM runs WHERE key = ? OR run_id = ?", (run, run)).fetchone()
        return Record.from_json(row[0]) if row else None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.database, timeout=10)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            with connection:
                yield connection
        finally:
            connection.close()


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
