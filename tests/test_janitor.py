"""Retention: what goes, what stays, and what happens when the store does not take it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon import janitor
from daemon.errors import StoreUnavailable
from daemon.event import Event, Firing, Outcome, Verdict
from daemon.facts import Fact, Facts, Trouble
from daemon.janitor import Janitor
from daemon.store import Store

NOW = datetime(2026, 11, 23, tzinfo=UTC)


async def test_events_go_when_they_are_older_than_the_retention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "BATCH", 2)
    monkeypatch.setattr(janitor, "BREATH", 0)
    store = Store.open(f"sqlite:///{tmp_path}/d.sqlite", owner="test", now=NOW)
    try:
        for age in range(10):
            at = NOW - timedelta(days=age, hours=1)
            event = Event(f"evt_{age}", Firing("c", at, at))
            await store.record(event, [Verdict("c", Outcome.UNMATCHED)])
        cleaner = Janitor(store, lambda: timedelta(days=5), clock=lambda: NOW, facts=Facts())
        assert await cleaner.clean() == 5
        assert [event.id for event in await store.events(100)] == [
            f"evt_{n}" for n in (4, 3, 2, 1, 0)
        ]
        assert await cleaner.clean() == 0
    finally:
        await store.close()


async def test_a_store_that_is_away_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(janitor, "EVERY", 0)
    rounds = asyncio.Event()

    class Away:
        calls = 0

        async def prune(self, before: datetime, limit: int) -> int:
            self.calls += 1
            if self.calls == 3:
                rounds.set()
            raise StoreUnavailable("disk full")

    facts, heard = Facts(), list[Fact]()
    facts.subscribe(heard.append)
    away = Janitor(Away(), lambda: timedelta(1), clock=lambda: NOW, facts=facts)
    task = asyncio.create_task(away.run())
    await rounds.wait()
    task.cancel()
    assert Trouble("janitor", "disk full; trying again later") in heard
