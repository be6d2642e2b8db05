"""Opening: what is created, migrated, locked and refused."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from daemon.errors import StoreError, StoreUnavailable
from daemon.store import Store, migrate
from daemon.store.engine import connect, parse, writing
from daemon.store.schema import metadata
from tests.store.samples import NOW, delivered, dispatched


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def open_at(path: Path, *, read_only: bool = False) -> Store:
    return Store.open(f"sqlite:///{path}", owner="tests", now=NOW, read_only=read_only)


def execute(path: Path, statement: str) -> None:
    """What another program might do to the file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.fixture
def empty() -> Iterator[Connection]:
    engine = writing(connect(parse("sqlite://")))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def migrated(empty: Connection) -> Connection:
    """Step by step, from the first one on."""
    migrate.take_steps(empty)
    return empty


def shape(connection: Connection) -> dict[str, str]:
    """All that SQLite knows of the tables and indexes: the statements that would make them."""
    master = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master")
    return {row.name: " ".join((row.sql or "").replace('"', "").split()) for row in master}


def test_the_migrations_lead_to_the_schema_of_the_code(migrated: Connection) -> None:
    """A new database is made without them, and an old one with them: both come to the same."""
    context = MigrationContext.configure(migrated, opts={"compare_type": True})
    assert compare_metadata(context, metadata) == []
    engine = writing(connect(parse("sqlite://")))
    with engine.begin() as connection:
        migrate.upgrade(connection, "memory")
        assert shape(migrated) == shape(connection)
        version = MigrationContext.configure(connection).get_current_revision()
        assert version == migrate.HEAD
    engine.dispose()


def test_the_newest_step_is_the_one_that_a_current_database_has_taken(
    migrated: Connection,
) -> None:
    """Which is how a start knows that it need not look for others."""
    assert MigrationContext.configure(migrated).get_current_revision() == migrate.HEAD


def test_to_migrate_a_current_database_changes_nothing(migrated: Connection) -> None:
    before = migrated.exec_driver_sql("PRAGMA schema_version").scalar_one()
    migrate.upgrade(migrated, "memory")
    assert migrated.exec_driver_sql("PRAGMA schema_version").scalar_one() == before


async def test_a_database_keeps_what_it_holds_when_it_is_opened_again(path: Path) -> None:
    store = open_at(path)
    event = delivered(1)
    await store.record(event, [dispatched(1, event)])
    await store.close()
    again = open_at(path)
    assert await again.event(event.id) == event
    await again.close()


async def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "dispatchd" / "state.sqlite"
    store = open_at(path)
    await store.ping()
    files = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    await store.close()
    assert files == dict.fromkeys(
        ("state.sqlite", "state.sqlite-wal", "state.sqlite-shm", "state.sqlite.lock"), 0o600
    )
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_commit_waits_for_the_disk(path: Path) -> None:
    engine = connect(parse(f"sqlite:///{path}"))
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 0,  # the event loop waits for no lock; a thread does, for `PATIENCE`
    }


async def test_a_second_daemon_on_the_same_file_is_refused(path: Path, tmp_path: Path) -> None:
    """By whatever name it calls the file. Once the first is gone, it may have it."""
    (tmp_path / "link.sqlite").symlink_to(path)
    store = open_at(path)
    for name in (path, tmp_path / "link.sqlite"):
        with pytest.raises(
            StoreError,
            match=rf"another dispatchd \(pid {os.getpid()}\) uses {path} since 2026-03-01T12:00",
        ):
            open_at(name)
    await store.ping()
    await store.close()
    await open_at(path).close()


async def test_a_failed_opening_lets_go_of_the_lock(path: Path) -> None:
    execute(path, "CREATE TABLE theirs (n)")
    with pytest.raises(StoreError):
        open_at(path)
    execute(path, "DROP TABLE theirs")
    await open_at(path).close()


async def test_reading_goes_beside_a_running_daemon_and_never_writes(path: Path) -> None:
    store = open_at(path)
    event = delivered(1)
    await store.record(event, [dispatched(1, event)])
    onlooker = open_at(path, read_only=True)
    assert await onlooker.event(event.id) == event
    for call in (onlooker.ping(), onlooker.record(delivered(2), ())):
        with pytest.raises(StoreError, match="opened for reading only"):
            await call
    await onlooker.close()
    await store.close()


async def test_reading_leaves_the_file_of_a_stopped_daemon_as_it_is(path: Path) -> None:
    await open_at(path).close()
    before = content_of(path)
    onlooker = open_at(path, read_only=True)
    assert await onlooker.events(10) == []
    await onlooker.close()
    assert content_of(path) == before


def test_reading_creates_no_database(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database to read"):
        open_at(path, read_only=True)
    assert list(path.parent.iterdir()) == []


def test_reading_migrates_no_database(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreError, match="not yet brought to the schema of this version"):
        open_at(path, read_only=True)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_database_of_a_newer_version_is_refused(path: Path, read_only: bool) -> None:
    await open_at(path).close()
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=f"{path} was written by a newer dispatchd.*9999"):
        open_at(path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
def test_the_database_of_another_program_is_refused(path: Path, read_only: bool) -> None:
    execute(path, "CREATE TABLE theirs (n)")
    with pytest.raises(StoreError, match=f"{path} holds the tables of another program"):
        open_at(path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("size", [20, 1000, 100_000])
def test_a_file_that_is_no_database_is_refused_and_left(
    path: Path, size: int, read_only: bool
) -> None:
    content = (b"These are somebody's notes. " * 4000)[:size]
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"cannot use the database {path}: file is not a database"):
        open_at(path, read_only=read_only)
    assert path.read_bytes() == content


async def test_a_damaged_database_is_refused_and_left(path: Path) -> None:
    await open_at(path).close()
    half = content_of(path)[:20_000]
    overwrite(path, half)
    with pytest.raises(StoreError, match=f"{path}: database disk image is malformed .restore"):
        open_at(path)
    assert content_of(path) == half


async def test_damage_that_shows_later_is_unavailable(path: Path) -> None:
    """The pages of a table are overwritten behind a running daemon's back."""
    store = open_at(path)
    event = delivered(1)
    await store.record(event, [dispatched(1, event)])
    await store.close()
    store = open_at(path)
    content = content_of(path)
    overwrite(path, content[:4096].ljust(len(content), b"\xff"))  # the first page is sound
    with pytest.raises(StoreUnavailable, match="malformed"):
        await store.event(event.id)
    with pytest.raises(StoreUnavailable, match="malformed"):
        await store.record(delivered(2), [])
    await store.close()


def test_a_place_that_cannot_be_written_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"File exists.*set DISPATCHD_DATABASE_URL"):
        open_at(tmp_path / "file" / "state.sqlite")


def test_a_lock_that_cannot_be_written_is_refused_with_a_hint(path: Path) -> None:
    path.with_name("state.sqlite.lock").mkdir()
    with pytest.raises(StoreError, match=r"cannot lock .*\.lock: Is a directory \(give this user"):
        open_at(path)


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"cannot use the database {tmp_path}: Is a directory"):
        open_at(tmp_path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not a url hunter2", "the database URL cannot be read"),
        ("postgresql://me:hunter2@db/dispatchd", "'postgresql' are not supported yet"),
        ("nosuch://me:hunter2@db", "'nosuch' are not supported yet"),
        ("postgresql://me:hunter2@db:port/dispatchd", "the database URL cannot be read"),
        ("sqlite+aiosqlite:///hunter2", r"'sqlite\+aiosqlite' are not supported yet"),
        ("sqlite://hunter2.sqlite", "names a server and no file"),
        ("sqlite:////hunter2%00", "names no file"),
        ("sqlite:////hunter2?cache=shared", r"takes no options after a `\?`"),
        ("sqlite:////", "cannot use the database /: Is a directory"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_quoting_it(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as refusal:
        Store.open(url, owner="tests", now=NOW)
    assert "hunter2" not in str(refusal.value)


async def test_a_store_tells_its_place(path: Path) -> None:
    store = open_at(path)
    assert store.database == str(path)
    await store.close()
    memory = Store.open("sqlite://", owner="tests", now=NOW)
    assert memory.database == "a database in memory"
    await memory.close()
