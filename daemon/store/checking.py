"""Whether a database is sound, found out by reading it: its pages and indexes, its references, its
schema, and what must hold of its rows. Whoever uses it meanwhile is not disturbed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from daemon.errors import StoreError
from daemon.store import migrate, pages, rules
from daemon.store.engine import connect, words
from daemon.store.file import HINT
from daemon.store.soundness import RESTORE, examine
from daemon.store.usability import holder

FAULTS_MAX = 20
"""Damaged places that are told; there may be thousands."""

STEPS = 100_000
"""Steps of SQLite's between two calls of whoever shows that it goes on."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in one place, and what to do about it. Of what is ``damaged`` something is
    lost; all else is as the daemon wrote it, and should not be."""

    text: str
    remedy: str = RESTORE
    damaged: bool = True

    def __str__(self) -> str:
        return f"{self.text} ({self.remedy})"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in the database at ``path``, of ``size`` bytes. ``schema`` is the newest step
    that it has taken; ``outdated`` says that there are newer ones, so that of its rows less was
    looked at."""

    path: Path
    size: int
    schema: str
    outdated: bool
    problems: tuple[Problem, ...]


def check(path: Path, *, quick: bool, going_on: Callable[[], None] = lambda: None) -> Report:
    """Looks through the whole database, in one transaction that only reads; ``quick`` leaves out
    whether the indexes agree with the tables, which takes longest. ``going_on`` is called often.

    Raises:
        StoreError: it cannot be read, is not one of ours, or is newer than this code.
    """
    _readable(path)
    problems: list[Problem] = []
    if not holder(path):  # else its files change while they are looked at
        _undo_what_was_broken_off(path)
        try:
            examine(path)
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) or _is_no_database(cause):
                raise
            problems.append(Problem(str(error), ""))
    engine = connect(make_url(f"sqlite:///{path}"), read_only=True)
    size, schema, outdated = 0, "", False
    try:
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            if driver is not None:
                driver.set_progress_handler(lambda: going_on(), STEPS)
            schema = migrate.current(connection, str(path)) or ""
            if not schema:
                raise StoreError(f"{path} holds nothing yet (`dispatchd run` makes the tables)")
            outdated = schema != migrate.HEAD
            size = pages.space(connection, None).file
            problems += _damage(connection, quick=quick)
            problems += _references(connection)
            if not outdated:
                problems += _rules(connection)
    except DBAPIError as error:
        if not _is_damage(error.orig):
            raise StoreError(f"cannot read the database {path}: {words(error)}") from error
        if not problems:
            problems.append(Problem(f"the database {path} is damaged: {words(error)}", ""))
    finally:
        engine.dispose()
    return Report(path, size, schema, outdated, tuple(problems))


def _undo_what_was_broken_off(path: Path) -> None:
    """A kill amid `db vacuum` can leave a rollback journal, without which the file is not whole.
    Whoever may write plays it back with the first look, as the daemon does at its start; a
    connection that only reads cannot. Where we may not write either, that one says so."""
    if not Path(f"{path}-journal").exists() or not os.access(path, os.W_OK):
        return
    with (
        contextlib.closing(sqlite3.connect(path)) as connection,
        contextlib.suppress(
            sqlite3.DatabaseError  # damage is for the check itself to tell
        ),
    ):
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _readable(path: Path) -> None:
    if not path.exists():
        raise StoreError(f"there is no database {path} (`dispatchd run` makes it)")
    if path.is_dir():
        raise StoreError(f"{path} is a directory, and no database")
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} cannot be read by this user ({HINT})")


def _damage(connection: Connection, *, quick: bool) -> list[Problem]:
    pragma = "quick_check" if quick else "integrity_check"
    rows = connection.exec_driver_sql(f"PRAGMA {pragma}({FAULTS_MAX})").scalars().all()
    texts = [" ".join(str(row).replace("*** in database main ***", "").split()) for row in rows]
    return [Problem(f"damaged: {text}") for text in texts if text != "ok"]


def _references(connection: Connection) -> list[Problem]:
    lost: dict[tuple[str, str], int] = {}
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        lost[str(table), str(parent)] = lost.get((str(table), str(parent)), 0) + 1
    return [
        Problem(f"{count} rows of {table} belong to {parent} that are not there")
        for (table, parent), count in sorted(lost.items())
    ]


def _rules(connection: Connection) -> list[Problem]:
    return [
        Problem(f"{each.count} {each.rule.text}; one is {each.example}", each.rule.remedy, False)
        for each in rules.broken(connection)
    ]


def _is_damage(error: BaseException | None) -> bool:
    return _code(error) == sqlite3.SQLITE_CORRUPT


def _is_no_database(error: BaseException | None) -> bool:
    return _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)


def _code(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)) & 0xFF
