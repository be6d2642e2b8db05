"""The default `notify`: what it is told, that it is told once, and how a storm becomes a handful of
messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.chain import UNGUARDED
from daemon.digest import FRESH, GATHERED, LAST_GAP, digest, due_at
from daemon.dispatch import Dispatch, State
from daemon.errors import StoreUnavailable
from daemon.event import Outcome, Verdict
from daemon.facts import DispatchSettled, Fact, Facts, NewsTold, Trouble, WellnessChanged
from daemon.follow_up import Cause, Owing, Wanted
from daemon.incident import DEAD, NO_RUN, Incident, IncidentKind, News
from daemon.notice import TEXT_BYTES_MAX, TEXT_MAX, Notice, NotTold
from daemon.notifying import AGAIN_LAST, GIVE_UP_AFTER, LOOKED_AT_EVERY, STORE, Notifying
from daemon.ports import Condition
from daemon.secret import Secret
from daemon.store import Store
from daemon.store import incidents as store_incidents
from tests.follow_ups import receiving
from tests.harness import PUSH, Daemon, Sender, stand_in
from tests.inprocess import serving
from tests.specs import trigger_entry
from tests.store.samples import NOW, delivered, id_of, owed

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
URL = Secret("https://hooks.example.com/T1", "env:HOOK")
OWN = frozenset({("careful", Cause.DEAD), ("careful", Cause.MISSING)})


@dataclass
class World:
    """A store, the loop, a clock, and who is told."""

    store: Store
    now: Any = NOW
    told: list[Notice] = field(default_factory=list)
    refusals: list[NotTold] = field(default_factory=list)
    seen: list[Fact] = field(default_factory=list)
    condition: Condition = field(default_factory=Condition)
    target: Secret | None = URL

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        facts = Facts()
        facts.subscribe(self.seen.append)
        self.loop = Notifying(
            self.store,
            lambda: self.target,
            self.tell,
            self.look_at_it,
            clock=lambda: self.now,
            facts=facts,
        )

    async def look_at_it(self) -> Condition:
        return self.condition

    async def tell(self, where: Secret, notice: Notice) -> None:
        assert where is URL
        if self.refusals:
            raise self.refusals.pop(0)
        self.told.append(notice)

    async def dead(self, number: int, entry: str = "push") -> Dispatch:
        event = replace(delivered(number), id=id_of("evt", number))
        dispatch = replace(
            owed(number, event, entry=entry),
            state=State.DEAD,
            reason=f"reason {number}",
            created_at=self.now,
            settled_at=self.now,
        )
        await self.store.record(event, [Verdict(entry, Outcome.DISPATCHED, "", (dispatch,))])
        return dispatch

    async def look(self, after: timedelta = GATHERED) -> None:
        self.now += after
        await self.loop.look()

    async def pass_by(self, span: timedelta) -> None:
        """Time, with a look every five seconds."""
        end = self.now + span
        while self.now < end:
            await self.look(5 * SECOND)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = Store.open("sqlite://", owner="tests", now=NOW, follows=Wanted(OWN, told=True))
    yield World(store)
    await store.close()


async def test_a_dead_dispatch_whose_entry_tells_nobody_is_told_once(world: World) -> None:
    dispatch = await world.dead(1)
    await world.look()
    (notice,) = world.told
    assert notice.title == "push: dispatch dead"
    assert notice.text.startswith("push: dispatch dead: wat-factory to ")
    assert f"was not sent: reason 1 ({dispatch.id})" in notice.text
    assert world.seen == [NewsTold(1, "env:HOOK", (DEAD,))]
    world.restart()
    await world.pass_by(timedelta(hours=1))
    assert len(world.told) == 1


async def test_an_entry_that_has_it_followed_itself_is_no_news(world: World) -> None:
    await world.dead(1, "careful")
    await world.look()
    assert world.told == []


async def test_a_run_that_is_missing_is_told_and_one_that_failed_is_not(world: World) -> None:
    dispatch = await world.dead(1, "careful")
    other = await world.dead(2, "careful")
    follows = Wanted(frozenset(), told=True)
    world.store.adopt(lane_of=lambda _: "", guards=UNGUARDED, follows=follows)
    await world.store.owe([Owing(other.id, Cause.FAILED, world.now)])
    for _ in range(2):  # it may be told twice
        await world.store.owe([Owing(dispatch.id, Cause.MISSING, world.now, why="nothing listens")])
    await world.look()
    (notice,) = world.told
    assert notice.title == "careful: dispatch without a run"
    assert "no run followed: nothing listens" in notice.text


async def test_each_kind_of_incident_is_told(world: World) -> None:
    given = [
        Incident(f"entry-{kind}", kind, NOW, NOW, 7, NOW, f"why {kind}") for kind in IncidentKind
    ]
    for _ in range(2):
        await world.store._writing.alone(store_incidents.record, given)  # noqa: SLF001
    await world.look()
    (notice,) = world.told
    assert notice.title == (
        "dispatchd: 7 instants missed, 7 instants late, 7 breakers open, 7 chains too deep"
    )
    for kind in IncidentKind:
        assert f"why {kind}" in notice.text


async def test_a_storm_of_a_thousand_deaths_is_a_handful_of_messages(world: World) -> None:
    """Over a quarter of an hour; and each of them counts in one."""
    for number in range(1, 1001):
        await world.dead(number, f"entry-{number % 7}")
        if number % 10 == 0:
            await world.look(9 * SECOND)
    await world.pass_by(timedelta(hours=1))
    assert 2 <= len(world.told) <= 7
    assert sum(one["count"] for notice in world.told for one in notice.about) == 1000  # type: ignore[misc]
    assert "dispatches dead, last: wat-factory" in world.told[1].text
    assert "1," in world.told[-1].title or "dispatches dead" in world.told[-1].title


async def test_many_at_once_are_one_message_that_says_how_many(world: World) -> None:
    for number in range(1, 101):
        await world.dead(number, f"entry-{number}")
    await world.look()
    (notice,) = world.told
    assert notice.title == "dispatchd: 100 dispatches dead"
    assert "more like these" in notice.text
    assert len(notice.text) <= TEXT_MAX


async def test_news_of_another_kind_does_not_wait_for_a_storm(world: World) -> None:
    for number in range(1, 200):
        await world.dead(number)
        await world.look(2 * SECOND)
    before = len(world.told)
    given = [Incident("nightly", IncidentKind.MISSED, NOW, NOW, 1, world.now, "away")]
    await world.store._writing.alone(store_incidents.record, given)  # noqa: SLF001
    await world.look()
    assert len(world.told) == before + 1
    assert "nightly: instant missed: away" in world.told[-1].text


async def test_a_restart_does_not_make_a_storm_of_messages(world: World) -> None:
    for number in range(1, 200):
        await world.dead(number)
        world.restart()
        await world.look(2 * SECOND)
    assert len(world.told) <= 4


async def test_what_did_not_arrive_is_tried_again_ever_later_and_given_up(world: World) -> None:
    await world.dead(1)
    world.refusals = [NotTold("answered 500")] * 3
    await world.look()
    await world.pass_by(timedelta(minutes=2))
    assert (len(world.told), world.refusals) == (1, [])
    await world.dead(2)
    world.refusals = [NotTold("answered 500")] * 1000
    started = len(world.refusals)
    end = world.now + GIVE_UP_AFTER + 3 * AGAIN_LAST
    while world.now < end:
        await world.look(MINUTE)
    assert started - len(world.refusals) < 200
    world.refusals = []
    await world.pass_by(timedelta(minutes=30))
    assert len(world.told) == 1
    troubles = [fact.message for fact in world.seen if isinstance(fact, Trouble)]
    assert any("nobody could be told of 1 within 24 hours" in each for each in troubles)


async def test_without_a_notify_nothing_is_owed_and_what_was_is_dropped(world: World) -> None:
    await world.dead(1)
    world.target = None
    await world.look()
    world.target = URL
    await world.look()
    assert world.told == []


GITHUB = Condition(True, ("GitHub is away",), {"github": "GitHub is away"})


async def test_a_daemon_that_is_not_well_is_told_once_and_when_that_is_over(world: World) -> None:
    """Also over a restart in between."""
    world.condition = GITHUB
    await world.pass_by(5 * MINUTE)
    world.restart()
    await world.pass_by(5 * MINUTE)
    world.condition = Condition()
    await world.pass_by(5 * MINUTE)
    unwell, well = world.told
    assert (unwell.title, unwell.text) == ("dispatchd: the daemon is not well", "GitHub is away")
    assert (well.title, well.text) == (
        "dispatchd: the daemon is well again",
        "Over: GitHub is away",
    )
    changes = [fact for fact in world.seen if isinstance(fact, WellnessChanged)]
    assert changes == [
        WellnessChanged("github", "GitHub is away", over=False),
        WellnessChanged("github", "GitHub is away", over=True),
    ]


async def test_what_comes_and_goes_between_two_looks_is_no_news(world: World) -> None:
    for number in range(20):
        world.condition = GITHUB if number % 2 else Condition()
        await world.look(LOOKED_AT_EVERY)
    assert world.told == []


async def test_a_database_that_takes_no_writes_is_told_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(world.store, "begin_ailment", full)
    monkeypatch.setattr(world.store, "end_ailment", full)
    world.condition = Condition(False, ("no writes",), {STORE: "no writes"})
    world.refusals = [NotTold("answered 500")]
    await world.pass_by(5 * MINUTE)
    world.condition = Condition()
    await world.pass_by(5 * MINUTE)
    assert [notice.text for notice in world.told] == ["no writes", "Over: no writes"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([DEAD, NO_RUN, *IncidentKind, "github"]),
            st.sampled_from(["a", "b", "中文" * 40]),
            st.text(max_size=600),
            st.booleans(),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_a_digest_keeps_within_what_services_take(rows: list[tuple[str, str, str, bool]]) -> None:
    owed = [
        News(kind, str(number), entry, NOW, 1, text, over and kind == "github")
        for number, (kind, entry, text, over) in enumerate(rows)
    ]
    notice = digest(owed, more=7)
    assert len(notice.text) <= TEXT_MAX
    assert len(notice.text.encode(errors="replace")) <= TEXT_BYTES_MAX
    assert "\n" not in notice.title
    assert "7 more that are told next" in notice.text
    assert sum(each["count"] for each in notice.about) == len(rows)  # type: ignore[misc]


@given(st.lists(st.integers(1, 7200), max_size=30), st.integers(0, 7200))
def test_nothing_waits_longer_than_the_longest_gap(gaps: list[int], after: int) -> None:
    at, told = NOW, []
    for gap in gaps:
        at += gap * SECOND
        told.append((at, DEAD))
    now = at + after * SECOND
    due = due_at([News(DEAD, "1", "push", now, 1, "")], told, now)
    assert now <= due <= now + LAST_GAP + GATHERED
    assert not told or due - at <= LAST_GAP or due == now + GATHERED or now - at > FRESH


async def test_the_daemon_tells_it(tmp_path: Path) -> None:
    """A dispatch that dies, over real HTTP; the other's entry tells somebody itself."""
    triggers = [
        trigger_entry("push", dispatch={"event_type": "{{ body.nothing }}", "event_types": ["x"]})
    ]
    async with (
        asyncio.timeout(30),
        receiving() as somebody,
        serving(
            tmp_path, triggers=triggers, settings={"notify": f"{somebody.url}/builds"}
        ) as daemon,
    ):
        status, _ = await daemon.deliver("/hook", {"a": 1})
        assert status == 202
        await daemon.until(lambda fact: isinstance(fact, DispatchSettled))
        await somebody.until(lambda: bool(somebody.bodies))
    (body,) = somebody.bodies
    assert body["title"] == "push: dispatch dead"
    (incident,) = body["dispatchd"]["incidents"]
    assert (incident["kind"], incident["entry"], incident["count"]) == ("dead", "push", 1)


async def test_a_kill_before_it_was_told_loses_no_news(tmp_path: Path) -> None:
    broken = {
        **PUSH,
        "dispatch": {"event_type": "{{ body.nothing }}", "event_types": ["x"]},
    }
    async with (
        asyncio.timeout(60),
        receiving() as somebody,
        stand_in() as github,
        Daemon(tmp_path, github.url, triggers=[broken]) as daemon,
        Sender() as sender,
    ):
        settings = tmp_path / "config" / "DAEMON.yaml"
        settings.write_text(f"{settings.read_text()}notify: {somebody.url}/builds\n")
        await daemon.start()
        assert await sender.push(daemon.url, "first") == 202
        await daemon.kill()
        assert somebody.bodies == []
        await daemon.start()
        await daemon.until(lambda: bool(daemon.said("news told")))
        await daemon.kill()
        await daemon.start()
        assert await daemon.terminate() == 0
    assert [body["dispatchd"]["incidents"][0]["count"] for body in somebody.bodies] == [1]
