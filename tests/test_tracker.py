"""The tracker over a real store and the stand-in for GitHub: what it finds, what it says where
there is nothing to find, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from daemon.binding import Absent, Found, Hidden, Unclear, Unknown
from daemon.client import GitHub
from daemon.clockwatch import Step
from daemon.dispatch import Attempt, Dispatch, Settlement, State
from daemon.event import Event, Firing, Outcome, Verdict
from daemon.facts import Fact, Facts, RunNotFound, RunSeen, Trouble
from daemon.github import Accepted, Question, Reply
from daemon.github_reads import Reads
from daemon.ids import IdSource
from daemon.lane import Lane
from daemon.lost_answers import LostAnswers
from daemon.pacing import Budget
from daemon.preflight import Preflight
from daemon.render import encode, new_dispatch, with_metadata
from daemon.run import Match, Run
from daemon.run_lists import RunLists
from daemon.secret import Secret
from daemon.simulator import Fault, FaultKind, Simulator
from daemon.simulator.faults import FaultPlace
from daemon.simulator.workflows import Listener
from daemon.store import Store
from daemon.tracker import Tracker
from tests.github_caller import Clock

HOUR = timedelta(hours=1)
REPOSITORY = "acme/shop"
SHOWN = "Build [${{ github.event.client_payload.dispatchd.id }}]"
BUILD = Listener("build.yml", "Build", frozenset({"build"}), SHOWN)
PLAIN = Listener("build.yml", "Build", frozenset({"build"}), "Build")


class World:
    """A tracker at work by a clock that stands still until it is moved."""

    def __init__(self, store: Store, github: GitHub, simulator: Simulator, clock: Clock) -> None:
        self.store, self.github, self.simulator, self.clock = store, github, simulator, clock
        self.facts: list[Fact] = []
        self.asked: list[tuple[str, int]] = []
        self.ids = IdSource()
        facts = Facts()
        facts.subscribe(self.facts.append)
        self.reads = Reads(self._ask, {"": Lane("", Budget(0, 0, 0))}, lambda _: "", clock)
        preflight = Preflight(self.reads.ask)
        lists = RunLists(store, self.reads, clock=clock, facts=facts)
        self.tracker = Tracker(store, self.reads, lists, preflight, clock=clock, facts=facts)
        self.find = LostAnswers(store, self.reads, lists, preflight, clock).find

    async def dispatch(
        self, *, accepted: bool = True, arrives: bool = True, **fields: object
    ) -> Dispatch:
        """One that GitHub has got if it ``arrives``; unless it is ``accepted`` its answer was
        lost."""
        now = self.clock()
        id_ = self.ids.dispatch(now)
        event = Event(f"evt_{id_}", Firing("entry", now, now))
        made = new_dispatch(
            dispatch_id=id_,
            event_id=event.id,
            entry="entry",
            repository=REPOSITORY,
            event_type="build",
            client_payload=encode("build", with_metadata({}, id_, "entry")),
            now=now,
            send_within=timedelta(days=1),
        )
        made = structs.replace(made, **fields)
        await self.store.record(event, [Verdict("entry", Outcome.DISPATCHED, dispatches=(made,))])
        await self.store.claim(now, 100, timedelta(minutes=2))
        if arrives:
            answer, attempt, _ = await self.github.send(made)
            assert isinstance(answer, Accepted)
            settlement = Settlement(State.ACCEPTED, run=answer.run, sent_at=answer.at)
            if accepted:
                return await self.store.settle(made.id, attempt, settlement, now)
        lost = Attempt(made.id, 1, now, timedelta(seconds=30), "ambiguous")
        settlement = Settlement(State.UNSURE, "the answer was lost", due_at=now)
        return await self.store.settle(made.id, lost, settlement, now)

    async def pass_(self, seconds: float) -> None:
        """So much time passes, in steps in which the tracker looks at what is due: short ones at
        first, while looks are dense."""
        passed = 0.0
        while passed < seconds:
            step = min(seconds - passed, 2.0 if passed < 60 else 10.0)
            self.clock.move(step)
            passed += step
            await self.look()

    async def look(self) -> None:
        await self.tracker.look()
        looking = [task for task in asyncio.all_tasks() if "looking at" in task.get_name()]
        await asyncio.gather(*looking)

    async def state(self, dispatch: Dispatch) -> Dispatch:
        found = await self.store.dispatch(dispatch.id)
        assert found is not None
        return found

    async def runs(self, dispatch: Dispatch) -> Sequence[Run]:
        return (await self.store.runs([dispatch.id]))[dispatch.id]

    def told(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def _ask(self, repository: str, question: Question) -> Reply:
        reply = await self.github.ask(repository, question)
        self.asked.append((question.path.partition("?")[0], reply.status))
        return reply


@asynccontextmanager
async def world(
    *listeners: Listener, ahead: timedelta = timedelta(), **simulated: object
) -> AsyncIterator[World]:
    """``ahead`` is how much our clock is of GitHub's."""
    clock = Clock()
    store = Store.open("sqlite://", owner="tests", now=clock())
    simulator = Simulator(
        lambda: clock() - ahead,
        listeners={REPOSITORY: listeners},
        **simulated,  # type: ignore[arg-type]
    )
    async with simulator, GitHub(simulator.url, Secret("ghp_x", "env:X"), clock) as github:
        try:
            yield World(store, github, simulator, clock)
        finally:
            await store.close()


async def test_a_dispatch_is_followed_from_its_run_to_its_end() -> None:
    async with world(BUILD) as it:
        dispatch = await it.dispatch()
        await it.pass_(2)
        assert (await it.state(dispatch)).match is Match.VERIFIED
        assert (await it.state(dispatch)).run_outcome == "in_progress"
        await it.pass_(20)
        after = await it.state(dispatch)
        assert after.run_outcome == "success"
        (run,) = it.simulator.runs
        assert after.run_id == run.id
        assert after.run_url == f"{it.simulator.url}/acme/shop/actions/runs/{run.id}"
        first, *_, last = it.told(RunSeen)
        assert isinstance(first, RunSeen)
        assert isinstance(last, RunSeen)
        assert first.before is None
        assert last.run.ended


async def test_who_has_nothing_pending_asks_nothing() -> None:
    async with world(BUILD) as it:
        await it.pass_(600)
        assert it.asked == []
        await it.dispatch()
        await it.pass_(60)
        it.asked.clear()
        await it.pass_(7200)
        assert it.asked == []


async def test_each_of_two_hundred_dispatches_gets_its_own_runs_of_three_workflows() -> None:
    several = [replace(BUILD, workflow=f"{name}.yml", name=name) for name in ("a", "b", "c")]
    async with world(*several, queued_for=timedelta(seconds=30)) as it:
        dispatches = []
        for _ in range(200):
            it.clock.move(0.1)  # GitHub drops what is beyond 500 runs in 10 s
            dispatches.append(await it.dispatch())
        await it.pass_(60)
        titles = {run.id: run.display_title for run in it.simulator.runs}
        assert len(titles) == 600
        for dispatch in dispatches:
            runs = await it.runs(dispatch)
            assert sorted(run.workflow for run in runs) == ["a.yml", "b.yml", "c.yml"]
            assert {titles[run.id] for run in runs} == {f"Build [{dispatch.id}]"}
            assert (await it.state(dispatch)).run_outcome == "success"


async def test_where_nothing_listens_that_is_said_at_once_and_in_the_end() -> None:
    async with world(replace(BUILD, event_types=frozenset({"deploy"}))) as it:
        dispatch = await it.dispatch()
        await it.pass_(2)
        (warning,) = it.told(Trouble)
        assert isinstance(warning, Trouble)
        assert "build" in warning.message
        waiting = await it.state(dispatch)
        assert waiting.match is Match.WAITING
        assert waiting.diagnosis
        await it.pass_(300)
        after = await it.state(dispatch)
        assert after.match is Match.MISSING
        assert "deploy" in after.diagnosis
        assert len(it.told(RunNotFound)) == 1
        assert len(it.told(Trouble)) == 1
        await it.pass_(1800)
        assert len(it.told(RunNotFound)) == 1
        it.asked.clear()
        await it.pass_(3600)
        assert it.asked == []  # it is not looked for any more


async def test_a_disabled_workflow_is_named() -> None:
    async with world(replace(BUILD, enabled=False)) as it:
        dispatch = await it.dispatch()
        await it.pass_(302)
        after = await it.state(dispatch)
        assert after.match is Match.MISSING
        assert "disabled" in after.diagnosis
        assert "build.yml" in after.diagnosis


async def test_a_run_that_comes_late_is_found_within_half_an_hour() -> None:
    async with world() as it:
        dispatch = await it.dispatch()
        await it.pass_(302)
        assert (await it.state(dispatch)).match is Match.MISSING
        repository = it.simulator.world.repository(REPOSITORY)
        assert repository is not None
        repository.put(BUILD.workflow, BUILD.text, it.clock())
        await it.github.send(dispatch)  # as if GitHub acted only now
        await it.pass_(1600)
        after = await it.state(dispatch)
        assert after.match is Match.VERIFIED
        assert after.diagnosis == ""


async def test_without_the_id_the_only_run_that_it_can_be_is_probable() -> None:
    async with world(PLAIN) as it:
        dispatch = await it.dispatch()
        await it.pass_(10)
        assert (await it.state(dispatch)).match is Match.WAITING
        await it.pass_(20)
        after = await it.state(dispatch)
        assert after.match is Match.PROBABLE
        assert "run-name" in after.diagnosis
        await it.pass_(60)
        assert (await it.state(dispatch)).run_outcome == "success"


async def test_without_the_id_two_at_a_time_are_ambiguous_and_neither_is_bound() -> None:
    async with world(PLAIN) as it:
        dispatches = [await it.dispatch(), await it.dispatch()]
        await it.pass_(302)
        for dispatch in dispatches:
            after = await it.state(dispatch)
            assert after.match is Match.AMBIGUOUS
            assert "2 of the runs" in after.diagnosis
            assert "run-name" in after.diagnosis
            assert await it.runs(dispatch) == []


async def test_a_run_that_shows_the_id_is_left_to_nobody_else() -> None:
    async with world(BUILD, replace(PLAIN, workflow="plain.yml")) as it:
        mine = await it.dispatch()
        await it.pass_(302)
        assert (await it.state(mine)).match is Match.VERIFIED
        assert [run.workflow for run in await it.runs(mine)] == ["build.yml"]


async def test_a_run_is_followed_when_it_is_not_among_the_newest_any_more() -> None:
    async with world(BUILD, running_for=timedelta(seconds=600)) as it:
        dispatch = await it.dispatch()
        await it.pass_(4)
        for _ in range(110):
            await it.github.send(somebody_elses())
        await it.pass_(700)
        assert (await it.state(dispatch)).run_outcome == "success"
        path = f"/repos/acme/shop/actions/runs/{it.simulator.runs[0].id}"
        assert (path, 200) in it.asked


async def test_a_deleted_run_is_not_followed_for_ever() -> None:
    async with world(BUILD, running_for=None, keep=120) as it:
        await it.dispatch()
        await it.pass_(4)
        for _ in range(130):  # the stand-in forgets the oldest
            await it.github.send(somebody_elses())
        await it.pass_(240)
        it.asked.clear()
        await it.pass_(3600)
        assert it.asked == []


def somebody_elses() -> Dispatch:
    return new_dispatch(
        dispatch_id="dsp_other",
        event_id="evt_other",
        entry="other",
        repository=REPOSITORY,
        event_type="build",
        client_payload="{}",
        now=Clock()(),
        send_within=timedelta(days=1),
    )


async def test_what_github_names_itself_needs_no_search() -> None:
    async with world() as it:
        repository = it.simulator.world.repository(REPOSITORY)
        assert repository is not None
        text = "on:\n  workflow_dispatch:\njobs: {a: {runs-on: x, steps: [{run: y}]}}\n"
        repository.put("by-hand.yml", text, it.clock())
        dispatch = await it.dispatch(
            workflow="by-hand.yml", ref="main", event_type="", client_payload="{}"
        )
        assert dispatch.match is Match.VERIFIED
        await it.pass_(30)
        after = await it.state(dispatch)
        assert after.run_outcome == "success"
        assert (await it.runs(dispatch))[0].workflow == "by-hand.yml"


async def test_while_github_is_away_nothing_is_called_missing() -> None:
    async with world(BUILD) as it:
        dispatch = await it.dispatch()
        it.simulator.inject(Fault(FaultKind.RESET, times=1000, on=FaultPlace.READ))
        await it.pass_(1200)
        assert (await it.state(dispatch)).match is Match.WAITING
        assert len(it.told(Trouble)) == 1
        it.simulator.clear()
        await it.pass_(320)
        assert (await it.state(dispatch)).run_outcome == "success"


async def test_a_limit_that_github_sets_is_waited_out() -> None:
    async with world(BUILD) as it:
        dispatch = await it.dispatch()
        limited = Fault(FaultKind.SECONDARY, retry_after=90, on=FaultPlace.READ)
        it.simulator.inject(limited)
        await it.pass_(80)
        assert len(it.asked) == 1
        assert (await it.state(dispatch)).match is Match.WAITING
        await it.pass_(40)
        assert (await it.state(dispatch)).run_outcome == "success"


async def test_looking_costs_a_small_share_of_the_limit_however_much_is_pending() -> None:
    async with world(replace(BUILD, event_types=frozenset({"deploy"})), rate_limit=50_000) as it:
        for _ in range(12):
            for _ in range(25):
                await it.dispatch()
            await it.pass_(300)
        counted = sum(status != 304 for _, status in it.asked)
        assert counted <= 500
        assert len(it.told(RunNotFound)) >= 250


async def test_a_webhook_binds_without_a_question() -> None:
    async with world(BUILD) as it:
        dispatch = await it.dispatch()
        (run,) = it.simulator.runs
        it.tracker.hear(
            Run(
                repository="Acme/Shop",  # GitHub's spelling may be another
                id=run.id,
                attempt=1,
                workflow="build.yml",
                name="Build",
                title=run.display_title,
                event="repository_dispatch",
                status="completed",
                conclusion="success",
                branch="main",
                url="https://github.com/acme/shop/actions/runs/1",
                created_at=run.created_at,
                updated_at=run.created_at,
            )
        )
        await it.look()
        after = await it.state(dispatch)
        assert (after.match, after.run_outcome) == (Match.VERIFIED, "success")
        assert it.asked == []


async def test_a_lost_request_that_had_arrived_is_found() -> None:
    async with world(BUILD) as it:
        dispatch = await it.dispatch(accepted=False)
        early = await it.find(dispatch)
        assert isinstance(early, Unknown)
        assert it.asked == []  # its absence would say nothing yet
        it.clock.move(10)
        found = await it.find(dispatch)
        assert isinstance(found, Found)
        assert found.dispatch.run_id == it.simulator.runs[0].id


async def test_one_look_serves_all_whose_answers_were_lost() -> None:
    async with world(BUILD) as it:
        dispatches = [await it.dispatch(accepted=False) for _ in range(20)]
        it.clock.move(10)
        found = await asyncio.gather(*map(it.find, dispatches))
        assert all(isinstance(each, Found) for each in found)
        assert [path for path, _ in it.asked].count("/repos/acme/shop/actions/runs") == 1


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [([BUILD], Absent), ([], Absent), ([PLAIN], Absent)],
    ids=["shown", "nobody", "an empty window"],
)
async def test_a_lost_request_of_which_there_is_no_run_had_not_arrived(
    listeners: list[Listener], expected: type
) -> None:
    async with world(*listeners) as it:
        dispatch = await it.dispatch(arrives=False)
        it.clock.move(10)
        assert isinstance(await it.find(dispatch), expected)


async def test_where_the_id_is_not_shown_a_run_in_the_window_leaves_it_to_a_person() -> None:
    async with world(PLAIN) as it:
        dispatch = await it.dispatch(accepted=False)
        it.clock.move(10)
        finding = await it.find(dispatch)
        assert isinstance(finding, Unclear)
        assert "build.yml does not show the id" in finding.reason


async def test_what_cannot_be_looked_for_is_not_known() -> None:
    async with world(BUILD) as it:
        dispatch = await it.dispatch(accepted=False)
        it.clock.move(10)
        it.simulator.inject(Fault(FaultKind.STATUS, status=502, on=FaultPlace.READ))
        finding = await it.find(dispatch)
        assert isinstance(finding, Unknown)
        assert "502" in finding.reason


async def test_a_clock_that_is_set_back_holds_up_no_look() -> None:
    async with world(BUILD) as it:
        dispatch = await it.dispatch()
        it.simulator.inject(Fault(FaultKind.STATUS, status=502, on=FaultPlace.READ))
        await it.pass_(2)
        assert (await it.state(dispatch)).match is Match.WAITING
        await it.store.follow_clock(it.clock() - HOUR, Step(-HOUR, timedelta()))
        it.clock.move(-3600)
        await it.pass_(10)
        assert (await it.state(dispatch)).match is Match.VERIFIED


async def test_a_fault_of_our_own_is_told_and_does_not_ask_github_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("daemon.run_lists.listed", broken)
    async with world(BUILD) as it:
        await it.dispatch()
        it.clock.move(2)
        with pytest.raises(ZeroDivisionError):
            await it.look()
        await it.pass_(60)
        (trouble,) = it.told(Trouble)
        assert "ZeroDivisionError" in str(trouble)
        assert len(it.asked) == 1


@pytest.mark.parametrize("status", [403, 404])
async def test_where_nobody_may_look_nothing_waits_for_that(status: int) -> None:
    """A cron whose firings may not overlap would never fire again."""
    async with world(BUILD) as it:
        dispatch = await it.dispatch()
        refused = Fault(FaultKind.STATUS, times=None, status=status, on=FaultPlace.READ)
        it.simulator.inject(refused)
        await it.pass_(290)
        assert (await it.state(dispatch)).match is Match.WAITING
        await it.pass_(320)
        after = await it.state(dispatch)
        assert after.match is Match.UNTRACKED
        assert "actions: read" in after.diagnosis
        it.asked.clear()
        await it.pass_(3600)
        assert it.asked == []


async def test_a_lost_request_that_nobody_may_look_for_is_sent_again() -> None:
    async with world(BUILD) as it:
        dispatch = await it.dispatch(arrives=False)
        it.clock.move(10)
        refused = Fault(FaultKind.STATUS, status=403, on=FaultPlace.READ)
        it.simulator.inject(replace(refused, times=None))
        assert isinstance(await it.find(dispatch), Unknown)  # it may be a passing one
        it.clock.move(120)
        assert isinstance(await it.find(dispatch), Hidden)


async def test_one_look_that_fails_is_enough_for_all_whose_answers_were_lost() -> None:
    """A thousand of them would ask, and write down that they had, all the time."""
    async with world(BUILD) as it:
        dispatches = [await it.dispatch(accepted=False) for _ in range(20)]
        it.clock.move(10)
        it.simulator.inject(Fault(FaultKind.STATUS, times=None, on=FaultPlace.READ))
        waits = []
        for _ in range(4):
            it.asked.clear()
            findings = [await it.find(each) for each in dispatches]
            assert len(it.asked) == 1
            (until,) = {each.until for each in findings if isinstance(each, Unknown)}
            assert until is not None
            await it.look()  # which forgets the repositories of which nothing is pending
            waits.append((until - it.clock()).total_seconds())
            it.clock.move(waits[-1])
        assert waits == [2, 4, 8, 16]
        it.simulator.clear()
        findings = [await it.find(each) for each in dispatches]
        assert all(isinstance(each, Found) for each in findings)
