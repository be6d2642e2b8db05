"""The tracker where GitHub answers oddly, clocks disagree or are set, and things happen at odd
moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import orjson
import pytest

from daemon.binding import Absent, Found, Unclear, Unknown
from daemon.dispatch import Settlement, State
from daemon.github import Question, Reply
from daemon.run import Match, Run
from tests.test_tracker import BUILD, PLAIN, REPOSITORY, World, somebody_elses, world

RUNS = f"/repos/{REPOSITORY}/actions/runs"
Change = Callable[[Question, Reply], Reply]


def answering(it: World, change: Change) -> None:
    """Has every answer changed on its way."""
    true = it.github.ask

    async def ask(repository: str, question: Question) -> Reply:
        return change(question, await true(repository, question))

    it.github.ask = ask  # type: ignore[method-assign]


def refusing(status: int, *, part: str = RUNS) -> Change:
    def change(question: Question, reply: Reply) -> Reply:
        if not question.path.startswith(part):
            return reply
        return replace(reply, status=status, body=b'{"message": "Resource not accessible"}')

    return change


async def test_where_runs_cannot_be_listed_that_is_said_and_nothing_waits_for_it() -> None:
    async with world(BUILD) as it:
        answering(it, refusing(500))
        dispatch = await it.dispatch()
        await it.pass_(10)
        waiting = await it.state(dispatch)
        assert waiting.match is Match.WAITING
        assert "500" in waiting.diagnosis
        await it.pass_(2400)
        after = await it.state(dispatch)
        assert after.match is Match.AMBIGUOUS
        assert "500" in after.diagnosis


async def test_a_run_that_cannot_be_read_does_not_keep_others_from_being_followed() -> None:
    async with world(BUILD, running_for=timedelta(seconds=600)) as it:
        dispatches = [await it.dispatch(), await it.dispatch()]
        await it.pass_(4)
        first = it.simulator.runs[0]
        for _ in range(110):
            await it.github.send(somebody_elses())
        answering(it, refusing(500, part=f"{RUNS}/{first.id}"))
        await it.pass_(1300)
        assert (await it.state(dispatches[1])).run_outcome == "success"
        later = await it.dispatch()
        await it.pass_(4)
        assert (await it.state(later)).match is Match.VERIFIED


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3)])
async def test_a_clock_that_differs_from_githubs_binds_and_finds_all_the_same(
    ahead: timedelta,
) -> None:
    async with world(BUILD, ahead=ahead) as it:
        dispatch = await it.dispatch()
        lost = await it.dispatch(accepted=False)
        await it.pass_(12)
        assert (await it.state(dispatch)).match is Match.VERIFIED
        assert isinstance(await it.find(lost), Found)


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3)])
async def test_a_clock_that_differs_from_githubs_does_not_hide_a_run_without_an_id(
    ahead: timedelta,
) -> None:
    async with world(PLAIN, ahead=ahead) as it:
        lost = await it.dispatch(accepted=False)
        it.clock.move(12)
        assert isinstance(await it.find(lost), Unclear)


async def test_a_page_with_a_run_that_is_none_is_still_a_whole_page() -> None:
    async with world(BUILD) as it:
        lost = await it.dispatch(accepted=False)
        for _ in range(110):
            await it.github.send(somebody_elses())

        def change(question: Question, reply: Reply) -> Reply:
            if "page=2" in question.path or not question.path.startswith(RUNS):
                return reply
            document = orjson.loads(reply.body)
            document["workflow_runs"][50] = None
            return replace(reply, body=orjson.dumps(document))

        answering(it, change)
        it.clock.move(12)
        assert isinstance(await it.find(lost), Found)


async def test_not_modified_says_nothing_to_who_knows_nothing() -> None:
    async with world(BUILD) as it:
        lost = await it.dispatch(accepted=False)
        answering(it, refusing(304))
        it.clock.move(12)
        assert isinstance(await it.find(lost), Unknown)


async def test_what_was_seen_before_the_clock_was_set_back_proves_nothing() -> None:
    async with world(BUILD) as it:
        await it.dispatch()
        await it.pass_(4)
        it.clock.move(-3600)
        lost = await it.dispatch(accepted=False)
        it.clock.move(12)
        assert not isinstance(await it.find(lost), Absent)


async def test_a_run_that_github_named_and_does_not_know_yet_is_followed() -> None:
    async with world() as it:
        repository = it.simulator.world.repository(REPOSITORY)
        assert repository is not None
        text = "on:\n  workflow_dispatch:\njobs: {a: {runs-on: x, steps: [{run: y}]}}\n"
        repository.put("by-hand.yml", text, it.clock())
        late = it.clock() + timedelta(seconds=5)

        def change(question: Question, reply: Reply) -> Reply:
            if it.clock() > late or not question.path.startswith(RUNS):
                return reply
            if question.path.startswith(f"{RUNS}?"):
                return replace(reply, body=b'{"total_count": 0, "workflow_runs": []}')
            return replace(reply, status=404, body=b"{}")

        answering(it, change)
        dispatch = await it.dispatch(
            workflow="by-hand.yml", ref="main", event_type="", client_payload="{}"
        )
        await it.pass_(60)
        assert (await it.state(dispatch)).run_outcome == "success"


async def test_what_becomes_due_during_a_look_is_left_to_the_next() -> None:
    async with world(BUILD, running_for=timedelta(hours=5)) as it:
        await it.dispatch()
        await it.pass_(4)
        missing = await it.dispatch(arrives=True, event_type="nobody")
        await it.pass_(302)
        assert (await it.state(missing)).match is Match.MISSING
        for _ in range(250):
            await it.github.send(somebody_elses())
        (due,) = [each.look_at for each in await it.store.looked_for(REPOSITORY, 10)]
        it.clock.now = due - timedelta(seconds=1)
        runs_due = it.store.runs_due

        async def slow(repository: str, now: datetime, limit: int) -> list[Run]:
            it.clock.now = due + timedelta(seconds=1)
            return await runs_due(repository, now, limit)

        it.store.runs_due = slow  # type: ignore[method-assign]
        await it.look()
        await it.pass_(4)
        assert (await it.state(missing)).match is Match.MISSING
        assert await it.store.looked_for(REPOSITORY, 10) == []


async def test_a_run_that_is_probably_anothers_may_be_of_a_lost_request() -> None:
    async with world(PLAIN) as it:
        lost = await it.dispatch(accepted=False)
        await it.store.claim(it.clock(), 100, timedelta(minutes=2))
        other = await it.dispatch(arrives=False)
        await it.store.claim(it.clock(), 100, timedelta(minutes=2))
        await it.store.settle(
            other.id, None, Settlement(State.ACCEPTED, sent_at=it.clock()), it.clock()
        )
        await it.pass_(30)
        assert (await it.state(other)).match is Match.PROBABLE
        assert isinstance(await it.find(lost), Unclear)
