"""Nothing is missed while the daemon is down: GitHub is asked for what it could not deliver, once,
and what arrives twice is dispatched once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon import recovery
from daemon.app import wall_clock
from daemon.facts import Fact, MissedLookedFor
from daemon.simulator import Simulator
from tests.harness import reserved_port
from tests.inprocess import Serving, serving
from tests.specs import SECRET, SIGNED, trigger_entry

PUSH = trigger_entry(
    "push",
    path="/hooks/github",
    auth=SIGNED,
    when="headers['x-github-event'] == 'push'",
    dispatch={"event_type": "pushed", "client_payload": {"sha": "{{ body.after }}"}},
)
HOOKS = "/repos/octo-org/octo-repo/hooks"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "SETTLE", 0.0)
    monkeypatch.setattr(recovery, "FIRST_PAUSE", 0.01)


class Stage:
    """A daemon that comes and goes, and a GitHub that stays."""

    def __init__(self, directory: Path, port: int, simulator: Simulator) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.simulator = simulator
        self._directory = directory
        self._port = port

    @asynccontextmanager
    async def daemon(self, **settings: Any) -> AsyncIterator[Serving]:
        async with serving(
            self._directory,
            triggers=[PUSH],
            environ={"DISPATCHD_LISTEN": f"127.0.0.1:{self._port}"},
            settings={"public_url": self.url, **settings},
            simulator=self.simulator,
            keep=True,
        ) as daemon:
            yield daemon

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": "Bearer t", "User-Agent": "test"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, self.simulator.url + path, json=body, headers=headers
            ) as response,
        ):
            return await response.json()

    async def hook(self, place: str = HOOKS, path: str = "/hooks/github") -> dict[str, Any]:
        config = {"url": self.url + path, "content_type": "json", "secret": SECRET}
        made = await self.ask("POST", place, {"name": "web", "events": ["push"], "config": config})
        await self.simulator.hooks.settled()
        assert "id" in made, made
        return dict(made)

    async def push(self, *shas: str, repository: str = "octo-org/octo-repo") -> list[str]:
        """Pushes, each of which is delivered before the next; their guids."""
        guids = []
        for sha in shas:
            payload = {"after": sha, "repository": {"full_name": repository}}
            place = f"/_simulator/repos/{repository}/webhooks/push"
            guids += (await self.ask("POST", place, payload))["deliveries"]
            await self.simulator.hooks.settled()
        return guids

    async def dispatched(self, count: int) -> list[object]:
        """The commits of the first ``count`` dispatches that GitHub received."""
        await self.simulator.until(lambda: len(self.simulator.received) >= count)
        return [each.client_payload["sha"] for each in self.simulator.received]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    with reserved_port() as port:
        async with Simulator(wall_clock) as simulator:
            yield Stage(tmp_path, port, simulator)


def looked(fact: Fact) -> bool:
    return isinstance(fact, MissedLookedFor)


async def test_what_was_missed_while_the_daemon_was_down_arrives_once_it_is_up(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await daemon.until(looked) if False else None
        await stage.hook()
        await stage.push("a")
        assert await stage.dispatched(1) == ["a"]
    await stage.push("b", "c")
    async with stage.daemon() as daemon:
        await daemon.until(looked)
        assert sorted(map(str, await stage.dispatched(3))) == ["a", "b", "c"]
        (fact,) = [each for each in daemon.seen if isinstance(each, MissedLookedFor)]
        assert fact == MissedLookedFor(hooks=1, missed=2, asked=2, refused={})
        await stage.simulator.hooks.settled()
    async with stage.daemon() as daemon:
        await daemon.until(looked)
        assert MissedLookedFor(hooks=1, missed=0, asked=0, refused={}) in daemon.seen
    assert len(stage.simulator.received) == 3
