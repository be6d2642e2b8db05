"""Whether the files of a SQLite database are sound, found out before anything is written to them:
SQLite passes over a bad log, and finds a bad page only when it comes to it."""

from __future__ import annotations

import sqlite3
import struct
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from daemon.errors import StoreError
from daemon.store.engine import PATIENCE, words
from daemon.store.file import shm_of, wal_of
from daemon.store.wal import Log

WALK_TIME = 1.0
"""Seconds for which the pages are looked at: whoever starts the daemon waits for it."""

WALK_SIZE = 256 * 1024 * 1024
"""Bytes up to which a database is looked at page by page. To read a larger one from a slow disk
takes longer than that, and older versions of SQLite cannot be stopped within a table."""

STEPS = 1000
"""Steps of SQLite's between two looks at the time."""

RESTORE = "restore a backup, or move the database and its -wal away to start afresh"


def examine(database: Path) -> None:
    """Looks through a database that nobody else writes to: its log, the end of its file, and its
    pages within `WALK_TIME` and `WALK_SIZE`. What was not looked at is found out when it is read.

    Raises:
        StoreError: something is damaged. Neither the database nor its log was changed.
    """
    try:
        with Log(wal_of(database)) as log:
            _examine(database, log)
    except OSError as error:
        raise StoreError(f"cannot read the database {database}: {error.strerror}") from error
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
            return  # it was left amid a change, which one who may write undoes first
        raise StoreError(f"cannot use the database {database}: {words(error)}") from error


def _examine(database: Path, log: Log) -> None:
    size = database.stat().st_size
    if not log.empty and not log.readable:
        raise _log_is_damaged(database)
    if not log.empty and not size:
        # SQLite would remove the log.
        raise StoreError(
            f"the database {database} is empty, but {wal_of(database)} belongs to one that was "
            "not; put that back beside it, or move both away to start afresh"
        )
    if not size:
        return
    # Opened for reading only: when the last one who may write lets go, SQLite copies the log into
    # the database and removes it.
    uri = f"file:{quote(str(database))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection:
        _walk(connection, database, WALK_TIME if size <= WALK_SIZE else 0.0)
        last = _last_frame(database)
    if log.goes_on_after(last):
        raise _log_is_damaged(database)
    page_size = _page_size(database)
    if size % page_size and size // page_size + 1 not in log.pages(last):
        raise StoreError(f"the database {database} is damaged (its end is missing); {RESTORE}")


def _walk(connection: sqlite3.Connection, database: Path, seconds: float) -> None:
    """Reads the schema, and has SQLite look at as many pages as it can in that time."""
    until = time.monotonic() + seconds
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not seconds:
        return
    connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return
    if found != "ok":
        text = " ".join(found.replace("*** in database main ***", "").split())
        raise StoreError(f"the database {database} is damaged ({text}); {RESTORE}")


def _last_frame(database: Path) -> int:
    """The last frame of the log that SQLite counts, while it has the database open (SQLite,
    "WAL-mode File Format", 2.1.1: the field mxFrame, in this machine's byte order). 0 where it
    reads no log, as of a backup that was never used."""
    try:
        with shm_of(database).open("rb") as file:
            return int.from_bytes(file.read(20)[16:], sys.byteorder)
    except FileNotFoundError:
        return 0


def _page_size(database: Path) -> int:
    """In bytes (SQLite, "Database File Format", 1.3.2)."""
    with database.open("rb") as file:
        (size,) = struct.unpack_from(">H", file.read(18), 16)
    return 65536 if size == 1 else int(size)


def _log_is_damaged(database: Path) -> StoreError:
    return StoreError(
        f"{wal_of(database)} is damaged, and what was committed last is nowhere else; restore it "
        "with the database from a backup, or move both away to start afresh"
    )
