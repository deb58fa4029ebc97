"""What Alembic runs; the connection comes from core/storage/database.py, which holds the lock."""

from alembic import context

from core.accounts.orm import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
