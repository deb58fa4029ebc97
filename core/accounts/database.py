"""The database of the accounts; Alembic creates and migrates its tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from core.accounts.orm import HEAD, Base
from core.circuit_breaker import ServiceBreaker
from core.storage.database import Database, DatabaseError, Schema, parse_url

MIGRATIONS_FOLDER = Path(__file__).resolve().parent / "migrations"
UPGRADE_TIMEOUT_S = 10.0  # of a server that has just been started, and of the import of its driver


def open_database(url: str, folder: Path) -> Database:
    """Return the database of the accounts at `url`; "" for the SQLite file `folder`/accounts.db.

    Raises OptionError for any database other than SQLite and PostgreSQL.
    """
    schema = Schema(lambda connection: _read_revision(connection) == HEAD, _is_foreign, _upgrade_tables)
    return Database(parse_url(url, folder / "accounts.db"), schema, "accounts", serialize_writes=True)


def is_outdated(url: str, folder: Path) -> bool:
    """Tell whether the accounts will be migrated at their first use. Raises ServiceUnavailableError, OptionError."""
    file = folder / "accounts.db"
    if not (url or file.exists()):
        return False
    engine = create_engine(parse_url(url, file))

    def read_revision() -> str | None:
        with engine.connect() as connection:
            return _read_revision(connection)

    try:
        breaker = ServiceBreaker("PostgreSQL" if url else "SQLite", UPGRADE_TIMEOUT_S)
        return breaker.call(read_revision, (SQLAlchemyError,)) not in (None, HEAD)
    finally:
        engine.dispose()


def _read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    number = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if number is None else str(number)


def _is_foreign(connection: Connection) -> bool:
    """Tell whether there are tables of the names of ours without a revision of Alembic."""
    own_names = set(Base.metadata.tables)
    return _read_revision(connection) is None and bool(own_names & set(inspect(connection).get_table_names()))


def _upgrade_tables(connection: Connection) -> None:
    """Create or migrate the tables. Raises DatabaseError for those of a later version."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(f"the tables of the accounts are of another version: {error}") from error
