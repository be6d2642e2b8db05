"""The stand-in tells classic tokens, fine-grained ones and those of Apps apart, as GitHub does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from daemon.simulator import Simulator, Token
from tests.github_caller import SHOP, T0, Caller, Clock
from tests.github_fixtures import call, clock

__all__ = ["call", "clock"]

WORKFLOWS = f"{SHOP}/actions/workflows"


def as_(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "User-Agent": "test/1"}


@pytest.fixture
async def simulator(clock: Clock) -> AsyncIterator[Simulator]:
    tokens: list[str | Token] = [
        "ghp_plain",
        Token("ghp_bare", scopes=frozenset({"gist"})),
        Token("github_pat_read", scopes=None, permissions={"contents": "read", "actions": "read"}),
        Token("github_pat_write", scopes=None, permissions={"contents": "write"}),
        Token("ghp_late", expires_at=T0 + timedelta(hours=1)),
    ]
    async with Simulator(clock, tokens=tokens) as simulator:
        yield simulator


async def test_a_classic_token_is_told_its_scopes(simulator: Simulator, call: Caller) -> None:
    status, _, headers = await call(simulator, "GET", SHOP, headers=as_("ghp_plain"))
    assert (status, headers["X-OAuth-Scopes"]) == (200, "repo")
    status, _, headers = await call(simulator, "GET", SHOP, headers=as_("ghp_bare"))
    assert (status, headers["X-OAuth-Scopes"]) == (404, "gist")


async def test_a_fine_grained_token_is_refused_what_it_has_no_permission_for(
    simulator: Simulator, call: Caller
) -> None:
    body = {"event_type": "build"}
    reading, writing = as_("github_pat_read"), as_("github_pat_write")
    status, answer, headers = await call(simulator, "POST", f"{SHOP}/dispatches", body, reading)
    assert (status, answer["message"]) == (403, "Resource not accessible by personal access token")
    assert headers["X-Accepted-GitHub-Permissions"] == "contents=write"
    assert "X-OAuth-Scopes" not in headers
    assert (await call(simulator, "POST", f"{SHOP}/dispatches", body, writing))[0] == 204
    assert (await call(simulator, "GET", WORKFLOWS, headers=reading))[0] == 200
    assert (await call(simulator, "GET", WORKFLOWS, headers=writing))[0] == 403
    assert (await call(simulator, "GET", SHOP, headers=reading))[0] == 200
    assert (await call(simulator, "GET", f"{SHOP}/actions/permissions", headers=reading))[0] == 403
    by_hand = f"{WORKFLOWS}/a.yml/dispatches"
    assert (await call(simulator, "POST", by_hand, {"ref": "main"}, reading))[0] == 403


async def test_what_is_no_dispatch_is_refused_only_to_those_who_may_send_one(
    simulator: Simulator, call: Caller
) -> None:
    reading, writing = as_("github_pat_read"), as_("github_pat_write")
    assert (await call(simulator, "POST", f"{SHOP}/dispatches", {}, reading))[0] == 403
    assert (await call(simulator, "POST", f"{SHOP}/dispatches", {}, writing))[0] == 422
    assert simulator.received == []


async def test_a_token_ends_and_says_when(simulator: Simulator, call: Caller, clock: Clock) -> None:
    status, _, headers = await call(simulator, "GET", SHOP, headers=as_("ghp_late"))
    told = headers["GitHub-Authentication-Token-Expiration"]
    assert (status, told) == (200, "2026-03-01 13:00:00 UTC")
    clock.move(3600)
    assert (await call(simulator, "GET", SHOP, headers=as_("ghp_late")))[0] == 401
