"""Every place where one database differs from another: how it is opened, how a write begins, its
own insert, and what its errors mean. All other modules speak SQLAlchemy Core and know none."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote

import orjson
from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    create_engine,
    event,
    make_url,
    or_,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from daemon.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.engine.interfaces import DBAPICursor

K = TypeVar("K")
R = TypeVar("R")
Condition = ColumnElement[bool]

LOCK_PAUSE = 0.02
"""Seconds between two tries to take a lock."""

CACHE = 1000
"""KiB that each connection keeps of the file; the system keeps all of it that is used."""

PATIENCE = 5.0
"""Seconds that we wait for a lock in all."""

LOG_KEPT = 16 * 1024 * 1024
"""Bytes of the write-ahead log that stay when it begins anew. It grows beyond them while somebody
reads for long, as a backup does."""

Upsert: TypeAlias = "sqlite.Insert | postgresql.Insert"
WRITE_IT_SO = "write it as sqlite:////var/lib/dispatchd/state.sqlite"
CHUNK = 400  # keys in one statement: SQLite before 3.32 takes 999 parameters, and a key may be two


def parse(url: str) -> URL:
    """The URL, if it names a database that we can use.

    Raises:
        StoreError: it is no URL, or names another kind of database. The text never quotes it, since
            it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise StoreError(f"the database URL cannot be read ({WRITE_IT_SO})") from None
    if parsed.drivername != "sqlite":
        raise StoreError(
            f"databases of the kind {parsed.drivername!r} are not supported yet"
            " (use sqlite:///PATH)"
        )
    if parsed.host:  # in `sqlite://state.sqlite` the name stands where a server would
        raise StoreError(f"the database URL names a server and no file ({WRITE_IT_SO})")
    if "\0" in (parsed.database or ""):
        raise StoreError(f"the database URL names no file ({WRITE_IT_SO})")
    if parsed.query:
        raise StoreError(f"the database URL takes no options after a `?` ({WRITE_IT_SO})")
    return parsed


def file_of(url: URL) -> Path | None:
    """The file of a SQLite URL, links resolved; None for one in memory."""
    return None if in_memory(url) else Path(url.database or "").resolve()


def in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


def place(url: URL) -> str:
    """What a person would call the database."""
    return str(file_of(url) or "a database in memory")


def connect(url: URL, *, read_only: bool = False) -> Engine:
    """The engine. SQLite's transactions begin where we say and not where its driver guesses."""
    # SQLite itself waits for no lock, since it may be the event loop that asks (see `Patience`).
    options: dict[str, Any] = {"timeout": 0.0}
    path = file_of(url)
    if path is None:
        # All threads share the one connection there is; the store uses it from one at a time.
        engine = create_engine(
            url,
            json_serializer=_json,
            poolclass=StaticPool,
            connect_args=options | {"check_same_thread": False},
            hide_parameters=True,
        )
    else:
        if read_only:
            url = url.set(database=f"file:{quote(str(path))}").update_query_dict(
                {"mode": "ro", "uri": "true"}
            )
        engine = create_engine(
            url,
            json_serializer=_json,
            connect_args=options,
            hide_parameters=True,
            # Who writes gets the connection that wrote last: another would have to read anew what
            # that one has in its cache.
            pool_use_lifo=True,
        )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        try:
            connection.isolation_level = None  # no implicit BEGIN by the driver
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{CACHE}")
            if not read_only:
                if connection.execute("PRAGMA page_count").fetchone() == (0,):  # decided for good
                    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT}")
                connection.execute("PRAGMA synchronous = FULL")  # committed is on disk
        except Exception:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A write takes the lock at once: one that is upgraded later can fail where waiting helps.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half of a surrogate pair, from a header's byte that is no UTF-8
        return json.dumps(value)


def driven(
    connection: Connection, text: str, parameters: Sequence[Any] = (), *, many: bool = False
) -> DBAPICursor:
    """Has the driver itself run ``text``, in a transaction that was begun (``many``: for each of
    the ``parameters``); returns its cursor. Its errors are raised as SQLAlchemy's."""
    cursor = connection.connection.cursor()
    try:
        if many:
            cursor.executemany(text, parameters)
        else:
            cursor.execute(text, parameters)
    except Exception as error:
        errors = connection.dialect.loaded_dbapi.Error
        if not isinstance(error, errors):
            raise
        raise DBAPIError.instance(text, None, error, errors, hide_parameters=True) from error
    return cursor


def writing(engine: Engine) -> Engine:
    """The same engine, for transactions that write."""
    return engine.execution_options(writes=True)


def insert(dialect: str, table: Table) -> Upsert:
    """The dialect's own insert, which has `on conflict`: SQLite's is PostgreSQL's."""
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # 2 MB, for those who use it only

    return postgresql.insert(table)


class Patience:
    """Waits for another program's lock, on any thread but the event loop's, until it is ended."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def end(self) -> None:
        """From now on nothing is waited for, also by whoever waits already."""
        self._ended.set()

    def while_locked(self, work: Callable[[], R]) -> R:
        """What ``work`` gives. It is run again while another program holds the lock that it needs,
        for as long as `PATIENCE`; what it did meanwhile has to be undone."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return work()
            except OperationalError as error:
                if not locked(error) or time.monotonic() >= until or self._ended.wait(LOCK_PAUSE):
                    raise


def locked(error: Exception) -> bool:
    """Whether another program holds the lock that was needed, so that waiting helps."""
    original = error.orig if isinstance(error, OperationalError) else None
    code = getattr(original, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)  # the low byte is the kind, the rest details


def unavailable(error: BaseException) -> bool:
    """Whether the database failed (full, locked, gone) and not the one operation (a constraint)."""
    if isinstance(error, StoreUnavailable):
        return True
    if isinstance(error, DBAPIError):
        faulty = (IntegrityError, DataError, ProgrammingError, NotSupportedError)
        return error.connection_invalidated or not isinstance(error, faulty)
    return isinstance(error, PoolTimeout)


def chunks(keys: Iterable[K]) -> Iterator[list[K]]:
    """The keys, as many at a time as one statement takes."""
    rest = list(keys)
    for start in range(0, len(rest), CHUNK):
        yield rest[start : start + CHUNK]


def pairs(first: Column[Any], second: Column[Any], some: Iterable[tuple[Any, Any]]) -> Condition:
    """Whether the two columns are one of the pairs. SQLite would walk the whole table for the
    shorter `(first, second) IN (VALUES …)`; for this it looks each pair up in the index."""
    seconds: dict[Any, list[Any]] = {}
    for one, other in some:
        seconds.setdefault(one, []).append(other)
    return or_(*(and_(first == one, second.in_(others)) for one, others in seconds.items()))


def explained(error: Exception, place: str) -> Exception:
    """The error as our callers know it; one that is not the database's stays as it is."""
    if isinstance(error, StoreUnavailable):
        return StoreUnavailable(*error.args)  # each who hears of it raises an exception of its own
    if unavailable(error):
        return StoreUnavailable(f"the store {place} is unavailable: {words(error)}")
    if isinstance(error, (SQLAlchemyError, UnicodeError, OverflowError)):
        return StoreError(f"the store {place} refuses this: {words(error)}")
    return error


def words(error: BaseException) -> str:
    """The driver's own words, in one line and without the statement's parameters."""
    original = error.orig if isinstance(error, StatementError) and error.orig else error
    text = str(original).partition("\n")[0]
    hint = next((hint for sign, hint in HINTS.items() if sign in text), "")
    return f"{text} ({hint})" if hint else text


HINTS = {
    "disk is full": "free some space on its disk; writing goes on by itself then",
    "is locked": "another program holds it; `fuser` on the file tells which",
    "readonly": "make the file and its directory writable for this user",
    "unable to open": "make its directory exist and be writable for this user",
    "not a database": "another file is at this path; the database URL should name a new one",
    "malformed": "restore it from a backup, or move it away to start afresh",
    "disk I/O error": "look at its disk and at the system's log",
}
