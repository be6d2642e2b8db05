"""The delivery promise under SIGKILL: real processes, a real database, and the stand-in's log as
the witness of what GitHub got."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from daemon.event import FiringOutcome
from daemon.simulator import Fault, FaultKind, Simulator
from daemon.store import schema
from tests.harness import PUSH, Daemon, Entry, Sender, dispatch_id_of, reserved_port, stand_in

pytestmark = pytest.mark.no_cover

DEADLINE = 30.0
"""Seconds for what usually takes a few; a wait that is longer has failed."""

DELIVERIES = 100


async def refuses_connections(github: Simulator) -> None:
    """Nothing listens at GitHub's address."""
    await github.stop()


async def answers_502_before_acting(github: Simulator) -> None:
    """The gateway before GitHub answers, and GitHub never hears of it."""
    github.inject(Fault(FaultKind.STATUS, times=None, status=502))


@pytest.mark.parametrize("goes_down", [refuses_connections, answers_502_before_acting])
async def test_what_was_acknowledged_before_a_sigkill_is_dispatched_exactly_once(
    tmp_path: Path, chance: random.Random, goes_down: Callable[[Simulator], Any]
) -> None:
    """GitHub is down, deliveries come in many at a time, and the process is killed at a random
    moment amid that. Everything it answered 202 to goes out once GitHub and it are back."""
    moments = [chance.randrange(1, DELIVERIES - 15) for _ in range(2)]
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(
            *(
                _killed_amid_intake(_directory(tmp_path / f"after-{moment}"), moment, goes_down)
                for moment in set(moments)
            )
        )


async def _killed_amid_intake(
    home: Path, moment: int, goes_down: Callable[[Simulator], Any]
) -> None:
    """Kills the daemon after its answer number ``moment``."""
    github = stand_in()
    names = [f"delivery-{number}" for number in range(DELIVERIES)]
    reached = asyncio.Event()

    def count() -> None:
        if len(sender.acknowledged) >= moment:
            reached.set()

    with reserved_port() as port:
        await github.start(port=port)
        await goes_down(github)
        async with (
            Daemon(home, f"http://127.0.0.1:{port}") as daemon,
            Sender() as sender,
        ):
            await daemon.start()
            intake = asyncio.create_task(sender.push_all(daemon.url, names, answered=count))
            await reached.wait()
            await daemon.kill()
            await intake
            assert moment <= len(sender.acknowledged) < DELIVERIES
            assert not github.received

            # A request may still lie in a socket's buffer: it belongs to the time of the outage.
            await github.stop()
            github.clear()
            await github.start(port=port)
            await daemon.start()
            await sender.until_received(github)
            assert await daemon.terminate() == 0
    await github.stop()
    assert sender.balance(github.received).even, sender.balance(github.received)


async def test_a_dispatch_whose_answer_died_with_the_daemon_is_found_and_not_sent_again(
    tmp_path: Path,
) -> None:
    """GitHub acted, the process was killed before it could write that down: the run tells."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        github.inject(Fault(FaultKind.STALL))
        await daemon.start()
        assert await sender.push(daemon.url, "first") == 202
        await github.until(lambda: github.stalled == 1)
        await daemon.kill()
        (first,) = github.received
        id_ = dispatch_id_of(first)
        assert (await _shown(daemon, id_))["state"] == "sending"

        await daemon.start()
        await daemon.until(lambda: bool(daemon.said("dispatch accepted")))
        assert await daemon.terminate() == 0
        assert len(github.received) == 1
        shown = await _shown(daemon, id_)
        assert (shown["state"], shown["match"]) == ("accepted", "verified")
        assert shown["run_url"].endswith(f"/runs/{github.runs[0].id}")


async def test_what_may_be_sent_twice_is_sent_again_at_once_and_says_so(tmp_path: Path) -> None:
    """Where the entry wants that (`on_ambiguous`), both requests bear the same id."""
    again: Entry = {**PUSH, "dispatch": {**PUSH["dispatch"], "on_ambiguous": "resend"}}
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url, triggers=[again]) as daemon,
        Sender() as sender,
    ):
        github.inject(Fault(FaultKind.STALL))
        await daemon.start()
        assert await sender.push(daemon.url, "first") == 202
        await github.until(lambda: github.stalled == 1)
        await daemon.kill()
        await daemon.start()
        await github.until(lambda: len(github.received) == 2)
        assert await daemon.terminate() == 0
        (id_,) = {dispatch_id_of(dispatch) for dispatch in github.received}
        shown = await _shown(daemon, id_)
        assert shown["state"] == "accepted"
        assert "ended before GitHub's answer was recorded" in json.dumps(shown)


async def test_what_may_have_reached_github_stays_unsure_while_github_is_away(
    tmp_path: Path,
) -> None:
    """That nobody can look does not make it undone."""
    with reserved_port() as port:
        github = stand_in()
        await github.start(port=port)
        async with (
            asyncio.timeout(DEADLINE),
            Daemon(tmp_path, f"http://127.0.0.1:{port}") as daemon,
            Sender() as sender,
        ):
            github.inject(Fault(FaultKind.STALL))
            await daemon.start()
            assert await sender.push(daemon.url, "first") == 202
            await github.until(lambda: github.stalled == 1)
            await daemon.kill()
            await github.stop()
            id_ = dispatch_id_of(github.received[0])

            await daemon.start()
            await daemon.until(lambda: len(daemon.said("dispatch unsure")) >= 2)
            shown = await _shown(daemon, id_)
            assert shown["state"] == "unsure"
            assert "could not be reached" in shown["diagnosis"]


async def test_cron_instants_from_before_a_sigkill_fire_once_and_for_all(tmp_path: Path) -> None:
    """Of three instants that passed meanwhile the latest fires and two are booked as missed; a
    cursor that is older than the bookings (the worst a crash could leave) changes nothing."""
    now = datetime.now(UTC)
    last = now.replace(second=0, microsecond=0) - timedelta(minutes=10)
    hourly = {
        "name": "hourly",
        "schedule": f"{last.minute} * * * *",
        "dispatch": {
            "event_type": "tick",
            "client_payload": {"at": "{{ firing.scheduled_at }}", "late": "{{ firing.catch_up }}"},
        },
    }
    instants = [last - timedelta(hours=hours) for hours in range(3)]
    before = instants[-1] - timedelta(minutes=1)
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url, triggers=(), crons=[hourly]) as daemon,
    ):
        await daemon.start()
        await daemon.kill()
        _set_cursors(daemon.database, before)
        await daemon.start()
        await daemon.until(lambda: bool(daemon.said("dispatch accepted")))
        await daemon.kill()
        _set_cursors(daemon.database, before)
        await daemon.start()
        async with asyncio.timeout(DEADLINE):
            while True:
                if await _accounted(daemon, instants[0]):
                    break
                await asyncio.sleep(0.02)
        assert await daemon.terminate() == 0
        async with daemon.records() as store:
            firings = await store.firings(10)
            counts = await store.counts()
    assert [(firing.scheduled_at, firing.outcome) for firing in firings] == [
        (instants[0], FiringOutcome.FIRED),
        (instants[1], FiringOutcome.MISSED),
        (instants[2], FiringOutcome.MISSED),
    ]
    assert all("fires only the newest" in firing.reason for firing in firings[1:])
    assert not any(counts.values())
    (received,) = github.received
    assert received.client_payload["late"] is True
    assert received.client_payload["at"] == f"{last:%Y-%m-%dT%H:%M:%SZ}"


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


async def _shown(daemon: Daemon, dispatch_id: str) -> dict[str, Any]:
    """The dispatch as the command line shows it."""
    finished = await daemon.command("dispatches", dispatch_id, "--json")
    assert finished.status == 0, finished.stderr
    shown: dict[str, Any] = json.loads(finished.stdout)
    return shown


async def _accounted(daemon: Daemon, instant: datetime) -> bool:
    """Whether all up to that instant is booked."""
    async with daemon.records() as store:
        return (await store.cursors())["hourly"].cursor >= instant


def _set_cursors(database: Path, at: datetime) -> None:
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        assert connection.execute(schema.cursors.update().values(cursor=at)).rowcount == 1
    engine.dispose()
