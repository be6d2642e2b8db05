"""The stand-in's pull requests: opened and merged as on GitHub, which tells its hooks."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.simulator import Simulator
from tests.github_caller import SHOP, Caller, Clock
from tests.github_fixtures import call, clock, simulator

__all__ = ["call", "clock", "simulator"]

PULLS = f"{SHOP}/pulls"
JOB = {"title": "Plan the scraper", "body": "By a job", "head": "job/7", "base": "main"}


async def carry_out(call: Caller, simulator: Simulator, clock: Clock, job_id: str = "7") -> None:
    """A run of the wat-factory, up to where it has pushed its branch."""
    await call.dispatch(simulator, "wat-factory", job_id=job_id)
    clock.move(60)


async def opened(call: Caller, simulator: Simulator, **more: object) -> dict[str, Any]:
    status, pull, _ = await call(simulator, "POST", PULLS, JOB | more)
    assert status == 201, pull
    assert isinstance(pull, dict)
    return pull


async def test_the_branch_of_a_job_can_be_offered_and_merged(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await carry_out(call, simulator, clock)
    pull = await opened(call, simulator)
    assert (pull["number"], pull["state"], pull["merged"]) == (1, "open", False)
    assert (pull["head"]["ref"], pull["base"]["ref"]) == ("job/7", "main")
    assert pull["head"]["repo"]["full_name"] == "acme/shop"
    clock.move(60)
    status, answer, _ = await call(simulator, "PUT", f"{PULLS}/1/merge", {"merge_method": "squash"})
    assert (status, answer["merged"]) == (200, True)
    _, merged, _ = await call(simulator, "GET", f"{PULLS}/1")
    assert (merged["state"], merged["merged"]) == ("closed", True)
    assert merged["merge_commit_sha"] == answer["sha"]
    assert merged["merged_at"] == "2026-03-01T12:02:00Z"
    assert (await call(simulator, "PUT", f"{PULLS}/1/merge"))[0] == 405


async def test_the_hooks_hear_of_both(simulator: Simulator, call: Caller, clock: Clock) -> None:
    body = {"events": ["pull_request"], "config": {"url": "http://127.0.0.1:9/"}}
    _, hook, _ = await call(simulator, "POST", f"{SHOP}/hooks", body)
    await carry_out(call, simulator, clock)
    await opened(call, simulator)
    await call(simulator, "PUT", f"{PULLS}/1/merge")
    await simulator.hooks.settled()
    place = f"{SHOP}/hooks/{hook['id']}/deliveries"
    _, deliveries, _ = await call(simulator, "GET", place)
    heard = [(each["event"], each["action"]) for each in deliveries]
    assert heard[:2] == [("pull_request", "closed"), ("pull_request", "opened")]
    _, details, _ = await call(simulator, "GET", f"{place}/{deliveries[0]['id']}")
    told = details["request"]["payload"]
    assert (told["number"], told["pull_request"]["merged"]) == (1, True)
    assert told["pull_request"]["head"]["ref"] == "job/7"
    assert told["repository"]["default_branch"] == "main"


async def test_a_branch_has_one_open_pull_request_at_a_time(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await carry_out(call, simulator, clock)
    await opened(call, simulator)
    status, answer, _ = await call(simulator, "POST", PULLS, JOB)
    assert status == 422
    (error,) = answer["errors"]
    assert error["message"] == "A pull request already exists for acme:job/7."
    await call(simulator, "PUT", f"{PULLS}/1/merge")
    assert (await opened(call, simulator, head="acme:job/7"))["number"] == 2


async def test_lists_name_the_newest_first_and_those_that_are_open_unless_said_otherwise(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    for job_id in ("7", "8"):
        await carry_out(call, simulator, clock, job_id)
        await opened(call, simulator, head=f"job/{job_id}")
    await call(simulator, "PUT", f"{PULLS}/1/merge")

    async def numbers(query: str) -> list[int]:
        _, found, _ = await call(simulator, "GET", f"{PULLS}{query}")
        return [each["number"] for each in found]

    assert await numbers("") == [2]
    assert await numbers("?state=closed") == [1]
    assert await numbers("?state=all") == [2, 1]
    assert await numbers("?state=all&head=acme:job/7") == [1]
    assert await numbers("?base=other") == []


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"title": " "}, {"field": "title", "code": "missing_field"}),
        ({"head": "job/8"}, {"field": "head", "code": "invalid"}),
        ({"head": "main"}, {"field": "head", "code": "invalid"}),
        ({"head": 7}, {"field": "head", "code": "invalid"}),
        ({"base": "trunk"}, {"field": "base", "code": "invalid"}),
    ],
)
async def test_what_cannot_be_offered_is_refused_with_the_field(
    simulator: Simulator,
    call: Caller,
    clock: Clock,
    changed: dict[str, object],
    error: dict[str, str],
) -> None:
    await carry_out(call, simulator, clock)
    status, answer, _ = await call(simulator, "POST", PULLS, JOB | changed)
    assert (status, answer["message"]) == (422, "Validation Failed")
    assert answer["errors"] == [{"resource": "PullRequest", **error}]


async def test_what_cannot_be_merged_is_refused(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    assert (await call(simulator, "PUT", f"{PULLS}/1/merge"))[0] == 404
    await carry_out(call, simulator, clock)
    await opened(call, simulator)
    assert (await call(simulator, "PUT", f"{PULLS}/1/merge", {"sha": "0" * 40}))[0] == 409
    assert (await call(simulator, "PUT", f"{PULLS}/1/merge", {"merge_method": "octopus"}))[0] == 422
    assert (await call(simulator, "PUT", f"{PULLS}/1/merge"))[0] == 200
