"""Rows of a query on PostgreSQL or SQLite: those after the greatest value of a column that was read.

Rows are committed out of order, and come late. So each tick reads again what was read in the last hour, and the first
tick of an hour what was read in the last day. The ledger of the watch drops the rows that were judged.
"""

import csv
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from core.errors import AccessDeniedError, DataError, OptionError, ServiceUnavailableError, VigieError
from core.messages import N_
from core.redaction import remove_secrets
from core.settings import Settings
from core.storage.sources.base import NO_STATE, Portion
from core.storage.sources.read_mark import ReadMark, ReadPage, Value, is_future
from core.watches.source import DatabaseSource

STATEMENT_TIMEOUT_S = 60
POSTGRESQL_OPTIONS = {
    "application_name": "vigie-watch",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "tcp_user_timeout": 30_000,  # milliseconds
    "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000} -c default_transaction_read_only=on -c TimeZone=UTC",
}
FETCH_ROWS = 5000
SQLITE_STEPS = 100_000  # instructions between two looks at the clock
BACKENDS = ("postgresql", "sqlite")
FIRST_TIME = "0001-01-01 00:00:00"
"""Earlier than any row in PostgreSQL: a text that every type of time accepts. A column of numbers begins at 0."""
NUMBER_TYPES = {20, 21, 23, 700, 701, 1700}  # of PostgreSQL
ANSWER_ONLY = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
READING_WORD = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
PARAMETER = re.compile(r"(?<![:\w]):since\b")
DENIED_STATES = {"28000", "28P01", "42501"}  # of PostgreSQL: the user, the password, a right
BUSY_STATES = {"57014", "57P01", "57P03", "53300"}  # a timeout, a restart, too many connections
MAX_REASON_LETTERS = 300


@dataclass(frozen=True)
class DatabaseReader:
    """Reader of one query. The database belongs to others: nothing is written, and no query can write."""

    source: DatabaseSource
    settings: Settings

    def read(self, state: Mapping[str, Any], folder: Path, max_bytes: int, now: datetime) -> Portion:
        """Write the rows after those that were read to a file of CSV, in order of the column of time."""
        memory = ReadMark.parse(state)
        since, is_long = memory.choose_since(now)
        path = folder / "0"
        with self._connect() as connection:
            since = self._find_first_value(connection) if since is None else since
            page = self._write_rows(connection, since, path, max_bytes, now)
        if page.is_cut and page.last == since:
            raise DataError(
                N_("The query gives the rows of {value} again and again. Accepted: a condition with > :since."),
                value=str(since),
            )
        files = ((path, f"{self.source.database}.csv"),) if page.count else ()
        return Portion(files, memory.update(page, now, is_long).dump(), page.is_cut)

    def check(self) -> None:
        """Run the query for no row; see `RowSource`."""
        with self._connect() as connection:
            self._find_first_value(connection)

    def start_late(self, since: datetime | None) -> Mapping[str, Any]:
        """Return the empty state: the type of the column of time is not known."""
        return NO_STATE

    def _find_first_value(self, connection: Connection) -> Value:
        """Return a value before those of all rows. Raises OptionError for a query without the column of time."""
        result = connection.execute(text(f"{self._wrap_query(connection)} LIMIT 0"), {"since": None})
        names, description = list(result.keys()), result.cursor.description if result.cursor else ()
        result.close()
        position = self._find_column(names)
        is_number = connection.dialect.name == "sqlite" or description[position][1] in NUMBER_TYPES
        return 0 if is_number else FIRST_TIME

    def _write_rows(
        self, connection: Connection, since: Value, path: Path, max_bytes: int, now: datetime
    ) -> "ReadPage":
        """Write rows until the column of time changes after `max_bytes`, so that no equal time is cut apart."""
        limit_bytes = self.settings.vigie_max_upload_mb * 2**20
        page = ReadPage()
        statement = text(self._wrap_query(connection))
        options = {"stream_results": True, "yield_per": FETCH_ROWS}
        result = connection.execute(statement, {"since": since}, execution_options=options)
        with path.open("w", newline="", encoding="utf-8") as file, closing(result):
            names = list(result.keys())
            position = self._find_column(names)
            writer = csv.writer(file)
            writer.writerow(names)
            for row in result:
                value = _read_value(row[position])
                if value != page.last and page.count and file.tell() >= max_bytes:
                    return replace(page, is_cut=True)
                if file.tell() > limit_bytes:
                    raise DataError(
                        N_("The rows of {value} have more than {accepted} bytes. VIGIE_MAX_UPLOAD_MB sets the limit."),
                        value=str(value),
                        accepted=limit_bytes,
                    )
                writer.writerow([_format_cell(cell) for cell in row])
                greatest = page.greatest if is_future(value, now) else value
                page = ReadPage(page.count + 1, value, greatest)
        return page

    def _find_column(self, names: Sequence[str]) -> int:
        """Return the position of the column of time. Raises OptionError if the query has none, or several."""
        if list(names).count(self.source.time_column) != 1:
            raise OptionError(
                N_("The query has no column {column!r} that orders its rows. Its columns: {accepted}."),
                column=self.source.time_column,
                accepted=", ".join(names)[:300],
            )
        return list(names).index(self.source.time_column)

    def _wrap_query(self, connection: Connection) -> str:
        """Return the query in order of the column of time. Raises OptionError for one that is not accepted."""
        query = self.source.query.strip().rstrip(";")
        plain = COMMENT.sub(" ", query)
        if not READING_WORD.match(plain) or not PARAMETER.search(plain):
            raise OptionError(
                N_("The query {value!r} is not accepted. Accepted: one SELECT with the parameter :since."),
                value=query[:100],
            )
        column = f"vigie_rows.{connection.dialect.identifier_preparer.quote_identifier(self.source.time_column)}"
        return f"SELECT * FROM (\n{query}\n) AS vigie_rows WHERE {column} IS NOT NULL ORDER BY {column}"

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        """Yield a connection that can only read. Raises the errors of `RowSource`."""
        url = find_database(self.source.database, self.settings)
        try:
            engine = _create_engine(url)
            try:
                with engine.connect() as connection:
                    _forbid_writing(connection)
                    yield connection
            finally:
                engine.dispose()
        except SQLAlchemyError as error:
            raise _explain_error(error, self.source.database, url) from None  # its text may have the password
        except sqlite3.Error as error:
            raise _explain_error(error, self.source.database, url) from None


def find_database(name: str, settings: Settings) -> URL:
    """Return the address of a database of the settings. Raises OptionError and AccessDeniedError."""
    try:
        addresses = json.loads(settings.vigie_source_databases.get_secret_value() or "{}")
        url_by_name = {str(key): make_url(address) for key, address in addresses.items()}
        if not all(url.get_backend_name() in BACKENDS for url in url_by_name.values()):
            raise ValueError
    except (ValueError, AttributeError, ArgumentError):
        raise OptionError(
            N_(
                "VIGIE_SOURCE_DATABASES is not valid. Accepted: names and addresses as JSON, such as {accepted}. "
                "An address begins with postgresql:// or sqlite:////."
            ),
            accepted='{"plant": "postgresql://user:password@host:5432/plant"}',
        ) from None  # the original error may contain a password
    if name not in url_by_name:
        raise AccessDeniedError(
            N_("Watches may not read the database {value!r}. Accepted: {accepted}. Change VIGIE_SOURCE_DATABASES."),
            value=name,
            accepted=", ".join(url_by_name) or "–",
        )
    return url_by_name[name]


def _create_engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database)).resolve()

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5, check_same_thread=False)

        return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=POSTGRESQL_OPTIONS,
        poolclass=NullPool,
        hide_parameters=True,
    )


def _forbid_writing(connection: Connection) -> None:
    """Let SQLite refuse everything but an answer, and end a long query; PostgreSQL does so by its options."""
    if connection.dialect.name != "sqlite":
        connection.execution_options(postgresql_readonly=True)
        return
    driver: Any = connection.connection.driver_connection
    deadline_s = time.monotonic() + STATEMENT_TIMEOUT_S
    driver.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in ANSWER_ONLY else sqlite3.SQLITE_DENY)
    driver.set_progress_handler(lambda: time.monotonic() > deadline_s, SQLITE_STEPS)


def _explain_error(error: Exception, name: str, url: URL) -> VigieError:
    """Return the error of `RowSource` for one of a database, without the password."""
    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "sqlstate", None) or ""
    lines = (str(origin) or type(origin).__name__).splitlines()
    reason = remove_secrets(" ".join(lines[0].split()), [url.password or ""], [url.username or "", name])
    values = {"database": name, "reason": reason[:MAX_REASON_LETTERS]}
    if state in DENIED_STATES or "password authentication failed" in reason:
        return AccessDeniedError(N_("The database {database} denies access ({reason})."), **values)
    is_late = isinstance(origin, sqlite3.OperationalError) and "interrupted" in reason
    is_absent = isinstance(origin, sqlite3.OperationalError) and ("unable to open" in reason or "locked" in reason)
    is_disconnected = isinstance(error, DBAPIError) and (error.connection_invalidated or not state)
    if state in BUSY_STATES or is_late or is_absent or (is_disconnected and url.get_backend_name() != "sqlite"):
        return ServiceUnavailableError(N_("The database {database} does not answer ({reason})."), **values)
    return OptionError(
        N_("The database {database} does not accept the query ({reason}). Accepted: one SELECT with :since."), **values
    )


def _format_cell(cell: object) -> object:
    """Return a cell as CSV has it: 1 and 0 for truth values, times with a space, "" for nothing."""
    if isinstance(cell, bool):
        return int(cell)
    return cell.isoformat(sep=" ") if isinstance(cell, datetime) else cell


def _read_value(cell: Any) -> Value:
    """Return a cell of the column of time. Raises DataError for one that is neither time, number nor text."""
    if isinstance(cell, Decimal):
        return int(cell) if cell == int(cell) else float(cell)
    if isinstance(cell, int | float | str | date) and not isinstance(cell, bool):
        return cell
    raise DataError(
        N_("The column of time has the value {value!r}. Accepted: a time, a number, a text."), value=str(cell)[:100]
    )
