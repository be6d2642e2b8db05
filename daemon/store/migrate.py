"""Brings a database to the schema of this code, or says why that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from daemon.errors import StoreError
from daemon.store import schema

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0010"
"""The newest step. A database that has taken it needs no look at the others, and no library for
them in memory, which would take 9 MB: that is nearly every start."""

# As alembic makes it.
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_VERSION.primary_key.name = "alembic_version_pkc"


def upgrade(connection: Connection, place: str) -> None:
    """Brings the database to the schema of this code within the caller's transaction: an empty one
    gets the tables as they are today, any other the steps that it has not taken.

    Raises:
        StoreError: the database is newer than this code, or not one of ours.
    """
    current = _current(connection, place)
    if current is None:
        schema.metadata.create_all(connection, checkfirst=False)
        _VERSION.create(connection)
        connection.execute(_VERSION.insert(), {_VERSION.c.version_num.name: HEAD})
    elif current != HEAD:
        take_steps(connection)


def take_steps(connection: Connection) -> None:
    """Applies all steps that the database has not taken."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def check(connection: Connection, place: str) -> None:
    """Raises StoreError unless the database has exactly the schema of this code."""
    if _current(connection, place) != HEAD:
        raise StoreError(
            f"{place} was not yet brought to the schema of this version"
            " (`dispatchd run` does it when it starts)"
        )


def _config() -> Config:
    from alembic.config import Config

    config = Config()  # no ini file: this works from an installed package
    config.set_main_option("script_location", "daemon.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _current(connection: Connection, place: str) -> str | None:
    """The newest step that the database has taken, None where it is empty. Raises StoreError where
    that is no step of ours."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    current = None
    if _VERSION.name in tables:
        current = connection.execute(select(_VERSION.c.version_num)).scalar()
    if current is None:
        raise StoreError(f"{place} holds the tables of another program; name a new file")
    if current != HEAD and current not in _known():
        raise StoreError(
            f"{place} was written by a newer dispatchd (its schema is {current}, the newest known"
            f" here is {HEAD}); install that version, or restore a backup"
        )
    return str(current)


def _known() -> set[str]:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    return {step.revision for step in script.walk_revisions()}
