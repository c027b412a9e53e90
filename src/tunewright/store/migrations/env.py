"""Alembic runs this to upgrade a workspace database; the connection comes from `store/database.py`."""

from __future__ import annotations

from alembic import context

from tunewright.store.tables import metadata

# The caller has opened the transaction and holds it until all revisions are in: an upgrade is whole or absent.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
