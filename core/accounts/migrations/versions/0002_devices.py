"""Table of the devices with which users have signed in."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table of devices."""
    user = sa.ForeignKey("users.id", name="fk_devices_user_id", ondelete="CASCADE")
    op.create_table(
        "devices",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Integer(), user, nullable=False),
        sa.Column("last_sign_in", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", "user_id", name="pk_devices"),
    )
    op.create_index("ix_devices_user_id", "devices", ["user_id"])
    op.create_index("ix_devices_last_sign_in", "devices", ["last_sign_in"])
