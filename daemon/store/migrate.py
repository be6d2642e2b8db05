"""Brings a database to the schema of this code, or says why that cannot be."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from daemon.errors import StoreError


def upgrade(connection: Connection, place: str) -> None:
    """Applies the missing steps within the caller's transaction: all of them, or none.

    Raises:
        StoreError: the database is newer than this code, or not one of ours.
    """
    config = _config()
    if _missing_steps(connection, config, place):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(connection: Connection, place: str) -> None:
    """Raises StoreError unless the database has exactly the schema of this code."""
    if _missing_steps(connection, _config(), place):
        raise StoreError(
            f"{place} was not yet brought to the schema of this version"
            " (`dispatchd run` does it when it starts)"
        )


def _config() -> Config:
    config = Config()  # no ini file: this works from an installed package
    config.set_main_option("script_location", "daemon.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _missing_steps(connection: Connection, config: Config, place: str) -> bool:
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None and inspect(connection).get_table_names():
        raise StoreError(f"{place} holds the tables of another program; name a new file")
    known = {step.revision for step in script.walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"{place} was written by a newer dispatchd (its schema is {current}, the newest known"
            f" here is {script.get_current_head()}); install that version, or restore a backup"
        )
    return current != script.get_current_head()
