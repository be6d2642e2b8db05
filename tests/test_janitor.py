"""Retention by age and by size: what goes, what stays, what is told, and what happens when the
store does not take it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon import janitor
from daemon.dispatch import State
from daemon.errors import StoreUnavailable
from daemon.event import Outcome, Verdict
from daemon.facts import Fact, Facts, Trouble
from daemon.janitor import Archive, Janitor, Limits, Mark
from daemon.ports import Horizons
from daemon.sizes import UNITS
from daemon.space import Space
from daemon.store import Store
from tests.inprocess import serving
from tests.specs import config, trigger_entry
from tests.store.samples import delivered, owed

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAYS_5 = timedelta(days=5)
MIB = UNITS["MiB"]
LARGE = b"x" * 50_000


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(janitor, "BREATH", 0)
    store = Store.open(f"sqlite:///{tmp_path}/d.sqlite", owner="test", now=NOW)
    yield store
    await store.close()


def cleaner(store: Store, limits: Limits) -> tuple[Janitor, list[Trouble]]:
    """And what it tells."""
    facts, heard = Facts(), list[Trouble]()
    facts.subscribe(lambda fact: heard.append(fact) if isinstance(fact, Trouble) else None)
    return Janitor(
        store, lambda: limits, clock=lambda: NOW, elapsed=lambda: 0.0, facts=facts
    ), heard


def made(archive: Archive, limits: Limits) -> Janitor:
    """One that nobody hears."""
    clock, elapsed = (lambda: NOW), (lambda: 0.0)
    return Janitor(archive, lambda: limits, clock=clock, elapsed=elapsed, facts=Facts())


async def fill(store: Store, ages: Collection[timedelta], state: State = State.DEAD) -> list[str]:
    """Events so old, with large bodies; returns their ids."""
    ids = []
    for number, age in enumerate(ages):
        event = delivered(number, at=NOW - age, body=LARGE)
        verdict = Verdict("push", Outcome.DISPATCHED, "", (owed(number, event, state=state),))
        await store.record(event, [verdict])
        ids.append(event.id)
    return ids


async def kept(store: Store) -> set[str]:
    return {event.id for event in await store.events(1000)}


def hours(first: int, last: int) -> list[timedelta]:
    return [timedelta(hours=n) for n in range(last, first - 1, -1)]


# By age


async def test_events_go_when_they_are_older_than_the_retention(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many transactions, and looks for them, that takes."""
    monkeypatch.setattr(janitor, "FOUND", 4)
    monkeypatch.setattr(janitor, "BATCH", 3)
    ages = [timedelta(days=9 - age, hours=1) for age in range(10)]
    ids = await fill(store, ages)
    keeper, _ = cleaner(store, Limits(DAYS_5))
    assert await keeper.clean() == 5
    assert await kept(store) == set(ids[5:])
    assert await keeper.clean() == 0


async def test_a_transaction_that_takes_long_makes_the_next_ones_smaller(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "LONG", 0.0)
    monkeypatch.setattr(janitor, "BATCH", 8)
    sizes = list[int]()

    class Slow:
        finished, expire = store.finished, store.expire
        space, shrink = store.space, store.shrink

        async def remove(self, ids: Collection[str], keys_since: datetime) -> int:
            sizes.append(len(ids))
            return await store.remove(ids, keys_since)

    await fill(store, [timedelta(days=9)] * 16)
    keeper = Janitor(
        Slow(), lambda: Limits(DAYS_5), clock=lambda: NOW, elapsed=lambda: 0.0, facts=Facts()
    )
    await keeper.clean()
    assert sizes[:4] == [8, 4, 2, 1]
    assert await kept(store) == set()


async def test_keys_that_ended_are_kept_for_a_day_and_windows_for_as_long_as_they_are() -> None:
    asked = list[Horizons]()

    class Empty:
        async def finished(self, *_: object) -> list[Mark]:
            return []

        async def remove(self, *_: object) -> int:
            return 0

        async def expire(self, horizons: Horizons, limit: int) -> int:
            asked.append(horizons)
            return 0

        async def space(self) -> Space:
            return Space(0, 0, 4096)

        async def shrink(self, most: int) -> int:
            return 0

    week, hour = timedelta(days=7), timedelta(hours=1)
    for limits in (Limits(DAYS_5, windows=week), Limits(hour, windows=timedelta())):
        await made(Empty(), limits).clean()
    assert asked == [
        Horizons(NOW - DAYS_5, NOW - week, NOW - timedelta(days=1)),
        Horizons(NOW - hour, NOW - hour, NOW - hour),
    ]


async def test_a_clock_that_is_set_ahead_by_much_has_nothing_go_for_a_day(store: Store) -> None:
    """By a clock that is a year ahead everything is old."""
    ids = await fill(store, [timedelta(days=age) for age in (9, 3)])
    passed, ahead = timedelta(), timedelta()
    facts, heard = Facts(), list[Fact]()
    facts.subscribe(heard.append)
    keeper = Janitor(
        store,
        lambda: Limits(DAYS_5),
        clock=lambda: NOW + passed + ahead,
        elapsed=lambda: passed.total_seconds(),
        facts=facts,
    )
    ahead = timedelta(days=365)
    passed = timedelta(minutes=10)
    assert await keeper.clean() == 0
    passed = timedelta(hours=23)
    assert await keeper.clean() == 0
    (told,) = heard
    assert "the clock was set ahead by 8760 h; in case it is wrong, nothing" in str(told)
    ahead = timedelta(seconds=30)
    passed = timedelta(hours=23, minutes=10)
    assert await keeper.clean() == 1
    assert await kept(store) == {ids[1]}
    ahead = timedelta(days=365)
    passed = timedelta(hours=24)
    assert await keeper.clean() == 0
    passed = timedelta(hours=49)  # it is right, after all
    assert await keeper.clean() == 1
    assert await kept(store) == set()


# By size


async def test_above_its_size_the_oldest_that_are_finished_go_and_the_file_gets_smaller(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "SLACK", 0)
    monkeypatch.setattr(janitor, "SLACK_SHARE", 1000)
    ids = await fill(store, hours(2, 61))
    before = await store.space()
    keeper, heard = cleaner(store, Limits(DAYS_5, size=before.used // 2))
    await keeper.make_room()
    after = await store.space()
    assert before.used // 2 - 12 * len(LARGE) < after.used <= before.used // 2
    assert after.file < before.file // 2 + 10 * after.page
    left = await kept(store)
    assert 20 <= len(left) <= 30
    assert left == set(ids[-len(left) :])
    assert heard == []


@pytest.mark.parametrize("state", [State.PENDING, State.HELD])
async def test_what_is_owed_never_goes_for_its_size_and_that_is_told_once(
    store: Store, state: State
) -> None:
    ids = await fill(store, hours(2, 41), state)
    keeper, heard = cleaner(store, Limits(DAYS_5, size=MIB))
    await keeper.make_room()
    await keeper.make_room()
    assert await kept(store) == set(ids)
    (told,) = heard
    assert told.part == "janitor"
    assert "the database has 2 MiB and not 1 MiB (`max_database_size`)" in told.message
    assert "`dispatchd status`" in told.message


async def test_what_came_within_the_hour_never_goes_for_its_size(store: Store) -> None:
    """What comes of it may refer to it."""
    ids = await fill(store, [timedelta(minutes=n) for n in range(59, 19, -1)])
    keeper, heard = cleaner(store, Limits(DAYS_5, size=MIB))
    await keeper.make_room()
    assert await kept(store) == set(ids)
    assert len(heard) == 1


async def test_a_daemon_keeps_to_the_size_that_its_config_says(tmp_path: Path) -> None:
    """From its start on, while it serves."""
    now = datetime.now(UTC)
    store = Store.open(f"sqlite:///{tmp_path}/dispatchd.sqlite", owner="test", now=now)
    for number, age in enumerate(hours(2, 31)):
        event = delivered(number, at=now - age, body=b"x" * MIB)
        await store.record(event, [Verdict("push", Outcome.UNMATCHED)])
    await store.close()
    settings = {"max_database_size": "16 MiB"}
    async with serving(tmp_path, triggers=[trigger_entry("push")], settings=settings) as daemon:
        for _ in range(500):
            _, status = await daemon.call("GET", "/api/v1/status")
            space = status["space"]
            if space["database"] - space["unused"] <= 16 * MIB:
                break
            await asyncio.sleep(0.02)
        assert 10 * MIB < space["database"] - space["unused"] <= 16 * MIB
        assert (await daemon.call("POST", "/hook", key=None, json={}))[0] == 202
        _, listed = await daemon.call("GET", "/api/v1/events?limit=100")
    assert 10 <= len(listed["events"]) - 1 <= 16


def test_windows_last_as_long_as_the_longest_that_an_entry_looks_back_on() -> None:
    limited = {
        "rate_limit": {"max": 1, "per": "2d"},
        "coalesce": {"window": "5s", "max_wait": "3h"},
    }
    assert config([trigger_entry("a"), trigger_entry("b", **limited)]).longest_window == timedelta(
        2
    )
    assert config([trigger_entry("a")]).longest_window == timedelta()


async def test_with_enough_room_nothing_goes_and_nothing_is_given_back(store: Store) -> None:
    await fill(store, hours(2, 21))
    before = await store.space()
    keeper, heard = cleaner(store, Limits(DAYS_5, size=16 * MIB))
    await keeper.make_room()
    assert (await store.space()).file == before.file
    assert heard == []


# The disk


class Disk:
    """A store on a disk that is as full as the test says; nothing can be removed from it."""

    def __init__(self, free: int, *, unused: int = 0, shrinks: bool = True) -> None:
        self.stands = Space(
            40 * MIB, unused, 4096, disk_free=free, disk_size=1000 * MIB, shrinks=shrinks
        )

    async def finished(self, *_: object) -> list[Mark]:
        return []

    async def remove(self, *_: object) -> int:
        return 0

    async def expire(self, *_: object) -> int:
        return 0

    async def space(self) -> Space:
        return self.stands

    async def shrink(self, most: int) -> int:
        most = min(most, self.stands.free // 4096)
        left = self.stands.free - most * 4096
        self.stands = replace(self.stands, free=left, file=self.stands.file - most * 4096)
        return most


def told_by(disk: Disk) -> tuple[Janitor, list[str]]:
    facts, heard = Facts(), list[str]()
    facts.subscribe(lambda fact: heard.append(str(fact)) if isinstance(fact, Trouble) else None)
    return Janitor(
        disk, lambda: Limits(DAYS_5), clock=lambda: NOW, elapsed=lambda: 0.0, facts=facts
    ), heard


async def test_a_disk_that_gets_full_is_told_once_and_once_more_when_it_is_over() -> None:
    disk = Disk(100 * MIB)
    keeper, heard = told_by(disk)
    for free in (100, 63, 30, 65, 79, 81, 300, 63):
        disk.stands = replace(disk.stands, disk_free=free * MIB)
        await keeper.make_room()
    assert len(heard) == 3
    assert "has 63 MiB left, of the 64 MiB that should be free" in heard[0]
    assert "has 81 MiB left again" in heard[1]
    assert "has 63 MiB left" in heard[2]


async def test_on_a_full_disk_all_unused_pages_are_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(janitor, "BREATH", 0)
    roomy, full = Disk(500 * MIB, unused=20 * MIB), Disk(20 * MIB, unused=20 * MIB)
    for disk in (roomy, full):
        await told_by(disk)[0].make_room()
    assert (roomy.stands.free, full.stands.free) == (16 * MIB, 0)


async def test_where_an_older_file_cannot_shrink_it_is_told_what_gives_its_room_back() -> None:
    disk = Disk(20 * MIB, unused=30 * MIB, shrinks=False)
    keeper, heard = told_by(disk)
    await keeper.make_room()
    assert disk.stands.free == 30 * MIB
    assert "`dispatchd db vacuum`, while the daemon is stopped, gives 30 MiB of it back" in heard[0]


@pytest.mark.parametrize(
    ("size", "reserve"),
    [(1, 0.25), (200, 50), (1000, 64), (10_000, 500), (1_000_000, 1024)],
)
def test_a_twentieth_of_a_disk_is_its_reserve_within_bounds(size: int, reserve: float) -> None:
    assert Space(0, 0, 4096, disk_free=0, disk_size=size * MIB).reserve == reserve * MIB


# The store


async def test_a_store_that_is_away_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(janitor, "LOOK_EVERY", 0)
    rounds = asyncio.Event()

    class Away(Disk):
        calls = 0

        async def finished(self, *_: object) -> list[Mark]:
            self.calls += 1
            if self.calls == 3:
                rounds.set()
            raise StoreUnavailable("disk full")

    facts, heard = Facts(), list[Fact]()
    facts.subscribe(heard.append)
    keeper = Janitor(
        Away(500 * MIB), lambda: Limits(DAYS_5), clock=lambda: NOW, elapsed=lambda: 0.0, facts=facts
    )
    task = asyncio.create_task(keeper.run())
    await rounds.wait()
    task.cancel()
    assert Trouble("janitor", "disk full; trying again later") in heard
