"""SQLite files of this machine: one statement or transaction at a time, and a repair of damaged or foreign files.

A damaged or foreign file is moved aside and replaced by a new one with all rows that can still be read.
"""

import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from filelock import FileLock

T = TypeVar("T")
logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 10.0
REPAIR_TIMEOUT_S = 120.0  # of a process that waits for the repair by another
HEADER_BYTES = 100
MAX_GAP = 1 << 40  # rows that are skipped at most to get past a damaged page
ASIDE_MARK = ".moved-"
DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
DISK_FULL_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
LOCK_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
COMPANIONS = ("-wal", "-shm", "-journal")


class SqliteFile:
    """A file with the tables of `schema`, a script that can be run again; a new or moved file is created.

    A full disk raises OSError (ENOSPC), a file that another process keeps locked TimeoutError, and a read-only one
    PermissionError.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path, self._schema = path.resolve(), schema
        try:
            replace_damaged_file(self.path)  # SQLite reads some damaged pages without an error, and returns wrong rows
            self._repeat_after_repair(self._create_tables)
        except OSError:  # a full or read-only disk, which does not matter where the tables exist
            if not self.path.exists():
                raise

    def execute(self, *statements: tuple[str, tuple[object, ...]]) -> list[tuple[Any, ...]]:
        """Run statements, each with its values, in one transaction; return the rows of the last one."""

        def run() -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = []
            with self._open_connection() as connection:
                for statement, values in statements:
                    rows = connection.execute(statement, values).fetchall()
            return rows

        return self._repeat_after_repair(run)

    def fetch_rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        On a full or read-only disk SQLite cannot create its own files; the rows are then those of its last checkpoint.
        """
        try:
            return self.execute((query, values))
        except TimeoutError:
            raise
        except OSError:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
                return connection.execute(query, values).fetchall()

    def _repeat_after_repair(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            replace_damaged_file(self.path)
            self._create_tables()
            return work()

    def _create_tables(self) -> None:
        """Create the tables; processes that start at the same time wait for the first one.

        The journal mode is a property of the file. Setting it needs the only connection, and SQLite does not wait.
        """
        with FileLock(f"{self.path}.lock", timeout=BUSY_TIMEOUT_S):
            with self._open_connection() as connection:
                [(journal_mode,)] = connection.execute("PRAGMA journal_mode")
                if journal_mode != "wal":
                    connection.execute("PRAGMA journal_mode = WAL")
                is_foreign = not self._has_own_columns(connection)
                if not is_foreign:
                    connection.executescript(self._schema)
            if is_foreign:
                logger.warning("%s belongs to another program. It was moved to %s.", self.path, move_aside(self.path))
                with self._open_connection() as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(self._schema)

    def _has_own_columns(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the tables in the file that bear our names have our columns too."""
        with closing(sqlite3.connect(":memory:")) as model:
            model.executescript(self._schema)
            names = [str(name) for (name,) in model.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return all(
                not (found := _list_columns(connection, name)) or set(_list_columns(model, name)) <= set(found)
                for name in names
            )

    @contextmanager
    def _open_connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)) as connection, connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise _translate_error(error, self.path) from error


def is_damage(error: BaseException | None) -> bool:
    """Tell whether SQLite says that a file is damaged or no database."""
    return isinstance(error, sqlite3.DatabaseError) and (
        getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE_CODES or "malformed" in str(error)
    )


def replace_damaged_file(path: Path) -> Path | None:
    """Replace a damaged file by a new one with the rows that can be read; return the new path of the damaged one.

    Returns None for a file that is intact or missing, for instance because another process has just replaced it.
    """
    with FileLock(f"{path}.repair.lock", timeout=REPAIR_TIMEOUT_S):
        damage = find_damage(path)
        if not damage:
            return None
        draft = path.with_name(f"{path.name}.{uuid4().hex}.draft")
        try:
            count = _copy_rows(path, draft) or _copy_rows_behind_header(path, draft)
            aside = move_aside(path)
            if draft.exists():
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    logger.warning("%s was damaged (%s). It was moved to %s; %d rows were recovered.", path, damage, aside, count)
    return aside


def find_damage(path: Path) -> str:
    """Return what SQLite finds wrong in a file; "" for an intact or missing one."""
    if not path.exists() or not path.stat().st_size:
        return ""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
            [(answer,)] = connection.execute("PRAGMA quick_check(1)")
    except sqlite3.DatabaseError as error:
        return str(error) if is_damage(error) else ""
    return "" if answer == "ok" else " ".join(str(answer).split())


def move_aside(path: Path) -> Path:
    """Rename a SQLite file and its companions, so that a new one can take its place; return its new path."""
    aside = name_aside(path)
    for suffix in ("", *COMPANIONS):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside


def name_aside(path: Path) -> Path:
    """Return a new path beside `path` for a damaged file."""
    return path.with_name(f"{path.name}{ASIDE_MARK}{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}")


def _copy_rows(path: Path, draft: Path) -> int:
    """Copy tables, rows, indexes and views that can be read to a new file; return the number of rows."""
    count = 0
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)) as source:
        source.text_factory = lambda text: text.decode(errors="replace")
        try:
            objects = source.execute(
                "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%'"
                " ESCAPE '!' ORDER BY type != 'table'"
            ).fetchall()
        except sqlite3.DatabaseError:
            return 0
        with closing(sqlite3.connect(draft)) as target, target:
            for kind, name, statement in objects:
                try:
                    target.execute(statement)
                except sqlite3.DatabaseError as error:
                    logger.warning("%s %s was not recovered: %s", kind, name, error)
                    continue
                if kind == "table":
                    count += _copy_table(source, target, f'"{name}"')
    return count


def _copy_rows_behind_header(path: Path, draft: Path) -> int:
    """Copy the rows of a file whose header is damaged or states another size, with the header of an intact file."""
    patched = draft.with_name(f"{draft.name}.patched")
    try:
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(patched)) as model:
            model.execute("CREATE TABLE model (number INTEGER)")
            model.commit()
        header = bytearray(patched.read_bytes()[:HEADER_BYTES])
        body = path.read_bytes()
        page_bytes = int.from_bytes(header[16:18], "big")
        header[28:32] = (len(body) // page_bytes).to_bytes(4, "big")
        patched.write_bytes(bytes(header) + body[HEADER_BYTES:])
        return _copy_rows(patched, draft)
    finally:
        patched.unlink(missing_ok=True)


def _copy_table(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> int:
    count = 0
    for row in _iter_rows(source, table):
        places = ", ".join("?" * len(row))
        count += target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row).rowcount
    return count


def _iter_rows(source: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the readable rows of a table; behind a damaged page, go on with the next row numbers that can be read."""
    start, step = -1, 1
    while step <= MAX_GAP:
        try:
            for number, *row in source.execute(
                f"SELECT rowid, * FROM {table} WHERE rowid > ? ORDER BY rowid", (start,)
            ):
                yield tuple(row)
                start, step = number, 1
            return
        except sqlite3.OperationalError as error:
            if not is_damage(error):  # a table without row numbers
                return
        except sqlite3.DatabaseError:
            pass
        start, step = start + step, step * 2


def _list_columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]


def _translate_error(error: sqlite3.OperationalError, path: Path) -> Exception:
    """Return the OSError of a full or read-only disk or of a locked file; other errors as they are."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in LOCK_CODES:
        return TimeoutError(errno.ETIMEDOUT, "another process keeps the file locked", str(path))
    if code == sqlite3.SQLITE_READONLY or (code == sqlite3.SQLITE_CANTOPEN and not os.access(path.parent, os.W_OK)):
        return PermissionError(errno.EROFS, os.strerror(errno.EROFS), str(path))
    if code in DISK_FULL_CODES:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    return error
