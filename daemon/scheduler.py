"""The clock: wakes for the soonest cron instant of all entries, works out what each entry owes and
hands it over to be recorded. What was not recorded stays owed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from daemon.agenda import FEW, Agenda, Entry, entries_at
from daemon.catching_up import ON_TIME, at_rest
from daemon.event import Due, Paused
from daemon.facts import Facts, Trouble
from daemon.owed import work_out
from daemon.spec import CronSpec

TICK = timedelta(seconds=5)
"""The longest sleep. A suspend or a step of the wall clock goes unnoticed for no longer."""

JOB = "crons"


class Scheduler:
    """Accounts for the instants of all enabled entries, from ``start`` until ``stop``.

    ``cursors`` says up to which instant each entry, by name, is accounted for; one without starts
    at now. ``account`` records a batch, all or nothing; when it raises, the batch stays owed and
    is worked out anew at the next tick. An instant that many entries share is recorded ahead of its
    time, as what it will be. While an entry is ``paused`` its instants are missed.
    """

    def __init__(
        self,
        crons: Sequence[CronSpec],
        cursors: Mapping[str, datetime],
        account: Callable[[Sequence[Due]], Awaitable[None]],
        clock: Callable[[], datetime],
        facts: Facts,
        *,
        paused: Paused = lambda _: None,
        tick: timedelta = TICK,
    ) -> None:
        self._crons = [cron for cron in crons if cron.enabled]
        self._cursors = dict(cursors)
        self._account = account
        self._clock = clock
        self._facts = facts
        self._paused = paused
        self._agenda = Agenda()
        self._trigger = WakeTrigger(self._until_due, tick)
        self._scheduler = TickingScheduler(timezone=UTC)
        self._accounting = asyncio.Lock()
        self._begun = asyncio.Event()
        self._stopping = False
        self._last_wake: datetime | None = None
        self._through: datetime | None = None

    async def start(self) -> None:
        """Begins; what is owed from before is accounted for at once, in the background."""
        now = self._clock()
        self._agenda.put(await asyncio.to_thread(entries_at, self._crons, self._cursors, now))
        self._through = now
        self._begun.set()
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
        while not self._stopping and (waiting := self._agenda.take(now)):
            try:
                while waiting and not self._stopping:
                    little = len(waiting) <= FEW and now - waiting[0].due_at <= ON_TIME
                    owed = (
                        work_out(waiting, now, self._paused)
                        if little
                        else await asyncio.to_thread(work_out, waiting, now, self._paused)
                    )
                    for portion in owed.portions:
                        await self._account([self._at_rest(due) for due in portion])
                    del waiting[: owed.entries]
                    self._agenda.put(owed.moved)
            finally:
                self._agenda.put(waiting)  # what was recorded of them is not recorded again
            now = self._clock()
            self._through = now  # of a long backlog each batch counts
        self._through = now

    def behind(self) -> timedelta:
        """For how long the schedules have not been looked through; a tick is usual."""
        if self._through is None:
            return timedelta()
        return max(self._clock() - self._through, timedelta())

    async def catch_up(self) -> None:
        """Accounts for all that is owed up to now, as the next tick would. Raises what ``account``
        does."""
        await self._begun.wait()
        async with self._accounting:
            await self._account_due()

    @asynccontextmanager
    async def standing_still(self) -> AsyncIterator[tuple[Entry, ...]]:
        """All that is owed up to now is accounted for, and nothing more until the context ends.
        Gives the entries on the agenda. Raises what ``account`` does."""
        await self._begun.wait()
        async with self._accounting:
            await self._account_due()
            yield self._agenda.entries

    def adopt(self, entries: Sequence[Entry]) -> None:
        """Puts these on the agenda in place of what is there, while the scheduler stands still."""
        self._agenda = Agenda()
        self._agenda.put(entries)
        if self._scheduler.running and not self._stopping:
            self._scheduler.reschedule_job(JOB, trigger=self._trigger)

    def _at_rest(self, due: Due) -> Due:
        """The due, whose entry may have been paused since it was worked out."""
        pause = self._paused(due.cron) if due.firings else None
        return due if pause is None else at_rest(due, pause)

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
