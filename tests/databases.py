"""Databases of accounts for the tests: a SQLite file, or a fresh database of a real PostgreSQL."""

import signal
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from sqlalchemy import make_url, select

from core.stores.accounts import Accounts
from core.stores.accounts.tables import Base
from tests.servers import Running, postgres

PASSWORD = "Fjord-lantern-71-plum"
OTHER = "Walnut~harbour-58-tide"
THIRD = "Copper#meadow-93-gale"


@contextmanager
def running_postgres() -> Iterator[Running]:
    """A PostgreSQL of its own. Not below pytest's folder: other pytests close that to other users, PostgreSQL's among them."""
    with tempfile.TemporaryDirectory(prefix="vigie-postgres-") as folder:
        server = postgres(Path(folder)).start()
        yield server
        server.kill()


def killed(server: Running) -> None:
    """As a power cut would; returns when nothing is left of it, for until then it could not be started again."""
    left = _processes(server)
    server.kill()
    psutil.wait_procs(left, timeout=30)


def frozen(server: Running) -> None:
    """It takes connections and never answers; those that were open hang too."""
    _tell(server, signal.SIGSTOP)


def thawed(server: Running) -> None:
    _tell(server, signal.SIGCONT)


def _tell(server: Running, what: signal.Signals) -> None:
    for process in _processes(server):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(what)


def _processes(server: Running) -> list[psutil.Process]:
    """PostgreSQL and its children, each of which leads a process group of its own."""
    assert server.process is not None
    whole = psutil.Process(server.process.pid)
    return [whole, *whole.children(recursive=True)]


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
    ) as connection:  # fmt: skip
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
        if thread.name.startswith("ask "):
            thread.join(10)


def dump(accounts: Accounts) -> str:
    """Everything the database holds, as text."""

    def everything(rows):  # type: ignore[no-untyped-def]
        return [tuple(row) for table in Base.metadata.sorted_tables for row in rows.execute(select(table))]

    return repr(accounts.database.read(everything))
