"""Environment of Alembic; core/storage/database.py passes the connection and holds the lock."""

from alembic import context

from core.accounts.orm import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
