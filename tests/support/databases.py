"""Account databases for tests: a SQLite file, or a new database on a real PostgreSQL server."""

import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, select
from sqlalchemy.orm import Session as DbSession

from core.accounts.orm import Base
from core.accounts.service import Accounts
from tests.support.servers import ServerProcess, make_postgres_server

PASSWORD = "Fjord-lantern-71-plum"
OTHER_PASSWORD = "Walnut~harbour-58-tide"
THIRD_PASSWORD = "Copper#meadow-93-gale"


@contextmanager
def start_postgres() -> Iterator[ServerProcess]:
    """Start a PostgreSQL server, yield it, and stop it afterwards.

    Its folder is not below pytest's folder: another pytest run may close that one to the user of PostgreSQL.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-postgres-") as folder:
        server = make_postgres_server(Path(folder)).start()
        yield server
        server.kill()


@contextmanager
def create_database(server: ServerProcess) -> Iterator[str]:
    """Create an empty database on `server`, yield its URL, and drop the database afterwards."""
    name = f"accounts_{uuid.uuid4().hex[:12]}"
    _execute_as_admin(server, f'CREATE DATABASE "{name}"')
    yield make_url(server.url).set(database=name).render_as_string(hide_password=False)
    _execute_as_admin(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute_as_admin(server: ServerProcess, statement: str) -> None:
    import psycopg

    url = make_url(server.url)
    with psycopg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(statement.encode())


@contextmanager
def open_accounts(url: str, folder: Path) -> Iterator[Accounts]:
    """Open the accounts at `url` and yield them. Close them after all abandoned calls have ended."""
    accounts = Accounts(url, folder)
    yield accounts
    wait_for_abandoned_calls()
    accounts.close()


def wait_for_abandoned_calls() -> None:
    """Wait for calls that timed out: their threads still hold connections."""
    for thread in threading.enumerate():
        if thread.name.startswith("call "):
            thread.join(10)


def dump_tables(accounts: Accounts) -> str:
    """Return all rows of all tables as text."""

    def read_rows(rows: DbSession) -> list[tuple[Any, ...]]:
        return [tuple(row) for table in Base.metadata.sorted_tables for row in rows.execute(select(table))]

    return repr(accounts.database.read(read_rows))
