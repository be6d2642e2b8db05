"""The dispatcher over a real store: what it sends when, and how each answer is settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.binding import Absent, Finding, Found, Hidden, Unclear, Unknown
from daemon.clockwatch import Step
from daemon.dispatch import Attempt, Dispatch, OnAmbiguous, Settlement, State
from daemon.dispatcher import CLAIMED_LEAST, IN_FLIGHT_MAX, Dispatcher
from daemon.errors import StoreUnavailable
from daemon.event import Event, Firing, Outcome, Verdict
from daemon.facts import AttemptMade, DispatchLookedInto, DispatchSettled, Fact, Facts, Trouble
from daemon.github import Accepted, Ambiguous, Answer, Failed, Throttled, Unauthorized, Unreachable
from daemon.lane import Lane
from daemon.pacing import Budget, Limits
from daemon.ports import Claim
from daemon.render import new_dispatch
from daemon.retry import RetryPolicy
from daemon.store import Store

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
SOON = RetryPolicy(base=timedelta(seconds=1))


class World:
    """A dispatcher at work on a store, with a clock that stands still until it is moved and a
    GitHub that answers by script (``Accepted`` when the script has run out)."""

    def __init__(self, store: Store, budgets: Mapping[str, Budget], retry: RetryPolicy) -> None:
        self.now = START
        self.set_by = timedelta()
        self.store = store
        self.sent: list[str] = []
        self.answers: dict[str, list[Answer]] = {}
        self.findings: dict[str, list[Finding]] = {}
        self.looked_for: list[str] = []
        self.limits: Limits | None = None
        self.connected = asyncio.Event()
        self.connected.set()
        self.open = asyncio.Event()
        self.open.set()
        self.facts: list[Fact] = []
        self._heard = asyncio.Event()
        facts = Facts()
        facts.subscribe(self._hear)
        self.dispatcher = Dispatcher(
            store,
            self._send,
            self._find,
            {name: Lane(name, budget) for name, budget in budgets.items()},
            retry,
            clock=lambda: self.now,
            elapsed=lambda: (self.now - self.set_by - START).total_seconds(),
            random=lambda: 0.5,
            facts=facts,
        )

    async def owe(
        self,
        *names: str,
        send_within: timedelta = timedelta(days=1),
        entry: str = "entry",
        repository: str = "o/r",
        urgent: bool = False,
        on_ambiguous: OnAmbiguous = OnAmbiguous.VERIFY,
    ) -> None:
        """Records one event that owes a dispatch of each name (as its id)."""
        event = Event(f"evt_{names[0]}", Firing(entry, self.now, self.now))
        dispatches = tuple(
            new_dispatch(
                dispatch_id=name,
                event_id=event.id,
                entry=entry,
                repository=repository,
                event_type="build",
                client_payload="{}",
                now=self.now,
                send_within=send_within,
                urgent=urgent,
            )
            for name in names
        )
        dispatches = tuple(replace(each, on_ambiguous=on_ambiguous) for each in dispatches)
        await self.store.record(event, [Verdict(entry, Outcome.DISPATCHED, dispatches=dispatches)])
        self.dispatcher.wake()

    async def state(self, name: str) -> Dispatch:
        found = await self.store.dispatch(name)
        assert found is not None
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    async def settled(self, name: str) -> None:
        await self.until(
            lambda: any(
                isinstance(fact, DispatchSettled) and fact.dispatch.id == name
                for fact in self.facts
            )
        )

    async def looked_into(self) -> Dispatch:
        """The dispatch that was looked for, as that left it unsettled."""
        await self.until(lambda: any(isinstance(fact, DispatchLookedInto) for fact in self.facts))
        (fact,) = [fact for fact in self.facts if isinstance(fact, DispatchLookedInto)]
        return await self.state(fact.dispatch.id)

    async def attempts(self, count: int) -> None:
        await self.until(lambda: len(self.made()) >= count)

    def made(self) -> list[AttemptMade]:
        return [fact for fact in self.facts if isinstance(fact, AttemptMade)]

    def move(self, **by: float) -> None:
        """So much time passes."""
        self.now += timedelta(**by)
        self.dispatcher.wake()

    def set_clock(self, **by: float) -> None:
        """The wall clock is set on, or back, and no time passes."""
        self.now += timedelta(**by)
        self.set_by += timedelta(**by)
        self.dispatcher.wake()

    async def _send(
        self, dispatch: Dispatch, gone: Callable[[], None]
    ) -> tuple[Answer, Attempt, Limits | None]:
        began = self.now
        self.sent.append(dispatch.id)
        self._heard.set()
        await self.connected.wait()
        gone()
        await self.open.wait()
        script = self.answers.get(dispatch.id)
        answer = script.pop(0) if script else Accepted()
        attempt = Attempt(
            dispatch.id,
            dispatch.attempts + 1,
            began,
            timedelta(seconds=0.1),
            answer.outcome,
            status=204 if isinstance(answer, Accepted) else None,
        )
        return answer, attempt, self.limits

    async def _find(self, dispatch: Dispatch) -> Finding:
        self.looked_for.append(dispatch.id)
        script = self.findings.get(dispatch.id)
        return script.pop(0) if script else Absent()

    def _hear(self, fact: Fact) -> None:
        self.facts.append(fact)
        self._heard.set()


@asynccontextmanager
async def world(
    directory: Path,
    *,
    budget: Budget | None = None,
    retry: RetryPolicy = SOON,
    lanes: Mapping[str, Budget] | None = None,
) -> AsyncIterator[World]:
    """``lanes`` are those of owners, by name."""
    store = Store.open(
        f"sqlite:///{directory}/d.sqlite",
        owner="test",
        now=START,
        lane_of=lambda repository: repository.partition("/")[0] if lanes else "",
    )
    try:
        made = World(store, lanes or {"": budget or Budget(0, 0, 0)}, retry)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(made.dispatcher.run())
            yield made
            made.connected.set()
            made.open.set()
            await made.dispatcher.stop(timedelta(seconds=5))
    finally:
        await store.close()


async def test_its_word_that_it_works_waits_for_a_store_that_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as it:
        async with asyncio.timeout(10):
            await it.dispatcher.turn()
            await it.dispatcher.turn()
        stuck, claim = asyncio.Event(), it.store.claim

        async def claim_late(*args: Any, **options: Any) -> Claim:
            await stuck.wait()
            return await claim(*args, **options)

        monkeypatch.setattr(it.store, "claim", claim_late)
        async with asyncio.timeout(10):
            await it.dispatcher.turn()  # which begins, and gets no further
        word = asyncio.create_task(it.dispatcher.turn())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not word.done()
        stuck.set()
        async with asyncio.timeout(10):
            await word


async def test_what_is_owed_is_sent_and_settled(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.owe("a", "b")
        await w.attempts(2)
        assert (await w.state("a")).state is State.ACCEPTED
        assert (await w.state("b")).settled_at == START
        assert [f.dispatch.id for f in w.facts if isinstance(f, DispatchSettled)] == ["a", "b"]


@pytest.mark.parametrize(
    ("answer", "between"),
    [
        (Ambiguous("502 Bad Gateway"), State.UNSURE),
        (Unreachable("connection refused"), State.PENDING),
    ],
)
async def test_a_lost_answer_is_tried_again_after_its_backoff(
    tmp_path: Path, answer: Answer, between: State
) -> None:
    async with world(tmp_path) as w:
        w.answers["a"] = [answer]
        await w.owe("a")
        await w.attempts(1)
        waiting = await w.state("a")
        assert waiting.state is between
        assert waiting.due_at == START + timedelta(seconds=0.5)
        assert waiting.retry_until == START + timedelta(hours=24)
        w.move(seconds=1)
        await w.attempts(2)
        assert (await w.state("a")).state is State.ACCEPTED
        tries = await w.store.attempts("a")
        assert [(t.number, t.outcome) for t in tries] == [(1, answer.outcome), (2, "accepted")]


async def test_a_refusal_for_good_is_dead_at_once_with_the_reason(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.answers["a"] = [Failed("404 Not Found: is it misspelt?")]
        await w.owe("a")
        await w.attempts(1)
        dead = await w.state("a")
        assert (dead.state, dead.reason) == (State.DEAD, "404 Not Found: is it misspelt?")


async def test_a_rate_limit_holds_everything_until_it_ends(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        until = START + timedelta(seconds=30)
        w.answers["a"] = [Throttled(reason="429", until=until)]
        await w.owe("a")
        await w.attempts(1)
        await w.owe("b")
        waiting = await w.state("a")
        assert (waiting.state, waiting.due_at) == (State.PENDING, until)
        # the wait is GitHub's doing: it does not count against the retries
        assert waiting.retry_until == START + timedelta(hours=24, seconds=30)
        w.move(seconds=29)
        assert w.sent == ["a"]
        w.move(seconds=1)
        await w.attempts(3)
        assert sorted(w.sent) == ["a", "a", "b"]


async def test_a_rate_limit_without_a_time_waits_a_minute_and_more(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.answers["a"] = [Throttled(reason="403 secondary", until=None)] * 2
        await w.owe("a")
        await w.attempts(1)
        first = (await w.state("a")).due_at - w.now
        assert timedelta(seconds=60) <= first <= timedelta(seconds=75)
        w.move(seconds=first.total_seconds())
        await w.attempts(2)
        assert (await w.state("a")).due_at - w.now >= 2 * timedelta(seconds=60)


async def test_githubs_own_count_is_heeded(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.limits = Limits(5000, 0, START + timedelta(minutes=5), "core")
        await w.owe("a")
        await w.attempts(1)
        await w.owe("b")
        w.move(minutes=4)
        assert w.sent == ["a"]
        w.limits = None
        w.move(minutes=1)
        await w.attempts(2)


async def test_first_attempts_go_out_in_order_and_a_retry_holds_nobody_up(tmp_path: Path) -> None:
    names = [f"dsp_{n:03}" for n in range(40)]
    async with world(tmp_path) as w:
        w.answers[names[0]] = [Ambiguous("502")]
        await w.owe(*names)
        await w.attempts(40)
        assert w.sent == names
        w.move(seconds=10)
        await w.attempts(41)
        assert w.sent[-1] == names[0]


async def test_a_first_attempt_waits_until_the_one_before_is_on_its_way(tmp_path: Path) -> None:
    """On its way, not answered: a slow answer holds nobody up, and no other entry waits at all."""
    async with world(tmp_path) as w:
        w.connected.clear()
        w.open.clear()
        await w.owe("a1", "a2", "a3", entry="a")
        await w.owe("b1", "b2", entry="b")
        await w.until(lambda: len(w.sent) == 2)
        assert w.sent == ["a1", "b1"]
        w.connected.set()
        await w.until(lambda: len(w.sent) == 5)
        assert [name for name in w.sent if name.startswith("a")] == ["a1", "a2", "a3"]
        w.open.set()
        await w.attempts(5)


async def test_what_waits_for_its_turn_at_the_stop_was_never_sent(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.connected.clear()
        await w.owe("a1", "a2", entry="a")
        await w.until(lambda: w.sent == ["a1"])
        await w.until(lambda: w.dispatcher.in_flight == 2)
        await w.dispatcher.stop(timedelta(seconds=0.01))
        assert (await w.state("a1")).state is State.PENDING  # it was looking for a connection
        assert (await w.state("a2")).state is State.PENDING
        assert w.sent == ["a1"]


async def test_no_more_are_in_flight_than_allowed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.open.clear()
        await w.owe(*(f"dsp_{n:03}" for n in range(IN_FLIGHT_MAX + 5)))
        await w.until(lambda: len(w.sent) == IN_FLIGHT_MAX)
        assert w.dispatcher.in_flight == IN_FLIGHT_MAX
        w.open.set()
        await w.attempts(IN_FLIGHT_MAX + 5)


async def test_a_place_or_two_that_are_free_are_not_worth_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog would be claimed one by one, as the answers come, with a commit for each."""
    async with world(tmp_path) as w:
        limits: list[int] = []
        claim = w.store.claim

        async def claiming(now: datetime, limit: int, *rest: Any, **others: Any) -> Claim:
            limits.append(limit)
            return await claim(now, limit, *rest, **others)

        monkeypatch.setattr(w.store, "claim", claiming)
        await w.owe(*(f"dsp_{n:03}" for n in range(3 * IN_FLIGHT_MAX)))
        await w.attempts(3 * IN_FLIGHT_MAX)
        assert min(limits) >= CLAIMED_LEAST


async def test_the_pacing_lets_a_burst_go_and_the_rest_one_by_one(tmp_path: Path) -> None:
    async with world(tmp_path, budget=Budget(1, 2, 0)) as w:
        await w.owe("a", "b", "c", "d")
        await w.attempts(2)
        assert w.sent == ["a", "b"]
        w.move(seconds=1)
        await w.attempts(3)
        assert w.sent == ["a", "b", "c"]


class TestLanes:
    async def test_a_limited_credential_holds_up_no_other(self, tmp_path: Path) -> None:
        """Whatever it owes, and however long that has been due."""
        names = [f"a{number:02}" for number in range(40)]
        async with world(tmp_path, lanes={"a": Budget(1, 2, 0), "b": Budget(0, 0, 0)}) as w:
            w.answers["a00"] = [Throttled(START + timedelta(hours=1), "403")]
            await w.owe(*names, repository="a/x", entry="of a")
            await w.attempts(1)
            w.move(minutes=1)
            await w.owe("b1", "b2", repository="b/x", entry="of b")
            await w.until(lambda: {"b1", "b2"} <= set(w.sent))
            assert len(w.sent) <= 4  # of the limited one those that were under way with the first

    async def test_requests_that_are_not_answered_hold_up_no_other_credential(
        self, tmp_path: Path
    ) -> None:
        names = [f"a{number:02}" for number in range(40)]
        async with world(tmp_path, lanes={"a": Budget(0, 0, 0), "b": Budget(0, 0, 0)}) as w:
            w.open.clear()
            await w.owe(*names, repository="a/x")
            await w.until(lambda: len(w.sent) == IN_FLIGHT_MAX)
            await w.owe("b1", repository="b/x")
            await w.until(lambda: "b1" in w.sent)

    async def test_one_that_is_out_of_reach_holds_up_no_other(self, tmp_path: Path) -> None:
        async with world(tmp_path, lanes={"a": Budget(0, 0, 0), "b": Budget(0, 0, 0)}) as w:
            w.answers["a1"] = [Unreachable("refused")] * 99
            await w.owe("a1", repository="a/x")
            await w.attempts(1)
            await w.owe("a2", repository="a/x")
            await w.owe("b1", repository="b/x")
            await w.attempts(2)
            assert w.sent == ["a1", "b1"]

    async def test_a_credential_that_is_refused_loses_nothing_and_is_tried_one_at_a_time(
        self, tmp_path: Path
    ) -> None:
        """Then all goes, in the order in which it was owed."""
        names = [f"a{number:02}" for number in range(30)]
        async with world(tmp_path, lanes={"a": Budget(0, 0, 0)}) as w:
            w.answers = {name: [Unauthorized("401")] * 99 for name in names}
            await w.owe("a00", repository="a/x")
            await w.attempts(1)
            await w.owe(*names[1:], repository="a/x")
            for number in range(2, 6):
                w.move(minutes=1)
                await w.attempts(number)
                assert len(w.sent) == number
            assert {(await w.state(name)).state for name in names} == {State.PENDING}
            told = [fact.message for fact in w.facts if isinstance(fact, Trouble)]
            assert told == ["a: 401; what it is for waits, and is tried now and then"]
            w.answers.clear()
            w.move(minutes=1)
            await w.until(lambda: set(names) <= set(w.sent[5:]))
            assert len(w.sent) == 5 + len(names)
            await w.attempts(5 + len(names))
            assert {(await w.state(name)).state for name in names} == {State.ACCEPTED}
            assert any("GitHub takes it again" in str(fact) for fact in w.facts)


async def test_a_restart_neither_ends_a_wait_nor_begins_a_new_hour(tmp_path: Path) -> None:
    end = START + timedelta(hours=1)
    async with world(tmp_path, lanes={"a": Budget(0, 0, 5), "b": Budget(0, 0, 5)}) as w:
        w.answers["a1"] = [Throttled(end, "403")]
        await w.owe("a1", repository="a/x")
        await w.owe("b1", "b2", "b3", repository="b/x")
        await w.attempts(4)
    resumed = {"a": Budget(0, 0, 5), "b": Budget(0, 0, 5)}
    store = Store.open(f"sqlite:///{tmp_path}/d.sqlite", owner="test", now=START)
    for lane, spent in (await store.budgets()).items():
        resumed[lane].resume(spent)
    await store.close()
    assert resumed["a"].blocked_until(START) == end
    assert resumed["b"].allowance(START) == 2
    async with world(tmp_path, lanes=resumed) as w:
        await w.owe("a2", repository="a/x")
        await w.owe("b4", "b5", "b6", repository="b/x")
        await w.attempts(2)
        assert w.sent == ["b4", "b5"]
        w.now = end
        w.dispatcher.wake()
        await w.attempts(3)
        assert w.sent[2] in ("a1", "a2")


async def test_a_cron_does_not_wait_for_a_burst_of_webhooks(tmp_path: Path) -> None:
    async with world(tmp_path, budget=Budget(1, 1, 0)) as w:
        await w.owe(*(f"push{number:02}" for number in range(30)), entry="push")
        await w.attempts(1)
        await w.owe("cron", entry="cron", urgent=True)
        w.move(seconds=1)
        await w.attempts(2)
        w.move(seconds=1)
        await w.attempts(3)
        assert "cron" in w.sent[1:3]


async def test_an_endless_stream_of_urgent_ones_leaves_webhooks_a_share(tmp_path: Path) -> None:
    async with world(tmp_path, budget=Budget(1, 1, 0)) as w:
        await w.owe(*(f"push{number:02}" for number in range(30)), entry="push")
        await w.owe(*(f"cron{number:02}" for number in range(30)), entry="cron", urgent=True)
        for number in range(1, 21):
            await w.attempts(number)
            w.move(seconds=1)
        pushes = [name for name in w.sent[:20] if name.startswith("push")]
        crons = [name for name in w.sent[:20] if name.startswith("cron")]
        assert 3 <= len(pushes) <= 10 <= len(crons)
        assert pushes == sorted(pushes)  # each entry's in order
        assert crons == sorted(crons)


async def test_a_secondary_limit_in_the_middle_of_a_burst_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    names = [f"dsp_{number:02}" for number in range(20)]
    async with world(tmp_path, budget=Budget(1, 10, 0)) as w:
        end = START + timedelta(minutes=2)
        w.answers = {name: [Throttled(end, "403")] for name in names[4:10]}
        w.open.clear()
        await w.owe(*names)
        await w.until(lambda: len(w.sent) == 10)
        w.open.set()
        await w.attempts(10)
        w.answers.clear()
        left = [name for name in names if (await w.state(name)).state is State.PENDING]
        assert left == names[4:]
        w.move(minutes=2)
        for number in range(11, 11 + len(left)):
            await w.attempts(number)
            w.move(seconds=1)
        assert {(await w.state(name)).state for name in names} == {State.ACCEPTED}
        accepted = [fact for fact in w.made() if fact.dispatch.state is State.ACCEPTED]
        assert sorted(fact.dispatch.id for fact in accepted) == names
        afterwards = [fact.attempt.started_at for fact in w.made()[10:]]
        assert afterwards == [end + timedelta(seconds=n) for n in range(len(left))]  # one by one


async def test_while_github_is_out_of_reach_one_at_a_time_finds_out(tmp_path: Path) -> None:
    """A backlog costs no more attempts than a single dispatch does, and none of the budget."""
    names = [f"dsp_{n:03}" for n in range(40)]
    async with world(tmp_path, budget=Budget(1, 40, 40)) as w:
        w.answers = {name: [Unreachable("refused")] * 9 for name in names}
        await w.owe(*names)
        for number in range(1, 9):
            await w.attempts(number)
            assert len(w.sent) == number  # those of the same entry that had been claimed, too
            w.move(seconds=30)
        await w.attempts(9)
        w.answers.clear()
        w.move(minutes=5)
        await w.attempts(9 + len(names))
        assert {(await w.state(name)).state for name in names} == {State.ACCEPTED}


async def test_what_is_older_than_its_send_within_is_dead_and_not_sent(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.answers["a"] = [Unreachable("refused")] * 50
        await w.owe("a", send_within=timedelta(minutes=1))
        await w.attempts(1)
        w.move(minutes=2)
        await w.until(lambda: any(isinstance(f, DispatchSettled) for f in w.facts))
        dead = await w.state("a")
        assert dead.state is State.DEAD
        assert "send_within" in dead.reason
        assert w.sent == ["a"]


async def test_retries_end_and_say_what_the_last_answer_was(tmp_path: Path) -> None:
    retry = RetryPolicy(base=timedelta(seconds=60), window=timedelta(seconds=10))
    async with world(tmp_path, retry=retry) as w:
        w.answers["a"] = [Ambiguous("502 Bad Gateway")]
        await w.owe("a")
        await w.attempts(1)
        dead = await w.state("a")
        assert dead.state is State.DEAD
        assert dead.reason.startswith("gave up: its retries end at")
        assert dead.reason.endswith("the last answer: 502 Bad Gateway")


async def test_what_does_not_finish_before_the_stop_is_left_unsure_and_due(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.open.clear()
        await w.owe("a", "b")
        await w.until(lambda: len(w.sent) == 2)
        await w.dispatcher.stop(timedelta(seconds=0.01))
        left = await w.state("a")
        assert (left.state, left.due_at) == (State.UNSURE, START)
        assert "stopped before GitHub answered" in left.reason
    async with world(tmp_path) as w:
        await w.attempts(2)
        assert sorted(w.sent) == ["a", "b"]


async def test_an_answer_is_not_forgotten_while_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.dispatcher.STORE_PAUSE", 0.001)
    settle, failures = Store.settle, [1, 2, 3]

    async def flaky(
        self: Store,
        dispatch_id: str,
        attempt: Attempt,
        settlement: Settlement,
        now: datetime,
        **spent: Any,
    ) -> Dispatch:
        if failures:
            failures.pop()
            raise StoreUnavailable("disk full")
        return await settle(self, dispatch_id, attempt, settlement, now, **spent)

    monkeypatch.setattr(Store, "settle", flaky)
    async with world(tmp_path) as w:
        await w.owe("a")
        await w.attempts(1)
        assert (await w.state("a")).state is State.ACCEPTED
        assert w.sent == ["a"]
        assert sum(isinstance(f, Trouble) for f in w.facts) == 3


async def test_a_store_that_cannot_be_claimed_from_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, failures = Store.claim, [1, 2]

    async def flaky(
        self: Store,
        now: datetime,
        limit: int,
        lease: timedelta,
        held: Collection[str],
        **which: Any,
    ) -> Claim:
        if failures:
            failures.pop()
            raise StoreUnavailable("locked")
        return await claim(self, now, limit, lease, held, **which)

    monkeypatch.setattr(Store, "claim", flaky)
    async with world(tmp_path) as w:
        await w.owe("a")
        await w.until(lambda: len([f for f in w.facts if isinstance(f, Trouble)]) >= 1)
        w.dispatcher.wake()
        await w.until(lambda: not failures)
        w.dispatcher.wake()
        await w.attempts(1)


async def test_what_is_claimed_while_the_stop_comes_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, claiming, stopped = Store.claim, asyncio.Event(), asyncio.Event()

    async def slow(
        self: Store,
        now: datetime,
        limit: int,
        lease: timedelta,
        held: Collection[str],
        **which: Any,
    ) -> Claim:
        found = await claim(self, now, limit, lease, held, **which)
        if found.dispatches:
            claiming.set()
            await stopped.wait()
        return found

    monkeypatch.setattr(Store, "claim", slow)
    async with world(tmp_path) as w:
        await w.owe("a")
        await claiming.wait()
        await w.dispatcher.stop(timedelta(seconds=5))
        stopped.set()
    monkeypatch.setattr(Store, "claim", claim)
    assert w.sent == []
    async with world(tmp_path) as again:
        await again.attempts(1)
        left = await again.state("a")
        assert (left.state, left.reason, left.attempts) == (State.ACCEPTED, "", 1)


@pytest.mark.parametrize("send_within", [timedelta(days=1), timedelta(minutes=1)])
async def test_what_is_in_flight_stays_in_our_hands_however_late_it_is(
    tmp_path: Path, send_within: timedelta
) -> None:
    """The machine was suspended, or the answer could not be stored: its lease ran out, or the time
    in which it had to be sent. It was sent, and its answer says what becomes of it."""
    async with world(tmp_path) as w:
        w.open.clear()
        await w.owe("a", send_within=send_within)
        await w.until(lambda: w.sent == ["a"])
        w.move(minutes=10)
        await w.owe("b")
        await w.until(lambda: w.sent == ["a", "b"])
        w.open.set()
        await w.attempts(2)
        assert w.sent == ["a", "b"]
        assert (await w.state("a")).state is State.ACCEPTED
        assert not [fact for fact in w.facts if isinstance(fact, Trouble)]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_step_of_the_clock_neither_ends_a_backoff_nor_lengthens_it(
    tmp_path: Path, hours: int
) -> None:
    async with world(tmp_path) as w:
        w.answers["a"] = [Unreachable("connection refused")]
        await w.owe("a")
        await w.attempts(1)
        w.set_clock(hours=hours)
        await w.owe("b")
        await w.attempts(2)
        assert w.sent == ["a", "b"]
        w.move(seconds=0.5)
        await w.attempts(3)
        assert w.sent == ["a", "b", "a"]
        (told,) = [fact.message for fact in w.facts if isinstance(fact, Trouble)]
        assert told.startswith(f"the clock was set {'on' if hours > 0 else 'back'} by 3600 s;")


class Asked(Budget):
    """A budget without limits of its own, which tells when it finds that nothing may go."""

    def __init__(self) -> None:
        super().__init__(0, 0, 0)
        self._refused = asyncio.Event()

    async def refuses(self) -> None:
        """Waits until it does so from now on."""
        self._refused.clear()
        async with asyncio.timeout(10):
            await self._refused.wait()

    def next_at(self, now: datetime) -> datetime:
        self._refused.set()
        return super().next_at(now)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_step_of_the_clock_neither_ends_a_rate_limit_nor_lengthens_it(
    tmp_path: Path, hours: int
) -> None:
    budget = Asked()
    async with world(tmp_path, budget=budget) as w:
        w.answers["a"] = [Throttled(reason="429", until=START + timedelta(seconds=30))]
        await w.owe("a")
        await w.attempts(1)
        await w.owe("b")
        w.set_clock(hours=hours)
        await budget.refuses()
        w.move(seconds=29)
        await budget.refuses()
        assert w.sent == ["a"]
        w.move(seconds=1)
        await w.attempts(3)
        assert sorted(w.sent) == ["a", "a", "b"]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_step_of_the_clock_changes_nothing_of_how_long_a_dispatch_may_be_sent(
    tmp_path: Path, hours: int
) -> None:
    """It had ten minutes of which none passed, also while its first request was under way."""
    async with world(tmp_path) as w:
        w.answers["a"] = [Unreachable("connection refused")]
        w.open.clear()
        await w.owe("a", send_within=timedelta(minutes=10))
        await w.until(lambda: w.sent == ["a"])
        w.set_clock(hours=hours)
        w.open.set()
        await w.attempts(1)
        waiting = await w.state("a")
        assert (waiting.state, waiting.due_at) == (State.PENDING, w.now + timedelta(seconds=0.5))
        assert waiting.expires_at == w.now + timedelta(minutes=10)
        assert waiting.retry_until == w.now + timedelta(hours=24)
        assert [each.started_at for each in await w.store.attempts("a")] == [w.now]


async def test_a_step_of_the_clock_is_followed_once_the_store_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.dispatcher.STORE_PAUSE", 0.001)
    follow, failures = Store.follow_clock, [1, 2, 3]

    async def flaky(self: Store, now: datetime, step: Step) -> None:
        if failures:
            failures.pop()
            raise StoreUnavailable("disk full")
        await follow(self, now, step)

    monkeypatch.setattr(Store, "follow_clock", flaky)
    async with world(tmp_path) as w:
        w.answers["a"] = [Unreachable("connection refused")]
        await w.owe("a")
        await w.attempts(1)
        w.set_clock(hours=-1)
        w.move(seconds=1)
        await w.attempts(2)
        assert not failures
        assert w.sent == ["a", "a"]


class TestALostAnswer:
    """What becomes of a dispatch of which nobody knows whether GitHub got it."""

    @staticmethod
    async def lost(w: World, on_ambiguous: OnAmbiguous = OnAmbiguous.VERIFY) -> None:
        """`a` was sent, and its answer was lost."""
        w.answers["a"] = [Ambiguous("the answer was lost")]
        await w.owe("a", on_ambiguous=on_ambiguous)
        await w.attempts(1)
        assert (await w.state("a")).state is State.UNSURE

    async def test_it_is_looked_for_before_it_is_sent_again(self, tmp_path: Path) -> None:
        async with world(tmp_path, retry=SOON) as w:
            await self.lost(w)
            w.move(seconds=5)
            await w.until(lambda: len(w.sent) == 2)
            assert w.looked_for == ["a"]
            await w.attempts(2)
            settled = await w.state("a")
            assert settled.state is State.ACCEPTED
            assert settled.reason == ""  # it was not there: no doubt is left

    async def test_it_is_not_sent_again_where_its_run_is_there(self, tmp_path: Path) -> None:
        async with world(tmp_path, retry=SOON) as w:
            await self.lost(w)
            w.findings["a"] = [Found(await w.state("a"))]
            w.move(seconds=5)
            await w.settled("a")
            assert (await w.state("a")).state is State.ACCEPTED
            assert w.sent == ["a"]

    async def test_it_is_held_where_nobody_can_tell(self, tmp_path: Path) -> None:
        async with world(tmp_path, retry=SOON) as w:
            await self.lost(w)
            w.findings["a"] = [Unclear("the workflow does not show the id")]
            w.move(seconds=5)
            held = await w.looked_into()
            assert held.state is State.HELD
            reason = held.reason
            assert "the answer was lost" in reason
            assert "the workflow does not show the id" in reason
            assert w.sent == ["a"]

    async def test_it_is_looked_for_again_where_that_cannot_be_told_yet(
        self, tmp_path: Path
    ) -> None:
        async with world(tmp_path, retry=SOON) as w:
            await self.lost(w)
            later = w.now + timedelta(minutes=2)
            w.findings["a"] = [Unknown("GitHub is away", later)]
            w.move(seconds=5)
            unsure = await w.looked_into()
            assert (unsure.state, unsure.due_at) == (State.UNSURE, later)
            assert (unsure.reason, unsure.diagnosis) == ("the answer was lost", "GitHub is away")
            w.move(minutes=3)
            await w.until(lambda: len(w.sent) == 2)
            assert w.looked_for == ["a", "a"]

    async def test_it_is_sent_again_at_once_where_the_entry_wants_that(
        self, tmp_path: Path
    ) -> None:
        async with world(tmp_path, retry=SOON) as w:
            await self.lost(w, OnAmbiguous.RESEND)
            w.move(seconds=5)
            await w.until(lambda: len(w.sent) == 2)
            assert w.looked_for == []

    async def test_it_is_held_where_the_entry_wants_that(self, tmp_path: Path) -> None:
        async with world(tmp_path, retry=SOON) as w:
            await self.lost(w, OnAmbiguous.HOLD)
            w.move(seconds=5)
            assert (await w.looked_into()).state is State.HELD
            assert (w.sent, w.looked_for) == (["a"], [])

    async def test_to_look_is_no_write(self, tmp_path: Path) -> None:
        async with world(tmp_path, retry=SOON, budget=Budget(0, 0, 2)) as w:
            await self.lost(w)
            w.findings["a"] = [Found(await w.state("a"))]
            w.move(seconds=5)
            await w.settled("a")
            await w.owe("b")
            await w.settled("b")  # the second write of the two in an hour

    async def test_it_is_sent_again_where_nobody_may_look_and_says_so(self, tmp_path: Path) -> None:
        async with world(tmp_path, retry=SOON) as w:
            await self.lost(w)
            w.findings["a"] = [Hidden()]
            w.move(seconds=5)
            await w.attempts(2)
            settled = await w.state("a")
            assert (settled.state, settled.reason) == (State.ACCEPTED, "the answer was lost")
