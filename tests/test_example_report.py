"""A merged job is reported as ``examples/notify-dispatchd.yml`` says, and a real dispatchd, with
the triggers that ship, builds on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from daemon.facts import RunSeen
from daemon.simulator import ReceivedDispatch
from tests.inprocess import Serving, serving
from tests.specs import SECRET
from tests.stage import (
    FACTORY,
    PLANNER,
    REPOSITORY,
    ROOT,
    TOKEN,
    Stage,
    needs_programs,
    simulator,
    stage,
)

pytestmark = pytest.mark.no_cover

__all__ = ["simulator", "stage"]


class Door:
    """What stands where dispatchd would: answers as told, the last answer again and again."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.got: list[tuple[Mapping[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        assert request.path == "/github/webhook"
        self.got.append((request.headers.copy(), await request.read()))
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return web.json_response({"error": "so it is"}, status=status)


@asynccontextmanager
async def opened(door: Door) -> AsyncIterator[str]:
    app = web.Application(client_max_size=0)
    app.router.add_post("/github/webhook", door.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@needs_programs
class TestAReport:
    @pytest.fixture
    async def event(self, stage: Stage) -> dict[str, Any]:
        """A job was carried out, and its pull request merged."""
        ran = await stage.work("7", "Plan the scraper")
        assert ran.conclusion == "success", ran.log
        stage.runner.secrets["GH_WEBHOOK_SECRET"] = SECRET
        return await stage.merged("job/7")

    async def test_it_is_githubs_event_with_what_the_job_did(
        self, stage: Stage, event: dict[str, Any]
    ) -> None:
        door = Door(202)
        async with opened(door) as url:
            stage.runner.variables["DISPATCHD_URL"] = f"{url}/"
            ran = await stage.notify(event)
        assert ran.conclusion == "success", ran.log
        ((headers, body),) = door.got
        report = json.loads(body)
        results = report.pop("job_results")
        assert report == event
        assert results == {
            "job": "Plan the scraper\n",
            "status": "completed",
            "changed_files": ["PRPs/web-scraper.md", "jobs/7/job.md", "jobs/7/log.txt"],
            "commit_message": results["commit_message"],
            "log": "Planned.\nCONFIDENCE_SCORE: 9/10\n",
        }
        assert results["commit_message"].startswith("Carry out job/7\n")
        assert headers["X-GitHub-Event"] == "pull_request"
        assert headers["Content-Type"] == "application/json"

    async def test_it_is_sent_again_while_dispatchd_is_away_and_is_the_same(
        self, stage: Stage, event: dict[str, Any]
    ) -> None:
        door = Door(503, 502, 429, 524, 202)
        async with opened(door) as url:
            stage.runner.variables["DISPATCHD_URL"] = url
            assert (await stage.notify(event)).conclusion == "success"
            assert (await stage.notify(event)).conclusion == "success"
        assert stage.pauses == ["2", "4", "8", "16"]
        assert len(door.got) == 6
        assert len({(headers["X-GitHub-Delivery"], body) for headers, body in door.got}) == 1
        stage.runner.variables["DISPATCHD_URL"] = url  # nobody is there any more
        ran = await stage.notify(event)
        assert ran.conclusion == "failure"
        assert "::error::dispatchd answered 000" in ran.log

    async def test_what_dispatchd_refuses_is_told_and_not_sent_again(
        self, stage: Stage, event: dict[str, Any]
    ) -> None:
        door = Door(401)
        async with opened(door) as url:
            stage.runner.variables["DISPATCHD_URL"] = url
            ran = await stage.notify(event)
        assert ran.conclusion == "failure"
        assert '::error::dispatchd answered 401 {"error": "so it is"}' in ran.log
        assert len(door.got) == 1

    async def test_no_secret_is_on_a_command_line_or_in_the_log(
        self, stage: Stage, event: dict[str, Any]
    ) -> None:
        door = Door(202)
        async with opened(door) as url:
            stage.runner.variables["DISPATCHD_URL"] = url
            ran = await stage.notify(event)
        assert ran.conclusion == "success"
        assert {"git", "curl", "jq", "python3", "docker"} <= set(stage.words)
        for secret in (SECRET, TOKEN):
            assert not any(secret in word for word in stage.words)
            assert secret not in ran.log

    @pytest.mark.parametrize(
        ("url", "secret", "told"),
        [
            ("", SECRET, "DISPATCHD_URL must say where dispatchd is"),
            ("http://example.com", SECRET, "DISPATCHD_URL must say where dispatchd is"),
            ("http://127.0.0.1.example.com", SECRET, "DISPATCHD_URL must say where dispatchd is"),
            ("https://example.com", "", "GH_WEBHOOK_SECRET must be the one"),
        ],
    )
    async def test_what_is_not_set_is_named(
        self, stage: Stage, event: dict[str, Any], url: str, secret: str, told: str
    ) -> None:
        stage.runner.variables["DISPATCHD_URL"] = url
        stage.runner.secrets["GH_WEBHOOK_SECRET"] = secret
        ran = await stage.notify(event)
        assert ran.conclusion == "failure"
        assert told in ran.log

    @pytest.mark.parametrize(
        "change",
        [
            lambda pull: pull | {"merged": False},
            lambda pull: pull | {"head": pull["head"] | {"ref": "feature/7"}},
            lambda pull: pull | {"head": pull["head"] | {"repo": {"full_name": "mallory/shop"}}},
            lambda pull: pull | {"head": pull["head"] | {"repo": None}},
        ],
        ids=["not merged", "no job's branch", "a fork's", "a fork's that is gone"],
    )
    async def test_other_pull_requests_are_not_reported(
        self, stage: Stage, event: dict[str, Any], change: Callable[[Any], Any]
    ) -> None:
        ran = await stage.notify(event | {"pull_request": change(event["pull_request"])})
        assert ran.conclusion == "skipped"

    async def test_a_branch_that_only_looks_like_a_jobs_is_not_reported(
        self, stage: Stage, event: dict[str, Any]
    ) -> None:
        event["pull_request"]["head"]["ref"] = "job/../7"
        ran = await stage.notify(event)
        assert (ran.conclusion, ran.steps) == ("success", ("Collect what the job did",))
        assert "there is nothing to report" in ran.log


def shipped(*names: str) -> list[dict[str, Any]]:
    """These triggers of the config that ships, enabled."""
    document = json.loads((ROOT / "config" / "TRIGGERS.json").read_text("utf-8"))
    found = [entry | {"enabled": True} for entry in document["triggers"] if entry["name"] in names]
    assert len(found) == len(names)
    return found


@needs_programs
class TestFromEndToEnd:
    @pytest.fixture
    async def daemon(self, stage: Stage, tmp_path: Path) -> AsyncIterator[Serving]:
        """dispatchd with the triggers that ship, and the stand-in with the workflow."""
        triggers = shipped("create-job", "auto-chain")
        control = f"{stage.simulator.url}/_simulator/repos/{REPOSITORY}/workflows"
        async with stage.session.put(
            f"{control}/wat-factory.yml", data=FACTORY.read_bytes()
        ) as answer:
            assert (await answer.json())["workflows"][-1]["valid"]
        async with stage.session.delete(f"{control}/dispatched.yml"):
            pass
        async with serving(tmp_path, triggers=triggers, simulator=stage.simulator) as daemon:
            stage.runner.variables["DISPATCHD_URL"] = daemon.url
            stage.runner.secrets["GH_WEBHOOK_SECRET"] = SECRET
            yield daemon

    async def started(self, stage: Stage, daemon: Serving, count: int) -> ReceivedDispatch:
        """The newest of ``count`` dispatches, for which a run was started under its id, which the
        daemon has seen."""
        async with asyncio.timeout(30):
            await stage.simulator.until(lambda: len(stage.simulator.received) == count)
        received, run = stage.simulator.received[-1], stage.simulator.runs[-1]
        carried: Any = received.client_payload
        id_ = carried["dispatchd"]["id"]
        assert run.display_title == f"wat-factory {id_}"
        async with asyncio.timeout(30):
            await daemon.until(
                lambda fact: (
                    isinstance(fact, RunSeen) and (fact.dispatch.id, fact.run.id) == (id_, run.id)
                )
            )
        _, record = await daemon.call("GET", f"/api/v1/dispatches/{id_}")
        assert record["match"] == "verified"
        return received

    async def test_a_merged_plan_has_its_system_built(self, stage: Stage, daemon: Serving) -> None:
        job = {"job": "Plan the web scraper"}
        status, answer = await daemon.call("POST", "/webhook", json=job)
        assert status == 200
        first = await self.started(stage, daemon, 1)
        assert first.client_payload["job_id"] == answer["job_id"]

        event = {"action": first.event_type, "client_payload": first.client_payload}
        ran = await stage.run_factory(event)
        assert ran.conclusion == "success", ran.log
        assert answer["branch"] in stage.origin.branches
        status, _ = await stage.ask("GET", f"/git/ref/heads/{answer['branch']}")
        assert status == 200

        merged = await stage.merged(answer["branch"])
        ran = await stage.notify(merged)
        assert ran.conclusion == "success", ran.log
        assert '"matched":["auto-chain"]' in ran.log
        second = await self.started(stage, daemon, 2)
        payload = dict(second.client_payload)
        assert payload.pop("dispatchd")
        job_id = payload.pop("job_id")
        assert payload == {
            "job_description": "Build the system web-scraper from PRPs/web-scraper.md",
            "system": "web-scraper",
            "prp": "PRPs/web-scraper.md",
            "parent_job_id": answer["job_id"],
        }
        _, chain = await daemon.call("GET", f"/api/v1/dispatches/{answer['job_id']}/tree")
        assert [(each["id"], each["depth"]) for each in chain["dispatches"]] == [
            (answer["job_id"], 0),
            (job_id, 1),
        ]
        status, ref = await stage.ask("GET", f"/git/ref/heads/job/{job_id}")
        assert (status, ref["ref"]) == (200, f"refs/heads/job/{job_id}")

        ran = await stage.notify(merged)  # as by "Re-run all jobs"
        assert ran.conclusion == "success"
        assert "duplicate_of" in ran.log
        assert len(stage.simulator.received) == 2

    async def test_a_plan_of_little_confidence_is_merged_and_nothing_more(
        self, stage: Stage, daemon: Serving
    ) -> None:
        stage.image("planner", PLANNER.replace("9/10", "7/10"))
        await stage.work()
        ran = await stage.notify(await stage.merged("job/7"))
        assert ran.conclusion == "success"
        assert '"matched":[]' in ran.log
        assert stage.simulator.received == []

    async def test_a_plan_that_a_job_deletes_is_not_built(
        self, stage: Stage, daemon: Serving
    ) -> None:
        stage.origin.commit("refs/heads/main", {"PRPs/old.md": "Old\n"}, "A plan")
        stage.image("planner", "#!/bin/bash\nrm PRPs/old.md\necho CONFIDENCE_SCORE: 10/10\n")
        await stage.work()
        ran = await stage.notify(await stage.merged("job/7"))
        assert ran.conclusion == "success", ran.log
        assert stage.simulator.received == []

    async def test_a_report_too_large_is_cut_where_it_tells_least(
        self, stage: Stage, daemon: Serving
    ) -> None:
        """A million control characters, each of which is six bytes of JSON."""
        stage.image(
            "planner",
            f"{PLANNER}head -c 1000000 /dev/zero | tr '\\0' '\\1'\necho\n"
            "echo CONFIDENCE_SCORE: 8/10\n",
        )
        await stage.work()
        ran = await stage.notify(await stage.merged("job/7"))
        assert ran.conclusion == "success", ran.log
        received = await self.started(stage, daemon, 1)
        assert received.client_payload["system"] == "web-scraper"

    async def test_a_trigger_that_is_not_enabled_is_told(
        self, stage: Stage, tmp_path: Path
    ) -> None:
        stage.runner.secrets["GH_WEBHOOK_SECRET"] = SECRET
        triggers = shipped("create-job")
        async with serving(tmp_path, triggers=triggers, simulator=stage.simulator) as daemon:
            stage.runner.variables["DISPATCHD_URL"] = daemon.url
            await stage.work()
            ran = await stage.notify(await stage.merged("job/7"))
        assert ran.conclusion == "failure"
        assert "dispatchd answered 404" in ran.log

    async def test_a_wrong_secret_is_told(self, stage: Stage, daemon: Serving) -> None:
        stage.runner.secrets["GH_WEBHOOK_SECRET"] = "another secret"
        await stage.work()
        ran = await stage.notify(await stage.merged("job/7"))
        assert ran.conclusion == "failure"
        assert "dispatchd answered 401" in ran.log
