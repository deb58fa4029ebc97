"""The database of the accounts; Alembic creates and migrates its tables."""

from pathlib import Path

from core.accounts.orm import HEAD, Base
from core.storage.database import Database, parse_url
from core.storage.table_migrations import TableMigrations

MIGRATIONS_FOLDER = Path(__file__).resolve().parent / "migrations"
MIGRATIONS = TableMigrations("the accounts", Base.metadata, HEAD, MIGRATIONS_FOLDER, "alembic_version")


def open_database(url: str, folder: Path) -> Database:
    """Return the database of the accounts at `url`; "" for the SQLite file `folder`/accounts.db.

    Raises OptionError for any database other than SQLite and PostgreSQL.
    """
    return Database(
        parse_url(url, folder / "accounts.db"), MIGRATIONS.build_schema(), "accounts", serialize_writes=True
    )


def is_outdated(url: str, folder: Path) -> bool:
    """Tell whether the accounts will be migrated at their first use. Raises ServiceUnavailableError, OptionError."""
    return MIGRATIONS.is_outdated(url, folder / "accounts.db")
