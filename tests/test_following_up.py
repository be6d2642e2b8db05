"""The follow-ups that are owed are worked off: dispatched once, told at least once, at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from daemon.dispatch import Dispatch, State
from daemon.errors import StoreUnavailable
from daemon.event import Firing, Outcome, Verdict
from daemon.facts import DispatchAdded, DispatchSettled, Fact, Facts, FollowUpSettled, Trouble
from daemon.follow_up import Cause, EndedRun, FollowUp, Owing, Standing
from daemon.following_up import GIVE_UP_AFTER, LEASE, FollowingUp
from daemon.ids import IdSource
from daemon.notice import NOTICES_MAX, Notice, NotTold
from daemon.secret import Secret
from daemon.spec import Config
from daemon.store import Store
from daemon.telling_pace import CAP
from tests.specs import ENVIRON, config, cron_entry, trigger_entry
from tests.store.samples import delivered, id_of, owed

NOW = delivered(1).at
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
URL = "https://hooks.example.com/services/token"
RUN = EndedRun(42, 1, "Build", "failure", "https://github.example/runs/42")
NOTIFY = {"notify": "env:URL"}
AGAIN = {
    "event_type": "rebuild",
    "client_payload": {
        "why": "{{ cause }}: {{ dispatch.reason }}",
        "job": "{{ dispatch.client_payload.job }}",
        "run": "{{ run.id }}",
        "event": "{{ event.id }}",
    },
}


@dataclass
class World:
    """The loop with a real store, a clock of its own, and somebody who is told."""

    config: Config
    store: Store
    now: datetime = NOW
    takes: timedelta = timedelta()
    told: list[tuple[str, Notice]] = field(default_factory=list)
    refusals: list[NotTold] = field(default_factory=list)
    seen: list[Fact] = field(default_factory=list)
    loop: FollowingUp = field(init=False)
    loop_facts: Facts = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, *, simulated: bool = False) -> None:
        self.loop_facts = facts = Facts()
        facts.subscribe(self.seen.append)
        self.loop = FollowingUp(
            self.config,
            self.store,
            self.tell,
            ids=IdSource(),
            clock=lambda: self.now,
            random=lambda: 0.0,
            facts=facts,
            simulated=simulated,
        )

    async def tell(self, where: Secret, notice: Notice) -> None:
        self.told.append((where.reveal(), notice))
        self.now += self.takes
        if self.refusals:
            raise self.refusals.pop(0)

    async def look(self) -> None:
        await self.loop.look()
        await self.loop.stop(MINUTE)

    async def dead(self, number: int, entry: str = "trigger") -> Dispatch:
        """A dispatch that died."""
        event = structs.replace(delivered(number), id=id_of("evt", number))
        dispatch = structs.replace(
            owed(number, event, entry=entry),
            state=State.DEAD,
            reason=f"reason {number}",
            created_at=self.now,
            settled_at=self.now,
        )
        await self.store.record(event, [Verdict(entry, Outcome.DISPATCHED, "", (dispatch,))])
        return dispatch

    async def follow_up(self, number: int) -> FollowUp:
        (found,) = await self.store.follow_ups(id_of("dsp", number))
        return found

    async def states(self, numbers: range) -> list[Standing]:
        return [(await self.follow_up(number)).state for number in numbers]


def entries(**keys: Any) -> Config:
    environ = {**ENVIRON, "URL": URL, "OTHER": "https://other.example.com/x"}
    return config(
        [
            trigger_entry(**keys),
            trigger_entry("other", path="/o", on_failure={"notify": "env:OTHER"}),
        ],
        [cron_entry(**keys)],
        environ,
    )


def world_of(configured: Config) -> World:
    store = Store.open("sqlite://", owner="tests", now=NOW, follows=configured.follows)
    return World(configured, store)


@pytest.fixture
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    keys: Mapping[str, Any] = getattr(request, "param", {"on_failure": NOTIFY})
    world = world_of(entries(**keys))
    yield world
    await world.store.close()


async def test_somebody_is_told_of_a_dispatch_that_died(world: World) -> None:
    dispatch = await world.dead(1)
    await world.look()
    ((url, notice),) = world.told
    assert url == URL
    assert notice.title == "trigger: dispatch dead"
    assert "reason 1" in notice.text
    settled = await world.follow_up(1)
    assert (settled.state, settled.target, settled.attempts) == (Standing.NOTIFIED, "env:URL", 1)
    assert (settled.settled_at, settled.wake_at) == (NOW, None)
    assert world.seen == [FollowUpSettled(settled, dispatch.event_id)]
    assert settled.dispatch_id == dispatch.id
    await world.look()
    assert len(world.told) == 1


async def test_a_simulation_says_so(world: World) -> None:
    world.restart(simulated=True)
    await world.dead(1)
    await world.look()
    assert world.told[0][1].title == "SIMULATION: trigger: dispatch dead"


@pytest.mark.parametrize(
    "world",
    [
        {"on_failure": {**NOTIFY, "text": "{{ dispatch.entry }} of {{ event.id }}: {{ run.url }}"}},
    ],
    indirect=True,
)
async def test_the_text_of_an_entry_knows_event_dispatch_and_run(world: World) -> None:
    dispatch = await world.dead(1)
    await world.store.owe([Owing(dispatch.id, Cause.FAILED, NOW, RUN)])
    await world.look()
    texts = {notice.text for _, notice in world.told}
    event = dispatch.event_id
    assert texts == {f"trigger of {event}: ", f"trigger of {event}: {RUN.url}"}


@pytest.mark.parametrize(
    "world",
    [{"on_failure": {**NOTIFY, "text": "{{ dispatch.client_payload.nope }}"}}],
    indirect=True,
)
async def test_a_text_that_fails_is_told_with_the_usual_one(world: World) -> None:
    await world.dead(1)
    await world.look()
    ((_, notice),) = world.told
    assert "reason 1" in notice.text
    assert "`text` fails: there is no key 'nope'" in notice.text


@pytest.mark.parametrize("world", [{"on_failure": AGAIN}], indirect=True)
async def test_the_other_dispatch_is_recorded_with_what_its_templates_come_to(
    world: World,
) -> None:
    dispatch = await world.dead(1)
    world.now += MINUTE
    await world.look()
    settled = await world.follow_up(1)
    assert settled.made is not None
    made = await world.store.dispatch(settled.made)
    assert made is not None
    assert (made.event_type, made.event_id, made.entry) == ("rebuild", dispatch.event_id, "trigger")
    assert (made.state, made.created_at, made.due_at) == (State.PENDING, world.now, world.now)
    assert made.expires_at == world.now + timedelta(hours=24)
    assert (made.parent_id, made.depth) == (dispatch.id, 1)
    assert '"depth":1' in made.client_payload
    for part in ('"why":"dead: reason 1"', '"job":"build"', '"run":0', f'"{dispatch.event_id}"'):
        assert part in made.client_payload
    assert world.seen == [FollowUpSettled(settled, dispatch.event_id), DispatchAdded(made)]
    await world.look()
    assert len(await world.store.dispatches(10)) == 2


@pytest.mark.parametrize(
    "world",
    [
        {
            "on_failure": {
                "event_type": "x",
                "client_payload": {"a": "{{ dispatch.client_payload.b }}"},
            }
        }
    ],
    indirect=True,
)
async def test_one_that_cannot_be_made_is_dead_and_that_is_the_end_of_it(world: World) -> None:
    await world.dead(1)
    await world.look()
    await world.look()
    made, _ = await world.store.dispatches(10)
    assert made.state is State.DEAD
    assert "there is no key 'b'" in made.reason
    assert DispatchSettled(made) in world.seen
    assert await world.store.follow_ups(made.id) == []


@pytest.mark.parametrize(
    "world", [{"on_failure": NOTIFY, "on_missing": {"event_type": "rebuild"}}], indirect=True
)
async def test_what_is_missing_has_a_follow_up_of_its_own(world: World) -> None:
    dispatch = await world.dead(1)
    await world.store.owe([Owing(dispatch.id, Cause.MISSING, NOW, why="nobody listens")])
    await world.look()
    standing = {each.cause: each.state for each in await world.store.follow_ups(dispatch.id)}
    assert standing == {Cause.DEAD: Standing.NOTIFIED, Cause.MISSING: Standing.DISPATCHED}


async def test_the_follow_up_of_a_cron_knows_its_firing() -> None:
    text = "{{ firing.cron }} {{ firing.scheduled_at }} {{ cause }} {{ run.conclusion }}"
    world = world_of(
        config([], [cron_entry(on_failure={**NOTIFY, "text": text})], {**ENVIRON, "URL": URL})
    )
    event = structs.replace(delivered(1), cause=Firing("cron", NOW - HOUR, NOW))
    dispatch = owed(1, event, entry="cron")
    await world.store.record(event, [Verdict("cron", Outcome.DISPATCHED, "", (dispatch,))])
    await world.store.owe([Owing(dispatch.id, Cause.FAILED, NOW, RUN)])
    await world.look()
    ((_, notice),) = world.told
    assert notice.text.startswith("cron 2026-03-01T11:00:00")
    assert notice.text.endswith(" failed failure")
    await world.store.close()


@pytest.mark.parametrize("change", [{"enabled": False}, {"on_failure": None}, {"name": "renamed"}])
async def test_an_entry_that_wants_nothing_any_more_gets_nothing(
    world: World, change: dict[str, Any]
) -> None:
    await world.dead(1)
    keys = {"on_failure": NOTIFY} | change
    keys = {key: value for key, value in keys.items() if value is not None}
    world.config = entries() if "name" in change else entries(**keys)
    if "name" in change:
        world.config = replace(world.config, triggers=())
    world.restart()
    await world.look()
    settled = await world.follow_up(1)
    assert settled.state is Standing.NOTHING
    assert settled.reason.startswith("its entry is")
    assert world.told == []


class TestPace:
    async def test_up_to_the_limit_each_is_told_by_itself(self, world: World) -> None:
        for number in range(NOTICES_MAX):
            await world.dead(number)
        await world.look()
        assert len(world.told) == NOTICES_MAX
        assert set(await world.states(range(NOTICES_MAX))) == {Standing.NOTIFIED}

    async def test_above_it_what_is_left_is_told_in_one(self, world: World) -> None:
        for number in range(50):
            await world.dead(number)
        await world.look()
        assert len(world.told) == NOTICES_MAX
        last = world.told[-1][1]
        assert last.title == f"{50 - NOTICES_MAX + 1} dispatches went wrong"
        assert last.text.splitlines()[-1].endswith(" more")
        assert len(last.about) == 50 - NOTICES_MAX + 1
        assert set(await world.states(range(50))) == {Standing.NOTIFIED}

    async def test_what_comes_then_waits_until_there_is_room_and_goes_together(
        self, world: World
    ) -> None:
        for number in range(20):
            await world.dead(number)
        await world.look()
        for number in range(20, 23):
            await world.dead(number)
        await world.look()
        assert len(world.told) == NOTICES_MAX
        assert (await world.follow_up(22)).wake_at == NOW + MINUTE
        world.now = NOW + MINUTE
        await world.look()
        assert len(world.told) == NOTICES_MAX + 3

    @pytest.mark.parametrize(
        "world",
        [{"on_failure": {**NOTIFY, "rate_limit": {"max": 1, "per": "1h"}}}],
        indirect=True,
    )
    async def test_an_entry_sets_another_limit(self, world: World) -> None:
        for number in range(3):
            await world.dead(number)
        await world.look()
        assert [notice.title for _, notice in world.told] == ["3 dispatches went wrong"]

    async def test_what_was_told_before_a_restart_counts(self, world: World) -> None:
        world.takes = timedelta(milliseconds=1)
        for number in range(20):
            await world.dead(number)
        await world.look()
        world.restart()
        await world.dead(20)
        await world.look()
        assert len(world.told) == NOTICES_MAX
        world.now += MINUTE
        await world.look()
        assert len(world.told) == NOTICES_MAX + 1

    async def test_another_url_does_not_wait_for_it(self, world: World) -> None:
        for number in range(20):
            await world.dead(number)
        await world.look()
        await world.dead(20, "other")
        await world.look()
        assert world.told[-1][0] == "https://other.example.com/x"


class TestFailures:
    async def test_what_does_not_arrive_is_tried_again_later_each_time(self, world: World) -> None:
        world.refusals = [NotTold("answered 503") for _ in range(3)]
        await world.dead(1)
        waits = []
        for _ in range(3):
            before = world.now
            await world.look()
            waiting = await world.follow_up(1)
            assert (waiting.state, waiting.reason) == (Standing.OWED, "answered 503")
            assert waiting.wake_at is not None
            waits.append((waiting.wake_at - before).total_seconds())
            world.now = waiting.wake_at
        assert waits == [10, 20, 40]
        await world.look()
        settled = await world.follow_up(1)
        assert (settled.state, settled.attempts, settled.reason) == (Standing.NOTIFIED, 4, "")
        said = [fact for fact in world.seen if isinstance(fact, Trouble)]
        assert len(said) == 3
        assert "env:URL could not be told of 1: answered 503; trying again at" in said[0].message
        assert "services/token" not in "".join(map(repr, world.seen))

    async def test_who_asks_to_be_left_alone_is(self, world: World) -> None:
        world.refusals = [NotTold("answered 429", 5 * MINUTE)]
        for number in range(3):
            await world.dead(number)
        await world.look()
        assert len(world.told) == 1  # the others are not tried
        until = NOW + 5 * MINUTE
        assert {(await world.follow_up(n)).wake_at for n in range(3)} == {until}
        await world.dead(3)
        world.now = until - MINUTE
        await world.look()
        assert len(world.told) == 1
        world.now = until
        await world.look()
        assert set(await world.states(range(4))) == {Standing.NOTIFIED}

    async def test_nobody_is_left_alone_for_days(self, world: World) -> None:
        world.refusals = [NotTold("answered 429", timedelta(days=9))]
        await world.dead(1)
        await world.look()
        assert (await world.follow_up(1)).wake_at == NOW + CAP

    async def test_after_a_day_it_is_given_up_and_that_is_told(self, world: World) -> None:
        dispatch = await world.dead(1)
        while (last := await world.follow_up(1)).wake_at is not None:
            world.now = last.wake_at
            world.refusals = [NotTold("answered 404: no_service")]
            await world.look()
        assert NOW + GIVE_UP_AFTER - 2 * CAP < world.now <= NOW + GIVE_UP_AFTER
        assert last.state is Standing.GAVE_UP
        assert "within 24 hours; last: answered 404: no_service" in last.reason
        assert world.seen[-1] == FollowUpSettled(last, dispatch.event_id)

    async def test_a_day_that_nobody_worked_still_gives_it_one_try(self, world: World) -> None:
        await world.dead(1)
        world.now = NOW + timedelta(days=3)
        await world.look()
        assert (await world.follow_up(1)).state is Standing.NOTIFIED

    async def test_what_is_cut_off_is_told_again_after_its_lease(self, world: World) -> None:
        """A kill between the telling and its settling: at least once."""
        hung, begun = asyncio.Event(), asyncio.Event()

        async def hang(where: Secret, notice: Notice) -> None:
            begun.set()
            await hung.wait()

        world.loop = FollowingUp(
            world.config,
            world.store,
            hang,
            ids=IdSource(),
            clock=lambda: world.now,
            random=lambda: 0.0,
            facts=Facts(),
        )
        await world.dead(1)
        await world.loop.look()
        await begun.wait()
        await world.loop.stop(timedelta())
        world.restart()
        await world.look()
        assert world.told == []
        world.now += LEASE
        await world.look()
        assert len(world.told) == 1

    async def test_where_nothing_can_be_written_nothing_is_told(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would be told again and again."""
        await world.dead(1)

        async def full(changed: object) -> None:
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(world.store, "change_follow_ups", full)
            await world.look()
            await asyncio.sleep(0)
        assert world.told == []
        (trouble,) = world.seen
        assert isinstance(trouble, Trouble)
        assert "the disk is full" in trouble.message
        await world.look()
        assert len(world.told) == 1

    async def test_what_is_being_told_is_not_read_again(self, world: World) -> None:
        """However often the loop is woken meanwhile: a payload can be 64 KB."""
        hung, begun = asyncio.Event(), asyncio.Event()

        async def tell(where: Secret, notice: Notice) -> None:
            begun.set()
            await hung.wait()

        world.tell = tell  # type: ignore[method-assign]
        world.restart()
        for number in range(3):
            await world.dead(number)
        assert await world.loop.look() == 3
        await begun.wait()
        assert await world.loop.look() == 0
        hung.set()
        await world.loop.stop(MINUTE)
        assert set(await world.states(range(3))) == {Standing.NOTIFIED}

    async def test_a_slow_url_holds_up_no_other(self, world: World) -> None:
        hung, told, order = asyncio.Event(), asyncio.Event(), list[str]()

        async def tell(where: Secret, notice: Notice) -> None:
            order.append(where.reference)
            if where.reference == "env:URL":
                await hung.wait()

        world.tell = tell  # type: ignore[method-assign]
        world.restart()
        world.loop_facts.subscribe(lambda _: told.set())
        await world.dead(1)
        await world.dead(2, "other")
        await world.loop.look()
        async with asyncio.timeout(5):
            await told.wait()
        assert (await world.follow_up(2)).state is Standing.NOTIFIED
        assert sorted(order) == ["env:OTHER", "env:URL"]
        hung.set()
        await world.loop.stop(MINUTE)
        assert (await world.follow_up(1)).state is Standing.NOTIFIED


async def test_where_nobody_wants_any_what_was_owed_is_settled_and_no_more_is_asked(
    world: World,
) -> None:
    """Until a config is adopted in which somebody does."""
    await world.dead(1)
    wanting = world.config
    world.config = replace(world.config, crons=(), triggers=())
    world.restart()
    looks = asyncio.Queue[int]()
    look = world.loop.look

    async def looked() -> int:
        looks.put_nowait(seen := await look())
        return seen

    world.loop.look = looked  # type: ignore[method-assign]
    running = asyncio.create_task(world.loop.run())
    async with asyncio.timeout(5):
        assert [await looks.get(), await looks.get()] == [1, 0]
        assert (await world.follow_up(1)).state is Standing.NOTHING
        world.loop.adopt(wanting)
        await looks.get()
    running.cancel()


async def test_an_error_that_nobody_foresaw_ends_the_loop_and_is_raised(world: World) -> None:
    async def tell(where: Secret, notice: Notice) -> None:
        raise ZeroDivisionError

    world.tell = tell  # type: ignore[method-assign]
    world.restart()
    await world.dead(1)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(world.loop.run(), 5)
