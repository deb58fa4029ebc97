"""The database of the accounts; Alembic creates and migrates its tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from core.accounts.orm import HEAD
from core.storage.database import Database, Schema, parse_url

MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def open_database(url: str, folder: Path) -> Database:
    """Return the database of the accounts at `url`; "" for the SQLite file `folder`/accounts.db.

    Raises OptionError for any database other than SQLite and PostgreSQL.
    """
    schema = Schema(lambda connection: _revision(connection) == HEAD, _upgrade)
    return Database(parse_url(url, folder / "accounts.db"), schema, "accounts", serialize_writes=True)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    number = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if number is None else str(number)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
