"""What alembic runs to apply a step: on the connection that it is given, in its transaction."""

from __future__ import annotations

from alembic import context

from daemon.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
