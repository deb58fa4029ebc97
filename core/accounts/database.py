"""The database of the accounts; Alembic creates and migrates its tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from core.accounts.orm import HEAD, Base
from core.storage.database import Database, DatabaseError, Schema, parse_url

MIGRATIONS_FOLDER = Path(__file__).resolve().parent / "migrations"


def open_database(url: str, folder: Path) -> Database:
    """Return the database of the accounts at `url`; "" for the SQLite file `folder`/accounts.db.

    Raises OptionError for any database other than SQLite and PostgreSQL.
    """
    schema = Schema(lambda connection: _read_revision(connection) == HEAD, _is_foreign, _upgrade_tables)
    return Database(parse_url(url, folder / "accounts.db"), schema, "accounts", serialize_writes=True)


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
