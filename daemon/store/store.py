"""The store as the rest of the daemon sees it: values in, values out, one method for each thing
that is asked of it. What each does in SQL stands in the module it is delegated to."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from daemon.binding import Judgement
from daemon.chain import UNGUARDED, Family, Guards
from daemon.clockwatch import Step
from daemon.cursors import Cursor, TakenUp
from daemon.dispatch import Attempt, Dispatch, Settlement, State
from daemon.errors import StoreError, StoreUnavailable
from daemon.event import Due, Event, FiringOutcome, FiringRecord, Outcome, Pause, Verdict
from daemon.follow_up import Follows, FollowUp, Owing, Standing, nobody
from daemon.github_meta import HookRanges
from daemon.incident import Incident, IncidentKind, News
from daemon.pacing import Spent
from daemon.ports import (
    Accounted,
    Claim,
    Commits,
    Horizons,
    Learned,
    LetGo,
    Overdue,
    OwedFollowUp,
    Pending,
    Recording,
    Sighting,
)
from daemon.run import Run
from daemon.schedule import Schedule
from daemon.space import Space
from daemon.store import (
    accounting,
    budgets,
    by_hand,
    chains,
    deadlines,
    followups,
    holds,
    hook_places,
    incidents,
    lanes,
    learned,
    lookups,
    migrate,
    news,
    outbox,
    pages,
    retention,
    tracking,
    trial,
    waits,
)
from daemon.store import pauses as pausing
from daemon.store import runs as run_rows
from daemon.store.engine import (
    Patience,
    connect,
    file_of,
    in_memory,
    parse,
    place,
    words,
    writing,
)
from daemon.store.file import Lock, Originals, create, wal_of
from daemon.store.lanes import LaneOf, one_for_all
from daemon.store.outbox import Settling
from daemon.store.reader import Reader
from daemon.store.recording import record
from daemon.store.retention import Mark
from daemon.store.soundness import examine
from daemon.store.writer import Writer

FEW = 20
"""Cron entries whose instants are booked so quickly that the event loop can do it."""

ROWS_PER_WEIGHT = 10
"""Verdicts that take as long to write as all else of an event."""

RECENT = 10.0
"""Seconds for which a failed write speaks against the database."""


class Store:
    """All that dispatchd remembers. Writes are on disk when their method returns.

    Every method raises `StoreUnavailable` when the database cannot be reached or written (try
    again later; nothing was done) and `StoreError` when it refuses the one operation. A write whose
    caller is cancelled may still be committed.
    """

    def __init__(
        self,
        engine: Engine,
        where: str,
        owner: str,
        *,
        read_only: bool,
        lock: Lock | None,
        originals: Originals,
        path: Path | None,
    ) -> None:
        self._engine = engine
        self._where = where
        self._owner = owner
        self._lock = lock
        self._writer = None if read_only else Writer(engine, where, check=originals.check)
        self._reader = Reader(engine, where)
        self._path = path
        # In memory there is one connection, which one thread may use.
        self._reading = self._writer if self._writer and in_memory(engine.url) else self._reader

    @classmethod
    def open(
        cls,
        url: str,
        *,
        owner: str,
        now: datetime,
        read_only: bool = False,
        lane_of: LaneOf = one_for_all,
        guards: Guards = UNGUARDED,
        follows: Follows = nobody,
    ) -> Store:
        """Opens the database, creates it where there is none, and brings its schema up to date.

        ``owner`` names this process in the leases that it takes. A SQLite file is locked for this
        process until `close`. With ``read_only`` nothing is created, locked or changed.
        ``lane_of`` gives each repository's lane: what is unfinished moves to the one of today.
        ``guards`` say what is held when it is recorded.
        ``follows`` says which entries want a follow-up where something goes wrong.

        Raises:
            StoreError: another daemon uses it, it is newer than this code, it is no database of
                ours or damaged, or its place cannot be written. The file is left as it was.
        """
        parsed = parse(url)
        where, path, lock = place(parsed), file_of(parsed), None
        if read_only and (path is None or not os.access(path, os.R_OK)):
            raise StoreError(f"there is no database to read in {where} (`dispatchd run` makes it)")
        if path is not None and not read_only:
            create(path)
            lock = Lock(path)
            lock.take(now)
        engine = connect(parsed, read_only=read_only).execution_options(
            lane_of=lane_of, guards=guards, follows=follows
        )
        try:
            if lock is not None and path is not None:
                examine(path)
            Patience().while_locked(lambda: _prepare(engine, where, read_only=read_only))
            originals = Originals(() if path is None else (path, wal_of(path)))
        except Exception as error:
            engine.dispose()
            if lock is not None:
                lock.release()
            if isinstance(error, SQLAlchemyError):
                raise StoreError(f"cannot use the database {where}: {words(error)}") from error
            raise
        return cls(
            engine,
            where,
            owner,
            read_only=read_only,
            lock=lock,
            originals=originals,
            path=path,
        )

    def adopt(self, *, lane_of: LaneOf, guards: Guards, follows: Follows) -> None:
        """From now on these are asked, as by `open`. What is unfinished stays in its lane until
        `assign_lanes`."""
        if self._writer is not None:
            self._writer.adopt(lane_of=lane_of, guards=guards, follows=follows)

    async def assign_lanes(self) -> None:
        """Moves what is unfinished to the lanes of today."""
        await self._writing.aside(lanes.assign)

    def hurry(self) -> None:
        """From now on no write waits for another program's lock: for a stop, which has no time.
        What is written fails at once then, with StoreUnavailable."""
        if self._writer is not None:
            self._writer.hurry()

    async def close(self) -> None:
        """Commits what waits, in a `hurry`, then lets go of the database. A second call does
        nothing."""
        if self._writer is not None:
            await self._writer.close()
        await self._reader.close()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    @property
    def database(self) -> str:
        """Where the database is, for people; never with a password."""
        return self._where

    # Intake

    async def record(self, event: Event, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """Commits an event with its verdicts and what they owe. Returns the verdicts as committed.

        One whose de-duplication key is taken becomes a duplicate and owes nothing, whatever it
        was: taken by an event within its window, unless all that this owed to the same entry is
        dead or cancelled (a sticky key stays taken even so). Of equal deliveries at the same time
        exactly one is the first.
        """
        weight = 1 + len(verdicts) // ROWS_PER_WEIGHT
        return await self._writing.together(record, (event, tuple(verdicts)), weight=weight)

    async def add_dispatches(self, dispatches: Sequence[Dispatch]) -> None:
        """Commits further dispatches of events that are there already."""
        await self._writing.together(outbox.add, dispatches)

    async def account(self, dues: Sequence[Due], events: Sequence[Recording]) -> Accounted:
        """Commits cron instants, each once per (cron, scheduled time) for all time, with the
        events of those that fire, and moves the cursors forward. What overlaps is missed, or waits.
        Returns what was new: what was not accounted for before."""
        few = len(dues) <= FEW and len(events) <= FEW
        run = self._writing.alone if few else self._writing.aside
        return await run(accounting.account, dues, events)

    async def make_up(
        self, cron: str, schedule: Schedule, recordings: Sequence[Recording]
    ) -> list[Recording]:
        """Commits firings of one cron that were asked for by hand, of successive instants of its
        schedule, but for those that fired before; returns those that were committed."""
        return await self._writing.aside(by_hand.make_up, cron, schedule, recordings)

    async def cursors(self) -> dict[str, Cursor]:
        """Up to where each cron is accounted for."""
        return await self._reading.alone(accounting.cursors)

    async def take_up(self, taken: TakenUp) -> list[Incident]:
        """Commits the cursors that were begun and ended, and what these left; returns the incidents
        that are new."""
        return await self._writing.aside(accounting.take_up, taken)

    async def look_at_deadlines(self, now: datetime, limit: int) -> tuple[int, list[Incident]]:
        """Looks at up to ``limit`` firings that GitHub was to have taken by now. Returns how many
        there were, and those incidents among them that are new."""
        if not await self._reading.alone(deadlines.over, now):  # nearly always, and takes no lock
            return 0, []
        return await self._writing.alone(deadlines.look, now, limit)

    # Pauses

    async def pauses(self) -> dict[str, Pause]:
        """Those that there are, by entry."""
        return await self._reading.alone(pausing.read)

    async def pause(self, pauses: Sequence[Pause]) -> list[Pause]:
        """Keeps those of entries that are not paused already; returns the ones that stand."""
        return await self._writing.aside(pausing.pause, pauses)

    async def hold(self, limit: int) -> int:
        """Holds up to ``limit`` dispatches that wait while their entry is paused, but for what was
        asked for by hand; returns how many."""
        return await self._writing.aside(pausing.hold, limit)

    async def resume(self, entries: Collection[str], now: datetime) -> None:
        """Ends the pauses of these entries; what they hold is still held."""
        await self._writing.aside(pausing.resume, entries, now)

    async def release(self, now: datetime, limit: int) -> Counter[str]:
        """Lets up to ``limit`` dispatches go that ended pauses hold; returns how many, by entry."""
        return await self._writing.aside(pausing.release, now, limit)

    # What is held since it may have run away

    async def let_go(self, ids: Sequence[str], now: datetime) -> list[LetGo]:
        """Lets those go that something else than a pause holds. Returns those that are known, in
        order, as they were found, each with the pause that holds it from now on."""
        return await self._writing.alone(holds.let_go, ids, now)

    async def let_go_of(self, entry: str, now: datetime, limit: int) -> tuple[list[str], list[str]]:
        """Likewise up to ``limit`` of an entry, oldest first. Returns the ids of those that go, and
        of those that a pause holds from now on."""
        return await self._writing.aside(holds.let_go_of, entry, now, limit)

    # The outbox

    async def claim(
        self,
        now: datetime,
        limit: int,
        lease: timedelta,
        held: Collection[str] = (),
        *,
        lane: str = "",
        urgent_first: bool = True,
    ) -> Claim:
        """Takes up to ``limit`` dispatches of the lane that are due, the urgent ones first (or
        last) and else the oldest, and makes them `sending` until ``now + lease``. Those that may no
        longer be sent come back as dead, for the record. Of what is `sending` and ``held``, by id,
        the lease alone is renewed, whatever its age.

        Shield this from cancellation: what is claimed by a call that nobody awaits any more rests
        until its lease runs out."""
        return await self._writing.alone(
            outbox.claim, now, limit, lease, self._owner, held, lane, urgent_first
        )

    async def settle(
        self,
        dispatch_id: str,
        attempt: Attempt | None,
        settlement: Settlement,
        now: datetime,
        *,
        lane: str = "",
        spent: Spent | None = None,
    ) -> Dispatch:
        """Records the attempt, if there was one, moves the dispatch, and keeps what its lane has
        ``spent``; returns the dispatch as it stands then. Raises StoreError where it is unknown or
        the table of states has no such step."""
        settling = Settling(dispatch_id, attempt, settlement, now, lane, spent)
        return await self._writing.together(outbox.settle, settling, patient=True)

    async def budgets(self) -> dict[str, Spent]:
        """What the lanes had spent when that was kept last."""
        return await self._reading.alone(budgets.read)

    async def give_back(self, ids: Sequence[str], now: datetime) -> None:
        """Puts back what was claimed and never sent: due at once, in the state it was found in."""
        await self._writing.alone(outbox.give_back, ids, now)

    async def reclaim(self, now: datetime) -> int:
        """Makes all that is `sending` unsure and due; returns how many. For the start, when nobody
        else uses the database: whoever was sending them has died."""
        return await self._writing.aside(outbox.reclaim, now)

    async def follow_clock(self, now: datetime, step: Step) -> None:
        """Moves all times of what is unfinished with a step of the wall clock, after which it is
        ``now``. What was made since ``now - step.within`` is left as it is: that may have been
        after the step."""
        await self._writing.aside(waits.follow_clock, now, step)

    async def rewind_waits(self, now: datetime) -> int:
        """Has what began to wait at a time more than a minute in the future wait from ``now`` on
        instead; returns how many there were. The clock was wrong then, or is now. For the start,
        before `reclaim`."""
        return await self._writing.aside(waits.rewind, now)

    async def cancel(
        self, ids: Sequence[str], now: datetime, reason: str
    ) -> list[tuple[str, State | None]]:
        """Cancels what may be cancelled. Returns for each id the state it is in now: cancelled,
        or what stood in the way; None where there is no such dispatch."""
        return await self._writing.alone(outbox.cancel, ids, now, reason)

    async def next_due(self, now: datetime, lane: str = "") -> datetime | None:
        """When the next dispatch of the lane falls due or a lease ends: ``now`` where one is due
        already, None where nothing waits."""
        earliest = await self._reading.alone(lookups.next_due, lane)
        return None if earliest is None else max(earliest, now)

    # The runs that dispatches started

    async def run_agenda(self) -> dict[str, datetime]:
        """When runs are to be looked for next, by repository."""
        return await self._reading.alone(tracking.agenda)

    async def overdue(self, repository: str, now: datetime, limit: int) -> Overdue:
        """What of the repository is to be looked for or at by now: up to ``limit`` dispatches, and
        as many runs, those first that are due for longest."""
        return await self._reading.alone(tracking.overdue, repository, now, limit)

    async def looked_for(self, repository: str, limit: int) -> list[Pending]:
        """Dispatches to the repository whose runs are looked for, those first that are due."""
        return await self._reading.alone(tracking.waiting, repository, limit)

    async def runs_due(self, repository: str, now: datetime, limit: int) -> list[Run]:
        """Runs that go on and are to be looked at by now, the longest overdue first."""
        return await self._reading.alone(run_rows.due, repository, now, limit)

    async def known_runs(self, runs: Sequence[Run]) -> set[int]:
        """Which of these are bound to a dispatch, by number."""
        return set(await self._reading.alone(run_rows.known, runs))

    async def certain_runs(self, runs: Sequence[Run]) -> set[int]:
        """Which of these are bound for certain, and not only probably, by number."""
        return set(await self._reading.alone(run_rows.certain, runs))

    async def see_runs(self, runs: Sequence[Run], now: datetime) -> list[Sighting]:
        """Takes note of runs as GitHub tells them. Returns what is new of those that show the id of
        a dispatch, or are bound to one; what is known already is not written again."""
        return await self._writing.alone(tracking.see, runs, now)

    async def judge_runs(
        self, judgements: Sequence[Judgement], now: datetime
    ) -> tuple[list[Dispatch], list[Sighting]]:
        """Writes down what a look came to. Returns the dispatches whose match is another now, and
        the runs that were bound. What was found meanwhile stays found."""
        return await self._writing.alone(tracking.judge, judgements, now)

    async def postpone_runs(
        self, looks: Sequence[tuple[Run, datetime | None]], now: datetime
    ) -> None:
        """Has runs looked at again then (None: not any more, so that nothing waits for them)."""
        if looks:
            await self._writing.alone(tracking.postpone, looks, now)

    async def runs(self, dispatch_ids: Collection[str]) -> dict[str, list[Run]]:
        """The runs of each of these dispatches, oldest first."""
        return await self._reading.alone(run_rows.of_dispatches, dispatch_ids)

    # Follow-ups

    async def owe(self, owings: Sequence[Owing]) -> int:
        """Notes what went wrong, as far as the entries want follow-ups: once for each dispatch,
        cause and attempt of a run, however often it is told. Returns how many were new."""
        return await self._writing.alone(followups.owe, owings)

    async def owed_follow_ups(self, now: datetime, limit: int) -> list[OwedFollowUp]:
        """Up to ``limit`` that are due, the longest waiting first, each with its dispatch and its
        event, without the body."""
        return await self._reading.alone(followups.owed, now, limit)

    async def hasten_follow_ups(self, now: datetime) -> None:
        """Makes all that are owed due. For the start, when nobody else works on them."""
        await self._writing.alone(followups.hasten, now)

    async def change_follow_ups(self, changed: Sequence[FollowUp]) -> None:
        """Keeps how these stand now, but for those that are settled already."""
        await self._writing.alone(followups.change, changed)

    async def dispatch_follow_up(self, settled: FollowUp, made: Dispatch) -> Verdict | None:
        """Settles one and records the dispatch that it comes to, held where its entry is paused,
        its chain too deep or its breaker open. Returns what became of it; None, and nothing is
        done, where the follow-up is settled already."""
        return await self._writing.alone(followups.dispatch, settled, made)

    async def told(self, target: str, since: datetime) -> list[datetime]:
        """When notices went to the target since then, each once however many it told of."""
        return await self._reading.alone(followups.told, target, since)

    # News

    async def owed_news(self, limit: int) -> tuple[int, list[News]]:
        """How much there is to be told, and up to ``limit`` of it, the longest waiting first."""
        return await self._reading.alone(news.owed, limit)

    async def settle_news(
        self, given: Sequence[News], state: Standing, target: str, now: datetime
    ) -> None:
        """Keeps what became of these."""
        await self._writing.aside(news.settle, given, state, target, now)

    async def told_news(self, since: datetime) -> list[tuple[datetime, str]]:
        """When somebody was told of what kinds since then, oldest first."""
        return await self._reading.alone(news.told, since)

    async def standing_ailments(self) -> dict[str, str]:
        """What is not well, as it was told, in words, by name."""
        return await self._reading.alone(news.standing)

    async def begin_ailment(self, ailment: News) -> None:
        """Something is not well; that is to be told, where it was not known."""
        await self._writing.alone(news.begin, ailment)

    async def end_ailment(self, ailment: News) -> None:
        """It is well again; that is to be told, where it was not so."""
        await self._writing.alone(news.end, ailment)

    async def follow_ups(self, dispatch_id: str) -> list[FollowUp]:
        """Those of one dispatch, oldest first."""
        return await self._reading.alone(followups.of_dispatch, dispatch_id)

    # What was told from outside

    async def learned(self) -> dict[str, Learned]:
        """What is known of each trigger's secret that its sender hands over."""
        return await self._reading.alone(learned.read)

    async def arm(self, trigger: str, until: datetime, *, forget: bool) -> Learned:
        """Has the trigger wait for a secret until then, unless it has one; with ``forget`` the one
        that it has is deleted first. Returns how it stands."""
        return await self._writing.alone(partial(learned.arm, forget=forget), trigger, until)

    async def learn(self, trigger: str, secret: str, now: datetime) -> bool:
        """Keeps the secret if the trigger waits for one, and has none; whether it did."""
        return await self._writing.alone(learned.learn, trigger, secret, now)

    async def hook_ranges(self, source: str) -> HookRanges | None:
        """The networks of GitHub's webhooks that were kept last, as the API there told them."""
        return await self._reading.alone(learned.hook_ranges, source)

    async def keep_hook_ranges(self, ranges: HookRanges) -> None:
        """Keeps these in place of any before of the same source."""
        await self._writing.alone(learned.keep_hook_ranges, ranges)

    async def hook_places(self) -> dict[str, datetime | None]:
        """Where webhooks of ours are set up on GitHub, each with the instant up to which what it
        delivered was looked through; None where that never was."""
        return await self._reading.alone(hook_places.read)

    async def keep_hook_place(self, place: str, through: datetime | None = None) -> None:
        """Remembers such a place; with ``through``, that it is looked through up to then."""
        await self._writing.alone(hook_places.keep, place, through)

    async def forget_hook_place(self, place: str) -> None:
        """Nothing is known of the place any more."""
        await self._writing.alone(hook_places.forget, place)

    async def delivered(
        self,
        guids: Collection[str],
        routes: Collection[str],
        spans: Sequence[tuple[datetime, datetime]],
    ) -> set[str]:
        """Those of GitHub's delivery ids that came in by these routes in one of the spans."""
        return await self._reading.alone(hook_places.delivered, guids, routes, spans)

    # Look-ups; lists are newest first, ``before`` is the last id of the page before

    async def event(self, event_id: str) -> Event | None:
        return await self._reading.alone(lookups.event, event_id)

    async def events(
        self,
        limit: int,
        before: str | None = None,
        outcome: Outcome | None = None,
        source: str | None = None,
    ) -> list[Event]:
        """Events, with empty bodies: those can be large, and `event` has them. ``outcome`` keeps
        the events of which at least one verdict is that."""
        return await self._reading.alone(lookups.events, limit, before, outcome, source)

    async def verdicts(self, event_ids: Sequence[str]) -> dict[str, tuple[Verdict, ...]]:
        """The verdicts on each event, with all dispatches they led to, replays included; without
        de-duplication keys. Empty for an unknown id."""
        return await self._reading.alone(lookups.verdicts, event_ids)

    async def dispatch(self, dispatch_id: str) -> Dispatch | None:
        return await self._reading.alone(lookups.dispatch, dispatch_id)

    async def dispatches(
        self,
        limit: int,
        before: str | None = None,
        states: Sequence[State] | None = None,
        entry: str | None = None,
        event_id: str | None = None,
        since: datetime | None = None,
    ) -> list[Dispatch]:
        """Dispatches that meet all that is given; ``since`` is the earliest `created_at`."""
        return await self._reading.alone(
            lookups.dispatches, limit, before, states, entry, event_id, since
        )

    async def attempts(self, dispatch_id: str) -> list[Attempt]:
        """Every attempt on a dispatch, oldest first."""
        return await self._reading.alone(lookups.attempts, dispatch_id)

    async def family(self, dispatch_id: str, limit: int) -> Family | None:
        """All that descends from the eldest ancestor of the dispatch that is known, each followed
        by its descendants, ``limit`` of them at most; None: there is no such dispatch."""
        return await self._reading.alone(chains.family, dispatch_id, limit)

    async def counts(self) -> dict[State, int]:
        """How many dispatches are in each state that is not final."""
        return await self._reading.alone(lookups.counts)

    async def firings(
        self,
        limit: int,
        cron: str | None = None,
        outcome: FiringOutcome | None = None,
        before: datetime | None = None,
    ) -> list[FiringRecord]:
        """Cron instants as accounted for, by their scheduled time, newest first; ``before`` is that
        of the last of the page before."""
        return await self._reading.alone(lookups.firings, limit, cron, outcome, before)

    async def booked(self, cron: str, first: datetime, last: datetime) -> list[FiringRecord]:
        """What is booked of one cron from ``first`` to ``last``, both included, oldest first; also
        records of several instants of which some lie there."""
        return await self._reading.alone(by_hand.booked, cron, first, last)

    async def incidents(
        self, limit: int, entry: str | None = None, before: datetime | None = None
    ) -> list[Incident]:
        """Newest first, by when they were noticed."""
        return await self._reading.alone(incidents.incidents, limit, entry, before)

    async def incident_counts(self) -> dict[tuple[str, IncidentKind], int]:
        """How many instants there ever were in incidents, by entry and kind."""
        return await self._reading.alone(incidents.totals)

    async def oldest_waiting(self) -> datetime | None:
        """When the oldest dispatch was made that waits for its time or a retry."""
        return await self._reading.alone(lookups.oldest_waiting)

    # Upkeep

    async def finished(
        self, before: datetime, keys_since: datetime, after: Mark | None, limit: int
    ) -> list[Mark]:
        """Up to ``limit`` events that came before ``before`` and owe nothing any more, oldest
        first, from the place ``after`` on. A sticky key leads to its event until it ends, and those
        that ended before ``keys_since`` do not."""
        return await self._reading.alone(retention.finished, before, keys_since, after, limit)

    async def remove(self, ids: Collection[str], keys_since: datetime) -> int:
        """Deletes these events with all that hangs on them, but for such as owe something again;
        returns how many."""
        return await self._writing.aside(retention.remove, ids, keys_since)

    async def expire(self, horizons: Horizons, limit: int) -> int:
        """Deletes up to ``limit`` rows of each kind that hangs on no event and is past its horizon:
        keys, cron instants, windows, incidents. Returns how many; 0 when there is none left."""
        return await self._writing.aside(retention.expire, horizons, limit)

    async def space(self) -> Space:
        """How much room the database takes, and its disk has left."""
        return await self._reading.alone(pages.space, self._path)

    async def shrink(self, most: int) -> int:
        """Gives up to ``most`` pages that hold nothing back to the disk; returns how many."""
        return await self._writing.aside(pages.shrink, most)

    @property
    def commits(self) -> Commits:
        """What the transactions were like since the start."""
        writer = self._writing
        return Commits(writer.sizes, writer.durations, writer.failures)

    async def due_since(self, lanes: Sequence[str]) -> datetime | None:
        """Since when the dispatch of these lanes is due that has been so for longest; it may still
        be to come. None where nothing waits."""
        return await self._reading.alone(lookups.due_since, lanes)

    async def ping(self) -> None:
        """Commits a write that means nothing. Raises StoreUnavailable when that fails, or when
        any write failed in the last `RECENT` seconds: on a full disk a small one may still fit.
        The first after such a failure is therefore as large as a usual recording."""
        writer = self._writing
        failure = writer.failure
        if failure is not None and (ago := time.monotonic() - failure.at) < RECENT:
            raise StoreUnavailable(f"{failure.message} ({ago:.0f} s ago)")
        await writer.alone(trial.write, trial.ROOM if failure else 1)
        if writer.failure is failure:
            writer.failure = None

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise StoreError(f"{self._where} was opened for reading only")
        return self._writer


def _prepare(engine: Engine, where: str, *, read_only: bool) -> None:
    prepare = migrate.check if read_only else migrate.upgrade
    with (engine if read_only else writing(engine)).begin() as connection:
        prepare(connection, where)
        if not read_only:
            lanes.assign(connection)
