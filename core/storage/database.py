"""Transactions in a SQLite file or a PostgreSQL database, with a timeout short enough for a page."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from core.circuit_breaker import ServiceBreaker
from core.errors import OptionError, ServiceUnavailableError
from core.messages import N_
from mlflow_utils.sqlite_file import is_damage, move_aside, replace_damaged_file

logger = logging.getLogger(__name__)

T = TypeVar("T")
SQLITE_BUSY_TIMEOUT_S = 1.2  # wait for the write lock of another process
SQLITE_TIMEOUT_S = 6.0
SQLITE_RESET_AFTER_S = 1.0  # short: a file is busy for a moment only
# timeout of the first call, which loads libraries and creates missing tables
OPEN_TIMEOUT_S = 20.0
POSTGRESQL_OPTIONS = {
    "application_name": "vigie",
    "connect_timeout": 2,  # seconds; the minimum that libpq accepts
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds, for a dead network
    # milliseconds: of one statement, and of a transaction whose client is silent
    "options": "-c statement_timeout=1400 -c idle_in_transaction_session_timeout=10000",
}
ADVISORY_LOCK_ID = 8_301_962_010  # an arbitrary number for PostgreSQL's advisory lock of writers


TIMEOUTS = text(
    "SELECT set_config('statement_timeout', :limit, true),"
    " set_config('idle_in_transaction_session_timeout', :limit, true)"
)  # of this transaction


class DatabaseError(Exception):
    """The error message of a database, on one line and without the values of the statement."""


@dataclass(frozen=True)
class _Transaction:
    writes: bool = False
    serialize: bool = False
    timeout_s: float | None = None


@dataclass(frozen=True)
class Schema:
    """The functions that check and create the tables of a database; one process at a time creates them.

    is_current   tells whether all tables exist in the form that this version of the code needs
    is_foreign   tells whether the database has tables of another program in the place of ours
    create       creates missing tables
    """

    is_current: Callable[[Connection], bool]
    is_foreign: Callable[[Connection], bool]
    create: Callable[[Connection], None]


class Database:
    """A connection to the tables of `schema` at `url`; the first call creates the tables.

    log_name           the name of the logger of statements, which are logged without values
    serialize_writes   True allows one PostgreSQL writer at a time; SQLite always does
    writer_lock        number of the lock by which these writers wait for each other in PostgreSQL

    Every method raises ServiceUnavailableError in less than 2 s if a server does not answer, unless a call has a limit
    of its own. The timeout for a SQLite file is longer, because a local file is slow only if the whole machine is slow.
    A damaged SQLite file is replaced by a new one with the rows that can be read.
    """

    def __init__(
        self,
        url: URL,
        schema: Schema,
        log_name: str,
        *,
        serialize_writes: bool = False,
        writer_lock: int = ADVISORY_LOCK_ID,
    ) -> None:
        self.url = url
        sqlite_breaker = ServiceBreaker("SQLite", SQLITE_TIMEOUT_S, SQLITE_RESET_AFTER_S)
        self.breaker = sqlite_breaker if self._is_sqlite else ServiceBreaker("PostgreSQL")
        self._schema, self._log_name, self._serialize_writes = schema, log_name, serialize_writes
        self._writer_lock = writer_lock
        self._engine: Engine | None = None
        self._has_tables = False
        self._open_lock = threading.Lock()
        # at level DEBUG, SQLAlchemy logs every row that it reads
        logging.getLogger(f"sqlalchemy.engine.Engine.{log_name}").setLevel(logging.WARNING)

    def load_driver(self) -> None:
        """Import the driver of the database, so that this does not count as time of a server."""
        self.url.get_dialect().import_dbapi()

    def read(self, work: Callable[[Session], T], *, timeout_s: float | None = None) -> T:
        """Run `work` in one read transaction and return its result.

        timeout_s  limit of this call; None for that of a page
        """
        return self._execute_work(work, _Transaction(timeout_s=timeout_s))

    def write(self, work: Callable[[Session], T], *, serialize: bool = False, timeout_s: float | None = None) -> T:
        """Run `work` in one write transaction and return its result.

        timeout_s  limit of this call; None for that of a page

        A failure rolls back all changes. With `serialize`, transactions that ask for it run one after the other in
        PostgreSQL too. Raises IntegrityError if a constraint is violated.
        """
        return self._execute_work(work, _Transaction(True, serialize or self._serialize_writes, timeout_s))

    def read_change_stamp(self) -> tuple[int, ...] | None:
        """Return numbers that differ after a write of any process; None where only a query can tell.

        It costs a thousandth of a query. Two writes within a few milliseconds may have the same numbers.
        """
        if not self._is_sqlite:
            return None
        with suppress(OSError):
            states = [Path(f"{self.url.database}{suffix}").stat() for suffix in ("", "-wal")]
            return tuple(number for state in states for number in (state.st_ino, state.st_size, state.st_mtime_ns))
        return None

    def fetch_version(self) -> str:
        """Return the name and version of the database, for example "PostgreSQL 15.14"."""
        query = "SELECT sqlite_version()" if self._is_sqlite else "SHOW server_version"
        return f"{self.breaker.service} {self.read(lambda rows: str(rows.scalar(text(query))).split()[0])}"

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        with self._open_lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine, self._has_tables = None, False

    def _execute_work(self, work: Callable[[Session], T], transaction: "_Transaction") -> T:
        try:
            return self._execute_once(work, transaction)
        except ServiceUnavailableError as error:
            if not (self._is_sqlite and _is_damaged(error)):
                raise
            self.close()
            replace_damaged_file(Path(str(self.url.database)))
            self.breaker.reset()
        return self._execute_once(work, transaction)

    def _execute_once(self, work: Callable[[Session], T], transaction: "_Transaction") -> T:
        engine = self._ensure_engine()
        limit_s = transaction.timeout_s
        # a short failure of a page must not end long work, nor the other way round
        breaker = None if limit_s is None else ServiceBreaker(self.breaker.service, limit_s, 0.0)
        return self._call_with_timeout(lambda: self._run_transaction(engine, work, transaction), breaker)

    def _run_transaction(self, engine: Engine, work: Callable[[Session], T], transaction: "_Transaction") -> T:
        bound = engine.execution_options(writes=transaction.writes, timeout_s=transaction.timeout_s)
        with Session(bound, expire_on_commit=False) as session, session.begin():
            if transaction.timeout_s is not None and not self._is_sqlite:
                session.execute(TIMEOUTS, {"limit": f"{transaction.timeout_s:.0f}s"})
            if transaction.serialize and not self._is_sqlite:
                session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": self._writer_lock})
            return work(session)

    def _call_with_timeout(self, work: Callable[[], T], breaker: ServiceBreaker | None = None) -> T:
        """Run `work` through the circuit breaker and turn its errors into DatabaseError."""

        def run_work() -> T:
            try:
                return work()
            except IntegrityError:
                raise
            except (SQLAlchemyError, OSError, Timeout) as error:
                raise DatabaseError(_format_error(error)) from error

        return (breaker or self.breaker).call(run_work, (DatabaseError,))

    # ---- opening ------------------------------------------------------------------------------------------------

    @property
    def _is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def _ensure_engine(self) -> Engine:
        """Return the engine; create it and the tables if they are missing."""
        with self._open_lock:
            breaker = ServiceBreaker(self.breaker.service, OPEN_TIMEOUT_S)
            engine = self._engine = self._engine or self._call_with_timeout(self._create_engine, breaker)
            if not self._has_tables:
                if not self._call_with_timeout(lambda: _apply_check(self._schema.is_current, engine)):
                    self._call_with_timeout(lambda: self._remove_foreign_tables(engine), breaker)
                    self._call_with_timeout(lambda: self._create_tables(engine), breaker)
                self._has_tables = True
            return engine

    def _create_engine(self) -> Engine:
        options: Any = {"hide_parameters": True, "logging_name": self._log_name, "pool_timeout": 1}
        if not self._is_sqlite:
            return create_engine(self.url, connect_args=POSTGRESQL_OPTIONS, pool_pre_ping=True, **options)
        path = Path(str(self.url.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        engine = create_engine(self.url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S}, **options)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "checkout", _refuse_moved_file)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _remove_foreign_tables(self, engine: Engine) -> None:
        """Move a SQLite file of another program aside. Raises OptionError for a PostgreSQL database."""
        if not _apply_check(self._schema.is_foreign, engine):
            return
        if not self._is_sqlite:
            raise OptionError(
                N_("The database {place} has tables of another program. Set DATABASE_URL to another database."),
                place=self.url.render_as_string(hide_password=True),
            )
        path = Path(str(self.url.database))
        with FileLock(f"{path}.lock", timeout=OPEN_TIMEOUT_S / 2):
            if _apply_check(self._schema.is_foreign, engine):  # no other process has just done it
                engine.dispose()
                logger.warning("%s belongs to another program. It was moved to %s.", path, move_aside(path))
                path.touch(mode=0o600)

    def _create_tables(self, engine: Engine) -> None:
        """Create the tables; processes that start at the same time wait for the first one."""
        if self._is_sqlite:
            with FileLock(f"{self.url.database}.lock", timeout=OPEN_TIMEOUT_S / 2):
                with engine.connect() as connection:
                    connection.connection.cursor().execute("PRAGMA journal_mode = WAL")  # a property of the file
                with engine.execution_options(writes=True).begin() as connection:
                    self._schema.create(connection)
        else:
            with engine.begin() as connection:
                connection.execute(text(f"SET LOCAL statement_timeout = '{OPEN_TIMEOUT_S / 2:.0f}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID})
                self._schema.create(connection)


def parse_url(url: str, default: Path) -> URL:
    """Return `url` with its driver, or the URL of the SQLite file `default` if `url` is empty.

    Raises OptionError for an invalid URL, SQLite in memory, and any database other than SQLite and PostgreSQL.
    """
    message = N_(
        "DATABASE_URL is not valid. Accepted forms: "
        "postgresql://user:password@host:5432/database and sqlite:////path/of/file."
    )
    try:
        parsed = make_url(url) if url else URL.create("sqlite", database=str(default))
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise OptionError(message) from None  # the original message may contain parts of the password
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed.set(drivername="sqlite+pysqlite")
    raise OptionError(message)


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # `_begin_sqlite` begins the transactions
    connection.execute("PRAGMA foreign_keys = ON")


def _refuse_moved_file(connection: Any, record: Any, _proxy: object) -> None:
    """Let the pool open a new connection where another process has replaced the file since this one was opened."""
    _number, _name, file = connection.execute("PRAGMA database_list").fetchone()  # the main one
    identity = (status := Path(file).stat()).st_dev, status.st_ino
    if record.info.setdefault("file", identity) != identity:
        raise DisconnectionError


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction; a writer locks at once, because two readers that write later would block each other."""
    options = connection.get_execution_options()
    wait_ms = int(1000 * (options.get("timeout_s") or SQLITE_BUSY_TIMEOUT_S))  # for the lock
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {wait_ms}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")


def _apply_check(check: Callable[[Connection], bool], engine: Engine) -> bool:
    with engine.connect() as connection:
        return check(connection)


def _is_damaged(error: BaseException) -> bool:
    """Tell whether SQLite found the file damaged, from the chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        if is_damage(cause) or is_damage(getattr(cause, "orig", None)):
            return True
        cause = cause.__cause__
    return False


def _format_error(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()) or type(cause).__name__
