"""Follows each dispatch to its run: looks for what GitHub started, by one list for all that is
pending in a repository, until every run has ended or it is clear that there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from daemon.binding import (
    LAST_LOOK,
    SLACK,
    Diagnoses,
    Judgement,
    horizon,
    is_over,
    judged,
    next_look_at_run,
    strangers,
)
from daemon.candidates import Audience
from daemon.dispatch import Dispatch
from daemon.errors import FetchError, NotPermitted, StoreError, kind_and_place
from daemon.facts import Facts, RunNotFound, Trouble
from daemon.github_runs import PAGE, run_question, told
from daemon.ports import Pending, Sightings
from daemon.run import Match, Run
from daemon.run_lists import (
    BACKOFF_MAX,
    TOO_FAR,
    GitHub,
    Look,
    Preflight,
    RunLists,
    note,
    pages,
    tell,
)

WAITING_MAX = 1000
"""Dispatches that one look judges. There is another look for the rest."""

SINGLES_MAX = 10
"""Runs that one look asks for by themselves, as they are not among the newest any more."""

HEARD_MAX = 1000
"""Runs of webhooks that wait to be noted. A list tells of what is left out."""

TOLD_MAX = 1000
"""Troubles that are remembered, so as to be told once."""

TICK = timedelta(seconds=5)
BREATH = 0.2
"""Seconds between two looks at what is due: many dispatches that are accepted at once are one."""
REST = timedelta(seconds=1)
"""The least between two looks at one repository."""

GIVE_UP_AFTER = timedelta(days=1)
"""How long a repository whose runs cannot be looked at is asked for those of a dispatch."""


@dataclass(slots=True)
class Watch:
    """A repository that is looked at, of which so many looks have ended in ``failures``, one after
    the other."""

    not_before: datetime | None = None
    failures: int = 0
    looking: asyncio.Task[None] | None = None


class Tracker:
    """Looks for runs where dispatches wait for theirs, and follows those that go on. Where nothing
    is pending it asks nothing. ``clock`` gives the wall time."""

    def __init__(
        self,
        sightings: Sightings,
        github: GitHub,
        lists: RunLists,
        preflight: Preflight,
        *,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._sightings = sightings
        self._github = github
        self._lists = lists
        self._preflight = preflight
        self._clock = clock
        self._facts = facts
        self._watches: dict[str, Watch] = {}
        self._told: dict[tuple[str, str, str], str] = {}
        self._heard: list[Run] = []
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to look for sooner than was thought."""
        self._awake.set()

    def hear(self, run: Run) -> None:
        """A webhook that proved to be GitHub's tells of this run."""
        if len(self._heard) < HEARD_MAX:
            self._heard.append(run)
            self.wake()

    async def run(self) -> None:
        """Until cancelled. Trouble is told and waited out."""
        try:
            while True:
                self._awake.clear()
                try:
                    until = await self.look()
                except StoreError as error:
                    self._facts.publish(Trouble("tracker", f"{error}; trying again"))
                    until = self._clock() + TICK
                await self._sleep(until)
        finally:
            looking = [watch.looking for watch in self._watches.values() if watch.looking]
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    async def look(self) -> datetime:
        """Takes note of what was heard, and begins to look where that is due. Returns when to come
        again. Raises StoreUnavailable."""
        heard, self._heard = self._heard, []
        await note(self._sightings, self._facts, heard, self._clock())
        return self._begin(await self._sightings.run_agenda())

    def _begin(self, agenda: Mapping[str, datetime]) -> datetime:
        """Begins the looks that are due. Returns when to see again what is."""
        now = self._clock()
        until = now + TICK
        self._lists.forget_but(agenda)
        for name in [name for name in self._watches if name not in agenda]:
            watch = self._watches[name]
            rests = watch.not_before is not None and now < watch.not_before <= now + BACKOFF_MAX
            if watch.looking is None and not rests:
                del self._watches[name]
        for name, due in agenda.items():
            watch = self._watches.setdefault(name, Watch())
            rest = watch.not_before
            if rest is None or rest > now + BACKOFF_MAX:  # the clock was set back since
                rest = due
            at = max(due, self._github.closed_until(name) or due, rest)
            if watch.looking is None and at <= now:
                looking = self._look_at(name, watch)
                watch.looking = asyncio.create_task(looking, name=f"looking at {name}")
                watch.looking.add_done_callback(partial(self._looked, watch))
            elif watch.looking is None:
                until = min(until, at)
        return until

    async def _look_at(self, repository: str, watch: Watch) -> None:
        """A look at a repository, for all that is pending there."""
        watch.not_before = self._clock() + BACKOFF_MAX  # unless it comes to an end that is known
        try:
            runs = self._lists.of(repository)
            async with runs.turn:

                async def wanted(seen: Collection[int], _: timedelta) -> datetime | None:
                    return await self._wanted(repository, seen)

                look = await runs.look(wanted)
                await self._judge(repository, look)
                await self._follow(repository, look)
            watch.failures = 0
            watch.not_before = self._clock() + REST
        except FetchError as error:
            self._failed(repository, watch, str(error))
            await self._without_a_look(repository, error)
        except StoreError as error:
            self._failed(repository, watch, str(error))

    async def _without_a_look(self, repository: str, error: FetchError) -> None:
        try:
            if isinstance(error, NotPermitted):
                await self._give_up(repository, str(error))
            else:
                await self._in_the_dark(repository, str(error))
        except StoreError as fault:
            self._facts.publish(Trouble("tracker", f"{fault}; trying again"))

    async def _give_up(self, repository: str, why: str) -> None:
        """Nobody may look at the repository's runs: what ought to have one is not waited for, nor
        is the end of those that go on. Others may wait for these."""
        now = self._clock()
        pending = await self._sightings.looked_for(repository, WAITING_MAX)
        over = [each.dispatch.id for each in pending if is_over(each.dispatch, now)]
        await self._decide([Judgement(id_, Match.UNTRACKED, why) for id_ in over], now)
        due = await self._sightings.runs_due(repository, now, WAITING_MAX)
        await self._postpone([(run, None) for run in due])

    def _looked(self, watch: Watch, task: asyncio.Task[None]) -> None:
        watch.looking = None
        self.wake()
        if not task.cancelled() and (error := task.exception()):  # a fault of ours
            self._facts.publish(Trouble("tracker", f"{task.get_name()}: {kind_and_place(error)}"))

    def _failed(self, repository: str, watch: Watch, why: str) -> None:
        watch.failures += 1
        watch.not_before = self._clock() + _backoff(watch.failures)
        if watch.failures == 1:
            text = f"the runs of {repository} cannot be looked at: {why}; trying again"
            self._facts.publish(Trouble("tracker", text))

    async def _in_the_dark(self, repository: str, why: str) -> None:
        """What it comes to that runs cannot be looked at now: each dispatch says so, and in the end
        nothing waits for it any more, though it is found where they can be again."""
        now = self._clock()
        text = f"the runs of {repository} cannot be looked at: {why}"
        pending = await self._sightings.looked_for(repository, WAITING_MAX)
        due = [each for each in pending if each.look_at <= now]
        await self._decide([_unseen(each, text, now) for each in due], now)
        runs = await self._sightings.runs_due(repository, now, WAITING_MAX)
        over = [run for run in runs if next_look_at_run(run, now) is None]
        await self._postpone([(run, None) for run in over])

    async def _wanted(self, repository: str, seen: Collection[int]) -> datetime | None:
        """How far back a list must reach for what is due, of which the runs ``seen`` are none."""
        overdue = await self._sightings.overdue(repository, self._clock(), WAITING_MAX)
        begun = [at for number, at in overdue.runs.items() if number not in seen]
        starts = [overdue.sent_at - SLACK] if overdue.sent_at is not None else []
        if len(begun) > SINGLES_MAX:  # a list costs less than to ask for each
            starts += begun
        return min(starts, default=None)

    async def _judge(self, repository: str, look: Look) -> None:
        """What the look comes to for those that have no run yet."""
        free = await self._free(look)
        if free:  # any of those that wait may own one
            await self._judge_some(repository, look, free, WAITING_MAX)
            return
        for _ in range(WAITING_MAX // PAGE):
            if not await self._judge_some(repository, look, free, PAGE):
                return

    async def _free(self, look: Look) -> Sequence[Run]:
        """The runs that may be anybody's."""
        unnamed = strangers(look.runs, ())
        return strangers(unnamed, await self._sightings.known_runs(unnamed)) if unnamed else []

    async def _judge_some(
        self, repository: str, look: Look, free: Sequence[Run], most: int
    ) -> bool:
        """Judges those that are due among the first ``most``. Returns whether there were any."""
        # What has become due since may need a list that reaches back further than this one.
        overdue = await self._sightings.overdue(repository, look.began, 1)
        if overdue.sent_at is None:
            return False
        now = self._clock()
        pending = await self._sightings.looked_for(repository, most)
        due = {each.dispatch.id for each in pending if each.look_at <= look.began}
        waiting = [each.dispatch for each in pending]
        judged_now = [each for each in waiting if each.id in due]
        audience = await self._audience(repository, judged_now, look.at)
        within = [each for each in waiting if look.reaches(horizon([each]))]
        beyond = [each for each in judged_now if not look.reaches(horizon([each]))]
        judgements = judged(within, free, audience, at=look.at, now=now)
        judgements += [Judgement(each.id, Match.AMBIGUOUS, TOO_FAR) for each in beyond]
        await self._decide([each for each in judgements if each.dispatch_id in due], now)
        if audience is not None:
            self._warn(audience, waiting)
        return bool(due)

    async def _decide(self, judgements: Sequence[Judgement], now: datetime) -> None:
        """Writes down what a look, or the want of one, came to, and tells it."""
        for some in pages(judgements):
            changed, sightings = await self._sightings.judge_runs(some, now)
            for dispatch in changed:
                self._facts.publish(RunNotFound(dispatch))
            tell(self._facts, sightings)

    async def _audience(
        self, repository: str, due: Sequence[Dispatch], at: datetime
    ) -> Audience | None:
        """The repository's workflows, as they are now where a run ought to be there already, or
        where what is remembered speaks against one: they may have been mended since. None where
        they cannot be looked at."""
        over = any(is_over(each, at) and each.match is Match.WAITING for each in due)
        try:
            audience = await self._preflight.listeners(repository, self._clock(), fresh=over)
            newer = [each for each in due if audience.at < each.created_at]
            if not over and any(map(Diagnoses(audience).of, newer)):
                audience = await self._preflight.listeners(repository, self._clock(), fresh=True)
            return audience
        except FetchError as error:
            text = f"the workflows of {repository} cannot be looked at: {error}"
            self._once((repository, "", ""), text)
            return None

    def _warn(self, audience: Audience, waiting: Sequence[Dispatch]) -> None:
        """Tells at once what will start nothing, before the time is over."""
        diagnoses = Diagnoses(audience)
        for dispatch in waiting:
            why = diagnoses.of(dispatch)
            what = dispatch.workflow or dispatch.event_type
            text = f"{what} to {dispatch.repository} ({dispatch.entry}): {why}" if why else ""
            self._once((dispatch.repository, what, dispatch.expect_workflow), text)

    def _once(self, about: tuple[str, str, str], text: str) -> None:
        """Tells a trouble when it begins, and when it is another."""
        if text and self._told.get(about) != text:
            if len(self._told) >= TOLD_MAX:
                self._told.clear()
            self._told[about] = text
            self._facts.publish(Trouble("tracker", text))
        elif not text:
            self._told.pop(about, None)

    async def _follow(self, repository: str, look: Look) -> None:
        """Looks at runs that go on: by themselves those that are not among the newest any more."""
        newest = {run.id: run for run in look.runs}
        overdue = await self._sightings.overdue(repository, self._clock(), WAITING_MAX)
        await self._look_later([newest[id_] for id_ in overdue.runs if id_ in newest])
        if all(id_ in newest for id_ in overdue.runs):
            return
        due = await self._sightings.runs_due(repository, self._clock(), WAITING_MAX)
        for run in [run for run in due if run.id not in newest][:SINGLES_MAX]:
            if self._github.closed_until(repository) is not None:
                return
            try:
                reply = await self._github.ask(repository, run_question(repository, run.id))
                if reply.status == 404 and look.at - run.created_at > SLACK:  # it was deleted
                    await self._postpone([(run, None)])
                    continue
                now_ = told(reply, repository)
            except FetchError as error:  # others can be looked at all the same
                text = f"the run {run.id} of {repository} cannot be looked at: {error}"
                self._once((repository, str(run.id), ""), text)
                await self._look_later([run])
                continue
            await note(self._sightings, self._facts, [now_], self._clock())
            await self._look_later([replace(run, status=now_.status)])

    async def _look_later(self, runs: Sequence[Run]) -> None:
        """What was told as it was known already is to be looked at again all the same."""
        now = self._clock()
        await self._postpone([(run, next_look_at_run(run, now)) for run in runs])

    async def _postpone(self, looks: Sequence[tuple[Run, datetime | None]]) -> None:
        """Has runs looked at again then; None: not any more."""
        for some in pages(looks):
            await self._sightings.postpone_runs(some, self._clock())

    async def _sleep(self, until: datetime) -> None:
        await asyncio.sleep(BREATH)
        seconds = min(TICK.total_seconds(), max(0.0, (until - self._clock()).total_seconds()))
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            pass


def _backoff(failures: int) -> timedelta:
    """The rest after so many looks in a row that failed."""
    return min(REST * (1 << min(failures, 10)), BACKOFF_MAX)


def _unseen(pending: Pending, why: str, now: datetime) -> Judgement:
    """How it stands with a dispatch whose runs cannot be looked at."""
    dispatch = pending.dispatch
    age = now - (dispatch.settled_at or now)
    if age < max(LAST_LOOK, dispatch.expect_within or LAST_LOOK):
        return Judgement(dispatch.id, dispatch.match, why, pending.look_at)
    again = now + BACKOFF_MAX if age < GIVE_UP_AFTER else None
    match = Match.AMBIGUOUS if dispatch.match is Match.WAITING else dispatch.match
    return Judgement(dispatch.id, match, why, again)
