"""Tables of watches, recipients, maintenance windows, ticks, judged rows, arrivals, incidents and announcements."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first tables."""
    _create_watches()
    _create_rows()
    _create_incidents()


def _create_watches() -> None:
    op.create_table(
        "watch_watches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace", sa.String(32), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("next_tick", sa.Double()),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_row_at", sa.Double()),
        sa.Column("lease_tick", sa.String(32), nullable=False),
        sa.Column("lease_worker", sa.String(100), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watch_watches"),
        sa.UniqueConstraint("workspace", "name", name="uq_watch_watches_workspace"),
    )
    op.create_index("ix_watch_watches_next_tick", "watch_watches", ["workspace", "next_tick"])
    for table, key in (("watch_recipients", sa.String(60)), ("watch_maintenance", sa.String(32))):
        name = "name" if table == "watch_recipients" else "id"
        op.create_table(
            table,
            sa.Column("workspace", sa.String(32), nullable=False),
            sa.Column(name, key, nullable=False),
            sa.Column("body", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("workspace", name, name=f"pk_{table}"),
        )
    op.create_table(
        "watch_ticks",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        _watch_column("watch_ticks"),
        sa.Column("ended", sa.Double(), nullable=False),
        sa.Column("rows_judged", sa.Integer(), nullable=False),
        sa.Column("alarms", sa.Integer(), nullable=False),
        sa.Column("incidents_opened", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_watch_ticks"),
        sa.UniqueConstraint("id", name="uq_watch_ticks_id"),
    )
    op.create_index("ix_watch_ticks_ended", "watch_ticks", ["watch_id", "ended"])


def _create_rows() -> None:
    op.create_table(
        "watch_ledgers",
        _watch_column("watch_ledgers"),
        sa.Column("newest", sa.LargeBinary(), nullable=False),
        sa.Column("horizon", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("watch_id", name="pk_watch_ledgers"),
    )
    op.create_table(
        "watch_entities",
        sa.Column("id", sa.Integer(), nullable=False),
        _watch_column("watch_entities"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watch_entities"),
        sa.UniqueConstraint("watch_id", "number", name="uq_watch_entities_watch_id"),
    )
    op.create_table(
        "watch_blocks",
        sa.Column("id", sa.Integer(), nullable=False),
        _watch_column("watch_blocks"),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.Double(), nullable=False),
        sa.Column("last", sa.Double(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watch_blocks"),
    )
    op.create_index("ix_watch_blocks_day", "watch_blocks", ["watch_id", "kind", "day"])


def _create_incidents() -> None:
    op.create_table(
        "watch_incidents",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        _watch_column("watch_incidents"),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("peak", sa.Double(), nullable=False),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("end", sa.Double(), nullable=False),
        sa.Column("edit", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_watch_incidents"),
        sa.UniqueConstraint("id", name="uq_watch_incidents_id"),
    )
    op.create_index("ix_watch_incidents_end", "watch_incidents", ["watch_id", "end"])
    op.create_index("ix_watch_incidents_is_open", "watch_incidents", ["watch_id", "is_open"])
    op.create_table(
        "watch_announcements",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        _watch_column("watch_announcements"),
        sa.Column("recipient", sa.String(60), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("is_urgent", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt", sa.Double(), nullable=False),
        sa.Column("lease_worker", sa.String(100), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("message_id", sa.String(100), nullable=False),
        sa.Column("ended", sa.Double()),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_watch_announcements"),
        sa.UniqueConstraint("id", name="uq_watch_announcements_id"),
    )
    op.create_index("ix_watch_announcements_state", "watch_announcements", ["state", "next_attempt"])
    op.create_index("ix_watch_announcements_recipient", "watch_announcements", ["recipient", "ended"])


def _watch_column(table: str) -> "sa.Column[int]":
    key = sa.ForeignKey("watch_watches.id", name=f"fk_{table}_watch_id", ondelete="CASCADE")
    return sa.Column("watch_id", sa.Integer(), key, nullable=False)
