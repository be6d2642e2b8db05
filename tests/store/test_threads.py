"""Which part of a write runs where: statements on the event loop, waits on a thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from daemon.store import Store
from daemon.store.engine import connect, parse
from daemon.store.writer import Writer
from tests.store.samples import NOW, delivered, dispatched

HERE = threading.current_thread


@pytest.fixture
def committers() -> Iterator[list[threading.Thread]]:
    """The threads that committed while the test ran, on any engine."""
    seen: list[threading.Thread] = []

    def note(_: Connection) -> None:
        seen.append(HERE())

    event.listen(Engine, "commit", note)
    yield seen
    event.remove(Engine, "commit", note)


async def test_the_event_loop_runs_the_statements_and_never_waits_for_the_commit(
    committers: list[threading.Thread],
) -> None:
    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here")
    assert await writer.alone(lambda _: HERE()) is HERE()
    assert committers
    assert HERE() not in committers
    await writer.close()
    engine.dispose()


async def test_work_that_takes_long_takes_its_whole_batch_to_the_thread() -> None:
    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here")
    quick, slow = await asyncio.gather(
        writer.alone(lambda _: HERE()), writer.aside(lambda _: HERE())
    )
    assert quick is slow
    assert quick is not HERE()
    await writer.close()
    engine.dispose()


async def test_after_slow_statements_all_is_left_to_the_thread_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = connect(parse("sqlite://"))
    writer = Writer(engine, "here")
    with monkeypatch.context() as patch:
        patch.setattr("daemon.store.writer.STALL", -1.0)  # so that nothing is quick enough
        assert await writer.alone(lambda _: HERE()) is HERE()
    assert await writer.alone(lambda _: HERE()) is not HERE()
    monkeypatch.setattr("daemon.store.writer.RECOVERY", -1.0)
    monkeypatch.setattr("daemon.store.writer.STALL", -1.0)
    other = Writer(engine, "here")
    for _ in range(2):  # the while is over at once
        assert await other.alone(lambda _: HERE()) is HERE()
    await writer.close()
    await other.close()
    engine.dispose()


async def test_a_lock_is_waited_for_on_the_thread(
    tmp_path: Path, committers: list[threading.Thread]
) -> None:
    """Meanwhile the event loop is free, and what comes in joins the next batch."""
    store = Store.open(f"sqlite:///{tmp_path}/state.sqlite", owner="tests", now=NOW)
    first = delivered(1)
    with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        recording = asyncio.create_task(store.record(first, [dispatched(1, first)]))
        for _ in range(100):  # turns of the loop, which a wait for the lock would have stopped
            await asyncio.sleep(0)
        assert not recording.done()
        other.execute("ROLLBACK")
    await recording
    assert await store.event(first.id) == first
    await store.close()
