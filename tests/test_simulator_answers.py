"""The stand-in's answers are valid by GitHub's official description of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from daemon.simulator import Simulator
from tests.github_caller import SHOP, Caller, Clock
from tests.openapi import check_answer, check_request, operation_of

FILES = f"{SHOP}/contents/.github/workflows"


@pytest.fixture
async def call() -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def simulator(clock: Clock, call: Caller) -> AsyncIterator[Simulator]:
    """A GitHub on which something has happened: one run is over, one is queued, there is a hook
    that nobody answers, and of two pull requests one is merged."""
    async with Simulator(clock) as simulator:
        hook = {"events": ["push"], "config": {"url": "http://127.0.0.1:9/", "secret": "x"}}
        check_request("POST /repos/{owner}/{repo}/hooks", hook)
        status, answer, _ = await call(simulator, "POST", f"{SHOP}/hooks", hook)
        check_answer("POST /repos/{owner}/{repo}/hooks", status, answer)
        await simulator.hooks.settled()
        await call.dispatch(simulator, "wat-factory", job_id="7")
        clock.move(60)
        await call.dispatch(simulator)
        for head in ("job/7", "job/8"):
            await call(simulator, "PUT", f"/_simulator{SHOP}/branches/{head}", headers={})
            opening = {"title": "Job 7", "head": head, "base": "main"}
            await call(simulator, "POST", f"{SHOP}/pulls", opening)
        status, answer, _ = await call(simulator, "PUT", f"{SHOP}/pulls/1/merge")
        check_answer("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge", status, answer)
        yield simulator


@pytest.mark.parametrize(
    "path",
    [
        "/user",
        "/rate_limit",
        SHOP,
        f"{SHOP}/branches",
        f"{SHOP}/branches/main",
        f"{SHOP}/branches/job/7",
        f"{SHOP}/git/ref/heads/job/7",
        f"{SHOP}/git/matching-refs/heads/job",
        FILES,
        f"{FILES}/dispatched.yml",
        f"{SHOP}/actions/permissions",
        f"{SHOP}/actions/runs",
        f"{SHOP}/actions/runs/RUN",
        f"{SHOP}/actions/runs/RUN/attempts/1",
        f"{SHOP}/actions/workflows",
        f"{SHOP}/actions/workflows/dispatched.yml",
        f"{SHOP}/actions/workflows/dispatched.yml/runs",
        f"{SHOP}/hooks",
        f"{SHOP}/hooks/HOOK",
        f"{SHOP}/hooks/HOOK/deliveries",
        f"{SHOP}/hooks/HOOK/deliveries/DELIVERY",
        f"{SHOP}/pulls?state=all",
        f"{SHOP}/pulls/1",
        f"{SHOP}/pulls/2",
    ],
)
async def test_what_is_read_looks_as_github_describes_it(
    simulator: Simulator, call: Caller, path: str
) -> None:
    _, (hook,), _ = await call(simulator, "GET", f"{SHOP}/hooks")
    _, (delivery,), _ = await call(simulator, "GET", f"{SHOP}/hooks/{hook['id']}/deliveries")
    path = path.replace("RUN", str(simulator.runs[0].id)).replace("HOOK", str(hook["id"]))
    path = path.replace("DELIVERY", str(delivery["id"]))
    status, answer, _ = await call(simulator, "GET", path)
    assert status == 200
    check_answer(operation_of("GET", path.partition("?")[0]), status, answer)


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("dispatches", {"event_type": "x", "client_payload": {"a": 1}}),
        ("actions/workflows/a.yml/dispatches", {"ref": "main", "inputs": {"a": "1"}}),
        ("actions/workflows/a.yml/dispatches", {"ref": "main", "return_run_details": True}),
        ("actions/runs/RUN/rerun", None),
        ("actions/runs/NEW/cancel", None),
        ("hooks/HOOK/deliveries/DELIVERY/attempts", None),
        ("pulls", {"title": "Again", "body": "As before", "head": "job/7", "base": "main"}),
    ],
)
async def test_what_is_done_is_answered_as_github_describes_it(
    simulator: Simulator, call: Caller, place: str, body: object
) -> None:
    _, (hook,), _ = await call(simulator, "GET", f"{SHOP}/hooks")
    _, (delivery,), _ = await call(simulator, "GET", f"{SHOP}/hooks/{hook['id']}/deliveries")
    names = {"RUN": simulator.runs[0].id, "NEW": simulator.runs[1].id, "HOOK": hook["id"]}
    for name, number in {**names, "DELIVERY": delivery["id"]}.items():
        place = place.replace(name, str(number))
    path = f"{SHOP}/{place}"
    operation = operation_of("POST", path)
    if body is not None:
        check_request(operation, body)
    status, answer, _ = await call(simulator, "POST", path, body)
    check_answer(operation, status, answer)
