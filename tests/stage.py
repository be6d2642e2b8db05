"""What the workflows in ``examples`` are played on: a GitHub of the stand-in's and real git, and a
runner whose container engine needs no images."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon.app import wall_clock
from daemon.simulator import Simulator
from tests.actions import Ran, Runner
from tests.git_server import ALONE, Origin, git_server
from tests.github_caller import HEADERS

ROOT = Path(__file__).parents[1]
FACTORY = ROOT / "examples" / "wat-factory.yml"
NOTIFY = ROOT / "examples" / "notify-dispatchd.yml"
REPOSITORY = "octo-org/octo-repo"
TOKEN = "ghs_TheTokenOfTheRun"
PROGRAMS = ("curl", "git", "jq", "openssl")
RUN = [shutil.which(each) for each in ("bash", *PROGRAMS)]

needs_programs = pytest.mark.skipif(
    None in RUN, reason=f"a runner has these programs: {', '.join(PROGRAMS)}"
)

PLANNER = """#!/bin/bash
mkdir -p PRPs
echo "Scrape the web, as $(cat "$JOB_FILE") says." > PRPs/web-scraper.md
echo "Planned."
echo "CONFIDENCE_SCORE: 9/10"
"""


@dataclass
class Stage:
    """A GitHub with one repository, and a runner of its."""

    simulator: Simulator
    origin: Origin
    runner: Runner
    images: Path
    session: aiohttp.ClientSession

    def image(self, name: str, script: str) -> None:
        (self.images / name).write_text(script)
        (self.images / name).chmod(0o755)

    async def work(self, job_id: object = "7", description: object = "Plan it", **more: Any) -> Ran:
        """A run of wat-factory with this payload."""
        payload = {"job_id": job_id, "job_description": description, **more}
        return await self.run_factory({"action": "wat-factory", "client_payload": payload})

    async def run_factory(self, event: Mapping[str, Any]) -> Ran:
        event = {"repository": {"full_name": REPOSITORY}, **event}
        job_id = event["client_payload"].get("job_id")
        if isinstance(job_id, str):
            # What git has, the stand-in shows too.
            repository = self.simulator.world.repository(REPOSITORY)
            assert repository is not None
            repository.add_branch(f"job/{job_id}")
        return await self.runner.carry_out(FACTORY, "repository_dispatch", event)

    async def ask(self, method: str, place: str, body: object = None) -> tuple[int, Any]:
        """GitHub's API, for the repository."""
        url = f"{self.simulator.url}/repos/{REPOSITORY}{place}"
        async with self.session.request(method, url, json=body, headers=HEADERS) as answer:
            return answer.status, await answer.json()

    async def merged(self, branch: str) -> dict[str, Any]:
        """Merges the pull request of the branch; GitHub's event of it."""
        _, (pull,) = await self.ask("GET", f"/pulls?head=octo-org:{branch}")
        status, _ = await self.ask("PUT", f"/pulls/{pull['number']}/merge")
        assert status == 200
        base, head = self.origin.merge(branch, pull["number"])
        _, pull = await self.ask("GET", f"/pulls/{pull['number']}")
        # The stand-in has no commits; the repository beside it has.
        pull["base"]["sha"], pull["head"]["sha"] = base, head
        return {"action": "closed", "number": pull["number"], "pull_request": pull}

    async def notify(self, event: Mapping[str, Any]) -> Ran:
        return await self.runner.carry_out(NOTIFY, "pull_request", event)

    @property
    def words(self) -> list[str]:
        """What the programs were started with, each its own name first."""
        return (self.images / "words").read_text("utf-8").split("\0")

    @property
    def pauses(self) -> list[str]:
        log = self.images / "pauses"
        return log.read_text("utf-8").split() if log.exists() else []


def install(programs: Path, images: Path) -> None:
    """The runner's programs: real ones, which note what they are started with, and an engine."""
    programs.mkdir()
    images.mkdir()
    real = {name: str(path) for name, path in zip(PROGRAMS, RUN[1:], strict=True)}
    real["python3"] = sys.executable
    real["docker"] = f"{sys.executable} {ROOT / 'tests' / 'engine.py'}"
    for name, command in real.items():
        note = f"printf '%s\\0' {name} \"$@\" >> {images / 'words'}"
        (programs / name).write_text(
            f'#!/bin/bash\n{note}\nTEST_IMAGES={images} exec {command} "$@"\n'
        )
    (programs / "sleep").write_text(f'#!/bin/bash\necho "$1" >> {images / "pauses"}\n')
    for program in programs.iterdir():
        program.chmod(0o755)


@asynccontextmanager
async def staged(directory: Path, simulator: Simulator) -> AsyncIterator[Stage]:
    install(directory / "programs", directory / "images")
    async with git_server(directory / "git", TOKEN) as server, aiohttp.ClientSession() as session:
        environ = {
            **ALONE,
            "GITHUB_SERVER_URL": server.url,
            "GITHUB_API_URL": simulator.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_REF_NAME": "main",
        }
        runner = Runner(directory, directory / "programs", environ, token=TOKEN)
        runner.variables["WAT_IMAGE"] = "planner"
        origin = server.create(REPOSITORY, {"README.md": "Ours\n"})
        stage = Stage(simulator, origin, runner, directory / "images", session)
        stage.image("planner", PLANNER)
        yield stage


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(wall_clock, tokens=None, queued_for=timedelta(0)) as simulator:
        yield simulator


@pytest.fixture
async def stage(tmp_path: Path, simulator: Simulator) -> AsyncIterator[Stage]:
    async with staged(tmp_path, simulator) as stage:
        yield stage
