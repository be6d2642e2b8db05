"""Brings a database to the schema of this code, or of an older one, or says why that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import DBAPIError

from daemon.errors import StoreError, UsageError
from daemon.store import schema
from daemon.store.engine import connect, words
from daemon.store.file import Lock
from daemon.store.soundness import examine

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

HEAD = "0011"
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
    taken = current(connection, place)
    if taken is None:
        schema.metadata.create_all(connection, checkfirst=False)
        _VERSION.create(connection)
        connection.execute(_VERSION.insert(), {_VERSION.c.version_num.name: HEAD})
    elif taken != HEAD:
        take_steps(connection)


def take_steps(connection: Connection) -> None:
    """Applies all steps that the database has not taken."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@dataclass(frozen=True, slots=True)
class Step:
    """One step between two schemas: its number, what it is about, and whether it is undone."""

    revision: str
    text: str
    undone: bool = False


def steps(taken: str, target: str) -> Sequence[Step]:
    """Those that lead from the one that was taken last to ``target``, in order. Raises UsageError
    where there is no such."""
    every = list(_script().walk_revisions())[::-1]
    numbers = [each.revision for each in every]
    if target not in numbers:
        raise UsageError(f"there is no schema {target!r}; there are {numbers[0]} to {numbers[-1]}")
    here, there = numbers.index(taken), numbers.index(target)
    texts = [Step(each.revision, " ".join((each.doc or "").split())) for each in every]
    if there >= here:
        return texts[here + 1 : there + 1]
    return [replace(each, undone=True) for each in texts[there + 1 : here + 1][::-1]]


def go(connection: Connection, taken: str, target: str) -> None:
    """Takes those steps, or undoes them, within the caller's transaction.

    Raises StoreError where one that is undone would lose what is still needed.
    """
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    if target > taken:
        command.upgrade(config, target)
    elif target < taken:
        command.downgrade(config, target)


def taken_by(path: Path) -> str:
    """The newest step that the database of a file has taken; nothing is changed. Raises StoreError
    where it is none of ours, or newer than this code."""
    engine = connect(make_url(f"sqlite:///{path}"), read_only=True)
    try:
        with engine.connect() as connection:
            taken = current(connection, str(path))
    except DBAPIError as error:
        raise StoreError(f"cannot read the database {path}: {words(error)}") from error
    finally:
        engine.dispose()
    if taken is None:
        raise StoreError(f"{path} holds nothing yet (`dispatchd run` makes the tables)")
    return taken


@contextmanager
def opened(path: Path, now: datetime) -> Iterator[tuple[Engine, str]]:
    """The database of a file, for its steps, and the one that it has taken last; locked meanwhile,
    as by a daemon. Raises StoreError where it is not there, in use, damaged, or none of ours."""
    lock = Lock(path)
    lock.take(now)
    try:
        examine(path)
        taken = taken_by(path)
        engine = connect(make_url(f"sqlite:///{path}"))
        try:
            yield engine, taken
        finally:
            engine.dispose()
    finally:
        lock.release()


def check(connection: Connection, place: str) -> None:
    """Raises StoreError unless the database has exactly the schema of this code."""
    if current(connection, place) != HEAD:
        raise StoreError(
            f"{place} was not yet brought to the schema of this version"
            " (`dispatchd run` does it when it starts, or `dispatchd db migrate`)"
        )


def _config() -> Config:
    from alembic.config import Config

    config = Config()  # no ini file: this works from an installed package
    config.set_main_option("script_location", "daemon.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def current(connection: Connection, place: str) -> str | None:
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
            f" here is {HEAD}); install that version, have it go back with `dispatchd db migrate"
            f" --to {HEAD}`, or restore a backup"
        )
    return str(current)


def _known() -> set[str]:
    return {step.revision for step in _script().walk_revisions()}


def _script() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())
