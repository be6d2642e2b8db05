"""GitHub away for an hour while a thousand dispatches come in, and its limits in the middle of a
burst: the whole daemon, in simulated time. Nothing is lost or doubled, and what waited goes in its
order and at its pace."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.dispatch import Dispatch
from daemon.facts import AttemptMade, DispatchSettled, EventRecorded
from daemon.run import Match
from daemon.simulator import Fault, FaultKind, Listener, Simulator
from daemon.simulator.faults import FaultPlace
from tests.harness import dispatch_id_of
from tests.inprocess import Serving, serving
from tests.simulated_time import SimulatedTime, in_simulated_time
from tests.specs import ENVIRON, SECRET, SIGNED, cron_entry, trigger_entry

pytestmark = pytest.mark.no_cover

REPOSITORY = "octo-org/octo-repo"
SHOWN = "${{ github.event.client_payload.dispatchd.id }}"
LISTENERS = {REPOSITORY: [Listener("build.yml", "Build", None, f"Build [{SHOWN}]")]}
NOT_EXPECTED = {"event_type": "build", "expect_run": False}
TRIGGERS = [trigger_entry(name, path=f"/{name}", auth=SIGNED) for name in ("a", "b", "c", "d")]
UNFOLLOWED = [
    trigger_entry(each["name"], path=each["path"], auth=SIGNED, dispatch=NOT_EXPECTED)
    for each in TRIGGERS
]
CRON = cron_entry("often", schedule="*/2 * * * *", end_at="2026-11-23T01:00:30Z")
SETTINGS = {"breaker": {"max": 10_000, "per": "1h"}}


@pytest.fixture(autouse=True)
def _calmly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sets the clock here, so nobody has to look at it all the time."""
    monkeypatch.setattr("daemon.dispatcher.TICK", timedelta(minutes=1))
    monkeypatch.setattr("daemon.tracker.TICK", timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class Pace:
    """The settings, and the minutes within which a thousand are sent by them."""

    per_second: float
    burst: int
    per_hour: int
    within: float

    @property
    def environ(self) -> dict[str, str]:
        return {
            "GH_WRITES_PER_SECOND": str(self.per_second),
            "GH_WRITE_BURST": str(self.burst),
            "GH_WRITES_PER_HOUR": str(self.per_hour),
        }


BY_DEFAULT = Pace(1, 10, 500, 75)
RAISED = Pace(8, 40, 0, 4)


@pytest.mark.parametrize("pace", [BY_DEFAULT, RAISED], ids=["default pace", "raised pace"])
def test_an_hour_without_github_loses_and_doubles_nothing(tmp_path: Path, pace: Pace) -> None:
    """A thousand dispatches of webhooks, a cron and calls come in meanwhile."""

    async def story(loop: SimulatedTime) -> None:
        github = Simulator(loop.now, listeners=LISTENERS)
        async with daemon_at(tmp_path, loop, github, pace, triggers=UNFOLLOWED) as daemon:
            await github.stop()
            owed = await an_hour(daemon, 970)
            assert len(owed) == 1000
            assert not set(owed) & settled(daemon)
            await github.start(port=int(github.url.rpartition(":")[2]))
            await all_settled(daemon, loop, owed, pace)

            received = list(map(dispatch_id_of, github.received))
            assert Counter(received) == Counter(dict.fromkeys(owed, 1))
            assert {each["state"] for each in await states(daemon, owed)} == {"accepted"}
            assert_order(daemon, owed)
            assert_pace([fact.attempt.started_at for fact in arrived(daemon)], pace)
            urgent = [place for place, id_ in enumerate(received) if owed[id_].urgent]
            assert len(urgent) == 30 + 97
            # Each fourth turn is left to the others, who may take a whole burst in it.
            assert max(urgent) < len(urgent) * 4 / 3 + 2 * pace.burst

    in_simulated_time(story)


@pytest.mark.parametrize("acts", [False, True], ids=["and does nothing", "and has acted"])
def test_an_hour_in_which_github_answers_503_loses_and_doubles_nothing(
    tmp_path: Path, *, acts: bool
) -> None:
    """It is the runs that tell what it did."""

    async def story(loop: SimulatedTime) -> None:
        github = Simulator(loop.now, listeners=LISTENERS)
        async with daemon_at(tmp_path, loop, github, RAISED) as daemon:
            github.inject(Fault(FaultKind.STATUS, times=None, acts=acts))
            github.inject(Fault(FaultKind.STATUS, times=None, on=FaultPlace.READ))
            owed = await an_hour(daemon, 70)
            assert len(owed) == 100
            assert not set(owed) & settled(daemon)
            assert len(github.received) == (100 if acts else 0)
            github.clear()
            await all_settled(daemon, loop, owed, replace(RAISED, within=10))
            await asyncio.sleep(120)

            assert Counter(map(dispatch_id_of, github.received)) == Counter(dict.fromkeys(owed, 1))
            for each in await states(daemon, owed):
                assert (each["state"], each["match"]) == ("accepted", Match.VERIFIED)
            assert_order(daemon, owed)
            assert_pace([fact.attempt.started_at for fact in arrived(daemon)], RAISED)

    in_simulated_time(story)


@pytest.mark.parametrize("told", [True, False], ids=["with retry-after", "without"])
def test_a_secondary_limit_within_a_burst_stops_all_and_then_all_goes_on(
    tmp_path: Path, *, told: bool
) -> None:
    """Reads as well: to go on while limited is what GitHub bans for."""
    wait = 90 if told else 60

    async def story(loop: SimulatedTime) -> None:
        github = Simulator(loop.now, listeners=LISTENERS)
        async with daemon_at(tmp_path, loop, github, RAISED) as daemon:
            for number in range(200):
                await arrive(daemon, number)
            await asyncio.sleep(5)
            assert 40 < len(github.received) < 200
            limit = Fault(FaultKind.SECONDARY, times=None, retry_after=wait if told else None)
            github.inject(limit)
            await daemon.until(
                lambda fact: isinstance(fact, AttemptMade) and fact.attempt.outcome == "throttled"
            )
            began = loop.now()
            await asyncio.sleep(0.05)  # those that were on their way
            asked = github.requests
            await asyncio.sleep(wait - 1)
            assert github.requests == asked
            github.clear()
            assert len(refused(daemon)) <= 2
            owed = {each.id for each in recorded(daemon)}
            while not owed <= settled(daemon):
                await asyncio.sleep(1)
                assert loop.now() - began < timedelta(seconds=wait * 1.25 + 60)
            taken = Counter(map(dispatch_id_of, github.received))
            assert set(taken) == owed
            assert set(taken.values()) == {1}
            after = [each.at for each in github.received if each.at > began]
            assert after[0] >= began + timedelta(seconds=wait - 1)
            assert_pace(after, Pace(RAISED.per_second, 1, 0, 0))  # no burst after a limit
            await asyncio.sleep(120)
            for each in await states(daemon, owed):
                assert each["match"] == Match.VERIFIED

    in_simulated_time(story)


def test_a_limit_on_reading_stops_the_writes_as_well(tmp_path: Path) -> None:
    async def story(loop: SimulatedTime) -> None:
        github = Simulator(loop.now, listeners=LISTENERS)
        async with daemon_at(tmp_path, loop, github, RAISED) as daemon:
            github.inject(Fault(FaultKind.SECONDARY, retry_after=60, on=FaultPlace.READ))
            await arrive(daemon, 0)
            await asyncio.sleep(3)  # by now its run was looked for
            asked = github.requests
            assert asked == 2
            await arrive(daemon, 1)
            await asyncio.sleep(50)
            assert github.requests == asked
            await asyncio.sleep(60)
            assert len(github.received) == 2
            for each in await states(daemon, {each.id for each in recorded(daemon)}):
                assert each["match"] == Match.VERIFIED

    in_simulated_time(story)


def test_a_revoked_token_that_is_replaced_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    """By what is to be sent, and by the looks for what was sent before."""
    place = tmp_path / "token"
    place.write_text("ghp_first\n")

    async def story(loop: SimulatedTime) -> None:
        github = Simulator(
            loop.now, listeners=LISTENERS, tokens=["ghp_first"], running_for=timedelta(minutes=10)
        )
        async with daemon_at(
            tmp_path, loop, github, BY_DEFAULT, {"gh_token": f"file:{place}"}
        ) as daemon:
            await arrive(daemon, 0)
            await asyncio.sleep(30)
            (first,) = await states(daemon, {each.id for each in recorded(daemon)})
            assert first["run_outcome"] == "in_progress"
            github.allow("ghp_second")
            asked = github.requests
            for number in range(1, 21):
                await arrive(daemon, number)
                await asyncio.sleep(60)
            owed = {each.id for each in recorded(daemon)}
            assert len(settled(daemon)) == 1
            for each in await states(daemon, owed - {first["id"]}):
                assert each["state"] == "pending"
            (first,) = await states(daemon, {first["id"]})
            assert first["run_outcome"] == "in_progress"  # it is over, which nobody could see
            assert github.requests - asked < 100  # one now and then finds out
            place.write_text("ghp_second\n")
            await asyncio.sleep(360)
            taken = Counter(map(dispatch_id_of, github.received))
            assert owed <= set(taken)
            assert set(taken.values()) == {1}
            for each in await states(daemon, owed):
                assert each["match"] == Match.VERIFIED
            (first,) = await states(daemon, {first["id"]})
            assert first["run_outcome"] == "success"

    in_simulated_time(story)


def test_webhooks_alone_bind_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred dispatches, each with runs of three workflows, and hardly a question."""
    monkeypatch.setattr("daemon.simulator.run_watch.LOOK", 0.5)
    three = [Listener(f"{name}.yml", name, None, f"{name} [{SHOWN}]") for name in "xyz"]
    heard = trigger_entry("heard", path="/github", auth=SIGNED, when="false")

    async def story(loop: SimulatedTime) -> None:
        github = Simulator(loop.now, listeners={REPOSITORY: three})
        async with daemon_at(tmp_path, loop, github, RAISED, triggers=[*TRIGGERS, heard]) as daemon:
            hook = {
                "events": ["workflow_run"],
                "config": {
                    "url": f"{daemon.url}/github",
                    "secret": SECRET,
                    "content_type": "json",
                },
            }
            token = {"authorization": f"Bearer {ENVIRON['GH_TOKEN']}"}
            place = f"{github.url}/repos/{REPOSITORY}/hooks"
            async with daemon.session.post(place, json=hook, headers=token) as answer:
                assert answer.status == 201
            asked = github.requests - github.writes
            for number in range(200):
                await arrive(daemon, number)
            await asyncio.sleep(90)
            titles = {run.id: run.display_title for run in github.runs}
            assert len(titles) == 600
            for each in recorded(daemon):
                _, found = await daemon.call("GET", f"/api/v1/dispatches/{each.id}")
                assert found["match"] == Match.VERIFIED
                assert found["run_outcome"] == "success"
                assert {titles[run["id"]] for run in found["runs"]} == {
                    f"{name} [{each.id}]" for name in "xyz"
                }
            assert github.requests - github.writes - asked <= 20

    in_simulated_time(story)


def daemon_at(
    home: Path,
    loop: SimulatedTime,
    github: Simulator,
    pace: Pace,
    settings: Mapping[str, object] | None = None,
    *,
    triggers: Sequence[Mapping[str, object]] = TRIGGERS,
) -> AbstractAsyncContextManager[Serving]:
    own = {"GH_TOKEN": ""} if settings and "gh_token" in settings else {}
    return serving(
        home,
        triggers=triggers,
        crons=[CRON],
        environ={**pace.environ, **own},
        settings={**SETTINGS, **(settings or {})},
        simulator=github,
        clock=loop.now,
        elapsed=loop.time,
    )


async def an_hour(daemon: Serving, count: int) -> dict[str, Dispatch]:
    """So many deliveries and calls, and thirty instants of the cron: what is owed by then."""
    for number in range(count):
        await arrive(daemon, number)
        await asyncio.sleep(3600 / count)
    await asyncio.sleep(1)
    return {each.id: each for each in recorded(daemon)}


async def all_settled(
    daemon: Serving, loop: SimulatedTime, owed: Mapping[str, Dispatch], pace: Pace
) -> None:
    """Within the minutes that the pace says."""
    began = loop.now()
    while not set(owed) <= settled(daemon):
        await asyncio.sleep(10)
        assert loop.now() - began < timedelta(minutes=pace.within)


async def arrive(daemon: Serving, number: int) -> None:
    """A delivery, or of every ten one call."""
    if number % 10 == 9:
        call = {"event_type": "build", "client_payload": {"number": number}}
        headers = {"prefer": "respond-async"}
        status, _ = await daemon.call("POST", "/dispatch", json=call, headers=headers)
    else:
        headers = {"x-github-delivery": str(number)}
        path = f"/{'abcd'[number % 4]}"
        status, _ = await daemon.deliver(path, {"number": number}, headers=headers)
    assert status == 202


def recorded(daemon: Serving) -> list[Dispatch]:
    facts = [fact for fact in daemon.seen if isinstance(fact, EventRecorded)]
    return [each for fact in facts for one in fact.verdicts for each in one.dispatches]


def settled(daemon: Serving) -> set[str]:
    return {fact.dispatch.id for fact in daemon.seen if isinstance(fact, DispatchSettled)}


def attempts(daemon: Serving) -> list[AttemptMade]:
    return [fact for fact in daemon.seen if isinstance(fact, AttemptMade)]


def arrived(daemon: Serving) -> list[AttemptMade]:
    """Those that GitHub got, whatever it said."""
    return [fact for fact in attempts(daemon) if fact.attempt.status is not None]


def refused(daemon: Serving) -> list[AttemptMade]:
    return [fact for fact in attempts(daemon) if fact.attempt.outcome == "throttled"]


async def states(daemon: Serving, ids: Iterable[str]) -> list[dict[str, Any]]:
    """The dispatches as the API shows them."""
    return [(await daemon.call("GET", f"/api/v1/dispatches/{id_}"))[1] for id_ in sorted(ids)]


def assert_order(daemon: Serving, owed: Mapping[str, Dispatch]) -> None:
    """First attempts of one entry went out in the order in which they were owed."""
    firsts: dict[str, list[str]] = defaultdict(list)
    made = [fact for fact in attempts(daemon) if fact.attempt.number == 1]
    for fact in sorted(made, key=lambda fact: fact.attempt.started_at):
        if fact.dispatch.id in owed:
            firsts[fact.dispatch.entry].append(fact.dispatch.id)
    for entry, ids in firsts.items():
        assert ids == sorted(ids), entry


def assert_pace(sent: Sequence[datetime], pace: Pace) -> None:
    """No more than the burst at once, than the rate after it, and than may go in an hour."""
    seconds = sorted(each.timestamp() for each in sent)
    full = 0.0  # when the bucket is full again
    for place, at in enumerate(seconds):
        full = max(full, at) + 1 / pace.per_second
        assert full - at <= pace.burst / pace.per_second + 0.01, place
        if pace.per_hour:
            assert sum(at - 3600 < each <= at for each in seconds) <= pace.per_hour
