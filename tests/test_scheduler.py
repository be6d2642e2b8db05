"""The clock side of crons: what is owed after any absence, and that nothing stops the clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from daemon.agenda import BATCH, FEW, LEAD_EACH
from daemon.cron import parse
from daemon.event import Due, Pause
from daemon.facts import Fact, Facts, Trouble
from daemon.owed import FIRINGS
from daemon.scheduler import TICK, Scheduler, WakeTrigger
from daemon.spec import CatchUp, CronSpec

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SHORT_TICK = timedelta(milliseconds=10)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def cron(name: str, schedule: str = "* * * * *", *, enabled: bool = True) -> CronSpec:
    return CronSpec(name, "", enabled, parse(schedule), CatchUp.LATEST, ())


class Clock:
    """A wall clock that stands still until it is set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Book:
    """Takes the batches; ``fails`` of them first raise, as a store does that cannot write."""

    def __init__(self, fails: int = 0) -> None:
        self.batches: list[list[Due]] = []
        self.fails = fails
        self._changed = asyncio.Condition()

    async def account(self, dues: Sequence[Due]) -> None:
        async with self._changed:
            if self.fails:
                self.fails -= 1
                self._changed.notify_all()
                raise OSError("disk full")
            self.batches.append(list(dues))
            self._changed.notify_all()

    async def holds(self, batches: int) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.batches) >= batches)

    async def has_failed(self) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: not self.fails)

    @property
    def fired(self) -> list[tuple[str, datetime]]:
        return [
            (firing.cron, firing.scheduled_at)
            for batch in self.batches
            for due in batch
            for firing in due.firings
        ]


@asynccontextmanager
async def scheduling(
    crons: Sequence[CronSpec],
    cursors: Mapping[str, datetime],
    account: Callable[[Sequence[Due]], Awaitable[None]],
    clock: Callable[[], datetime],
    tick: timedelta = SHORT_TICK,
) -> AsyncIterator[list[Fact]]:
    facts = Facts()
    published: list[Fact] = []
    facts.subscribe(published.append)
    scheduler = Scheduler(crons, cursors, account, clock, facts, tick=tick)
    await scheduler.start()
    try:
        yield published
    finally:
        await scheduler.stop()


class Rounds:
    """Awaits that the scheduler has looked at the clock again, without sleeping for it."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._looks = 0
        self._looked = asyncio.Event()

    def __call__(self) -> datetime:
        self._looks += 1
        self._looked.set()
        return self._clock()

    async def pass_by(self, looks: int = 6) -> None:
        """Each wake looks at the clock once and its planning once."""
        goal = self._looks + looks
        async with asyncio.timeout(20):
            while self._looks < goal:
                self._looked.clear()
                await self._looked.wait()


# What is owed


async def test_how_long_the_schedules_were_not_looked_through_is_known() -> None:
    clock, book = Clock(NOON), Book(fails=1)
    scheduler = Scheduler([cron("a")], {"a": NOON}, book.account, clock, Facts())
    assert scheduler.behind() == timedelta()
    await scheduler.start()
    clock.now = NOON + MINUTE
    with pytest.raises(OSError, match="disk full"):
        await scheduler.catch_up()
    assert scheduler.behind() == MINUTE
    await scheduler.catch_up()
    assert scheduler.behind() == timedelta()
    clock.now = NOON - MINUTE  # a clock that was set back
    assert scheduler.behind() == timedelta()
    await scheduler.stop()


async def test_ten_thousand_entries_due_in_one_second_are_recorded_in_batches() -> None:
    """Each once, and never so many at a time that the event loop has to wait for long."""
    crons = [cron(f"cron-{number}", "0 12 * * *") for number in range(10_000)]
    cursors = {spec.name: NOON - MINUTE for spec in crons}
    book = Book()
    clock = Rounds(Clock(NOON))
    async with scheduling(crons, cursors, book.account, clock):
        await book.holds(10_000 // BATCH)
        await clock.pass_by()
    assert {len(batch) for batch in book.batches} == {BATCH}
    assert sorted(book.fired) == sorted((spec.name, NOON) for spec in crons)


async def test_a_crowd_is_recorded_ahead_of_its_instant_as_what_it_will_be() -> None:
    crons = [cron(f"cron-{number}", "0 12 * * *") for number in range(1000)]
    cursors = {spec.name: NOON - MINUTE for spec in crons}
    book = Book()
    clock = Clock(NOON - 1000 * LEAD_EACH)
    async with scheduling(crons, cursors, book.account, clock):
        await book.holds(1)
        first = book.batches[0]
        while len(book.fired) < 1000:  # the fewer are left, the later they need to begin
            clock.now = min(clock.now + BATCH * LEAD_EACH, NOON)
            await book.holds(len(book.batches) + 1)
    assert len(first) == BATCH
    assert {due.cursor for due in first} == {NOON}
    firings = [firing for due in first for firing in due.firings]
    assert {(firing.scheduled_at, firing.fired_at) for firing in firings} == {(NOON, NOON)}
    assert not any(firing.catch_up for firing in firings)
    assert sorted(book.fired) == sorted((spec.name, NOON) for spec in crons)


async def test_few_entries_are_recorded_when_they_are_due_and_not_before() -> None:
    crons = [cron(f"cron-{number}", "0 12 * * *") for number in range(FEW)]
    cursors = {spec.name: NOON - MINUTE for spec in crons}
    book = Book()
    clock = Clock(NOON - timedelta(milliseconds=1))
    rounds = Rounds(clock)
    async with scheduling(crons, cursors, book.account, rounds):
        await rounds.pass_by()
        assert not book.batches
        clock.now = NOON
        await book.holds(1)
    assert len(book.fired) == FEW


async def test_a_year_away_is_one_firing_and_a_bounded_list() -> None:
    now = NOON + 30 * SECOND
    book = Book()
    async with scheduling(
        [cron("build")], {"build": now - timedelta(days=365)}, book.account, Clock(now)
    ):
        await book.holds(1)
    (due,) = book.batches[0]
    assert [firing.scheduled_at for firing in due.firings] == [NOON]
    bounded, *single = due.missed
    assert (bounded.first, bounded.last) == (
        NOON - timedelta(days=365) + MINUTE,
        NOON - 100 * MINUTE,
    )
    assert [missed.first for missed in single] == [
        NOON - back * MINUTE for back in range(99, 0, -1)
    ]
    assert all(missed.first == missed.last for missed in single)
    assert due.cursor == now


async def test_an_entry_that_fires_no_more_leaves_the_agenda() -> None:
    clock = Clock(datetime(9999, 1, 1, 0, 0, 1, tzinfo=UTC))
    book = Book()
    rounds = Rounds(clock)
    cursors = {"yearly": clock.now - MINUTE, "over": clock.now}
    crons = [cron("yearly", "@yearly"), cron("over", "@yearly")]
    async with scheduling(crons, cursors, book.account, rounds):
        await book.holds(1)
        await rounds.pass_by()
    assert book.fired == [("yearly", datetime(9999, 1, 1, tzinfo=UTC))]


async def test_an_entry_without_a_cursor_starts_at_now_and_a_disabled_one_never() -> None:
    clock = Clock(NOON)
    book = Book()
    crons = [cron("new"), cron("off", enabled=False)]
    async with scheduling(crons, {"off": NOON - MINUTE}, book.account, clock):
        clock.now = NOON + MINUTE
        await book.holds(1)
    assert book.fired == [("new", NOON + MINUTE)]


async def test_a_failed_batch_is_tried_again_and_neither_lost_nor_doubled() -> None:
    clock = Clock(NOON + SECOND)
    book = Book(fails=1)
    crons = [cron("hourly", "@hourly"), cron("minutely")]
    cursors = {"hourly": NOON - MINUTE, "minutely": NOON - MINUTE}
    async with scheduling(crons, cursors, book.account, clock) as published:
        await book.has_failed()
        assert book.batches == []
        clock.now = NOON + MINUTE  # one more falls due while the first is still owed
        await book.holds(1)
        clock.now = NOON + 2 * MINUTE
        await book.holds(2)
    assert sorted(book.fired) == [
        ("hourly", NOON),
        ("minutely", NOON),
        ("minutely", NOON + MINUTE),
        ("minutely", NOON + 2 * MINUTE),
    ]
    assert [fact for fact in published if isinstance(fact, Trouble)] == [
        Trouble(
            "scheduler", "cron instants were not recorded, they stay owed until they are: disk full"
        )
    ]


async def test_a_failed_batch_waits_a_tick_for_its_next_try() -> None:
    """A store that is down is not asked in a tight loop."""
    book = Book(fails=2)
    async with scheduling(
        [cron("build")], {"build": NOON - MINUTE}, book.account, Clock(NOON), TICK
    ):
        await asyncio.sleep(0.2)  # what does not happen cannot be awaited
    assert book.fails == 1


async def test_what_falls_due_during_a_recording_does_not_wait_for_the_next_tick() -> None:
    clock = Clock(NOON)
    book = Book()
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def account(dues: Sequence[Due]) -> None:
        clock.now = NOON + MINUTE
        await book.account(dues)

    async with scheduling([cron("build")], {"build": NOON - MINUTE}, account, clock, TICK):
        await book.holds(2)
    assert loop.time() - began < 3
    assert book.fired == [("build", NOON), ("build", NOON + MINUTE)]


async def test_an_instant_is_met_and_not_merely_ticked_past() -> None:
    """The agenda sets the alarm, at the start and after each wake; a tick comes seconds later."""
    loop = asyncio.get_running_loop()
    book = Book()
    began, shown = loop.time(), NOON - 0.2 * SECOND

    def clock() -> datetime:
        return shown + timedelta(seconds=loop.time() - began)

    async def account(dues: Sequence[Due]) -> None:
        nonlocal began, shown
        began, shown = loop.time(), NOON + MINUTE - 0.2 * SECOND
        await book.account(dues)

    cursors = {"build": NOON - SECOND}
    async with scheduling([cron("build")], cursors, account, clock, TICK):
        await book.holds(2)
    first, second = (batch[0].firings[0] for batch in book.batches[:2])
    assert NOON == first.scheduled_at <= first.fired_at < NOON + 3 * SECOND
    assert NOON + MINUTE == second.scheduled_at <= second.fired_at < NOON + 63 * SECOND


async def test_what_is_asked_to_catch_up_before_the_start_waits_for_it() -> None:
    """A resume may come as soon as the doors are open; by then nothing is on the agenda."""
    book = Book()
    scheduler = Scheduler(
        [cron("build")], {"build": NOON - MINUTE}, book.account, Clock(NOON), Facts()
    )
    catching_up = asyncio.create_task(scheduler.catch_up())
    await asyncio.sleep(0)
    assert not catching_up.done()
    await scheduler.start()
    await catching_up
    assert book.fired == [("build", NOON)]
    await scheduler.stop()


async def test_a_pause_that_comes_during_a_catch_up_ends_it() -> None:
    pause = Pause("build", NOON, "alice")
    paused: dict[str, Pause] = {}
    book = Book()

    async def account(dues: Sequence[Due]) -> None:
        paused["build"] = pause
        await book.account(dues)

    spec = replace(cron("build"), catch_up=CatchUp.ALL, catch_up_limit=1000)
    scheduler = Scheduler(
        [spec],
        {"build": NOON - timedelta(days=3)},
        account,
        Clock(NOON),
        Facts(),
        paused=paused.get,
    )
    await scheduler.start()
    await scheduler.catch_up()
    await scheduler.stop()
    first, *others = book.batches
    assert 0 < sum(len(due.firings) for due in first) <= FIRINGS
    assert others
    assert not any(due.firings for batch in others for due in batch)
    missed = [each for batch in others for due in batch for each in due.missed]
    assert {(each.reason, each.wanted) for each in missed} == {(str(pause), True)}


# Clocks that jump


async def test_a_step_forward_is_noticed_at_the_next_tick() -> None:
    clock = Clock(NOON + SECOND)
    book = Book()
    async with scheduling([cron("build")], {"build": NOON}, book.account, clock):
        clock.now = NOON + timedelta(hours=1, seconds=90)
        await book.holds(1)
    (due,) = book.batches[0]
    assert book.fired == [("build", NOON + timedelta(hours=1, minutes=1))]
    assert len(due.missed) == 60


async def test_a_clock_set_back_fires_nothing_twice() -> None:
    clock = Clock(NOON)
    book = Book()
    rounds = Rounds(clock)
    async with scheduling(
        [cron("build")], {"build": NOON - MINUTE}, book.account, rounds
    ) as published:
        await book.holds(1)
        clock.now = NOON - timedelta(hours=1)
        await rounds.pass_by()
        clock.now = NOON + MINUTE
        await book.holds(2)
    assert book.fired == [("build", NOON), ("build", NOON + MINUTE)]
    assert published == [
        Trouble(
            "scheduler",
            "the clock was set back from 2026-06-01 12:00:00 to 2026-06-01 11:00:00 UTC; no cron "
            "fires until it has caught up, since none may fire twice",
        )
    ]


async def test_ticks_go_on_when_the_system_clock_is_set_back() -> None:
    """APScheduler itself would sleep until the old time comes again."""
    book = Book(fails=1)
    with freeze_time(NOON, tick=True, real_asyncio=True) as system:
        clock = Clock(NOON)
        async with scheduling([cron("build")], {"build": NOON - MINUTE}, book.account, clock):
            await book.has_failed()
            system.move_to(NOON - timedelta(hours=1))
            await book.holds(1)
    assert book.fired == [("build", NOON)]


# Nothing stops the clock


async def test_a_clock_that_raises_once_does_not_stop_the_scheduler() -> None:
    failures = [OSError("no time"), OSError("no time")]
    started = False
    book = Book()

    def clock() -> datetime:
        if started and failures:
            raise failures.pop()
        return NOON + (MINUTE if started else timedelta())

    async with scheduling([cron("build")], {"build": NOON}, book.account, clock):
        started = True
        await book.holds(1)
    assert not failures
    assert book.fired == [("build", NOON + MINUTE)]


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (None, 5 * SECOND),
        (2 * SECOND, 2 * SECOND),
        (MINUTE, 5 * SECOND),
        (-MINUTE, timedelta()),
    ],
)
def test_the_trigger_waits_for_the_soonest_instant_or_a_tick(
    left: timedelta | None, expected: timedelta
) -> None:
    trigger = WakeTrigger(lambda: left, 5 * SECOND)
    assert trigger.get_next_fire_time(None, NOON) == NOON + expected


def test_the_trigger_falls_back_to_a_tick_when_the_time_cannot_be_told() -> None:
    """APScheduler stops every job for good when a trigger raises."""

    def until_due() -> timedelta:
        raise OSError("no time")

    assert WakeTrigger(until_due, 5 * SECOND).get_next_fire_time(None, NOON) == NOON + 5 * SECOND


def test_the_trigger_moves_on_while_something_is_overdue() -> None:
    """APScheduler asks until the answer lies ahead; a time that does not would hang it."""
    trigger = WakeTrigger(lambda: -MINUTE, 5 * SECOND)
    assert trigger.get_next_fire_time(NOON - SECOND, NOON) == NOON + 5 * SECOND


async def test_stopping_waits_for_the_batch_that_is_being_recorded() -> None:
    began, may_end = asyncio.Event(), asyncio.Event()
    recorded: list[Due] = []

    async def account(dues: Sequence[Due]) -> None:
        began.set()
        await may_end.wait()
        recorded.extend(dues)

    scheduler = Scheduler([cron("build")], {"build": NOON - MINUTE}, account, Clock(NOON), Facts())
    await scheduler.start()
    await began.wait()
    stopping = asyncio.create_task(scheduler.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    may_end.set()
    await stopping
    assert [due.cron for due in recorded] == ["build"]


async def test_nothing_is_recorded_after_the_stop() -> None:
    clock = Clock(NOON)
    book = Book()
    async with scheduling([cron("build")], {"build": NOON}, book.account, clock):
        pass
    clock.now = NOON + MINUTE
    await asyncio.sleep(SHORT_TICK.total_seconds() * 3)
    assert book.batches == []


async def test_stopping_what_never_started_is_allowed() -> None:
    await Scheduler([], {}, Book().account, Clock(NOON), Facts()).stop()
