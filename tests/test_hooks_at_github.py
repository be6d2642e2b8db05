"""Webhooks at GitHub over HTTP: each request and answer is as GitHub describes it, lists are read
to their end, and each refusal is of its kind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from daemon.client import GitHub
from daemon.errors import FetchError
from daemon.github import Question, Reply
from daemon.github_app import AppKey
from daemon.hooks_at_github import Denied, HooksAtGithub, NotNow
from daemon.secret import Secret
from daemon.simulator import App, AppWebhook, Fault, FaultKind, Simulator
from daemon.simulator.faults import FaultPlace
from tests.github_caller import Clock
from tests.github_fixtures import clock, simulator
from tests.openapi import check_answer, check_request, operation_of
from tests.rsa import key_pair

__all__ = ["clock", "simulator"]

SECRET = Secret("the secret of the hook", "env:X")
AWAY = "http://127.0.0.1:9/hooks/github"
PLACES = ["acme/shop", "acme"]


async def unasked(credential: str, question: Question) -> Reply:
    raise AssertionError(f"nobody is to ask for {question} as a GitHub App")


@pytest.fixture
async def hooks(simulator: Simulator, clock: Clock) -> AsyncIterator[HooksAtGithub]:
    """What is asked and answered is held against GitHub's description."""
    async with GitHub(simulator.url, Secret("ghp_one", "env:GH_TOKEN"), clock) as session:

        async def ask(place: str, question: Question) -> Reply:
            reply = await session.ask(place, question)
            operation = operation_of(question.method, question.path.partition("?")[0])
            if question.body:
                check_request(operation, json.loads(question.body))
            if reply.status < 300:
                check_answer(operation, reply.status, json.loads(reply.body or b"null"))
            return reply

        yield HooksAtGithub(ask, unasked, clock)


async def test_a_github_apps_own_webhook_is_read_under_its_claim(clock: Clock) -> None:
    keys = key_pair()
    webhook = AppWebhook(AWAY, SECRET.reveal())
    apps = [App(7, keys.public, {"acme": 99}, webhook=webhook), App(8, keys.public, {})]
    private = Secret(keys.private, "env:APP_KEY")
    async with Simulator(clock, apps=apps) as simulator, AsyncExitStack() as stack:
        sessions = {}
        for number in (7, 8, 9):
            session = GitHub(simulator.url, AppKey(str(number), private), clock)
            sessions[str(number)] = await stack.enter_async_context(session)

        async def ask_as_app(credential: str, question: Question) -> Reply:
            reply = await sessions[credential].ask_as_app(question)
            if reply.status < 300:
                operation = operation_of(question.method, question.path.partition("?")[0])
                check_answer(operation, reply.status, json.loads(reply.body))
            return reply

        hooks = HooksAtGithub(unasked, ask_as_app, clock)
        shop, other = (simulator.world.repository(f"{name}/shop") for name in ("Acme", "other"))
        assert shop is not None
        assert other is not None
        assert len(simulator.hooks.publish(shop, "push", {})) == 1
        assert simulator.hooks.publish(other, "push", {}) == []
        await simulator.hooks.settled()
        (hook,) = await hooks.of("app:7")
        ((failed,), whole) = await hooks.deliveries(hook, clock())
        assert (hook.url, failed.event, failed.code, whole) == (AWAY, "push", 502, True)
        await hooks.redeliver(hook, failed)
        await simulator.hooks.settled()
        found, _ = await hooks.deliveries(hook, clock())
        assert [each.guid for each in found] == [failed.guid] * 2
        assert await hooks.of("app:8") == []
        with pytest.raises(Denied, match="`app_id` and `private_key` do not belong together"):
            await hooks.of("app:9")


async def test_a_token_is_no_github_app(simulator: Simulator, clock: Clock) -> None:
    async with GitHub(simulator.url, Secret("ghp_one", "env:GH_TOKEN"), clock) as session:
        with pytest.raises(FetchError, match="no GitHub App's"):
            await session.ask_as_app(Question("/app/hook/config"))


@pytest.mark.parametrize("place", PLACES)
async def test_a_hook_is_made_changed_tried_and_deleted_as_github_describes_it(
    simulator: Simulator, hooks: HooksAtGithub, clock: Clock, place: str
) -> None:
    made = await hooks.create(place, AWAY, SECRET, {"push"})
    assert (await hooks.of(place))[0].id == made.id
    changed = await hooks.update(made, SECRET, {"push", "release"})
    assert changed.events == {"push", "release"}
    ping = await hooks.ping(made)
    assert ping is not None
    assert (ping.event, ping.arrived, ping.code) == ("ping", False, 502)
    found, whole = await hooks.deliveries(made, clock())
    assert ([each.event for each in found], whole) == (["ping", "ping"], True)
    await hooks.redeliver(made, ping)
    await simulator.hooks.settled()
    found, _ = await hooks.deliveries(made, clock())
    assert [each.guid for each in found].count(ping.guid) == 2
    await hooks.delete(made)
    assert await hooks.of(place) == []


async def test_hooks_and_deliveries_are_read_page_by_page_back_to_the_instant(
    simulator: Simulator, hooks: HooksAtGithub, clock: Clock
) -> None:
    for number in range(130):
        await hooks.create("acme/shop", f"{AWAY}/{number}", SECRET, {f"e{number}"})
    assert len({hook.id for hook in await hooks.of("acme/shop")}) == 130
    hook = await hooks.create("acme", AWAY, SECRET, {"push"})
    shop = simulator.world.repository("acme/shop")
    assert shop is not None
    for _ in range(3):
        clock.move(60)
        for number in range(100):
            simulator.hooks.publish(shop, "push", {"number": number})
        await simulator.hooks.settled()
    found, whole = await hooks.deliveries(hook, clock() - timedelta(hours=1))
    assert (len(found), whole) == (301, True)
    before = simulator.requests
    found, whole = await hooks.deliveries(hook, clock())
    assert (len(found), whole, simulator.requests - before) == (200, True, 2)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(FaultKind.STATUS, status=403, on=FaultPlace.READ), Denied),
        (Fault(FaultKind.STATUS, status=404, on=FaultPlace.READ), Denied),
        (Fault(FaultKind.STATUS, status=401, on=FaultPlace.READ), Denied),
        (Fault(FaultKind.SECONDARY, retry_after=7, on=FaultPlace.READ), NotNow),
        (Fault(FaultKind.PRIMARY, seconds=7, on=FaultPlace.READ), NotNow),
        (Fault(FaultKind.STATUS, status=502, on=FaultPlace.READ), FetchError),
        (Fault(FaultKind.RESET, times=2, on=FaultPlace.READ), FetchError),
    ],
)
async def test_whether_to_ask_again_is_told_by_the_kind_of_the_error(
    simulator: Simulator, hooks: HooksAtGithub, clock: Clock, fault: Fault, kind: type[FetchError]
) -> None:
    simulator.inject(fault)
    with pytest.raises(FetchError) as caught:
        await hooks.of("acme/shop")
    assert type(caught.value) is kind
    if isinstance(caught.value, NotNow):
        assert caught.value.until == clock() + timedelta(seconds=7)


async def test_a_renamed_repositorys_hooks_are_reached_under_its_old_name(
    simulator: Simulator, hooks: HooksAtGithub
) -> None:
    made = await hooks.create("acme/shop", AWAY, SECRET, {"push"})
    shop = simulator.world.repository("acme/shop")
    assert shop is not None
    simulator.world.rename(shop, "acme/store")
    assert [hook.id for hook in await hooks.of("acme/shop")] == [made.id]
    ping = await hooks.ping(made)
    assert ping is not None
    await hooks.redeliver(made, ping)
