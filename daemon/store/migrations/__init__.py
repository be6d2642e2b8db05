"""The way of the database from nothing to today's schema, one file a step, run by alembic when
the store is opened."""
