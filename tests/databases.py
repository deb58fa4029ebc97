"""Databases of accounts for the tests: a SQLite file, or a fresh database of a real PostgreSQL."""

import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, select
from sqlalchemy.orm import Session as Rows

from core.accounts.orm import Base
from core.accounts.service import Accounts
from tests.servers import Running, postgres

PASSWORD = "Fjord-lantern-71-plum"
OTHER = "Walnut~harbour-58-tide"
THIRD = "Copper#meadow-93-gale"


@contextmanager
def running_postgres() -> Iterator[Running]:
    """A PostgreSQL of its own. Not below pytest's folder: other pytests close that to other users, PostgreSQL's among
    them.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-postgres-") as folder:
        server = postgres(Path(folder)).start()
        yield server
        server.kill()


@contextmanager
def fresh_database(server: Running) -> Iterator[str]:
    """The address of a new, empty database of `server`."""
    name = f"accounts_{uuid.uuid4().hex[:12]}"
    _admin(server, f'CREATE DATABASE "{name}"')
    yield make_url(server.url).set(database=name).render_as_string(hide_password=False)
    _admin(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _admin(server: Running, statement: str) -> None:
    import psycopg

    url = make_url(server.url)
    with psycopg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(statement.encode())


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Accounts]:
    accounts = Accounts(url, folder)
    yield accounts
    settled()
    accounts.close()


def settled() -> None:
    """Wait for what was given up on: it still holds connections."""
    for thread in threading.enumerate():
        if thread.name.startswith("call "):
            thread.join(10)


def dump(accounts: Accounts) -> str:
    """Everything the database holds, as text."""

    def everything(rows: Rows) -> list[tuple[Any, ...]]:
        return [tuple(row) for table in Base.metadata.sorted_tables for row in rows.execute(select(table))]

    return repr(accounts.database.read(everything))
