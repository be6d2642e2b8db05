"""Follow-ups under SIGKILL: real processes, a real database, and the logs of the stand-in and of a
receiver as the witnesses of what followed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.dispatch import State
from daemon.follow_up import Standing
from daemon.simulator import Simulator
from tests.follow_ups import Receiver, receiving
from tests.harness import Daemon, Sender, stand_in
from tests.harness.process import PUSH

pytestmark = pytest.mark.no_cover

DEADLINE = 60.0
"""Seconds for what usually takes a few; a wait that is longer has failed."""

DELIVERIES = 60

DEAD = {**PUSH, "dispatch": {"event_type": "x", "client_payload": {"a": "{{ body.nope }}"}}}
"""Its dispatches cannot be made."""

REPAIRED = {
    **DEAD,
    "name": "repaired",
    "on_failure": {"event_type": "repair", "client_payload": {"of": "{{ dispatch.id }}"}},
}


def told(receiver: Receiver) -> Counter[str]:
    """How often each dispatch was told of."""
    return Counter(
        str(each["dispatch_id"])
        for body in receiver.bodies
        for each in body["dispatchd"]["follow_ups"]
    )


def repairs(github: Simulator) -> Counter[str]:
    """How often GitHub got the follow-up of each dispatch."""
    return Counter(str(each.client_payload["of"]) for each in github.received)


async def unfinished(daemon: Daemon) -> bool:
    """Whether a follow-up is owed, or a dispatch on its way: one whose answer died with the daemon
    is looked for first, some seconds later."""
    async with daemon.records() as store:
        return bool(
            await store.owed_follow_ups(datetime.now(UTC) + timedelta(hours=1), 1)
            or await store.dispatches(1, states=[State.PENDING, State.SENDING, State.UNSURE])
        )


async def test_what_died_before_a_sigkill_is_followed_after_it(
    tmp_path: Path, chance: random.Random
) -> None:
    """At a random moment amid deliveries of which each owes another dispatch and a notice. Each of
    these dispatches reaches GitHub exactly once, each notice arrives at least once."""
    moments = sorted(chance.sample(range(1, DELIVERIES - 10), 2))
    limit = {"max": 1000, "per": "1m"}
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        receiving() as receiver,
        Sender() as sender,
        Daemon(
            tmp_path,
            github.url,
            triggers=[
                REPAIRED,
                {
                    **DEAD,
                    "name": "told",
                    "on_failure": {"notify": receiver.url, "rate_limit": limit},
                },
            ],
        ) as daemon,
    ):
        for part, moment in enumerate([*moments, None]):
            reached = asyncio.Event()
            await daemon.start()
            names = [f"delivery-{part}-{number}" for number in range(DELIVERIES)]

            def count(moment: int | None = moment, reached: asyncio.Event = reached) -> None:
                if moment is not None and len(sender.acknowledged) % DELIVERIES >= moment:
                    reached.set()

            intake = asyncio.create_task(sender.push_all(daemon.url, names, answered=count))
            if moment is not None:
                await reached.wait()
                await daemon.kill()
            await intake
        async with daemon.records() as store:
            dead = await store.dispatches(10_000, states=[State.DEAD])
        repaired = {each.id for each in dead if each.entry == "repaired"}
        to_tell = {each.id for each in dead if each.entry == "told"}
        await receiver.until(lambda: told(receiver).keys() >= to_tell)
        await github.until(lambda: repairs(github).keys() >= repaired)
        while True:  # what was told before a kill and not written down is told again
            if not await unfinished(daemon):
                break
            await asyncio.sleep(0.1)
        assert await daemon.terminate() == 0
        async with daemon.records() as store:
            follow_ups = [await store.follow_ups(each.id) for each in dead]
            accepted = await store.dispatches(10_000, states=[State.ACCEPTED])
    states = {(each.entry, each.state) for (each,) in follow_ups}
    assert states == {("repaired", Standing.DISPATCHED), ("told", Standing.NOTIFIED)}
    assert len(dead) >= 2 * len(sender.acknowledged)
    assert len(accepted) == len(repaired)  # one for each; what was sent twice has the same id
    assert repairs(github).keys() == repaired
    assert told(receiver).keys() == to_tell
