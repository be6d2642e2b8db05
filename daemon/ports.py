"""What the doers need of the store, as protocols: each names its own part, so that none of them
knows the database and a test can stand in for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from daemon.binding import Judgement
from daemon.chain import Family
from daemon.clockwatch import Step
from daemon.dispatch import Attempt, Dispatch, Settlement, State
from daemon.event import (
    Due,
    Event,
    FiringOutcome,
    FiringRecord,
    Missed,
    Outcome,
    Pause,
    Verdict,
)
from daemon.follow_up import FollowUp, Standing
from daemon.incident import Incident, IncidentKind, News
from daemon.measures import Histogram
from daemon.pacing import Spent
from daemon.run import Run
from daemon.schedule import Schedule
from daemon.space import Space

Record = Callable[[Event, Sequence[Verdict]], Awaitable[tuple[Verdict, ...]]]
"""Commits an event with its verdicts, and returns these as they stand then."""


Recording = tuple[Event, tuple[Verdict, ...]]
"""An event with the verdicts on it."""


@dataclass(frozen=True, slots=True)
class Accounted:
    """What was new when cron instants were booked: events, instants (by cron) that overlap made
    missed, and incidents."""

    events: Sequence[Recording] = ()
    missed: Sequence[tuple[str, Missed]] = ()
    incidents: Sequence[Incident] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought: dispatches to send now, and those that had become too old to send
    (already dead). Of those to send, GitHub may have acted on the ``unsure`` ones, by id."""

    dispatches: tuple[Dispatch, ...] = ()
    expired: tuple[Dispatch, ...] = ()
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A run of a dispatch as it was seen now, and ``before`` that. ``dispatch`` is as it stands
    then: ``settled`` where that it ran is how we know that GitHub took it."""

    dispatch: Dispatch
    run: Run
    before: Run | None
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A dispatch whose run is to be looked for at that time."""

    dispatch: Dispatch
    look_at: datetime


@dataclass(frozen=True, slots=True)
class Overdue:
    """What is to be looked for or at by some time: when the first was ``sent_at`` of the dispatches
    (None: there are none), and when each of the ``runs`` began, by number."""

    sent_at: datetime | None
    runs: Mapping[int, datetime]


@dataclass(frozen=True, slots=True)
class Commits:
    """What the transactions of the store were like: how many operations each had, the seconds that
    it took, and how many the database did not take."""

    sizes: Histogram
    durations: Histogram
    failures: int


@dataclass(frozen=True, slots=True)
class Horizons:
    """What is older is kept no longer: ``history`` of firings, incidents and counts, ``windows`` of
    what rate limits and bursts look back on, ``keys`` that have ended."""

    history: datetime
    windows: datetime
    keys: datetime


@dataclass(frozen=True, slots=True)
class Condition:
    """How the daemon as a whole is doing: whether it takes deliveries (``ready``), and all that is
    not well, in words that anybody may read."""

    ready: bool = True
    reasons: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    """The same by name."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """How it stands with the config: the number of the one in force, and the ``faults`` of the one
    on disk where that was not taken over, with the ``place`` of the first, if it has one."""

    generation: int
    faults: tuple[str, ...] = ()
    place: str = ""


class Outbox(Protocol):
    """What is owed to GitHub, as the dispatcher works through it."""

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
        """Takes up to ``limit`` dispatches of the lane that are due, for as long as ``lease``, the
        urgent ones first or last. Those that are ``held``, by id, are on their way: their leases
        are renewed."""
        ...

    async def follow_clock(self, now: datetime, step: Step) -> None:
        """Moves what waits with a step of the wall clock, after which it is ``now``."""
        ...

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
        """Records the attempt, moves the dispatch, and keeps what its lane has spent; returns the
        dispatch as it stands then."""
        ...

    async def give_back(self, ids: Sequence[str], now: datetime) -> None:
        """Puts back what was claimed and never sent: due at once, in the state it was found in."""
        ...

    async def next_due(self, now: datetime, lane: str = "") -> datetime | None:
        """When the next dispatch of the lane falls due (in the past: one is due already)."""
        ...


class Sightings(Protocol):
    """What is known of the runs that dispatches started."""

    async def run_agenda(self) -> Mapping[str, datetime]:
        """When runs are to be looked for next, by repository."""
        ...

    async def overdue(self, repository: str, now: datetime, limit: int) -> Overdue:
        """What of the repository is to be looked for or at by now: up to ``limit`` dispatches, and
        as many runs, those first that are due for longest."""
        ...

    async def looked_for(self, repository: str, limit: int) -> Sequence[Pending]:
        """Dispatches to the repository whose runs are looked for, those first that are due."""
        ...

    async def runs_due(self, repository: str, now: datetime, limit: int) -> Sequence[Run]:
        """Runs that go on and are to be looked at by now."""
        ...

    async def certain_runs(self, runs: Sequence[Run]) -> Collection[int]:
        """Which of these are bound for certain, and not only probably, by number."""
        ...

    async def known_runs(self, runs: Sequence[Run]) -> Collection[int]:
        """Which of these are bound to a dispatch, by number."""
        ...

    async def see_runs(self, runs: Sequence[Run], now: datetime) -> Sequence[Sighting]:
        """Takes note of runs as GitHub tells them; returns what is new of those that show the id of
        a dispatch, or are bound to one."""
        ...

    async def judge_runs(
        self, judgements: Sequence[Judgement], now: datetime
    ) -> tuple[Sequence[Dispatch], Sequence[Sighting]]:
        """Writes down what a look came to. Returns the dispatches whose match is another now, and
        the runs that were bound."""
        ...

    async def postpone_runs(
        self, looks: Sequence[tuple[Run, datetime | None]], now: datetime
    ) -> None:
        """Has runs looked at again then (None: not any more, so that nothing waits for them)."""
        ...

    async def dispatch(self, dispatch_id: str) -> Dispatch | None: ...

    async def attempts(self, dispatch_id: str) -> Sequence[Attempt]: ...


class Ledger(Protocol):
    """Where events are committed."""

    async def record(self, event: Event, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """Commits; returns the verdicts as they stand (some have become duplicates)."""
        ...

    async def account(
        self,
        dues: Sequence[Due],
        events: Sequence[Recording],
    ) -> Accounted:
        """Commits cron instants with their events; returns what was new."""
        ...

    async def make_up(
        self, cron: str, schedule: Schedule, recordings: Sequence[Recording]
    ) -> Sequence[Recording]:
        """Commits firings of one cron that were asked for by hand, of successive instants, but for
        those that fired before; returns what was new."""
        ...

    async def add_dispatches(self, dispatches: Sequence[Dispatch]) -> None:
        """Commits further dispatches of events that are there already."""
        ...

    async def cancel(
        self, ids: Sequence[str], now: datetime, reason: str
    ) -> Sequence[tuple[str, State | None]]:
        """For each id the state that it is in now: cancelled where that could be done, else what
        stood in the way; None where there is no such dispatch."""
        ...


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known of a trigger's secret that its sender hands over: the secret, or until when
    one is waited for, or neither."""

    secret: str | None = field(default=None, repr=False)
    armed_until: datetime | None = None


class Lessons(Protocol):
    """Where secrets are kept that senders hand over."""

    async def learned(self) -> Mapping[str, Learned]:
        """What is known of each trigger's."""
        ...

    async def arm(self, trigger: str, until: datetime, *, forget: bool) -> Learned:
        """Has the trigger wait for a secret until then, unless it has one; with ``forget`` the one
        that it has is deleted first. Returns how it stands."""
        ...

    async def learn(self, trigger: str, secret: str, now: datetime) -> bool:
        """Keeps the secret if the trigger waits for one, and has none; whether it did."""
        ...


@dataclass(frozen=True, slots=True)
class LetGo:
    """A dispatch that was to be let go: as it was found, and the ``pause`` that holds it now."""

    found: Dispatch
    pause: Pause | None = None


class Holds(Protocol):
    """Where dispatches are held that may have run away."""

    async def let_go(self, ids: Sequence[str], now: datetime) -> Sequence[LetGo]:
        """Lets those go that something else than a pause holds; those that are known, in order."""
        ...

    async def let_go_of(
        self, entry: str, now: datetime, limit: int
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Likewise up to ``limit`` of an entry. The ids of those that go, and of those that a pause
        holds from now on."""
        ...


class Rests(Protocol):
    """Where the pauses of entries are kept, and what they hold back."""

    async def pauses(self) -> Mapping[str, Pause]:
        """Those that there are, by entry."""
        ...

    async def pause(self, pauses: Sequence[Pause]) -> Sequence[Pause]:
        """Keeps those of entries that are not paused already; returns the ones that stand."""
        ...

    async def hold(self, limit: int) -> int:
        """Holds up to ``limit`` dispatches that wait while their entry is paused; how many."""
        ...

    async def resume(self, entries: Collection[str], now: datetime) -> None:
        """Ends the pauses; what they hold is still held."""
        ...

    async def release(self, now: datetime, limit: int) -> Mapping[str, int]:
        """Lets up to ``limit`` dispatches go that ended pauses hold: how many, by entry."""
        ...


@dataclass(frozen=True, slots=True)
class OwedFollowUp:
    """A follow-up that is due, with its dispatch as it stands and its event, without the body."""

    follow_up: FollowUp
    dispatch: Dispatch
    event: Event


class FollowUpBook(Protocol):
    """Where follow-ups are owed."""

    async def owed_follow_ups(self, now: datetime, limit: int) -> Sequence[OwedFollowUp]:
        """Up to ``limit`` that are due, the longest waiting first."""
        ...

    async def change_follow_ups(self, changed: Sequence[FollowUp]) -> None:
        """Keeps how these stand now, but for those that are settled already."""
        ...

    async def dispatch_follow_up(self, settled: FollowUp, made: Dispatch) -> Verdict | None:
        """Settles one with the dispatch that it comes to, and returns what became of that: it may
        be held. None, and nothing is done, where the follow-up is settled already."""
        ...

    async def told(self, target: str, since: datetime) -> Sequence[datetime]:
        """When notices went to the target since then."""
        ...


class NewsBook(Protocol):
    """Where it is owed to tell the default `notify` of something."""

    async def owed_news(self, limit: int) -> tuple[int, Sequence[News]]:
        """How much there is to be told, and up to ``limit`` of it, the longest waiting first."""
        ...

    async def settle_news(
        self, given: Sequence[News], state: Standing, target: str, now: datetime
    ) -> None:
        """Keeps what became of these."""
        ...

    async def told_news(self, since: datetime) -> Sequence[tuple[datetime, str]]:
        """When somebody was told of what kinds since then, oldest first."""
        ...

    async def standing_ailments(self) -> Mapping[str, str]:
        """What is not well, as it was told, in words, by name."""
        ...

    async def begin_ailment(self, ailment: News) -> None:
        """Something is not well; that is to be told, where it was not known."""
        ...

    async def end_ailment(self, ailment: News) -> None:
        """It is well again; that is to be told, where it was not so."""
        ...


Fetch = Callable[[str], Awaitable[bytes]]
"""Fetches a URL that a sender named, on a host that its scheme trusts. Raises FetchError."""


class Records(Protocol):
    """What was recorded, for those who show it. Lists come newest first."""

    async def event(self, event_id: str) -> Event | None: ...

    async def events(
        self,
        limit: int,
        before: str | None = None,
        outcome: Outcome | None = None,
        source: str | None = None,
    ) -> Sequence[Event]: ...

    async def verdicts(self, event_ids: Sequence[str]) -> Mapping[str, Sequence[Verdict]]: ...

    async def dispatch(self, dispatch_id: str) -> Dispatch | None: ...

    async def dispatches(
        self,
        limit: int,
        before: str | None = None,
        states: Sequence[State] | None = None,
        entry: str | None = None,
        event_id: str | None = None,
        since: datetime | None = None,
    ) -> Sequence[Dispatch]: ...

    async def attempts(self, dispatch_id: str) -> Sequence[Attempt]: ...

    async def family(self, dispatch_id: str, limit: int) -> Family | None:
        """All that descends from the eldest ancestor of the dispatch that is known; None: there is
        no such dispatch."""
        ...

    async def follow_ups(self, dispatch_id: str) -> Sequence[FollowUp]: ...

    async def runs(self, dispatch_ids: Collection[str]) -> Mapping[str, Sequence[Run]]:
        """The runs of each of these dispatches, oldest first."""
        ...

    async def counts(self) -> Mapping[State, int]: ...

    async def oldest_waiting(self) -> datetime | None: ...

    async def firings(
        self,
        limit: int,
        cron: str | None = None,
        outcome: FiringOutcome | None = None,
        before: datetime | None = None,
    ) -> Sequence[FiringRecord]: ...

    async def booked(self, cron: str, first: datetime, last: datetime) -> Sequence[FiringRecord]:
        """What is booked of one cron from ``first`` to ``last``, both included; also records of
        several instants of which some lie there."""
        ...

    async def incidents(
        self, limit: int, entry: str | None = None, before: datetime | None = None
    ) -> Sequence[Incident]: ...

    async def incident_counts(self) -> Mapping[tuple[str, IncidentKind], int]:
        """How many instants there ever were in incidents, by entry and kind."""
        ...

    async def due_since(self, lanes: Sequence[str]) -> datetime | None:
        """Since when the dispatch of these lanes is due that has been so for longest; it may still
        be to come. None where nothing waits."""
        ...

    @property
    def commits(self) -> Commits: ...

    async def space(self) -> Space:
        """How much room the database takes, and its disk has left."""
        ...

    async def ping(self) -> None:
        """Raises StoreUnavailable when nothing can be written."""
        ...
