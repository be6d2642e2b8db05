"""Damage that SQLite itself passes over: it is named before anything is written, and what others
would call damage and is none is let pass."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from daemon.errors import StoreError
from daemon.store import Store, soundness
from daemon.store.file import wal_of
from daemon.store.wal import FRAME, HEADER
from tests.store.samples import NOW, delivered, dispatched

PAGE = 4096
EVENTS = 30


@pytest.fixture
async def killed(tmp_path: Path) -> Path:
    """A database as a kill leaves it: the newest commits are in the log alone."""
    original = tmp_path / "original" / "state.sqlite"
    store = open_at(original)
    for number in range(EVENTS):
        event = delivered(number, body=b"x" * 1000)
        await store.record(event, [dispatched(number, event)])
    path = tmp_path / "state.sqlite"
    shutil.copy(original, path)
    shutil.copy(wal_of(original), wal_of(path))
    await store.close()
    return path


@pytest.fixture
async def stopped(killed: Path) -> Path:
    """A database as a stop leaves it: all is in the one file."""
    await open_at(killed).close()
    assert not wal_of(killed).exists()
    return killed


def open_at(path: Path) -> Store:
    return Store.open(f"sqlite:///{path}", owner="tests", now=NOW)


def content_of(path: Path) -> dict[str, bytes]:
    files = (path, wal_of(path))
    return {file.name: file.read_bytes() for file in files if file.exists()}


def overwrite(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def cut(file: Path, size: int) -> None:
    with file.open("r+b") as opened:
        opened.truncate(size)


def frame_at(number: int) -> int:
    return HEADER.size + (number - 1) * (FRAME.size + PAGE)


async def count(path: Path) -> int:
    store = open_at(path)
    try:
        return len(await store.events(2 * EVENTS))
    finally:
        await store.close()


async def test_what_a_kill_left_is_whole(killed: Path) -> None:
    assert await count(killed) == EVENTS


def log_of_garbage(path: Path) -> None:
    wal_of(path).write_bytes(os.urandom(wal_of(path).stat().st_size))


def log_with_a_bad_header(path: Path) -> None:
    overwrite(wal_of(path), 20, b"\xff")


def log_that_begins_with_zeros(path: Path) -> None:
    overwrite(wal_of(path), 0, bytes(HEADER.size))


def log_with_a_bad_frame(path: Path) -> None:
    """SQLite takes all that follows for never committed: nearly everything here."""
    overwrite(wal_of(path), frame_at(40) + FRAME.size + 100, b"\xff\x00\xff")


def log_with_a_frame_of_zeros(path: Path) -> None:
    overwrite(wal_of(path), frame_at(40), bytes(FRAME.size + PAGE))


def log_with_a_bad_first_frame(path: Path) -> None:
    overwrite(wal_of(path), frame_at(1) + FRAME.size, b"\xff" * 10)


@pytest.mark.parametrize(
    "happens",
    [
        log_of_garbage,
        log_with_a_bad_header,
        log_that_begins_with_zeros,
        log_with_a_bad_frame,
        log_with_a_frame_of_zeros,
        log_with_a_bad_first_frame,
    ],
)
def test_a_damaged_log_is_refused_and_left(killed: Path, happens: Callable[[Path], None]) -> None:
    happens(killed)
    before = content_of(killed)
    message = f"{wal_of(killed)} is damaged, and what was committed last is nowhere else; restore"
    with pytest.raises(StoreError, match=message):
        open_at(killed)
    assert content_of(killed) == before


def test_an_empty_database_beside_a_log_is_refused_and_both_are_left(killed: Path) -> None:
    """SQLite would remove the log, and with it what is nowhere else."""
    cut(killed, 0)
    before = content_of(killed)
    with pytest.raises(StoreError, match=f"{killed} is empty, but {wal_of(killed)} belongs to one"):
        open_at(killed)
    assert content_of(killed) == before


def page_of_garbage(path: Path) -> None:
    overwrite(path, some_page(path), os.urandom(PAGE))


def page_of_zeros(path: Path) -> None:
    overwrite(path, some_page(path), bytes(PAGE))


def some_page(path: Path) -> int:
    """Where one begins that a start has no need of."""
    with closing(sqlite3.connect(path)) as connection:
        root = "SELECT rootpage FROM sqlite_schema WHERE name = 'ix_events_at'"
        (number,) = connection.execute(root).fetchone()
    return (int(number) - 1) * PAGE


def last_page_cut_short(path: Path) -> None:
    cut(path, path.stat().st_size - 100)


def second_half_gone(path: Path) -> None:
    cut(path, path.stat().st_size // 2 // PAGE * PAGE)


@pytest.mark.parametrize(
    "happens", [page_of_garbage, page_of_zeros, last_page_cut_short, second_half_gone]
)
def test_a_damaged_database_is_refused_and_left(
    stopped: Path, happens: Callable[[Path], None]
) -> None:
    happens(stopped)
    before = content_of(stopped)
    with pytest.raises(StoreError, match=rf"{stopped}\b.*(damaged|malformed).*restore.*backup"):
        open_at(stopped)
    assert {name: bytes_ for name, bytes_ in content_of(stopped).items() if bytes_} == before


async def test_a_page_that_is_bad_but_stands_in_the_log_too_is_no_damage(killed: Path) -> None:
    """The power went while SQLite copied the log into the database: it will do it again."""
    half_a_page_more(killed)
    assert await count(killed) == EVENTS


def half_a_page_more(path: Path) -> None:
    overwrite(path, path.stat().st_size, os.urandom(PAGE // 2))


async def test_a_commit_that_never_came_to_its_end_is_no_damage(killed: Path) -> None:
    """The power went amid the last one: some of its frames are there, and some are not."""
    lose_the_last_frame_but_one(wal_of(killed))
    assert await count(killed) == EVENTS - 1


def lose_the_last_frame_but_one(log: Path) -> None:
    overwrite(log, log.stat().st_size - 2 * (FRAME.size + PAGE), bytes(FRAME.size + PAGE))


async def test_what_failed_commits_left_behind_the_last_one_is_no_damage(killed: Path) -> None:
    """Each was written from where the last good one ends, so that nothing goes on from any."""
    append_old_ends(wal_of(killed))
    assert await count(killed) == EVENTS


def append_old_ends(log: Path) -> None:
    """Two ends of transactions, with the salts of today and checksums of another place."""
    frames = log.read_bytes()[frame_at(1) :]
    with log.open("ab") as opened:
        opened.write(2 * frames[-2 * (FRAME.size + PAGE) :])


async def test_frames_from_before_the_log_began_anew_are_no_damage(tmp_path: Path) -> None:
    path, copy = tmp_path / "state.sqlite", tmp_path / "copy.sqlite"
    store = open_at(path)
    for number in range(EVENTS):
        await store.record(delivered(number), [])
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(RESTART)")
    await store.record(delivered(EVENTS), [])
    shutil.copy(path, copy)
    shutil.copy(wal_of(path), wal_of(copy))
    await store.close()
    assert await count(copy) == EVENTS + 1


async def test_an_opening_that_was_broken_off_amid_its_first_write_is_no_damage(
    tmp_path: Path,
) -> None:
    """What was there before is put back, which only one who may write can do."""
    path, copy = tmp_path / "state.sqlite", tmp_path / "copy.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA cache_size = 1")
        other.execute("BEGIN")
        other.execute("CREATE TABLE half (n)")
        other.executemany("INSERT INTO half VALUES (?)", [("x" * 1000,)] * 100)
        shutil.copy(path, copy)
        shutil.copy(f"{path}-journal", f"{copy}-journal")
        other.execute("ROLLBACK")
    assert copy.stat().st_size
    assert await count(copy) == 0


async def test_a_backup_is_opened_that_keeps_no_log(stopped: Path) -> None:
    backup = stopped.with_name("backup.sqlite")
    with closing(sqlite3.connect(stopped)) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    assert await count(backup) == EVENTS


@pytest.mark.parametrize(("limit", "value"), [("WALK_TIME", -1.0), ("WALK_SIZE", 0)])
async def test_what_there_is_no_time_for_is_passed_over(
    stopped: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    """It is found when it is read: the daemon starts."""
    page_of_garbage(stopped)
    monkeypatch.setattr(soundness, limit, value)
    monkeypatch.setattr(soundness, "STEPS", 1)
    await open_at(stopped).close()


def test_files_that_cannot_be_read_are_named(killed: Path) -> None:
    wal_of(killed).unlink()
    wal_of(killed).mkdir()
    with pytest.raises(StoreError, match=f"cannot read the database {killed}: Is a directory"):
        open_at(killed)
