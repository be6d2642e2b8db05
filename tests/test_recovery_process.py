"""Nothing is missed over kill -9: the real program, killed while GitHub delivers, and killed again
while it asks for what was missed."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from daemon.simulator import Simulator
from tests.harness import SECRETS, Daemon, reserved_port, stand_in

pytestmark = pytest.mark.no_cover

DEADLINE = 60.0
DELIVERIES = 40


def publish(github: Simulator, numbers: range) -> set[str]:
    """A push for each number, all at once; their ids."""
    shop = github.world.repository("acme/shop")
    assert shop is not None
    return {
        guid
        for number in numbers
        for guid in github.hooks.publish(shop, "push", {"number": number})
    }


async def test_every_delivery_arrives_and_owes_one_dispatch_however_often_the_daemon_is_killed(
    tmp_path: Path,
) -> None:
    with reserved_port() as port:
        async with (
            stand_in() as github,
            Daemon(
                tmp_path, github.url, environ={"DISPATCHD_LISTEN": f"127.0.0.1:{port}"}
            ) as daemon,
        ):
            settings = json.dumps({"public_url": f"http://127.0.0.1:{port}"})
            (tmp_path / "config" / "DAEMON.yaml").write_text(settings)
            async with asyncio.timeout(DEADLINE):
                await daemon.start()
                made = await daemon.command("hook", "create", "push", "--event", "push", "--json")
                assert made.status == 0, made
                guids = publish(github, range(DELIVERIES))
                await github.until(lambda: len(github.received) >= 5)
                await daemon.kill()
                guids |= publish(github, range(DELIVERIES, 2 * DELIVERIES))
                await github.hooks.settled()

                before = github.requests
                await daemon.start()
                # It looks at the hooks, at their deliveries, and has begun to ask for some.
                await github.until(lambda: github.requests > before + 10)
                await daemon.kill()
                await github.hooks.settled()

                await daemon.start()
                await github.until(lambda: guids <= set(dispatched(github)))
                await daemon.until(lambda: bool(daemon.said("missed webhook deliveries")))
                await github.hooks.settled()
                assert await daemon.terminate() == 0
    assert all(len(ids) == 1 for ids in dispatched(github).values())
    assert not any(secret in line for line in daemon.log for secret in SECRETS)


def dispatched(github: Simulator) -> dict[str, set[str]]:
    """The dispatches that GitHub received, by the delivery that they are for. One that it received
    twice, since its answer was lost with the process, counts once."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in github.received:
        payload: Any = each.client_payload
        found[payload["delivery"]].add(payload["dispatchd"]["id"])
    return found
