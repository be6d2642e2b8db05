"""Group commit: what shares a commit, what fails alone, and what happens when the disk does."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, ExceptionContext, event

from daemon.errors import StoreError, StoreUnavailable
from daemon.store import Store
from daemon.store.engine import connect, parse
from daemon.store.writer import ENOUGH, MAX_BATCH, Writer
from tests.store.samples import NOW, delivered, dispatched


@pytest.fixture
def commits() -> Iterator[list[Connection]]:
    """Every commit of any engine while the test runs."""
    seen: list[Connection] = []

    def count(connection: Connection) -> None:
        seen.append(connection)

    event.listen(Engine, "commit", count)
    yield seen
    event.remove(Engine, "commit", count)


@pytest.fixture
def connections() -> Iterator[list[sqlite3.Connection]]:
    """Every connection that any engine opens while the test runs."""
    seen: list[sqlite3.Connection] = []

    def remember(connection: sqlite3.Connection, _record: object) -> None:
        seen.append(connection)

    event.listen(Engine, "connect", remember)
    yield seen
    event.remove(Engine, "connect", remember)


class Tries:
    """Counts how often a write found the database locked."""

    def __init__(self) -> None:
        self.count = 0
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def add(self, context: ExceptionContext) -> None:
        if "locked" in str(context.original_exception):
            self._loop.call_soon_threadsafe(self._add)

    def _add(self) -> None:
        self.count += 1
        self._more.set()

    async def until(self, count: int) -> None:
        while self.count < count:
            self._more.clear()
            await self._more.wait()


@pytest.fixture
async def tries(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tries]:
    """Tries to take a lock, none of which takes longer than a moment."""
    monkeypatch.setattr("daemon.store.engine.LOCK_PAUSE", 0.01)
    seen = Tries()
    event.listen(Engine, "handle_error", seen.add)
    yield seen
    event.remove(Engine, "handle_error", seen.add)


async def test_writes_at_once_share_one_commit(store: Store, commits: list[Connection]) -> None:
    events = [delivered(number) for number in range(64)]
    commits.clear()
    await asyncio.gather(
        *(store.record(event, [dispatched(number, event)]) for number, event in enumerate(events))
    )
    assert len(commits) == 1
    assert len(await store.events(100)) == 64


async def test_those_who_were_answered_share_the_next_commit_too(
    store: Store, commits: list[Connection]
) -> None:
    """Callers in a loop must not split into one early write and a batch of the rest."""

    async def record_three(caller: int) -> None:
        for step in range(3):
            event = delivered(10 * caller + step)
            await store.record(event, [dispatched(10 * caller + step, event)])

    commits.clear()
    await asyncio.gather(*(record_three(caller) for caller in range(8)))
    assert len(commits) == 3


@pytest.mark.parametrize("joined_by", ["one in a hurry", "many more"])
async def test_what_is_in_no_hurry_and_came_during_a_commit_waits_for_company(
    commits: list[Connection], monkeypatch: pytest.MonkeyPatch, joined_by: str
) -> None:
    monkeypatch.setattr("daemon.store.writer.COMPANY", 3600.0)
    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here")

    async def write(*, patient: bool = True) -> None:
        await writer.together(lambda _, given: list(given), None, patient=patient)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(write())
        await asyncio.sleep(0)
        tasks.create_task(write())
        await first  # nothing else was under way when it came: it did not wait
        if joined_by == "one in a hurry":
            tasks.create_task(write(patient=False))
        for _ in range(ENOUGH if joined_by == "many more" else 0):
            tasks.create_task(write())
    assert len(commits) == 2
    await writer.close()
    engine.dispose()


async def test_a_write_whose_caller_gave_up_before_its_turn_is_not_made(store: Store) -> None:
    event = delivered(1)
    task = asyncio.create_task(store.record(event, [dispatched(1, event)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.ping()
    assert await store.event(event.id) is None


async def test_a_write_whose_caller_gave_up_too_late_is_made_all_the_same() -> None:
    """And those who share its commit get their answers."""
    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here")
    started, gate = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def create(connection: Connection) -> None:
        loop.call_soon_threadsafe(started.set)
        gate.wait(10)
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")

    task = asyncio.create_task(writer.aside(create))
    other = asyncio.create_task(writer.alone(lambda _: True))
    await started.wait()
    task.cancel()
    gate.set()
    assert await other
    assert task.cancelled()
    assert await writer.alone(lambda c: list(c.exec_driver_sql("SELECT n FROM t"))) == []
    await writer.close()
    engine.dispose()


async def test_what_waits_is_committed_before_the_store_closes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.sqlite"
    store = Store.open(url, owner="first", now=NOW)
    events = [delivered(number) for number in range(600)]  # more than one batch
    writes = [
        asyncio.create_task(store.record(event, [dispatched(number, event)]))
        for number, event in enumerate(events)
    ]
    await asyncio.sleep(0)
    await store.close()
    assert all(task.done() for task in writes)
    await asyncio.gather(*writes)
    again = Store.open(url, owner="second", now=NOW)
    assert len(await again.events(1000)) == 600
    await again.close()


async def test_a_closed_store_is_unavailable(store_url: str) -> None:
    store = Store.open(store_url, owner="tests", now=NOW)
    await store.close()
    await store.close()
    for call in (store.ping(), store.counts()):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call


async def test_above_its_bound_the_writer_is_busy() -> None:
    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here", max_waiting=2)
    started, gate = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def block(_: Connection) -> bool:
        loop.call_soon_threadsafe(started.set)
        return gate.wait(10)

    first = asyncio.create_task(writer.aside(block))
    await started.wait()
    others = [asyncio.create_task(writer.alone(lambda _: True)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="the store here is busy: 2 writes wait already"):
        await writer.alone(lambda _: True)
    gate.set()
    assert await asyncio.gather(first, *others) == [True] * 3
    assert await writer.alone(lambda _: True)
    await writer.close()
    engine.dispose()


async def test_one_that_fails_undoes_its_own_writes_only() -> None:
    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here")
    await writer.alone(lambda c: c.exec_driver_sql("CREATE TABLE t (n INTEGER)"))

    def insert(connection: Connection, numbers: Sequence[int]) -> list[int]:
        for number in numbers:
            connection.exec_driver_sql("INSERT INTO t VALUES (?)", (number,))
            if number == 2:
                raise LookupError(number)
        return list(numbers)

    results = await asyncio.gather(
        *(writer.together(insert, number) for number in (1, 2, 3)), return_exceptions=True
    )
    assert results[::2] == [1, 3]
    assert isinstance(results[1], LookupError)
    kept = await writer.alone(lambda c: list(c.exec_driver_sql("SELECT n FROM t").scalars()))
    assert kept == [1, 3]
    await writer.close()
    engine.dispose()


async def test_a_full_disk_is_unavailable_to_all_and_passes(
    tmp_path: Path, connections: list[sqlite3.Connection]
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/state.sqlite", owner="tests", now=NOW)
    await store.ping()
    for connection in connections:
        connection.execute("PRAGMA max_page_count = 1")  # as it is now: it can grow no more
    large, small = delivered(1, body=bytes(1_000_000)), delivered(2)
    results = await asyncio.gather(
        store.record(large, [dispatched(1, large)]),
        store.record(small, [dispatched(2, small)]),
        store.ping(),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    assert "disk is full (free some space" in str(results[0])
    for connection in connections:
        connection.execute("PRAGMA max_page_count = 1000000")
    await store.record(large, [dispatched(1, large)])
    assert await store.event(large.id) == large
    assert await store.event(small.id) is None
    await store.close()


async def test_a_database_locked_by_another_program_is_unavailable_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.store.engine.PATIENCE", 0.0)
    store = Store.open(f"sqlite:///{tmp_path}/state.sqlite", owner="tests", now=NOW)
    event = delivered(1)
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"database is locked \(another program"):
            await store.record(event, [dispatched(1, event)])
        assert await store.counts()  # reading goes on
    await store.record(event, [dispatched(1, event)])
    await store.close()


async def test_a_lock_that_another_program_lets_go_in_time_is_waited_for(
    tmp_path: Path, tries: Tries
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/state.sqlite", owner="tests", now=NOW)
    event = delivered(1)
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        recording = asyncio.create_task(store.record(event, [dispatched(1, event)]))
        await tries.until(2)
    await recording
    assert await store.event(event.id) == event
    await store.close()


async def test_in_a_hurry_no_lock_is_waited_for(
    tmp_path: Path, tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.store.engine.PATIENCE", 1e9)
    store = Store.open(f"sqlite:///{tmp_path}/state.sqlite", owner="tests", now=NOW)
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        waiting = asyncio.create_task(store.record(delivered(1), []))
        await tries.until(2)
        store.hurry()
        for write in (waiting, store.record(delivered(2), [])):
            with pytest.raises(StoreUnavailable, match="locked"):
                await write
    await store.record(delivered(3), [])
    await store.close()


async def test_the_end_waits_for_no_lock_however_much_is_to_be_written(
    tmp_path: Path, tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not committed was not acknowledged either: each of them hears of it."""
    monkeypatch.setattr("daemon.store.engine.PATIENCE", 1e9)
    store = Store.open(f"sqlite:///{tmp_path}/state.sqlite", owner="tests", now=NOW)
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        writes = [
            asyncio.create_task(store.record(delivered(number), []))
            for number in range(1500)  # six batches
        ]
        await tries.until(2)
        before = tries.count
        await store.close()
        assert tries.count - before <= 3  # the one that was on, its batch, and all the others
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}


async def test_a_disk_on_which_small_writes_still_fit_is_not_ready(
    tmp_path: Path,
    connections: list[sqlite3.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/state.sqlite", owner="tests", now=NOW)
    await store.ping()
    for connection in connections:
        connection.execute("PRAGMA max_page_count = 1")  # as it is now: it can grow no more
    await store.ping()
    with pytest.raises(StoreUnavailable, match="full"):
        await store.record(delivered(1, body=bytes(30_000)), [])
    for recent in (10.0, 0.0):  # since it just failed; since as much would fail again
        monkeypatch.setattr("daemon.store.store.RECENT", recent)
        with pytest.raises(StoreUnavailable, match="full"):
            await store.ping()
    for connection in connections:
        connection.execute("PRAGMA max_page_count = 1000000")
    await store.ping()
    monkeypatch.setattr("daemon.store.store.RECENT", 10.0)
    await store.ping()
    await store.close()


async def test_a_database_that_became_read_only_is_not_ready(
    tmp_path: Path, connections: list[sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.store.store.RECENT", 0.0)
    store = Store.open(f"sqlite:///{tmp_path}/state.sqlite", owner="tests", now=NOW)
    await store.ping()
    for connection in connections:
        connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.ping()
    for connection in connections:
        connection.execute("PRAGMA query_only = OFF")
    await store.ping()
    await store.close()


async def test_no_message_shows_what_was_to_be_stored(store: Store) -> None:
    event = delivered(1, body=b"hush")
    await store.record(event, [dispatched(1, event)])
    with pytest.raises(StoreError, match=r"(?i)refuses this: .*unique") as refusal:
        await store.record(event, [dispatched(1, event)])
    assert "hush" not in str(refusal.value) + str(refusal.value.__cause__)


async def test_of_heavy_operations_fewer_go_into_a_batch() -> None:
    """A hundred rows each, they would hold up the event loop together."""
    batches: list[int] = []

    def work(connection: Connection, arguments: Sequence[int]) -> list[int]:
        batches.append(len(arguments))
        return list(arguments)

    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here")
    heavy = [writer.together(work, number, weight=MAX_BATCH // 4) for number in range(9)]
    beyond = writer.together(work, 9, weight=10 * MAX_BATCH)
    assert await asyncio.gather(*heavy, beyond) == list(range(10))
    assert batches == [4, 4, 1, 1]
    await writer.close()
    engine.dispose()
