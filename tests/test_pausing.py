"""Pause and resume: nothing of a paused entry is sent, nothing is lost, and everybody can see who
wanted it and why."""

from __future__ import annotations

import asyncio
import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon import pauses
from daemon.errors import StoreUnavailable
from daemon.event import FiringOutcome, Pause
from daemon.facts import AttemptMade, EntryResumed, Fact, FiringAccounted, Trouble
from daemon.simulator import Fault, FaultKind
from daemon.store import Store
from tests.inprocess import Serving, serving
from tests.shell import Shell
from tests.specs import cron_entry, trigger_entry

TRIGGERS = [trigger_entry("push"), trigger_entry("other", path="/other")]
SECONDLY = cron_entry("secondly", schedule="* * * * * *")
ME = getpass.getuser()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def held(daemon: Serving) -> list[str]:
    _, listed = await daemon.call("GET", "/api/v1/dispatches?state=held")
    return [each["event_id"] for each in reversed(listed["dispatches"])]


async def until_held(daemon: Serving, events: list[str]) -> None:
    """What is on its way when the pause comes is held when its answer is there."""
    async with asyncio.timeout(20):
        while True:
            if await held(daemon) == events:
                return
            await asyncio.sleep(0.01)


async def test_deliveries_of_a_paused_trigger_are_taken_held_and_sent_after_the_resume(
    tmp_path: Path, shell: Shell
) -> None:
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        paused = await shell.run("pause", "push", "--reason", "the runners move")
        assert (paused.code, paused.out) == (0, "push is paused\n")
        events = []
        for number in range(3):
            status, answer = await daemon.deliver("/hook", {"number": number})
            assert (status, answer["matched"]) == (202, ["push"])
            events.append(answer["event_id"])
        await daemon.deliver("/other", {})
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        assert await held(daemon) == events
        listed = await shell.run("events")
        assert f"paused by {ME} since" in listed.out

        resumed = await shell.run("resume", "push")
        assert resumed.out == ("push works again; dispatches that were held and go now: 3\n")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 4)
        assert await held(daemon) == []


async def test_a_pause_outlives_a_restart_and_so_does_what_it_holds(
    tmp_path: Path, shell: Shell
) -> None:
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        await shell.run("pause", "push", "--reason", "the runners move")
        await daemon.deliver("/hook", {"number": 1})
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        status, _ = await daemon.deliver("/hook", {"number": 2})
        assert status == 202
        assert len(await held(daemon)) == 2
        shown = await shell.run("status")
        assert f"push, by {ME} since" in shown.out
        assert "the runners move" in shown.out
        _, told = await daemon.call("GET", "/api/v1/status")
        (pause,) = told["pauses"]
        assert (pause["entry"], pause["by"], pause["reason"]) == ("push", ME, "the runners move")
        await shell.run("resume", "push")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)


async def test_a_pause_that_was_cut_short_is_finished_at_the_next_start(tmp_path: Path) -> None:
    """kill -9 between the pause and what it was to hold, or between the resume and what it was to
    let go."""
    url = f"sqlite:///{tmp_path}/dispatchd.sqlite"
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        await daemon.call("POST", "/api/v1/pause", json={"entries": ["push"]})
        await daemon.deliver("/hook", {"number": 1})
        await daemon.deliver("/other", {"number": 1})
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
    store = Store.open(url, owner="test", now=datetime.now(UTC))
    await store.resume(["push"], datetime.now(UTC))  # and nothing more
    await store.close()
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        assert await held(daemon) == []
        daemon.simulator.inject(Fault(FaultKind.PRIMARY, times=None))
        _, waiting = await daemon.deliver("/hook", {"number": 2})
        await daemon.until(lambda fact: isinstance(fact, AttemptMade))
    store = Store.open(url, owner="test", now=datetime.now(UTC))
    await store.pause([Pause("push", datetime.now(UTC), "alice")])  # and nothing more
    await store.close()
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        assert await held(daemon) == [waiting["event_id"]]


async def test_what_waited_to_be_sent_waits_on(tmp_path: Path) -> None:
    """Whoever pauses an entry wants nothing more of it to go out, also of what came before."""
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        daemon.simulator.inject(Fault(FaultKind.PRIMARY, times=None))
        events = [(await daemon.deliver("/hook", {"n": n}))[1]["event_id"] for n in range(3)]
        await daemon.until(lambda fact: isinstance(fact, AttemptMade))  # and now all have to wait
        await daemon.call("POST", "/api/v1/pause", json={"entries": "all"})
        await until_held(daemon, events)


async def test_a_pause_and_a_resume_at_once_come_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is first: what stands is what the database says, and nobody takes back what the
    other does."""
    monkeypatch.setattr(pauses, "BATCH", 2)
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        for _ in range(10):
            await daemon.call("POST", "/api/v1/pause", json={"entries": ["push"]})
            for number in range(5):
                await daemon.deliver("/hook", {"number": number})
            answers = await asyncio.gather(
                *(
                    daemon.call("POST", f"/api/v1/{route}", json={"entries": ["push"]})
                    for route in ("resume", "pause", "resume")
                )
            )
            assert {status for status, _ in answers} <= {200, 409}
            _, told = await daemon.call("GET", "/api/v1/status")
            store = Store.open(
                f"sqlite:///{tmp_path}/dispatchd.sqlite", owner="", now=NOW, read_only=True
            )
            assert [each["entry"] for each in told["pauses"]] == list(await store.pauses())
            await store.close()
            await daemon.call("POST", "/api/v1/resume", json={"entries": "all"})
            assert await held(daemon) == []


async def test_what_the_store_does_not_take_at_once_is_held_or_let_go_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to ask again, and is told that it is done as soon as it is on disk."""
    monkeypatch.setattr(pauses, "PAUSE", 0.01)

    def failing_once(name: str) -> None:
        real = getattr(Store, name)
        failures = [StoreUnavailable("disk full")]

        async def sometimes(*args: Any) -> Any:
            if failures:
                raise failures.pop()
            return await real(*args)

        monkeypatch.setattr(Store, name, sometimes)

    def trouble(fact: Fact) -> bool:
        return isinstance(fact, Trouble) and fact.part == "pauses"

    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        daemon.simulator.inject(Fault(FaultKind.PRIMARY, times=None, seconds=1))
        events = [(await daemon.deliver("/hook", {"n": n}))[1]["event_id"] for n in range(3)]
        await daemon.until(lambda fact: isinstance(fact, AttemptMade))
        failing_once("hold")
        status, _ = await daemon.call("POST", "/api/v1/pause", json={"entries": ["push"]})
        assert status == 200
        await daemon.until(trouble)
        await until_held(daemon, events)
        daemon.simulator.clear()
        failing_once("release")
        status, _ = await daemon.call("POST", "/api/v1/resume", json={"entries": ["push"]})
        assert status == 200
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 3)


async def test_a_pause_ends_a_catch_up_that_is_running(tmp_path: Path) -> None:
    shift = -timedelta(hours=2)

    def clock() -> datetime:
        return datetime.now(UTC) + shift

    entry = cron_entry("minutely", schedule="*/2 * * * * *", catch_up="all", catch_up_limit=3000)
    async with serving(tmp_path, crons=[entry], clock=clock):
        pass
    shift = timedelta()
    slow = {"GH_WRITES_PER_SECOND": "1", "GH_WRITE_BURST": "1"}
    async with serving(tmp_path, crons=[entry], clock=clock, environ=slow) as daemon:
        await daemon.until(lambda fact: isinstance(fact, FiringAccounted))
        await daemon.call("POST", "/api/v1/pause", json={"entries": ["minutely"]})
        since = len(daemon.seen)
        await daemon.until(
            lambda fact: (
                isinstance(fact, FiringAccounted)
                and fact.scheduled_at > datetime.now(UTC) - timedelta(seconds=5)
            )
        )
        after = [fact for fact in daemon.seen[since:] if isinstance(fact, FiringAccounted)]
        assert {fact.outcome for fact in after} == {FiringOutcome.MISSED}
        _, listed = await daemon.call("GET", "/api/v1/dispatches?state=pending")
        assert listed["dispatches"] == []


async def test_instants_of_a_paused_cron_are_missed_and_the_resume_starts_at_now(
    tmp_path: Path,
) -> None:
    def missed(fact: Fact) -> bool:
        return isinstance(fact, FiringAccounted) and fact.outcome is FiringOutcome.MISSED

    async with serving(tmp_path, crons=[SECONDLY]) as daemon:
        reason = {"entries": ["secondly"], "reason": "too many"}
        status, answer = await daemon.call("POST", "/api/v1/pause", json=reason)
        assert (status, answer["paused"][0]["already"]) == (200, False)
        assert answer["paused"][0]["by"] == "the key API_KEY from 127.0.0.1"
        await daemon.until(missed)
        fact = next(fact for fact in daemon.seen if missed(fact))
        assert isinstance(fact, FiringAccounted)
        assert fact.wanted
        assert fact.reason.startswith("paused by the key API_KEY from 127.0.0.1 since ")
        assert fact.reason.endswith(" (too many)")
        await daemon.call("POST", "/api/v1/resume", json={"entries": "all"})
        resumed = datetime.now(UTC)
        await daemon.until(
            lambda fact: (
                isinstance(fact, FiringAccounted)
                and fact.outcome is FiringOutcome.FIRED
                and fact.scheduled_at > resumed
            )
        )
        _, listed = await daemon.call("GET", "/api/v1/firings?limit=1000")
        outcomes = [each["outcome"] for each in reversed(listed["firings"])]
        first, last = outcomes.index("missed"), len(outcomes) - outcomes[::-1].index("missed")
        assert set(outcomes[first:last]) == {"missed"}
        assert set(outcomes[last:]) == {"fired"}
        assert (await daemon.call("GET", "/api/v1/incidents"))[1] == {"incidents": []}


async def test_what_passed_while_the_machine_slept_and_the_cron_was_paused_does_not_fire(
    tmp_path: Path,
) -> None:
    """The resume may come before the scheduler has noticed how late it is."""
    shift = timedelta()

    def clock() -> datetime:
        return datetime.now(UTC) + shift

    async with serving(
        tmp_path, crons=[cron_entry("hourly", schedule="0 * * * *")], clock=clock
    ) as daemon:
        await daemon.call("POST", "/api/v1/pause", json={"entries": ["hourly"]})
        shift = timedelta(hours=8)
        await daemon.call("POST", "/api/v1/resume", json={"entries": ["hourly"]})
        _, listed = await daemon.call("GET", "/api/v1/firings")
        assert {each["outcome"] for each in listed["firings"]} == {"missed"}
        assert sum(each["count"] for each in listed["firings"]) == 8
        assert not daemon.simulator.received


async def test_what_is_asked_for_by_hand_goes_out_all_the_same(
    tmp_path: Path, shell: Shell
) -> None:
    async with serving(tmp_path, crons=[cron_entry("nightly")]) as daemon:
        await shell.run("pause", "nightly")
        fired = await shell.run("fire", "nightly")
        assert fired.code == 0
        assert f"nightly is paused by {ME} since" in fired.err
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)


async def test_the_first_pause_stands_and_says_whose_it_is(tmp_path: Path, shell: Shell) -> None:
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        paused = {"entries": ["push"], "reason": "the runners move"}
        await daemon.call("POST", "/api/v1/pause", json=paused)
        again = await shell.run("pause", "push", "other", "--reason", "mine")
        first, second = again.out.splitlines()
        assert first.startswith("push was paused already by the key API_KEY from 127.0.0.1 since ")
        assert first.endswith(": the runners move")
        assert second == "other is paused"
        every = await shell.run("resume", "--all")
        assert (every.code, len(every.out.splitlines())) == (0, 2)
        assert (await shell.run("resume", "--all")).out == "nothing is paused\n"


@pytest.mark.parametrize(
    ("route", "body", "status", "told"),
    [
        ("pause", {"entries": ["nope"]}, 404, "there is no entry 'nope'; there are: other, push"),
        ("pause", {"entries": []}, 400, '`entries` is an array of names, or "all"'),
        ("pause", {}, 400, '`entries` is an array of names, or "all"'),
        ("pause", {"entries": [7]}, 400, "`entries` holds what is no name"),
        (
            "pause",
            {"entries": ["push"], "reason": "x" * 501},
            400,
            "of at most 500 characters",
        ),
        ("pause", {"entries": ["push"], "why": "x"}, 400, "the key 'why' means nothing here"),
        ("pause", [], 400, "the body must be a JSON object"),
        ("pause", {"entries": ["push"], "reason": "a\nb"}, 400, "one line of text"),
        ("resume", {"entries": ["push"]}, 409, "push is not paused"),
        ("resume", {"entries": ["nope"]}, 404, "there is no entry 'nope', and none is paused so"),
    ],
)
async def test_a_call_that_cannot_be_followed_says_why(
    tmp_path: Path, route: str, body: object, status: int, told: str
) -> None:
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        answered, answer = await daemon.call("POST", f"/api/v1/{route}", json=body)
        assert (answered, told in answer["error"]) == (status, True), answer


async def test_a_pause_that_could_not_be_kept_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that an entry rests which would not rest after a restart."""

    async def away(*_: object) -> None:
        raise StoreUnavailable("disk full")

    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "pause", away)
            status, _ = await daemon.call("POST", "/api/v1/pause", json={"entries": ["push"]})
            assert status == 503
        await daemon.deliver("/hook", {})
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)

        await daemon.call("POST", "/api/v1/pause", json={"entries": ["push"]})
        with monkeypatch.context() as patch:
            patch.setattr(Store, "resume", away)
            status, _ = await daemon.call("POST", "/api/v1/resume", json={"entries": ["push"]})
            assert status == 503
        await daemon.deliver("/hook", {"number": 2})
        assert len(await held(daemon)) == 1
        assert not [fact for fact in daemon.seen if isinstance(fact, EntryResumed)]
