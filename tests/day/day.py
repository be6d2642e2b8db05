"""Lives a day: the whole daemon against the stand-in for GitHub, on an event loop by which time
passes as fast as nothing happens."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from daemon.dispatch import State
from daemon.facts import (
    AttemptMade,
    DispatchSettled,
    EventRecorded,
    Fact,
    RunNotFound,
    RunSeen,
    Trouble,
)
from daemon.run import Match
from daemon.simulator import ReceivedDispatch, Simulator
from daemon.simulator.runs import Course
from tests.day.arrivals import (
    CALL,
    CRONS,
    DEPLOY_FILE,
    LISTENERS,
    OTHERS,
    SHOP,
    TRIGGERS,
    arrivals,
    fired,
    others,
)
from tests.day.outcome import Followed, Hour, Outcome
from tests.inprocess import Serving, serving
from tests.simulated_time import SimulatedTime, in_simulated_time

AFTER_MAX = 12
"""Hours after the day in which all has to come to its end."""


@dataclass(frozen=True, slots=True)
class Day:
    """``dispatches`` through one token within so many ``hours``, beside which others begin
    ``foreign`` runs in the same repositories."""

    dispatches: int = 5000
    hours: int = 24
    foreign: int = 1500
    seed: int = 1


def lived(day: Day, home: Path, progress: Callable[[Hour], None] = lambda _: None) -> Outcome:
    """The day, in the empty directory ``home``, and what came of it. ``progress`` is called after
    each of its hours."""
    return in_simulated_time(lambda loop: _live(day, home, loop, progress))


async def _live(
    day: Day, home: Path, loop: SimulatedTime, progress: Callable[[Hour], None]
) -> Outcome:
    books = _Books()
    github = Simulator(loop.now, listeners=LISTENERS, keep=10 * day.dispatches)
    shop = github.world.repository(SHOP)
    assert shop is not None
    shop.put("deploy.yml", DEPLOY_FILE, loop.now())
    environ = {"GH_WRITES_PER_SECOND": "", "GH_WRITES_PER_HOUR": "", "GH_REPO": ""}  # the defaults
    async with serving(
        home,
        triggers=TRIGGERS,
        crons=CRONS,
        environ=environ,
        settings={"repositories": [SHOP]},
        simulator=github,
        clock=loop.now,
        elapsed=loop.time,
    ) as daemon:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_arrive(day, loop, daemon))
            tasks.create_task(_be_others(day, loop, github))
            changing = tasks.create_task(_change_pace(day, github))
            hours = [await _hour(n, loop, daemon, books, progress) for n in range(day.hours)]
            changing.cancel()
        books.close()
        while books.unfinished and len(hours) < day.hours + AFTER_MAX:
            hours.append(await _hour(len(hours), loop, daemon, books, progress))
        books.read(daemon.seen)
        received = [_id_of(each) for each in github.received if each.event_type != OTHERS]
        titles = {run.id: run.display_title for run in github.runs}
        matches = await _matches(daemon, set(books.followed))
    return Outcome(
        hours=tuple(hours),
        day=day.hours,
        followed=tuple(books.followed.values()),
        held=frozenset(books.held),
        received=tuple(received),
        matches=matches,
        strangers=tuple(_strangers(books.bound, titles)),
        troubles=tuple(books.troubles),
    )


async def _hour(
    number: int,
    loop: SimulatedTime,
    daemon: Serving,
    books: _Books,
    progress: Callable[[Hour], None],
) -> Hour:
    """Lets an hour pass."""
    github = daemon.simulator
    before = github.requests, github.writes, github.unchanged
    seen = len(books.followed), len(books.sent)
    await asyncio.sleep((number + 1) * 3600 - loop.time() + 1)  # what is due on the hour is in it
    books.read(daemon.seen)
    requests, writes, unchanged = (
        now - then
        for now, then in zip(
            (github.requests, github.writes, github.unchanged), before, strict=True
        )
    )
    hour = Hour(
        number=number,
        due=len(books.followed) - seen[0],
        sent=len(books.sent) - seen[1],
        waiting=len(books.followed) - len(books.sent) - len(books.held),
        writes=writes,
        reads=requests - writes - unchanged,
        unchanged=unchanged,
    )
    progress(hour)
    return hour


async def _arrive(day: Day, loop: SimulatedTime, daemon: Serving) -> None:
    chance = random.Random(day.seed)  # noqa: S311 - it guards nothing
    coming = arrivals(day.dispatches - fired(day.hours), day.hours, chance)
    for number, arrival in enumerate(coming):
        await asyncio.sleep(max(arrival.at - loop.time(), 0))
        if arrival.trigger == CALL:
            body = {"event_type": "build", "client_payload": {"number": number}}
            status, _ = await daemon.call(
                "POST",
                "/dispatch",
                json={**body, "repository": SHOP},
                headers={"prefer": "respond-async"},
            )
        else:
            status, _ = await daemon.deliver(
                f"/{arrival.trigger}",
                {"number": number},
                headers={"x-github-delivery": str(number)},
            )
        assert status == 202


async def _be_others(day: Day, loop: SimulatedTime, github: Simulator) -> None:
    chance = random.Random(day.seed + 1)  # noqa: S311 - it guards nothing
    for at, name in others(day.foreign, day.hours, chance):
        await asyncio.sleep(max(at - loop.time(), 0))
        repository = github.world.repository(name)
        assert repository is not None
        theirs = ReceivedDispatch(loop.now(), name, OTHERS, {}, "")
        github.world.receive(theirs, repository, 0)


async def _change_pace(day: Day, github: Simulator) -> None:
    """Runs wait and take as long as they do on a day: mostly seconds, and some minutes."""
    chance = random.Random(day.seed + 2)  # noqa: S311 - it guards nothing
    while True:
        queued = timedelta(seconds=min(chance.lognormvariate(math.log(5), 1), 300))
        running = timedelta(seconds=min(chance.lognormvariate(math.log(120), 1), 3600))
        conclusion = "success" if chance.random() < 0.9 else "failure"
        github.world.course = Course(queued, running, conclusion)
        await asyncio.sleep(60)


@dataclass(slots=True)
class _Books:
    """What the daemon told, by the ids of dispatches. ``bound`` are pairs of a dispatch and the
    number of a run that is called its own for certain."""

    followed: dict[str, Followed] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    bound: set[tuple[str, int]] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)
    _read: int = 0
    _closed: bool = False

    @property
    def unfinished(self) -> bool:
        """Whether anything is still to be sent, or to be looked for."""
        return bool(set(self.followed) - self.settled - self.held or self.open)

    def close(self) -> None:
        """What falls due from now on is not of the day."""
        self._closed = True

    def read(self, seen: list[Fact]) -> None:
        """What is new."""
        for fact in seen[self._read :]:
            self._hear(fact)
        self._read = len(seen)

    def _hear(self, fact: Fact) -> None:
        match fact:
            case EventRecorded() if not self._closed:
                for verdict in fact.verdicts:
                    for each in verdict.dispatches:
                        kind = _kind(each.entry, by_call=not verdict.entry)
                        if each.state is State.HELD:
                            self.held.add(each.id)
                        self.followed[each.id] = Followed(each.id, kind, each.due_at)
            case AttemptMade() | DispatchSettled() if fact.dispatch.id not in self.followed:
                pass
            case AttemptMade() if fact.attempt.outcome == "accepted":
                self.sent.add(fact.dispatch.id)
                self.followed[fact.dispatch.id].sent_at = fact.attempt.started_at
            case DispatchSettled():
                self.settled.add(fact.dispatch.id)
                if fact.dispatch.match is Match.WAITING:
                    self.open.add(fact.dispatch.id)
            case RunSeen():
                if fact.dispatch.match is not Match.WAITING:
                    self.open.discard(fact.dispatch.id)
                if fact.dispatch.match is Match.VERIFIED:
                    self.bound.add((fact.dispatch.id, fact.run.id))
            case RunNotFound():
                self.open.discard(fact.dispatch.id)
            case Trouble():
                self.troubles.append(f"{fact.part}: {fact.message}")


def _kind(entry: str, *, by_call: bool) -> str:
    if by_call or entry == "/dispatch":
        return "calls"
    return "crons" if any(entry == cron["name"] for cron in CRONS) else "webhooks"


def _id_of(dispatch: ReceivedDispatch) -> str:
    metadata = dispatch.client_payload.get("dispatchd")
    return str(metadata["id"] if isinstance(metadata, dict) else metadata)


def _strangers(bound: set[tuple[str, int]], titles: Mapping[int, str]) -> list[str]:
    """Runs that are called a dispatch's own for certain and are not."""
    return [f"{run} of {id_}" for id_, run in sorted(bound) if id_ not in titles.get(run, "")]


async def _matches(daemon: Serving, ids: set[str]) -> dict[str, int]:
    """How many of these dispatches have which match in the end."""
    found: dict[str, int] = {}
    before: dict[str, Any] = {}
    while True:
        _, page = await daemon.call("GET", "/api/v1/dispatches", params={"limit": "500", **before})
        for each in page["dispatches"]:
            if each["id"] not in ids:
                continue
            found[each["match"]] = found.get(each["match"], 0) + 1
        if len(page["dispatches"]) < 500:
            return found
        before = {"before": page["dispatches"][-1]["id"]}
