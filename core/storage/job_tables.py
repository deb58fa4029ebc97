"""SQL tables of jobs, workers and turns.

Rows are deleted after a day, so the tables have no migrations: a table of another form gets another name.
"""

import json
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    inspect,
)
from typing_extensions import override

from core.storage.database import Schema


class Json(TypeDecorator[Any]):
    """A JSON value in a text column: a loss may be NaN, which the JSON type of PostgreSQL rejects."""

    impl = Text
    cache_ok = True

    @override
    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    @override
    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


METADATA = MetaData()
JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("workspace", String(32), nullable=False),
    Column("key", String(24), nullable=False),
    Column("task", Text, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("user", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("submitted", Double, nullable=False),
    Column("status", String(9), nullable=False),
    Column("claims", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(32), nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("share", Double, nullable=False),
    Column("stage", Text, nullable=False),
    Column("curves", Json, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("error", Json),
    Column("ended", Double),
    UniqueConstraint("workspace", "key"),  # equal submissions share one job
    Index("jobs_by_status", "workspace", "status", "submitted"),
)
WORKERS = Table(
    "workers",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("workspace", String(32), nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("embedded", Boolean, nullable=False),
    Column("heartbeat", Double, nullable=False),
)
TURNS = Table(
    "turns",
    METADATA,
    Column("workspace", String(32), primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("number", Integer, nullable=False),  # of the last turn; the user with the lowest number waited longest
)
SCHEMA = Schema(
    lambda connection: _has_tables(connection), lambda connection: _has_other_columns(connection), METADATA.create_all
)


def _has_tables(connection: Connection) -> bool:
    return set(METADATA.tables) <= set(inspect(connection).get_table_names())


def _has_other_columns(connection: Connection) -> bool:
    inspector = inspect(connection)
    return any(
        inspector.has_table(name)
        and not {column.name for column in table.columns} <= {column["name"] for column in inspector.get_columns(name)}
        for name, table in METADATA.tables.items()
    )
