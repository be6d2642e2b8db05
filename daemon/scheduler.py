"""The clock: wakes for the soonest cron instant of all entries, works out what each entry owes and
hands it over to be recorded. What was not recorded stays owed."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from daemon.event import Due, Firing, Missed
from daemon.facts import Facts, Trouble
from daemon.schedule import Backlog
from daemon.spec import CronSpec

TICK = timedelta(seconds=5)
"""The longest sleep. A suspend or a step of the wall clock goes unnoticed for no longer."""

ON_TIME = timedelta(seconds=60)
"""An instant no later than this fires as if nothing had happened; a later one is caught up with."""

CATCH_UP_LIMIT = 100
"""How many instants of a backlog are accounted for one by one: the newest."""

FEW = 20
"""Up to this many entries are worked out on the event loop; more (or a backlog) in a thread."""

BATCH = 200
"""As many entries are handed over at a time, so that the event loop has a moment in between."""

LEAD_EACH = timedelta(microseconds=500)
LEAD_MAX = timedelta(seconds=10)
"""Where more than `FEW` entries are due at one instant they are recorded ahead of it, this long for
each of them, so that all are on disk in time. Their dispatches fall due at the instant itself."""

JOB = "crons"


@dataclass(frozen=True, slots=True)
class Entry:
    """A cron entry on the agenda: accounted for up to ``cursor``, and next due at ``due_at``."""

    cron: CronSpec
    cursor: datetime
    due_at: datetime


class Agenda:
    """The entries that will fire again, soonest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str, Entry]] = []
        self._crowd: Counter[datetime] = Counter()

    def put(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            heapq.heappush(self._heap, (entry.due_at, entry.cron.name, entry))
            self._crowd[entry.due_at] += 1

    def take(self, now: datetime) -> list[Entry]:
        """Removes and returns the entries that are to be recorded now, soonest first: those that
        are due, or some of a crowd that soon will be."""
        begin = self.record_at
        if begin is None or now < begin:
            return []
        taken: list[Entry] = []
        until = max(now, self._heap[0][0])
        while self._heap and self._heap[0][0] <= until and len(taken) < BATCH:
            due_at, _, entry = heapq.heappop(self._heap)
            taken.append(entry)
            self._crowd[due_at] -= 1
            if not self._crowd[due_at]:
                del self._crowd[due_at]
        return taken

    @property
    def record_at(self) -> datetime | None:
        """When to begin to record the soonest instant; None: there is none. It comes nearer to the
        instant as the crowd is worked off."""
        if not self._heap:
            return None
        due_at = self._heap[0][0]
        crowd = self._crowd[due_at]
        return due_at - min(crowd * LEAD_EACH, LEAD_MAX) if crowd > FEW else due_at


def judge_backlog(cron: CronSpec, backlog: Backlog, now: datetime) -> Due:
    """Says of every instant owed whether it fires or is missed, and why.

    Of those that are late only the newest fires, and only where none that is newer fires anyway.
    """
    on_time = [instant for instant in backlog.instants if now - instant <= ON_TIME]
    late = [instant for instant in backlog.instants if now - instant > ON_TIME]
    firings = [Firing(cron.name, instant, now) for instant in on_time]
    if late and not on_time:
        firings.append(Firing(cron.name, late.pop(), now, catch_up=True))
    missed = []
    if backlog.omitted is not None:
        reason = f"older than the {CATCH_UP_LIMIT} newest instants that were owed"
        missed.append(Missed(*backlog.omitted, reason))
    reason = (
        f"more than {ON_TIME.total_seconds():.0f} s late, and `catch_up: {cron.catch_up}` fires "
        "only the newest"
    )
    missed.extend(Missed(instant, instant, reason) for instant in late)
    return Due(cron.name, now, tuple(firings), tuple(missed))


def next_instants(crons: Sequence[CronSpec], after: datetime, n: int) -> dict[str, list[datetime]]:
    """For each entry, by name, its first ``n`` instants after ``after``, in UTC."""
    upcoming: dict[str, list[datetime]] = {}
    for cron in crons:
        instants = upcoming[cron.name] = []
        instant = cron.schedule.next_after(after)
        while instant is not None and len(instants) < n:
            instants.append(instant)
            instant = cron.schedule.next_after(instant)
    return upcoming


class Scheduler:
    """Accounts for the instants of all enabled entries, from ``start`` until ``stop``.

    ``cursors`` says up to which instant each entry, by name, is accounted for; one without starts
    at now. ``account`` records a batch, all or nothing; when it raises, the batch stays owed and
    is worked out anew at the next tick. An instant that many entries share is recorded ahead of its
    time, as what it will be.
    """

    def __init__(
        self,
        crons: Sequence[CronSpec],
        cursors: Mapping[str, datetime],
        account: Callable[[Sequence[Due]], Awaitable[None]],
        clock: Callable[[], datetime],
        facts: Facts,
        *,
        tick: timedelta = TICK,
    ) -> None:
        self._crons = [cron for cron in crons if cron.enabled]
        self._cursors = dict(cursors)
        self._account = account
        self._clock = clock
        self._facts = facts
        self._agenda = Agenda()
        self._trigger = WakeTrigger(self._until_due, tick)
        self._scheduler = TickingScheduler(timezone=UTC)
        self._accounting = asyncio.Lock()
        self._stopping = False
        self._last_wake: datetime | None = None

    async def start(self) -> None:
        """Begins; what is owed from before is accounted for at once, in the background."""
        now = self._clock()
        self._agenda.put(await asyncio.to_thread(_entries, self._crons, self._cursors, now))
        self._scheduler.add_job(
            self._wake,
            self._trigger,
            id=JOB,
            misfire_grace_time=None,  # never drop a wake for being late: it finds what is owed
            coalesce=True,
            max_instances=1,
        )
        self._scheduler.add_listener(self._plan, EVENT_JOB_EXECUTED)
        self._scheduler.start()

    async def stop(self) -> None:
        """Ends, once a batch that is being recorded is done."""
        self._stopping = True
        async with self._accounting:
            if self._scheduler.running:
                self._scheduler.shutdown()
        await asyncio.sleep(0)  # APScheduler does it in the loop's next turn

    async def _wake(self) -> bool:
        """Accounts for what is due; False when that has to be tried again."""
        async with self._accounting:
            if self._stopping:
                return True
            try:
                await self._account_due()
            except Exception as error:  # noqa: BLE001 - whatever it is, the clock goes on
                text = f"cron instants were not recorded, they stay owed until they are: {error}"
                self._facts.publish(Trouble("scheduler", text))
                return False
        return True

    def _plan(self, wake: JobExecutionEvent) -> None:
        """Sets the next wake, once one is over and it is known what is due next (maybe already).

        Not earlier: APScheduler skips a wake that comes due while the last one counts as running.
        """
        if wake.retval and not self._stopping:
            self._scheduler.reschedule_job(JOB, trigger=self._trigger)

    async def _account_due(self) -> None:
        """Hands over all that is owed now, batch by batch."""
        now = self._clock()
        self._watch_clock(now)
        while not self._stopping and (entries := self._agenda.take(now)):
            try:
                little = len(entries) <= FEW and now - entries[0].due_at <= ON_TIME
                dues, moved = (
                    _owed(entries, now) if little else await asyncio.to_thread(_owed, entries, now)
                )
                await self._account(dues)
            except BaseException:
                self._agenda.put(entries)
                raise
            self._agenda.put(moved)
            now = self._clock()

    def _watch_clock(self, now: datetime) -> None:
        last, self._last_wake = self._last_wake, now
        if last is not None and last - now > ON_TIME:
            text = f"the clock was set back from {last:%F %T} to {now:%F %T} UTC; "
            text += "no cron fires until it has caught up, since none may fire twice"
            self._facts.publish(Trouble("scheduler", text))

    def _until_due(self) -> timedelta | None:
        begin = self._agenda.record_at
        return None if begin is None else begin - self._clock()


class WakeTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Says when to wake: at the soonest instant on the agenda, and a tick from now at the latest.

    ``until_due`` gives the time left until that instant, None where there is none. It is taken
    from our clock and added to APScheduler's, so that the two need not agree.
    """

    def __init__(self, until_due: Callable[[], timedelta | None], tick: timedelta) -> None:
        self._until_due = until_due
        self._tick = tick

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        # Asked on behalf of a wake that is only about to run. Its successor is planned when it is
        # over; this time is for the case that it fails.
        if previous_fire_time is not None:
            return now + self._tick
        try:
            left = self._until_due()
        except Exception:  # noqa: BLE001 - a trigger that raises stops APScheduler for good
            left = None
        return now + (self._tick if left is None else min(max(left, timedelta()), self._tick))


class TickingScheduler(AsyncIOScheduler):  # type: ignore[misc]  # APScheduler has no types
    """Keeps ticking when the wall clock is set back.

    APScheduler compares a job's time with the wall clock, and would otherwise sleep (on the
    monotonic clock) for as long as the clock was set back, through later steps forward too.
    """

    def _start_timer(self, wait_seconds: float | None) -> None:
        super()._start_timer(wait_seconds)
        if wait_seconds is not None and wait_seconds > TICK.total_seconds() + 1:
            self.reschedule_job(JOB, trigger=self.get_job(JOB).trigger)


def _entries(
    crons: Sequence[CronSpec], cursors: Mapping[str, datetime], now: datetime
) -> list[Entry]:
    entries = []
    for cron in crons:
        cursor = cursors.get(cron.name, now)
        due_at = cron.schedule.next_after(cursor)
        if due_at is not None:
            entries.append(Entry(cron, cursor, due_at))
    return entries


def _owed(entries: Sequence[Entry], began: datetime) -> tuple[list[Due], list[Entry]]:
    """What each entry owes, and the entries as they stand once that is recorded. One that is not
    due yet is looked at as of its instant."""
    dues, moved = [], []
    for entry in entries:
        now = max(began, entry.due_at)
        schedule = entry.cron.schedule
        due_at = schedule.next_after(entry.due_at)
        if due_at is None or due_at > now:  # nearly always, and the cheapest to find
            backlog = Backlog((entry.due_at,))
        else:
            backlog = schedule.due_between(entry.cursor, now, CATCH_UP_LIMIT)
            due_at = schedule.next_after(now)
        due = judge_backlog(entry.cron, backlog, now)
        dues.append(due)
        if due_at is not None:
            moved.append(Entry(entry.cron, due.cursor, due_at))
    return dues, moved
