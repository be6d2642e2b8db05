"""Clocks that step and a process that is stopped: real processes, whose clocks a library that is
loaded before the C library shifts while they run."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.dispatch import State
from daemon.event import FiringOutcome
from daemon.simulator import Fault, FaultKind
from tests.faults import Faults
from tests.faults.fixtures import faults, library
from tests.faults.instants import EVERY_SECOND, SECOND, not_once
from tests.faults.sigstop import stop_for
from tests.harness import PUSH, Daemon, Entry, Sender, stand_in
from tests.harness.balance import delivery_of
from tests.harness.raw_http import ask, request

pytestmark = pytest.mark.no_cover

__all__ = ["faults", "library"]

DEADLINE = 40.0
SECONDS = 12.0
"""What "within seconds" comes to: twice the longest sleep of the dispatcher, and some more."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def test_an_answer_that_came_while_the_process_was_stopped_is_heard(faults: Faults) -> None:
    """SIGSTOP for two minutes (of every clock), GitHub's 204 in the socket's buffer meanwhile. The
    timeout and the lease are both over when it goes on, and yet nothing may be sent twice."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, environ=faults.environ) as daemon,
        Sender() as sender,
    ):
        github.inject(Fault(FaultKind.STALL))
        await daemon.start()
        assert await sender.push(daemon.url, "in-flight") == 202
        await github.until(lambda: github.stalled == 1)
        daemon.signal(signal.SIGSTOP)
        faults.pass_over(timedelta(minutes=2))
        github.release()
        await github.until(lambda: github.stalled == 0)
        daemon.signal(signal.SIGCONT)
        await daemon.until(lambda: bool(daemon.said("dispatch accepted")))
        assert await sender.push(daemon.url, "after") == 202
        await sender.until_received(github)
        assert await daemon.terminate() == 0
        assert sender.balance(github.received).even
        async with daemon.records() as store:
            assert [each.attempts for each in await store.dispatches(10)] == [1, 1]


async def test_a_real_stop_of_a_moment_loses_nothing(tmp_path: Path) -> None:
    """By the real clocks, which ``python -m tests.faults.sigstop`` does for two minutes."""
    async with asyncio.timeout(DEADLINE):
        outcome = await stop_for(1.0, made_at(tmp_path / "home"))
    assert outcome.well, outcome
    assert outcome.acknowledged
    assert outcome.fired


def made_at(path: Path) -> Path:
    path.mkdir()
    return path


async def test_what_waits_to_be_sent_does_not_wait_for_a_wall_time_that_was_set_back(
    faults: Faults,
) -> None:
    """More deliveries than may be in flight at once, then the clock is set back an hour."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, environ=faults.environ) as daemon,
        Sender() as sender,
    ):
        github.inject(Fault(FaultKind.STALL, times=16))
        await daemon.start()
        await sender.push_all(daemon.url, [f"before-{number}" for number in range(24)])
        await github.until(lambda: github.stalled == 16)
        faults.step(-HOUR)
        github.clear()
        assert await sender.push(daemon.url, "after") == 202
        async with asyncio.timeout(SECONDS):
            await sender.until_received(github)
        assert await daemon.terminate() == 0
        assert sender.balance(github.received).even


async def test_what_is_in_flight_is_not_given_up_because_the_clock_was_set_on(
    faults: Faults,
) -> None:
    """Its `send_within` is over by the new clock while GitHub is about to take it: a record that
    says dead would have somebody send it again."""
    dispatch = {**PUSH["dispatch"], "send_within": "10m"}
    trigger: Entry = {**PUSH, "dispatch": dispatch}
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, triggers=[trigger], environ=faults.environ) as daemon,
        Sender() as sender,
    ):
        github.inject(Fault(FaultKind.STALL))
        await daemon.start()
        assert await sender.push(daemon.url, "in-flight") == 202
        await github.until(lambda: github.stalled == 1)
        faults.step(HOUR)
        assert await sender.push(daemon.url, "after") == 202  # which makes it look for what is due
        await github.until(lambda: "after" in map(delivery_of, github.received))
        github.release()
        await daemon.until(lambda: len(daemon.said("dispatch accepted")) == 2)
        assert await daemon.terminate() == 0
        assert sender.balance(github.received).even
        (told,) = daemon.said("trouble")
        assert told["message"].startswith("the clock was set on by 3600 s;")
        async with daemon.records() as store:
            assert {each.state for each in await store.dispatches(10)} == {State.ACCEPTED}


async def test_steps_of_an_hour_both_ways_lose_no_delivery_and_no_instant(faults: Faults) -> None:
    """On, back, and on again. Every instant from the first to the last is fired or missed, once;
    what fired is sent once; and later events have higher ids, whatever the clock said."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(
            faults.home, github.url, triggers=[PUSH], crons=[EVERY_SECOND], environ=faults.environ
        ) as daemon,
        Sender() as sender,
    ):

        def ticks() -> list[str]:
            return [
                str(each.client_payload["at"])
                for each in github.received
                if each.event_type == "tick"
            ]

        async def until(condition: Callable[[], bool]) -> None:
            """Time goes by more quickly meanwhile."""
            while not condition():
                faults.pass_over(SECOND)
                await ask(daemon.url, request("GET", "/ping"))  # who sleeps looks at the clock then
                await asyncio.sleep(0.05)

        await daemon.start()
        await until(lambda: len(ticks()) >= 2)
        for number, by in enumerate((HOUR, -HOUR, HOUR)):
            faults.step(by)
            came, began = len(ticks()), len(daemon.log)
            assert await sender.push(daemon.url, f"delivery-{number}") == 202
            if by > timedelta():
                await until(partial(lambda came: len(ticks()) >= came + 2, came))
            else:
                await until(partial(tells_of_silence, daemon, began))
        await sender.until_received(github)
        assert await daemon.terminate() == 0
        async with daemon.records() as store:
            rows = await store.firings(1000)
            dispatches = await store.dispatches(1000)
        # The stop may have come between an instant and its sending.
        assert {each.state for each in dispatches} <= {State.ACCEPTED, State.PENDING}
        sent = {each.event_id for each in dispatches if each.state is State.ACCEPTED}
        deliveries = [each for each in github.received if each.event_type != "tick"]
        assert sender.balance(deliveries).even

        fired = [row for row in rows if row.outcome is FiringOutcome.FIRED]
        told = [f"{row.scheduled_at:%FT%TZ}" for row in fired if row.event_id in sent]
        assert sorted(ticks()) == sorted(told)
        assert not not_once(rows)
        assert max(row.scheduled_at for row in rows) - min(row.scheduled_at for row in rows) > HOUR

        with closing(sqlite3.connect(daemon.database)) as connection:
            ids = [id_ for (id_,) in connection.execute("SELECT id FROM events ORDER BY rowid")]
        assert ids == sorted(set(ids))


def tells_of_silence(daemon: Daemon, since: int) -> bool:
    told = [line["message"] for line in daemon.said("trouble", since)]
    return any("no cron fires until it has caught up" in message for message in told)


async def test_what_was_owed_under_a_clock_that_was_ahead_is_sent_when_it_is_right_again(
    faults: Faults,
) -> None:
    """A machine that begins before it knows the time, ten years off, while GitHub is away. What it
    took in then does not wait for ten years."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, environ=faults.environ) as daemon,
        Sender() as sender,
    ):
        github.inject(Fault(FaultKind.STATUS, times=None, status=503))
        faults.step(3650 * DAY)
        await daemon.start()
        await sender.push_all(daemon.url, [f"delivery-{number}" for number in range(20)])
        await daemon.until(lambda: len(daemon.said("attempt ambiguous")) >= 10)
        await daemon.kill()
        github.clear()
        faults.step(-3650 * DAY)
        await daemon.start()
        async with asyncio.timeout(SECONDS):
            await sender.until_received(github)
        assert await daemon.terminate() == 0
        assert sender.balance(github.received).even
        (told,) = daemon.said("trouble")
        assert "began to wait at a time that is still to come" in told["message"]
