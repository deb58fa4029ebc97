"""The database of the accounts; Alembic creates and migrates its tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from core.accounts.orm import HEAD
from core.storage.database import Database, Schema, parse_url

MIGRATIONS_FOLDER = Path(__file__).resolve().parent / "migrations"


def open_database(url: str, folder: Path) -> Database:
    """Return the database of the accounts at `url`; "" for the SQLite file `folder`/accounts.db.

    Raises OptionError for any database other than SQLite and PostgreSQL.
    """
    schema = Schema(lambda connection: _read_revision(connection) == HEAD, _upgrade_tables)
    return Database(parse_url(url, folder / "accounts.db"), schema, "accounts", serialize_writes=True)


def _read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    number = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if number is None else str(number)


def _upgrade_tables(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
