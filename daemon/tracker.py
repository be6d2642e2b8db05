"""Follows each dispatch to its run: looks for what GitHub started, by one list for all that is
pending in a repository, until every run has ended or it is clear that there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from daemon.binding import (
    LAST_LOOK,
    SETTLED,
    SLACK,
    Audience,
    Finding,
    Found,
    Hidden,
    Judgement,
    Unclear,
    Unknown,
    found_out,
    horizon,
    is_over,
    judged,
    next_look_at_run,
    strangers,
)
from daemon.dispatch import Dispatch
from daemon.errors import FetchError, NotPermitted, StoreError, kind_and_place
from daemon.facts import DispatchSettled, Facts, RunNotFound, RunSeen, Trouble
from daemon.github import Question, Reply
from daemon.github_runs import PAGE, Page, list_question, listed, run_question, told
from daemon.ports import Pending, Sighting, Sightings
from daemon.run import Match, Run

PAGES_MAX = 10
"""Pages of a list that one look reads: a thousand runs."""

WAITING_MAX = 1000
"""Dispatches that one look judges. There is another look for the rest."""

SINGLES_MAX = 10
"""Runs that one look asks for by themselves, as they are not among the newest any more."""

HEARD_MAX = 1000
"""Runs of webhooks that wait to be noted. A list tells of what is left out."""

TOLD_MAX = 1000
"""Troubles that are remembered, so as to be told once."""

REFUSED_FOR = timedelta(minutes=2)
"""How long after a request a refusal to show runs may be a passing one."""

TICK = timedelta(seconds=5)
BREATH = 0.2
"""Seconds between two looks at what is due: many dispatches that are accepted at once are one."""
REST = timedelta(seconds=1)
"""The least between two looks at one repository."""
BACKOFF_MAX = timedelta(minutes=5)

GIVE_UP_AFTER = timedelta(days=1)
"""How long a repository whose runs cannot be looked at is asked for those of a dispatch."""

TOO_FAR = (
    f"more than {PAGES_MAX * PAGE:,} runs have begun in the repository since, too many to look for "
    "its own among them"
)


class GitHub(Protocol):
    """Answers within the share of requests that may be spent on looking."""

    def closed_until(self, repository: str) -> datetime | None:
        """Before when nothing may be asked about the repository; None: it may be now."""
        ...

    async def ask(self, repository: str, question: Question) -> Reply:
        """Raises FetchError."""
        ...


class Workflows(Audience, Protocol):
    """The workflows of a repository, as they were ``at`` that time."""

    @property
    def at(self) -> datetime: ...


class Preflight(Protocol):
    """Knows the workflows of repositories."""

    async def listeners(self, repository: str, now: datetime, *, fresh: bool = False) -> Workflows:
        """Raises FetchError."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What a list told: the runs, newest first, as far back as ``since`` (None: to the first ever).
    ``began`` is by our clock, ``at`` by GitHub's."""

    runs: Sequence[Run]
    since: datetime | None
    began: datetime
    at: datetime

    @property
    def ahead(self) -> timedelta:
        """How much GitHub's clock is ahead of ours."""
        return self.at - self.began

    def reaches(self, back: datetime | None) -> bool:
        return self.since is None or back is None or self.since <= back


Wanted = Callable[[Collection[int], timedelta], Awaitable[datetime | None]]
"""How far back a list must reach by GitHub's clock (None: no further), asked after each page: all
runs that were seen by then are given by number, and how much that clock is ahead of ours."""


@dataclass(slots=True)
class Watch:
    """A repository that is looked at. ``newest`` is the first page as it was told last, which is
    what 304 stands for. ``put_off_until`` is about looks for lost answers, of which so many have
    ``failed`` one after the other."""

    etag: str = ""
    newest: Page = field(default_factory=lambda: Page([], full=False))
    last: Look | None = None
    not_before: datetime | None = None
    failures: int = 0
    failed: int = 0
    put_off_until: datetime | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    looking: asyncio.Task[None] | None = None


class Tracker:
    """Looks for runs where dispatches wait for theirs, and follows those that go on. Where nothing
    is pending it asks nothing. ``clock`` gives the wall time."""

    def __init__(
        self,
        sightings: Sightings,
        github: GitHub,
        preflight: Preflight,
        *,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._sightings = sightings
        self._github = github
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
        for start in range(0, len(heard), PAGE):  # many at once would hold up all else
            await self._note(heard[start : start + PAGE])
        return self._begin(await self._sightings.run_agenda())

    async def find(self, dispatch: Dispatch) -> Finding:
        """What became of a dispatch whose answer was lost. Raises StoreUnavailable."""
        last = dispatch.sent_at or dispatch.created_at
        if self._clock() < last + SETTLED:
            return Unknown("its run may not be listed yet", last + SETTLED)
        attempts = await self._sightings.attempts(dispatch.id)
        since = min([last, *(attempt.started_at for attempt in attempts)])
        watch = self._watches.setdefault(dispatch.repository, Watch())
        try:
            look = await self._looked_since(dispatch.repository, watch, last + SETTLED, since)
            if look is None:
                ahead = self._closed_until(dispatch.repository, watch)
                return Unknown("GitHub is asked for runs as often as may be", ahead)
            audience = await self._preflight.listeners(dispatch.repository, self._clock())
        except NotPermitted as error:
            if self._clock() >= last + REFUSED_FOR:
                return Hidden()
            return Unknown(f"its run could not be looked for: {error}", None)
        except FetchError as error:
            ahead = self._closed_until(dispatch.repository, watch)
            return Unknown(f"its run could not be looked for: {error}", ahead)
        seen = await self._sightings.dispatch(dispatch.id)
        if seen is not None and seen.run_id is not None:
            return Found(seen)
        since += look.ahead
        if not look.reaches(since - SLACK):
            return Unclear(TOO_FAR)
        # One that is another's by its time alone may be of this request.
        bound = await self._sightings.certain_runs(look.runs)
        return found_out(dispatch, since, strangers(look.runs, bound), audience)

    async def _looked_since(
        self, repository: str, watch: Watch, after: datetime, back: datetime
    ) -> Look | None:
        """A look that began after then and reaches back so far, by our clock; one serves all who
        want it. None where GitHub may not be asked now."""
        async with watch.turn:
            last = watch.last
            # One that is still to come was before the clock was set back.
            recent = last is not None and after <= last.began <= self._clock()
            if last is not None and recent and last.reaches(back + last.ahead - SLACK):
                return last
            if self._closed_until(repository, watch) is not None:
                return None

            async def wanted(_: Collection[int], ahead: timedelta) -> datetime:
                return back + ahead - SLACK

            try:
                look = await self._look(repository, watch, wanted)
            except NotPermitted:
                raise
            except FetchError:
                self._put_off(watch)  # for all who want one
                raise
            watch.failed, watch.put_off_until = 0, None
            return look

    def _begin(self, agenda: Mapping[str, datetime]) -> datetime:
        """Begins the looks that are due. Returns when to see again what is."""
        now = self._clock()
        until = now + TICK
        for name in [name for name in self._watches if name not in agenda]:
            watch = self._watches[name]
            recent = watch.last is not None and abs(now - watch.last.began) < BACKOFF_MAX
            kept = recent or watch.turn.locked() or self._put_off_until(watch) is not None
            if not kept:
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
            async with watch.turn:

                async def wanted(seen: Collection[int], _: timedelta) -> datetime | None:
                    return await self._wanted(repository, seen)

                look = await self._look(repository, watch, wanted)
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
        await self._sightings.postpone_runs([(run, None) for run in due], now)

    def _put_off(self, watch: Watch) -> None:
        """After a look for lost answers that failed the next one waits, longer each time."""
        watch.failed += 1
        watch.put_off_until = self._clock() + _backoff(watch.failed)

    def _put_off_until(self, watch: Watch) -> datetime | None:
        """The end of such a wait, while it lasts. A clock that was set back ends it."""
        now, until = self._clock(), watch.put_off_until
        return until if until is not None and now < until <= now + BACKOFF_MAX else None

    def _closed_until(self, repository: str, watch: Watch) -> datetime | None:
        """Before when nothing is asked for a lost answer; None: it may be now."""
        ends = (self._github.closed_until(repository), self._put_off_until(watch))
        return max((end for end in ends if end is not None), default=None)

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
        await self._sightings.postpone_runs([(run, None) for run in over], now)

    async def _look(self, repository: str, watch: Watch, wanted: Wanted) -> Look:
        """Reads the list of runs as far back as is ``wanted``, and takes note of what is in it."""
        began = self._clock()
        reply = await self._github.ask(repository, list_question(repository, etag=watch.etag))
        # Not modified says something only to who asked whether it was.
        if reply.status != 304 or not watch.etag:
            watch.newest, watch.etag = listed(reply, repository), reply.etag
        last = watch.newest
        # A run that begins meanwhile moves others to the next page, where they come once more.
        runs = {run.id: run for run in last.runs}
        await self._note(last.runs)
        for page in range(2, PAGES_MAX + 1):
            if last.since is None:
                break
            back = await wanted(runs, reply.at - began)
            if back is None or last.since < back:
                break
            answer = await self._github.ask(repository, list_question(repository, page))
            last = listed(answer, repository)
            runs |= {run.id: run for run in last.runs}
            await self._note(last.runs)
        watch.last = Look(tuple(runs.values()), last.since, began, reply.at)
        return watch.last

    async def _note(self, runs: Sequence[Run]) -> None:
        if runs:
            self._tell(await self._sightings.see_runs(runs, self._clock()))

    async def _wanted(self, repository: str, seen: Collection[int]) -> datetime | None:
        """How far back a list must reach for what is due, of which the runs ``seen`` are none."""
        now = self._clock()
        pending = await self._sightings.looked_for(repository, WAITING_MAX)
        back = horizon(each.dispatch for each in pending if each.look_at <= now)
        due = await self._sightings.runs_due(repository, now, WAITING_MAX)
        begun = [run.created_at for run in due if run.id not in seen]
        if len(begun) > SINGLES_MAX:  # a list costs less than to ask for each
            back = min([*begun, *([back] if back else [])])
        return back

    async def _judge(self, repository: str, look: Look) -> None:
        """What the look comes to for those that have no run yet."""
        now = self._clock()
        pending = await self._sightings.looked_for(repository, WAITING_MAX)
        # What has become due since may need a list that reaches back further than this one.
        due = {each.dispatch.id for each in pending if each.look_at <= look.began}
        if not due:
            return
        waiting = [each.dispatch for each in pending]
        judged_now = [each for each in waiting if each.id in due]
        audience = await self._audience(repository, judged_now, look.at)
        bound = await self._sightings.known_runs(look.runs)
        within = [each for each in waiting if look.reaches(horizon([each]))]
        free = strangers(look.runs, bound)
        judgements = [
            *judged(within, free, audience, at=look.at, now=now),
            *(
                Judgement(each.id, Match.AMBIGUOUS, TOO_FAR)
                for each in waiting
                if each not in within
            ),
        ]
        await self._decide([each for each in judgements if each.dispatch_id in due], now)
        if audience is not None:
            self._warn(audience, waiting)

    async def _decide(self, judgements: Sequence[Judgement], now: datetime) -> None:
        """Writes down what a look, or the want of one, came to, and tells it."""
        changed, sightings = await self._sightings.judge_runs(judgements, now)
        for dispatch in changed:
            self._facts.publish(RunNotFound(dispatch))
        self._tell(sightings)

    async def _audience(
        self, repository: str, due: Sequence[Dispatch], at: datetime
    ) -> Audience | None:
        """The repository's workflows, as they are now where a run ought to be there already, or
        where what is remembered speaks against one: they may have been mended since. None where
        they cannot be looked at."""
        over = any(is_over(each, at) and each.match is Match.WAITING for each in due)
        try:
            audience = await self._preflight.listeners(repository, self._clock(), fresh=over)
            if not over and any(
                audience.at < dispatch.created_at
                and audience.diagnosis(dispatch, dispatch.expect_workflow)
                for dispatch in due
            ):
                audience = await self._preflight.listeners(repository, self._clock(), fresh=True)
            return audience
        except FetchError as error:
            text = f"the workflows of {repository} cannot be looked at: {error}"
            self._once((repository, "", ""), text)
            return None

    def _warn(self, audience: Audience, waiting: Sequence[Dispatch]) -> None:
        """Tells at once what will start nothing, before the time is over."""
        for dispatch in waiting:
            why = audience.diagnosis(dispatch, dispatch.expect_workflow)
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
        due = await self._sightings.runs_due(repository, self._clock(), WAITING_MAX)
        await self._look_later([newest[run.id] for run in due if run.id in newest])
        for run in [run for run in due if run.id not in newest][:SINGLES_MAX]:
            if self._github.closed_until(repository) is not None:
                return
            try:
                reply = await self._github.ask(repository, run_question(repository, run.id))
                if reply.status == 404 and look.at - run.created_at > SLACK:  # it was deleted
                    await self._sightings.postpone_runs([(run, None)], self._clock())
                    continue
                now_ = told(reply, repository)
            except FetchError as error:  # others can be looked at all the same
                text = f"the run {run.id} of {repository} cannot be looked at: {error}"
                self._once((repository, str(run.id), ""), text)
                await self._look_later([run])
                continue
            await self._note([now_])
            await self._look_later([replace(run, status=now_.status)])

    async def _look_later(self, runs: Sequence[Run]) -> None:
        """What was told as it was known already is to be looked at again all the same."""
        now = self._clock()
        looks = [(run, next_look_at_run(run, now)) for run in runs]
        await self._sightings.postpone_runs(looks, now)

    def _tell(self, sightings: Sequence[Sighting]) -> None:
        for sighting in sightings:
            if sighting.settled:
                self._facts.publish(DispatchSettled(sighting.dispatch))
            self._facts.publish(RunSeen(sighting.dispatch, sighting.run, sighting.before))

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
