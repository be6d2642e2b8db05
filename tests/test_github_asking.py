"""What else is asked of GitHub's API: under whose token, to where, and what comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.client import GitHub
from daemon.errors import FetchError
from daemon.github import Question, refusal
from daemon.secret import Secret
from daemon.simulator import Simulator
from tests.github_caller import Clock
from tests.github_fixtures import clock, simulator

__all__ = ["clock", "simulator"]

REPOSITORY = "octo/site"


def github(url: str, clock: Clock) -> GitHub:
    return GitHub(url, Secret("ghp_one", "env:GH_TOKEN"), clock)


async def test_the_answer_comes_whole_with_githubs_clock_and_limits(
    simulator: Simulator, clock: Clock
) -> None:
    async with github(simulator.url, clock) as session:
        reply = await session.ask(REPOSITORY, Question(f"/repos/{REPOSITORY}"))
    assert reply.status == 200
    assert b'"full_name"' in reply.body
    assert reply.limits is not None
    assert reply.limits.limit == 5000
    assert abs((reply.at - clock()).total_seconds()) < 2


async def test_what_has_not_changed_is_answered_304_and_costs_nothing(
    simulator: Simulator, clock: Clock
) -> None:
    question = Question(f"/repos/{REPOSITORY}/actions/runs?per_page=100")
    async with github(simulator.url, clock) as session:
        first = await session.ask(REPOSITORY, question)
        assert first.etag
        again = await session.ask(REPOSITORY, replace(question, etag=first.etag))
    assert again.status == 304
    assert first.limits is not None
    assert again.limits is not None
    assert again.limits.remaining == first.limits.remaining


async def saying(request: web.Request) -> web.Response:
    match request.path:
        case "/repos/octo/old":
            raise web.HTTPMovedPermanently("/repositories/1")
        case "/repos/octo/round":
            raise web.HTTPMovedPermanently("/repos/octo/round")
        case "/repos/octo/away":
            raise web.HTTPMovedPermanently("https://elsewhere.example/repositories/1")
        case "/repos/octo/denied":
            return web.json_response({"message": "Resource not accessible"}, status=403)
    return web.json_response({"asked": request.path, "as": request.headers["Authorization"]})


@pytest.fixture
async def server() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", saying)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_a_renamed_repository_is_followed_under_the_same_token(
    server: str, clock: Clock
) -> None:
    async with github(server, clock) as session:
        reply = await session.ask("octo/old", Question("/repos/octo/old"))
    assert json.loads(reply.body) == {"asked": "/repositories/1", "as": "Bearer <token>"}


async def test_the_token_follows_no_redirect_to_another_host(server: str, clock: Clock) -> None:
    async with github(server, clock) as session:
        reply = await session.ask("octo/away", Question("/repos/octo/away"))
    assert reply.status == 301
    assert "elsewhere.example" in refusal(reply, server, clock())


async def test_a_circle_of_redirects_ends(server: str, clock: Clock) -> None:
    async with github(server, clock) as session:
        with pytest.raises(FetchError, match="redirects in a circle"):
            await session.ask("octo/round", Question("/repos/octo/round"))


async def test_a_refusal_says_what_is_missing(server: str, clock: Clock) -> None:
    async with github(server, clock) as session:
        reply = await session.ask("octo/denied", Question("/repos/octo/denied"))
    assert "Something is not permitted" in refusal(reply, server, clock())


async def test_an_answer_that_is_too_long_is_not_read_to_its_end(
    simulator: Simulator, clock: Clock
) -> None:
    async with github(simulator.url, clock) as session:
        with pytest.raises(FetchError, match="more than 10 bytes"):
            await session.ask(REPOSITORY, Question(f"/repos/{REPOSITORY}", most=10))
