"""Environment of Alembic; core/storage/table_migrations.py passes the connection, whose database holds the lock."""

from alembic import context

from core.storage.watches.tables import METADATA, MIGRATIONS

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=MIGRATIONS.version_table
)
with context.begin_transaction():
    context.run_migrations()
