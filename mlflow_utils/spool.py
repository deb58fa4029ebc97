"""Spool of runs: an SQLite file that stores every run before its delivery to MLflow.

The run of a killed process is found here too, with the status `interrupted`. Rows stay after delivery: they map keys to
MLflow runs.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow_utils.process_identity import identify_process, is_alive
from mlflow_utils.run_record import Record
from mlflow_utils.sqlite_file import SqliteFile

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE NOT NULL,
    run_id TEXT NOT NULL DEFAULT '',
    record TEXT NOT NULL CHECK (json_valid(record)),
    state TEXT NOT NULL CHECK (state IN ('open', 'waiting', 'delivered')),
    owner TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS runs_by_run_id ON runs (run_id);
CREATE TABLE IF NOT EXISTS create_attempts (
    key TEXT PRIMARY KEY,
    times INTEGER NOT NULL DEFAULT 1,
    since REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS run_names (
    key TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    waits INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS name_counts (
    name TEXT PRIMARY KEY,
    count INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    key TEXT PRIMARY KEY,
    line TEXT NOT NULL CHECK (line = '' OR json_valid(line))
);
CREATE TABLE IF NOT EXISTS former_ids (
    run_id TEXT PRIMARY KEY,
    key TEXT NOT NULL
);
"""
STORE_EVENT = (
    "INSERT INTO events (key, line) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET line = excluded.line"
    " WHERE line != '' AND excluded.line != ''"
)
RECORD_COLUMNS = "record, runs.run_id, (SELECT name FROM run_names WHERE run_names.key = runs.key)"


@dataclass(frozen=True)
class RunName:
    """A name that a person gave to a run; `run_id` is "" before MLflow has the run."""

    key: str
    run_id: str
    name: str


class Spool:
    """Runs in the order of their start; `folder/<key>/` holds the files of each run.

    A full disk raises OSError (ENOSPC), from SQLite as well as from the file system. A damaged file is replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = SqliteFile(folder / "spool.db", SCHEMA)

    def artifact_dir(self, key: str) -> Path:
        """Return the folder of the artifacts of a run."""
        return self.folder / key

    def add_run(self, record: Record, event: str = "") -> None:
        """Store a run at its start, with the event that tells of it if its process is killed."""
        self.artifact_dir(record.key).mkdir(parents=True, exist_ok=True)
        self._file.execute(
            (
                "INSERT INTO runs (key, run_id, record, state, owner) VALUES (?, ?, ?, 'open', ?)",
                (record.key, record.run_id, record.to_json(), identify_process()),
            ),
            (STORE_EVENT, (record.key, event)),
        )

    def save_run(self, record: Record, state: str, event: str = "") -> None:
        """Store the state of a run: `add_run` while it lasts, `waiting` for delivery, `delivered`.

        `event` replaces that of the start, unless the log has it already: each run has one event. A run that could not
        be stored at its start (full disk) is added. A stored MLflow run id remains.
        """
        self._file.execute(
            (
                "INSERT INTO runs (key, run_id, record, state, owner) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET run_id = coalesce(nullif(run_id, ''), excluded.run_id),"
                " record = excluded.record, state = excluded.state, error = ''",
                (record.key, record.run_id, record.to_json(), state, identify_process()),
            ),
            (STORE_EVENT, (record.key, event)),
        )

    def set_error(self, key: str, error: str) -> None:
        """Store the reason why a run still waits."""
        self._execute("UPDATE runs SET error = ? WHERE key = ?", error[:2000], key)

    def set_run_id(self, key: str, run_id: str) -> str:
        """Store the MLflow run id of a run, unless one is stored already. Return the stored id."""
        self._file.execute(
            ("UPDATE runs SET run_id = ? WHERE key = ? AND run_id = ''", (run_id, key)),
            (
                "UPDATE events SET line = replace(line, ?, ?)"
                " WHERE key = ? AND key IN (SELECT key FROM runs WHERE state = 'open')",
                (f'"run_id": "{key}"', f'"run_id": "{run_id}"', key),
            ),
        )
        rows = self._file.fetch_rows("SELECT run_id FROM runs WHERE key = ?", key)
        return str(rows[0][0]) if rows else run_id

    def close_dead_runs(self) -> None:
        """Let the open runs of killed processes wait for delivery, as `interrupted`; their events are final."""
        for key, owner in self._file.fetch_rows("SELECT key, owner FROM runs WHERE state = 'open'"):
            if not is_alive(owner):
                self._execute(
                    "UPDATE runs SET state = 'waiting' WHERE key = ? AND state = 'open' AND owner = ?", key, owner
                )

    def list_unwritten_events(self) -> list[tuple[str, str]]:
        """List key and event of the ended runs whose event may be missing in the log, oldest first."""
        return self._file.fetch_rows(
            "SELECT runs.key, line FROM events JOIN runs ON runs.key = events.key"
            " WHERE state != 'open' AND line != '' ORDER BY number"
        )

    def confirm_event(self, key: str) -> None:
        """Note that the log has the event of a run."""
        self._execute("UPDATE events SET line = '' WHERE key = ?", key)

    def list_pending(self) -> list[Record]:
        """List the runs to deliver, oldest first, without those of a live process that are still open."""
        rows = self._file.fetch_rows(
            f"SELECT {RECORD_COLUMNS}, state, owner FROM runs WHERE state != 'delivered' ORDER BY number"
        )
        return [
            _to_record(record, run_id, name)
            for record, run_id, name, state, owner in rows
            if state == "waiting" or not is_alive(owner)
        ]

    def last_error(self) -> str:
        """Return the error of the newest waiting run that has one; "" for none."""
        rows = self._file.fetch_rows(
            "SELECT error FROM runs WHERE state = 'waiting' AND error != '' ORDER BY number DESC LIMIT 1"
        )
        return str(rows[0][0]) if rows else ""

    def find_run(self, run: str) -> Record | None:
        """Return the run with this key or MLflow id, a former one too, if it started on this machine."""
        rows = self._file.fetch_rows(
            f"SELECT {RECORD_COLUMNS} FROM runs WHERE key = ? OR run_id = ?"
            " OR key = (SELECT key FROM former_ids WHERE run_id = ?) LIMIT 1",
            *(run, run, run),
        )
        return _to_record(*rows[0]) if rows else None

    def find_completed_run(self, tag: str, value: str) -> Record | None:
        """Return a completed run with this tag that started on this machine."""
        rows = self._file.fetch_rows(
            f"SELECT {RECORD_COLUMNS} FROM runs WHERE json_extract(record, '$.status') = 'completed'"
            " AND json_extract(record, '$.tags.\"' || ? || '\"') = ? LIMIT 1",
            tag,
            value,
        )
        return _to_record(*rows[0]) if rows else None

    def list_newest(self, limit: int) -> list[Record]:
        """List the runs of any state that started on this machine, newest first."""
        rows = self._file.fetch_rows(f"SELECT {RECORD_COLUMNS} FROM runs ORDER BY number DESC LIMIT ?", limit)
        return [_to_record(*row) for row in rows]

    def list_undelivered_keys(self) -> set[str]:
        """List the keys of the runs that last or wait, whose only files are on this machine."""
        return {str(key) for (key,) in self._file.fetch_rows("SELECT key FROM runs WHERE state != 'delivered'")}

    def list_texts(self) -> list[str]:
        """List the records of all runs that started on this machine, as JSON."""
        return [str(text) for (text,) in self._file.fetch_rows("SELECT record FROM runs")]

    # ---- names ------------------------------------------------------------------------------------------------------

    def take_number(self, name: str) -> int:
        """Return 1 for the first run with this name without a number, 2 for the second, and so on."""
        [(count,)] = self._file.execute(
            (
                "INSERT INTO name_counts (name, count) VALUES (?, 1)"
                " ON CONFLICT (name) DO UPDATE SET count = count + 1 RETURNING count",
                (name,),
            )
        )
        return int(count)

    def set_name(self, record: Record, name: str) -> None:
        """Store a new name of a run of this or another machine, which waits for MLflow."""
        self._execute(
            "INSERT OR REPLACE INTO run_names (key, run_id, name, waits) VALUES (?, ?, ?, 1)",
            record.key,
            record.run_id,
            name,
        )

    def list_waiting_names(self) -> list[RunName]:
        """List the names that MLflow does not have yet, also of runs that it does not have."""
        rows = self._file.fetch_rows(
            "SELECT run_names.key, coalesce(nullif(run_names.run_id, ''), runs.run_id, ''), name FROM run_names"
            " LEFT JOIN runs ON runs.key = run_names.key WHERE waits"
        )
        return [RunName(*row) for row in rows]

    def confirm_name(self, run_name: RunName) -> None:
        """Note that MLflow has a name, unless a newer one has replaced it."""
        self._execute("UPDATE run_names SET waits = 0 WHERE key = ? AND name = ?", run_name.key, run_name.name)

    def list_given_names(self) -> dict[str, str]:
        """List the names that people gave to runs or that MLflow had for them, by key of the run."""
        return dict(self._file.fetch_rows("SELECT key, name FROM run_names"))

    def follow_names(self, names: Mapping[str, str], given_names: Mapping[str, str]) -> None:
        """Take over the names (key → name) that MLflow has for runs of this machine.

        A name that waits for MLflow remains, and so does one that was given since `given_names` were listed, before
        MLflow was asked: the name in its answer may be older.
        """
        places = ", ".join("?" for _ in names)
        rows = self._file.fetch_rows(
            "SELECT runs.key, runs.run_id, coalesce(name, json_extract(record, '$.name')) FROM runs"
            f" LEFT JOIN run_names ON run_names.key = runs.key WHERE NOT coalesce(waits, 0) AND runs.key IN ({places})",
            *names,
        )
        for key, run_id, name in rows:
            if names[key] and names[key] != name:
                self._execute(
                    "INSERT INTO run_names (key, run_id, name, waits) VALUES (?, ?, ?, 0)"
                    " ON CONFLICT (key) DO UPDATE SET name = excluded.name WHERE NOT waits AND name = ?",
                    key,
                    run_id,
                    names[key],
                    given_names.get(key),
                )

    # ---- requests to create a run, whose responses may be lost ------------------------------------------------------

    def record_create_attempt(self, key: str) -> None:
        """Store an attempt to create this run in MLflow."""
        self._execute(
            "INSERT INTO create_attempts (key, since) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET times = times + 1",
            key,
            time.time(),
        )

    def confirm_create(self, key: str) -> None:
        """Delete the attempt after its response, unless it was repeated: the run may then have duplicates."""
        self._execute("DELETE FROM create_attempts WHERE key = ? AND times = 1", key)

    def list_possible_duplicates(self) -> list[Record]:
        """List the delivered runs that MLflow may have created twice."""
        rows = self._file.fetch_rows(
            f"SELECT {RECORD_COLUMNS} FROM runs JOIN create_attempts ON create_attempts.key = runs.key"
            " WHERE state = 'delivered' ORDER BY number"
        )
        return [_to_record(*row) for row in rows]

    def mark_delivered(self, record: Record) -> None:
        """Mark a run as delivered. From now on its duplicates are searched."""
        self.save_run(record, "delivered")
        self._execute("UPDATE create_attempts SET since = ? WHERE key = ?", time.time(), record.key)

    def requeue_runs(self) -> None:
        """Let all delivered runs wait for delivery again, because MLflow may have lost them; their ids stay known."""
        self._file.execute(
            ("INSERT OR REPLACE INTO former_ids SELECT run_id, key FROM runs WHERE run_id != ''", ()),
            ("UPDATE run_names SET waits = 1, run_id = '' WHERE key IN (SELECT key FROM runs)", ()),
            ("UPDATE runs SET state = 'waiting', run_id = '' WHERE state = 'delivered'", ()),
            ("UPDATE runs SET run_id = '' WHERE state = 'waiting'", ()),
        )

    def clear_old_attempts(self, older_than_s: float) -> None:
        """Stop the search for duplicates of runs delivered more than `older_than_s` seconds ago."""
        self._execute(
            "DELETE FROM create_attempts WHERE since < ? AND key IN (SELECT key FROM runs WHERE state = 'delivered')",
            time.time() - older_than_s,
        )

    def _execute(self, statement: str, *values: object) -> None:
        self._file.execute((statement, values))


def _to_record(text: str, run_id: str, name: str | None) -> Record:
    """Read a stored record; the id of MLflow and a new name are stored apart, as a process may still write it."""
    record = Record.from_json(text)
    record.run_id, record.name = run_id, name or record.name
    return record
