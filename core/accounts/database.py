"""The way to the tables: SQLite or PostgreSQL, migrated when first asked, with a timeout for
every call.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from core.accounts.orm import HEAD
from core.circuit_breaker import ServiceBreaker
from core.errors import OptionError
from core.messages import N_

logging.getLogger("sqlalchemy.engine.Engine.accounts").setLevel(logging.WARNING)
T = TypeVar("T")
BUSY = 1.2  # seconds that SQLite waits for another process that writes
POSTGRESQL = {
    "application_name": "vigie",
    "connect_timeout": 2,  # seconds; its library accepts no less
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # of a dead network
    # milliseconds: of one statement, and of somebody who began to write and fell silent
    "options": "-c statement_timeout=1400 -c idle_in_transaction_session_timeout=10000",
}
LOCAL = 6.0  # seconds that a SQLite file is waited for
# seconds that the first caller may wait: while libraries load, and where a database that answers has no tables
OPENING = 20.0
LOCK = 8_301_962_010  # any number of our own: PostgreSQL's advisory lock for those who write
DISCREET: Any = {"hide_parameters": True, "logging_name": "accounts", "pool_timeout": 1}
"""Neither errors nor logs hold values; at level DEBUG SQLAlchemy would log every row it reads."""
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


class Failed(Exception):
    """What a database said, on one line and without the statement's values."""


class Database:
    """Tables at `url`; "" for the file `folder`/accounts.db.

    Every method raises ServiceUnavailableError in less than 2 s where a server does not answer; a file of this
    machine is waited
    for
    longer, because it is slow only where the whole machine is.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = _address(url, folder)
        self.breaker = ServiceBreaker("SQLite", LOCAL) if self._local else ServiceBreaker("PostgreSQL")
        self._engine: Engine | None = None
        self._ready = False  # every table was made
        self._opening = threading.Lock()

    def read(self, work: Callable[[Session], T]) -> T:
        """What `work` finds."""
        return self._ask(work, writes=False)

    def write(self, work: Callable[[Session], T]) -> T:
        """What `work` answers; all that it wrote is kept, or none. One at a time, over all processes."""
        return self._ask(work, writes=True)

    def version(self) -> str:
        """As in "PostgreSQL 15.14"."""
        query = "SELECT sqlite_version()" if self._local else "SHOW server_version"
        return f"{self.breaker.service} {self.read(lambda rows: str(rows.scalar(text(query))).split()[0])}"

    def close(self) -> None:
        """Let go of every connection; the next call opens them again."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
            self._engine, self._ready = None, False

    def _ask(self, work: Callable[[Session], T], writes: bool) -> T:
        engine = self._opened()
        return self._patiently(lambda: self._done(engine, work, writes))

    def _done(self, engine: Engine, work: Callable[[Session], T], writes: bool) -> T:
        with Session(engine.execution_options(writes=writes), expire_on_commit=False) as rows, rows.begin():
            if writes and not self._local:
                rows.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            return work(rows)

    def _patiently(self, work: Callable[[], T], breaker: ServiceBreaker | None = None) -> T:
        def run() -> T:
            try:
                return work()
            except IntegrityError:
                raise
            except (SQLAlchemyError, OSError, Timeout) as error:
                raise Failed(_said(error)) from error

        return (breaker or self.breaker).call(run, (Failed,))

    # ---- opening ------------------------------------------------------------------------------------------------

    @property
    def _local(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def _opened(self) -> Engine:
        """The engine; where it is asked for the first time, every table is made."""
        with self._opening:
            breaker = ServiceBreaker(self.breaker.service, OPENING)
            engine = self._engine = self._engine or self._patiently(self._made, breaker)
            if not self._ready:
                if self._patiently(lambda: _revision(engine)) != HEAD:
                    self._patiently(lambda: self._migrated(engine), breaker)
                self._ready = True
            return engine

    def _made(self) -> Engine:
        if not self._local:
            return create_engine(self.url, connect_args=POSTGRESQL, pool_pre_ping=True, **DISCREET)
        path = Path(str(self.url.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        engine = create_engine(self.url, connect_args={"timeout": BUSY}, **DISCREET)
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begins)
        return engine

    def _migrated(self, engine: Engine) -> None:
        """One process makes the tables; others that start meanwhile wait for it."""
        if self._local:
            with FileLock(f"{self.url.database}.lock", timeout=OPENING / 2):
                with engine.connect() as connection:
                    connection.connection.cursor().execute("PRAGMA journal_mode = WAL")  # kept in the file
                with engine.execution_options(writes=True).begin() as connection:
                    _upgrade(connection)
        else:
            with engine.begin() as connection:
                connection.execute(text(f"SET LOCAL statement_timeout = '{OPENING / 2:.0f}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                _upgrade(connection)


def _address(url: str, folder: Path) -> URL:
    """Raises OptionError for anything but SQLite and PostgreSQL."""
    refused = N_(
        "DATABASE_URL is not accepted; choose postgresql://user:password@host:5432/database or sqlite:////path/of/file."
    )
    try:
        given = make_url(url or f"sqlite:///{folder / 'accounts.db'}")
        backend = given.get_backend_name()
    except (ArgumentError, ValueError):
        raise OptionError(refused) from None  # their texts may hold pieces of the password
    if backend in ("postgres", "postgresql"):
        return given.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and given.database not in (None, "", ":memory:"):
        return given.set(drivername="sqlite+pysqlite")
    raise OptionError(refused)


def _sqlite_connected(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below
    connection.execute("PRAGMA foreign_keys = ON")


def _sqlite_begins(connection: Connection) -> None:
    """Who will write says so at once: two readers that both want to write later would block each other."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _said(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()) or type(cause).__name__
