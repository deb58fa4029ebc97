"""Tables that Alembic creates and migrates at their first use, in SQLite and PostgreSQL."""

import threading
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, column, create_engine, inspect, select, table
from sqlalchemy.exc import SQLAlchemyError

from core.circuit_breaker import ServiceBreaker
from core.storage.database import DatabaseError, Schema, parse_url

ALEMBIC_LOCK = threading.Lock()  # Alembic keeps what it works on in global variables
UPGRADE_TIMEOUT_S = 10.0  # of a server that has just been started, and of the import of its driver


@dataclass(frozen=True)
class TableMigrations:
    """The migrations of some tables.

    content        what the tables hold, in an error
    metadata       the tables in their present form
    head           number of the latest migration
    folder         folder of the migrations; its env.py reads the connection from the attributes of the configuration
    version_table  table with the number of the last migration; several sets of tables may share a database
    """

    content: str
    metadata: MetaData
    head: str
    folder: Path
    version_table: str

    def build_schema(self) -> Schema:
        """Return the functions by which a `Database` checks and creates the tables."""
        return Schema(
            lambda connection: self._read_revision(connection) == self.head, self._is_foreign, self._upgrade_tables
        )

    def is_outdated(self, url: str, file: Path) -> bool:
        """Tell whether the tables at `url`, or in the SQLite `file`, will be migrated at their first use.

        Raises ServiceUnavailableError, OptionError.
        """
        if not (url or file.exists()):
            return False
        engine = create_engine(parse_url(url, file))

        def read_revision() -> str | None:
            with engine.connect() as connection:
                return self._read_revision(connection)

        try:
            breaker = ServiceBreaker("PostgreSQL" if url else "SQLite", UPGRADE_TIMEOUT_S)
            return breaker.call(read_revision, (SQLAlchemyError,)) not in (None, self.head)
        finally:
            engine.dispose()

    def _read_revision(self, connection: Connection) -> str | None:
        if not inspect(connection).has_table(self.version_table):
            return None
        number = connection.scalar(select(column("version_num")).select_from(table(self.version_table)))
        return None if number is None else str(number)

    def _is_foreign(self, connection: Connection) -> bool:
        """Tell whether there are tables of the names of ours without a revision of Alembic."""
        own_names = set(self.metadata.tables)
        return self._read_revision(connection) is None and bool(own_names & set(inspect(connection).get_table_names()))

    def _upgrade_tables(self, connection: Connection) -> None:
        """Create or migrate the tables. Raises DatabaseError for those of a later version."""
        config = Config()
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            with ALEMBIC_LOCK:
                command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseError(f"the tables of {self.content} are of another version: {error}") from error
