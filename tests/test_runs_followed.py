"""The whole daemon, from a delivery to the end of its run: by looking, by GitHub's webhooks, and on
to what the entry wants done where it goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from daemon.app import wall_clock
from daemon.facts import DispatchSettled, RunNotFound, RunSeen
from daemon.follow_up import Cause
from daemon.run import Match
from daemon.simulator import Simulator
from tests.inprocess import Serving, serving
from tests.specs import OPEN, SECRET, SIGNED, trigger_entry

HOOKED = trigger_entry(
    "runs", path="/github", auth=SIGNED, when="false", dispatch={"event_type": "never"}
)
"""Hears GitHub's webhooks, and dispatches nothing of them."""


def pushed(**dispatch: Any) -> dict[str, Any]:
    on_failure = dispatch.pop("on_failure", None)
    on_missing = dispatch.pop("on_missing", None)
    keys = {"on_failure": on_failure, "on_missing": on_missing}
    return trigger_entry(
        "push",
        path="/push",
        auth=OPEN,
        dispatch={"event_type": "build", **dispatch},
        **{key: value for key, value in keys.items() if value},
    )


def quick() -> Simulator:
    """A GitHub whose runs are over in no time."""
    return Simulator(
        wall_clock, queued_for=timedelta(seconds=0.1), running_for=timedelta(seconds=0.2)
    )


@dataclass(frozen=True, slots=True)
class Pushed:
    """A delivery's dispatch, in the daemon."""

    daemon: Serving
    id: str

    async def shown(self) -> Mapping[str, Any]:
        _, record = await self.daemon.call("GET", f"/api/v1/dispatches/{self.id}")
        assert isinstance(record, dict)
        return record

    async def seen(self, status: str) -> RunSeen:
        """The run, once it is known to stand so."""

        def those() -> list[RunSeen]:
            return [
                fact
                for fact in self.daemon.seen
                if isinstance(fact, RunSeen)
                and (fact.dispatch.id, fact.run.status) == (self.id, status)
            ]

        await self.daemon.until(lambda _: bool(those()))
        return those()[0]


async def push(daemon: Serving) -> Pushed:
    status, answer = await daemon.deliver("/push", {"ref": "main"})
    assert status == 202
    (id_,) = answer["dispatches"]
    return Pushed(daemon, id_)


async def test_a_delivery_is_followed_to_the_end_of_its_run(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(20),
        serving(tmp_path, triggers=[pushed()], simulator=quick()) as daemon,
    ):
        one = await push(daemon)
        ended = await one.seen("completed")
        record = await one.shown()
    assert record["match"] == "verified"
    assert record["run_outcome"] == "success"
    assert record["run_url"] == ended.run.url
    (run,) = record["runs"]
    assert run["title"] == f"Build [{one.id}]"
    assert (run["status"], run["conclusion"]) == ("completed", "success")


async def test_a_webhook_of_githubs_tells_of_a_run_at_once(tmp_path: Path) -> None:
    simulator = quick()
    await simulator.start()
    async with serving(tmp_path, triggers=[pushed(), HOOKED], simulator=simulator) as daemon:
        repository = simulator.world.repository("octo-org/octo-repo")
        assert repository is not None
        await hook(daemon, simulator)
        began = simulator.requests
        one = await push(daemon)
        await one.seen("completed")
        assert (await one.shown())["run_outcome"] == "success"
        assert simulator.requests == began + 1  # the dispatch: nothing had to be asked


async def test_what_somebody_else_tells_of_a_run_counts_for_nothing(tmp_path: Path) -> None:
    """A trigger whose sender proves nothing, and one of whose signature is wrong."""
    anybody = trigger_entry("anybody", path="/anybody", auth=OPEN, when="false")
    async with serving(
        tmp_path,
        triggers=[pushed(), HOOKED, anybody],
        simulator=Simulator(wall_clock, listeners={}),
    ) as daemon:
        one = await push(daemon)
        forged = {
            "action": "completed",
            "repository": {"full_name": "octo-org/octo-repo"},
            "workflow_run": {
                "id": 7,
                "run_attempt": 1,
                "event": "repository_dispatch",
                "display_title": f"Build [{one.id}]",
                "status": "completed",
                "conclusion": "success",
                "path": ".github/workflows/build.yml",
                "created_at": "2099-01-01T00:00:00Z",
                "updated_at": "2099-01-01T00:00:00Z",
            },
        }
        headers = {"x-github-event": "workflow_run"}
        status, _ = await daemon.deliver("/anybody", forged, headers=headers)
        assert status == 200
        wrong = {**headers, "x-hub-signature-256": "sha256=" + 64 * "0"}
        status, _ = await daemon.deliver("/github", forged, headers=wrong)
        assert status == 401
        record = await one.shown()
    assert record["match"] in ("untracked", "waiting")
    assert record["runs"] == []


async def test_a_run_that_fails_is_followed_by_what_the_entry_wants(tmp_path: Path) -> None:
    simulator = quick()
    await simulator.start()
    simulator.world.course = type(simulator.world.course)(
        timedelta(seconds=0.1), timedelta(seconds=0.1), "failure"
    )
    entry = pushed(
        on_failure={
            "event_type": "clean-up",
            "client_payload": {"of": "{{ dispatch.id }}", "run": "{{ run.url }}"},
        }
    )
    async with serving(tmp_path, triggers=[entry], simulator=simulator) as daemon:
        one = await push(daemon)
        failed = await one.seen("completed")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        (follow_up,) = (await one.shown())["follow_ups"]
    payload = daemon.simulator.received[1].client_payload
    assert daemon.simulator.received[1].event_type == "clean-up"
    assert (payload["of"], payload["run"]) == (one.id, failed.run.url)
    assert follow_up["cause"] == Cause.FAILED


async def test_a_run_that_does_not_come_is_followed_by_what_the_entry_wants(tmp_path: Path) -> None:
    entry = pushed(
        expect_run={"within": "3s"},
        on_missing={
            "event_type": "not-built",
            "client_payload": {"why": "{{ dispatch.reason }}", "of": "{{ dispatch.id }}"},
        },
    )
    deaf = Simulator(wall_clock, listeners={"octo-org/octo-repo": []})
    async with serving(tmp_path, triggers=[entry], simulator=deaf) as daemon:
        one = await push(daemon)
        await daemon.until(lambda fact: isinstance(fact, RunNotFound))
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        record = await one.shown()
    assert record["match"] == Match.MISSING
    assert "build" in record["diagnosis"]
    assert daemon.simulator.received[1].event_type == "not-built"
    assert daemon.simulator.received[1].client_payload["of"] == one.id


async def test_what_was_looked_for_is_looked_for_after_a_restart(tmp_path: Path) -> None:
    slow = Simulator(wall_clock, queued_for=timedelta(seconds=0.1), running_for=timedelta(hours=1))
    async with serving(tmp_path, triggers=[pushed()], simulator=slow, keep=True) as daemon:
        one = await push(daemon)
        await daemon.until(lambda fact: isinstance(fact, DispatchSettled))
    async with serving(tmp_path, triggers=[pushed()], simulator=slow) as daemon:
        again = Pushed(daemon, one.id)
        await again.seen("in_progress")
        assert (await again.shown())["match"] == "verified"


async def hook(daemon: Serving, simulator: Simulator) -> None:
    """A webhook of the repository's that tells the daemon of its runs."""
    body = {
        "config": {"url": f"{daemon.url}/github", "content_type": "json", "secret": SECRET},
        "events": ["workflow_run"],
        "active": True,
    }
    async with daemon.session.post(
        f"{simulator.url}/repos/octo-org/octo-repo/hooks",
        data=json.dumps(body),
        headers={"Authorization": "Bearer ghp_x", "User-Agent": "test"},
    ) as answer:
        assert answer.status == 201
