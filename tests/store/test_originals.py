"""The files are removed or replaced while the store has them open: SQLite notices nothing."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from daemon.errors import StoreUnavailable
from daemon.store import Store
from daemon.store.engine import connect, parse
from daemon.store.file import Originals
from daemon.store.writer import Writer
from tests.store.samples import LEASE, NOW, delivered


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = Store.open(f"sqlite:///{path}", owner="tests", now=NOW)
    await store.record(delivered(1), [])
    yield store
    await store.close()


def removed(path: Path) -> None:
    path.unlink()


def moved_away(path: Path) -> None:
    path.rename(path.with_name("backup"))


def replaced_by_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def removed_with_its_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.touch()


def log_removed(path: Path) -> None:
    """It holds the newest commits."""
    path.with_name("state.sqlite-wal").unlink()


@pytest.mark.parametrize(
    "happens",
    [removed, moved_away, replaced_by_a_copy, removed_with_its_directory, log_removed],
)
async def test_nothing_is_acknowledged_that_a_restart_would_not_find(
    store: Store, path: Path, happens: Callable[[Path], None]
) -> None:
    happens(path)
    gone = rf"the database file {path}(-wal)? was removed or replaced; restart dispatchd"
    for write in (
        store.record(delivered(2), []),
        store.claim(NOW, 1, LEASE),
        store.ping(),
    ):
        with pytest.raises(StoreUnavailable, match=gone):
            await write


async def test_a_file_that_comes_back_does_not_count_until_a_restart(
    store: Store, path: Path
) -> None:
    """Nobody knows what was written to it meanwhile, and by whom."""
    moved_away(path)
    with pytest.raises(StoreUnavailable):
        await store.record(delivered(2), [])
    path.with_name("backup").rename(path)
    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        await store.record(delivered(2), [])


async def test_what_is_still_there_can_be_read(store: Store, path: Path) -> None:
    """For whoever wants to save it."""
    removed(path)
    assert await store.event(delivered(1).id) == delivered(1)


async def test_a_file_that_goes_during_the_commit_is_noticed(path: Path) -> None:
    await asyncio.to_thread(path.touch)
    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here", check=Originals([path]).check)
    began, gate = threading.Event(), threading.Event()

    def work(_: object) -> None:
        began.set()
        gate.wait(10)

    writing = asyncio.create_task(writer.aside(work))
    await asyncio.to_thread(began.wait, 10)
    removed(path)
    gate.set()
    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        await writing
    await writer.close()
    engine.dispose()


def test_a_file_that_cannot_be_looked_at_for_a_while_is_not_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.touch()
    originals = Originals([path])

    def fail(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fail)
        with pytest.raises(StoreUnavailable, match=f"cannot look after {path}: Permission denied"):
            originals.check()
    originals.check()
