"""SQL tables of watches. `migrations/` creates them; a test compares both. Times are seconds since 1970, UTC.

A body is the JSON of the whole record; the other columns are what statements select and order by.
"""

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.storage.table_migrations import TableMigrations

HEAD = "0001"  # the latest migration
METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)


def _watch_key() -> "Column[int]":
    return Column("watch_id", Integer, ForeignKey("watch_watches.id", ondelete="CASCADE"), nullable=False)


WATCHES = Table(
    "watch_watches",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("workspace", String(32), nullable=False),  # id of the data folder; "" for a watch that is being deleted
    Column("name", String(60), nullable=False),
    Column("body", Text, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("next_tick", Double),
    Column("cursor", Text, nullable=False),
    Column("failures", Integer, nullable=False),  # of the source, in a row
    Column("attempts", Integer, nullable=False),  # claims since the last tick that ended
    Column("last_row_at", Double),
    Column("lease_tick", String(32), nullable=False),  # id of the tick that runs; "" for none
    Column("lease_worker", String(100), nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("edits", Integer, nullable=False),  # number of changes of its incidents by persons
    UniqueConstraint("workspace", "name"),
    Index("ix_watch_watches_next_tick", "workspace", "next_tick"),
)
RECIPIENTS = Table(
    "watch_recipients",
    METADATA,
    Column("workspace", String(32), primary_key=True),
    Column("name", String(60), primary_key=True),
    Column("body", Text, nullable=False),
)
MAINTENANCE = Table(
    "watch_maintenance",
    METADATA,
    Column("workspace", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("body", Text, nullable=False),
)
TICKS = Table(
    "watch_ticks",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False),
    _watch_key(),
    Column("ended", Double, nullable=False),
    Column("rows_judged", Integer, nullable=False),
    Column("alarms", Integer, nullable=False),
    Column("incidents_opened", Integer, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("id"),
    Index("ix_watch_ticks_ended", "watch_id", "ended"),
)
LEDGERS = Table(
    "watch_ledgers",
    METADATA,
    Column(
        "watch_id", Integer, ForeignKey("watch_watches.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("newest", LargeBinary, nullable=False),  # newest judged instant of each entity, by its number
    Column("horizon", Double, nullable=False),  # judged rows before it are forgotten
)
ENTITIES = Table(
    "watch_entities",
    METADATA,
    Column("id", Integer, primary_key=True),
    _watch_key(),
    Column("number", Integer, nullable=False),  # 0, 1, 2, … in the order of their first rows
    Column("name", Text, nullable=False),
    UniqueConstraint("watch_id", "number"),
)
BLOCKS = Table(
    "watch_blocks",
    METADATA,
    Column("id", Integer, primary_key=True),
    _watch_key(),
    Column("kind", String(10), nullable=False),  # "judged", "arrived" or "alarms"
    Column("day", BigInteger, nullable=False),  # since 1970, of all rows of the block
    Column("first", Double, nullable=False),  # instants of its first and last row
    Column("last", Double, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_watch_blocks_day", "watch_id", "kind", "day"),
)
INCIDENTS = Table(
    "watch_incidents",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False),
    _watch_key(),
    Column("entity", Text, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("peak", Double, nullable=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    Column("edit", Integer, nullable=False),  # value of `watch_watches.edits` at the last change by a person
    Column("body", Text, nullable=False),
    UniqueConstraint("id"),
    Index("ix_watch_incidents_end", "watch_id", "end"),
    Index("ix_watch_incidents_is_open", "watch_id", "is_open"),
)
ANNOUNCEMENTS = Table(
    "watch_announcements",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("id", String(32), nullable=False),
    _watch_key(),
    Column("recipient", String(60), nullable=False),
    Column("due", Double, nullable=False),
    Column("is_urgent", Boolean, nullable=False),
    Column("state", String(10), nullable=False),  # "waiting", "sent" or "rejected"
    Column("attempts", Integer, nullable=False),
    Column("next_attempt", Double, nullable=False),
    Column("lease_worker", String(100), nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("message_id", String(100), nullable=False),  # equal for announcements that are sent as one; "" before
    Column("ended", Double),  # when it was sent or rejected
    Column("problem", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("id"),
    Index("ix_watch_announcements_state", "state", "next_attempt"),
    Index("ix_watch_announcements_recipient", "recipient", "ended"),
)
MIGRATIONS = TableMigrations(
    "the watches", METADATA, HEAD, Path(__file__).resolve().parent / "migrations", "watch_alembic_version"
)
