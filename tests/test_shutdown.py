"""SIGTERM: intake ends, what is in flight gets its time, what does not finish is kept for the next
start, and the exit status is 0."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from daemon.dispatch import State
from daemon.simulator import Fault, FaultKind
from tests.harness import API_KEY, Daemon, Sender, stand_in

pytestmark = pytest.mark.no_cover

DEADLINE = 40.0
STOPPED_WITHIN = 10.0
"""Seconds that the contract gives a stop; what is asserted allows a slow machine some more."""
ON_A_SLOW_MACHINE = 5.0


async def until_refused(daemon: Daemon) -> None:
    """Waits until nobody listens at the daemon's address any more."""
    url = urlsplit(daemon.url)
    while True:
        try:
            _, writer = await asyncio.open_connection(url.hostname, url.port)
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it waited to be let in at the moment of the closing
            continue
        writer.transport.abort()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_a_stop_ends_intake_and_lets_a_dispatch_in_flight_finish(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        github.inject(Fault(FaultKind.STALL))
        await daemon.start()
        assert await sender.push(daemon.url, "in-flight") == 202
        await github.until(lambda: github.stalled == 1)
        daemon.signal(number)
        await until_refused(daemon)
        await daemon.until(lambda: bool(daemon.said("stopping")))
        assert daemon.said("stopping")[0]["in_flight"] == 1
        github.release()
        assert await daemon.ended() == 0
        assert sender.balance(github.received).even
        async with daemon.records() as store:
            (dispatch,) = await store.dispatches(10)
        assert (dispatch.state, dispatch.attempts) == (State.ACCEPTED, 1)
        assert not daemon.said("trouble")
        assert not (tmp_path / "state.sqlite.sock").exists()


async def test_what_does_not_finish_in_time_is_left_unsure_and_found_after_the_next_start(
    tmp_path: Path,
) -> None:
    """GitHub holds its answers for longer than a stop may take. Nobody who waits is left hanging,
    and nothing that was acknowledged is lost, not even over a connection from before."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
        aiohttp.ClientSession(headers={"x-api-key": API_KEY}) as caller,
    ):
        github.inject(Fault(FaultKind.STALL, times=2))
        await daemon.start()
        assert await sender.push(daemon.url, "in-flight") == 202
        call = {"event_type": "asked-for", "client_payload": {"delivery": "call"}}
        waiting = asyncio.create_task(answer_to_call(caller, daemon.url, call))
        await github.until(lambda: github.stalled == 2)

        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        await until_refused(daemon)
        late = await sender.push(daemon.url, "over-a-connection-from-before")
        assert late in (202, 503, None)
        assert await daemon.ended() == 0
        assert time.monotonic() - began < STOPPED_WITHIN + ON_A_SLOW_MACHINE
        assert await waiting in (202, None)
        async with daemon.records() as store:
            left = [each for each in await store.dispatches(10) if each.state is State.UNSURE]
            tries = [await store.attempts(dispatch.id) for dispatch in left]
        assert [dispatch.entry for dispatch in left] == ["/dispatch", "push"]
        assert all("stopped before GitHub answered" in dispatch.reason for dispatch in left)
        assert [[(each.outcome, each.status) for each in some] for some in tries] == [
            [("ambiguous", None)],
            [("ambiguous", None)],
        ]
        assert not daemon.said("trouble")

        github.clear()
        held = len(github.received)
        await daemon.start()
        ids = {dispatch.id for dispatch in left}
        await daemon.until(
            lambda: ids <= {line["dispatch_id"] for line in daemon.said("dispatch accepted")}
        )
        assert await daemon.terminate() == 0
        # GitHub had acted on both: their runs are found, and nothing is sent twice.
        balance = sender.balance(github.received)
        assert (balance.lost, balance.doubled, balance.unasked) == ((), (), ("call",))
        assert len(github.received) - held == len(sender.acknowledged) - 1


async def answer_to_call(
    caller: aiohttp.ClientSession, url: str, call: Mapping[str, object]
) -> int | None:
    """The status of ``POST /dispatch``; None where the connection was closed instead."""
    try:
        async with caller.post(f"{url}/dispatch", json=call) as answer:
            await answer.read()
            return answer.status
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        return None


async def test_a_stop_amid_the_busiest_time_loses_and_doubles_nothing(
    tmp_path: Path, chance: random.Random
) -> None:
    """With a healthy GitHub a stop has no reason to leave anything unsure: what is claimed is sent
    or put back. So even at-least-once comes to exactly once."""
    deliveries = [f"delivery-{number}" for number in range(150)]
    moment = chance.randrange(1, len(deliveries) - 20)
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        reached = asyncio.Event()

        def count() -> None:
            if len(sender.acknowledged) >= moment:
                reached.set()

        await daemon.start()
        intake = asyncio.create_task(sender.push_all(daemon.url, deliveries, answered=count))
        await reached.wait()
        assert await daemon.terminate() == 0
        await intake
        async with daemon.records() as store:
            left = {state: count for state, count in (await store.counts()).items() if count}
        assert set(left) <= {State.PENDING}
        assert not daemon.said("trouble")

        await daemon.start()
        await sender.until_received(github)
        assert await daemon.terminate() == 0
        assert sender.balance(github.received).even, sender.balance(github.received)


async def test_a_database_that_another_process_holds_does_not_hold_up_the_stop(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        assert await sender.push(daemon.url, "before") == 202
        await sender.until_received(github)
        with closing(sqlite3.connect(daemon.database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            assert await daemon.terminate() == 0
            assert time.monotonic() - began < STOPPED_WITHIN
        await daemon.start()
        assert sender.balance(github.received).even
