"""The stand-in's webhooks: registered, sent with a signature, kept for three days, and sent again
when asked for."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from daemon.simulator import Simulator
from tests.github_caller import HEADERS, SHOP, Caller, Clock
from tests.github_fixtures import call, clock, simulator

__all__ = ["call", "clock", "simulator"]

SECRET = "between us"
HOOKS = f"{SHOP}/hooks"


class Receiver:
    """A server that takes webhooks, and answers with ``status``."""

    def __init__(self) -> None:
        self.status = 202
        self.got: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.put_nowait((dict(request.headers), await request.read()))
        return web.json_response({"took": True}, status=self.status)

    async def events(self, count: int) -> list[tuple[str, Any]]:
        """The next ``count`` of them, as (event, action)."""
        found = []
        for _ in range(count):
            headers, body = await self.got.get()
            found.append((headers["X-GitHub-Event"], json.loads(body).get("action")))
        return sorted(found, key=str)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def register(call: Caller, simulator: Simulator, url: str, **more: object) -> dict[str, Any]:
    """Registers a hook for runs and lets its ping arrive."""
    config = {"url": url, "content_type": "json", "secret": SECRET}
    body = {"name": "web", "events": ["workflow_run"], "config": config} | more
    status, hook, _ = await call(simulator, "POST", HOOKS, body)
    assert status == 201, hook
    await simulator.hooks.settled()
    assert isinstance(hook, dict)
    return hook


async def deliveries(
    call: Caller, simulator: Simulator, hook: dict[str, Any], query: str = ""
) -> list[Any]:
    await simulator.hooks.settled()
    status, found, _ = await call(simulator, "GET", f"{HOOKS}/{hook['id']}/deliveries{query}")
    assert status == 200
    return list(found)


async def test_a_hook_hides_its_secret_and_is_pinged_with_a_signature(
    simulator: Simulator, call: Caller, receiver: Receiver
) -> None:
    hook = await register(call, simulator, receiver.url)
    assert hook["config"]["secret"] == "********"
    headers, body = await receiver.got.get()
    assert headers["X-GitHub-Event"] == "ping"
    assert headers["X-GitHub-Hook-ID"] == str(hook["id"])
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert json.loads(body)["hook_id"] == hook["id"]
    _, listed, _ = await call(simulator, "GET", HOOKS)
    assert [each["id"] for each in listed] == [hook["id"]]
    assert listed[0]["last_response"] == {"code": 202, "status": "OK", "message": "OK"}


async def test_each_step_of_a_run_is_told_once_as_it_was_then(
    simulator: Simulator, call: Caller, receiver: Receiver, clock: Clock
) -> None:
    await register(call, simulator, receiver.url)
    await receiver.got.get()
    await call.dispatch(simulator, "build", dispatchd={"id": "dsp_7"})
    _, body = await receiver.got.get()
    told = json.loads(body)
    assert (told["action"], told["workflow_run"]["status"]) == ("requested", "queued")
    assert told["workflow_run"]["display_title"] == "Build [dsp_7]"
    assert told["workflow"]["name"] == "Dispatched"
    clock.move(3600)  # over both other steps at once
    assert await receiver.events(2) == [
        ("workflow_run", "completed"),
        ("workflow_run", "in_progress"),
    ]
    run = simulator.runs[0]
    await call(simulator, "POST", f"{SHOP}/actions/runs/{run.id}/rerun")
    headers, body = await receiver.got.get()
    again = json.loads(body)
    assert (again["action"], again["workflow_run"]["run_attempt"]) == ("requested", 2)
    assert headers["X-GitHub-Event"] == "workflow_run"


async def test_what_happened_before_there_was_a_hook_is_not_told(
    simulator: Simulator, call: Caller, receiver: Receiver, clock: Clock
) -> None:
    await call.dispatch(simulator, "early", dispatchd={"id": "dsp_1"})
    await register(call, simulator, receiver.url)
    await receiver.got.get()
    await call.dispatch(simulator, "late", dispatchd={"id": "dsp_2"})
    _, body = await receiver.got.get()
    assert json.loads(body)["workflow_run"]["display_title"] == "Build [dsp_2]"


async def test_of_a_run_that_could_not_start_nothing_is_told(
    simulator: Simulator, call: Caller, receiver: Receiver
) -> None:
    await register(call, simulator, receiver.url)
    await receiver.got.get()
    failing = {"conclusion": "startup_failure"}
    await call(simulator, "PATCH", "/_simulator/settings", failing, headers={})
    await call.dispatch(simulator, "first", dispatchd={"id": "dsp_1"})
    await call(simulator, "PATCH", "/_simulator/settings", {"conclusion": "success"}, headers={})
    await call.dispatch(simulator, "second", dispatchd={"id": "dsp_2"})
    _, body = await receiver.got.get()
    assert json.loads(body)["workflow_run"]["display_title"] == "Build [dsp_2]"


async def test_a_delivery_that_failed_is_kept_and_can_be_asked_for_again(
    simulator: Simulator, call: Caller, receiver: Receiver, clock: Clock
) -> None:
    receiver.status = 503
    hook = await register(call, simulator, receiver.url)
    (failed,) = await deliveries(call, simulator, hook, "?status=failure")
    assert (failed["status"], failed["status_code"]) == ("Invalid HTTP Response: 503", 503)
    receiver.status = 202
    place = f"{HOOKS}/{hook['id']}/deliveries/{failed['id']}"
    assert (await call(simulator, "POST", f"{place}/attempts"))[0] == 202
    again, first = await deliveries(call, simulator, hook)
    assert (again["guid"], again["redelivery"], again["status"]) == (first["guid"], True, "OK")
    assert receiver.got.get_nowait()[1] == receiver.got.get_nowait()[1]
    _, details, _ = await call(simulator, "GET", place)
    assert details["request"]["payload"]["hook_id"] == hook["id"]
    assert details["response"]["payload"] == '{"took": true}'
    clock.move(3 * 86_400 + 1)
    assert await deliveries(call, simulator, hook) == []
    assert (await call(simulator, "POST", f"{place}/attempts"))[0] == 404


async def test_a_receiver_that_is_away_is_a_failed_delivery(
    simulator: Simulator, call: Caller
) -> None:
    hook = await register(call, simulator, "http://127.0.0.1:9/hook")
    (failed,) = await deliveries(call, simulator, hook)
    assert (failed["status"], failed["status_code"]) == ("failed to connect to host", 502)


async def test_deliveries_come_in_pages_by_a_cursor(
    simulator: Simulator, call: Caller, receiver: Receiver
) -> None:
    hook = await register(call, simulator, receiver.url)
    for _ in range(4):
        await call(simulator, "POST", f"{HOOKS}/{hook['id']}/pings")
    await simulator.hooks.settled()
    seen: list[int] = []
    place = f"{HOOKS}/{hook['id']}/deliveries?per_page=2"
    while place:
        _, found, headers = await call(simulator, "GET", place)
        seen += [each["id"] for each in found]
        place = headers.get("Link", "").partition(">")[0].removeprefix(f"<{simulator.url}")
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


async def test_a_hook_gets_the_events_it_asked_for_and_none_when_it_is_off(
    simulator: Simulator, call: Caller, receiver: Receiver
) -> None:
    hook = await register(call, simulator, receiver.url, events=["pull_request"])
    place = "/_simulator/repos/acme/shop/webhooks"
    merged = {"action": "closed", "pull_request": {"merged": True}}
    _, sent, _ = await call(simulator, "POST", f"{place}/pull_request", merged, headers={})
    assert len(sent["deliveries"]) == 1
    _, sent, _ = await call(simulator, "POST", f"{place}/push", {}, headers={})
    assert sent["deliveries"] == []
    assert await receiver.events(2) == [("ping", None), ("pull_request", "closed")]
    await call(simulator, "PATCH", f"{HOOKS}/{hook['id']}", {"active": False})
    _, sent, _ = await call(simulator, "POST", f"{place}/pull_request", merged, headers={})
    assert sent["deliveries"] == []
    assert (await call(simulator, "DELETE", f"{HOOKS}/{hook['id']}"))[0] == 204
    assert (await call(simulator, "GET", f"{HOOKS}/{hook['id']}"))[0] == 404


async def test_a_hook_may_want_its_payload_as_a_form(
    simulator: Simulator, call: Caller, receiver: Receiver
) -> None:
    await register(call, simulator, receiver.url, config={"url": receiver.url})
    headers, body = await receiver.got.get()
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    (payload,) = parse_qs(body.decode())["payload"]
    assert "hook_id" in json.loads(payload)
    assert "X-Hub-Signature-256" not in headers


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"config": {}}, "url cannot be blank"),
        ({"config": {"url": "ftp://x"}}, "missing a scheme"),
        ({"config": {"url": "http://x", "content_type": "xml"}}, "content_type"),
        ({"config": {"url": "http://x"}, "events": []}, "events must be a list"),
        ({"name": "email", "config": {"url": "http://x"}}, "name must be web"),
    ],
)
async def test_a_hook_that_makes_no_sense_is_refused(
    simulator: Simulator, call: Caller, body: object, why: str
) -> None:
    status, answer, _ = await call(simulator, "POST", HOOKS, body)
    assert status == 422
    assert why in answer["message"]


async def test_the_same_hook_twice_is_refused(simulator: Simulator, call: Caller) -> None:
    body = {"config": {"url": "http://127.0.0.1:9/"}}
    assert (await call(simulator, "POST", HOOKS, body))[0] == 201
    status, answer, _ = await call(simulator, "POST", HOOKS, body, HEADERS)
    assert (status, "already exists" in answer["message"]) == (422, True)


async def test_an_organisations_hook_is_told_of_all_its_repositories_and_of_no_others(
    simulator: Simulator, call: Caller, receiver: Receiver
) -> None:
    config = {"url": receiver.url, "content_type": "json", "secret": SECRET}
    body = {"name": "web", "events": ["push"], "config": config}
    status, hook, _ = await call(simulator, "POST", "/orgs/acme/hooks", body)
    assert (status, hook["type"]) == (201, "Organization")
    for name in ("acme/shop", "Acme/site", "other/shop"):
        await call(simulator, "POST", f"/_simulator/repos/{name}/webhooks/push", {}, headers={})
    assert await receiver.events(3) == [("ping", None), ("push", None), ("push", None)]
    _, found, _ = await call(simulator, "GET", f"/orgs/acme/hooks/{hook['id']}/deliveries")
    place = f"/orgs/acme/hooks/{hook['id']}/deliveries/{found[0]['id']}"
    assert (await call(simulator, "POST", f"{place}/attempts"))[0] == 202
    headers, again = await receiver.got.get()
    assert json.loads(again) == {"organization": {"login": "Acme"}}
    assert headers["X-GitHub-Hook-Installation-Target-Type"] == "organization"
    _, of_repository, _ = await call(simulator, "GET", HOOKS)
    assert of_repository == []
    assert (await call(simulator, "POST", "/orgs/acme/hooks", {"config": config}))[0] == 422


async def test_a_new_config_takes_the_place_of_the_old_one_with_its_secret(
    simulator: Simulator, call: Caller, receiver: Receiver
) -> None:
    hook = await register(call, simulator, receiver.url)
    await receiver.got.get()
    place = f"{HOOKS}/{hook['id']}"
    change = {"add_events": ["push", "create"], "remove_events": ["workflow_run", "create"]}
    _, changed, _ = await call(simulator, "PATCH", place, change)
    assert (changed["events"], changed["config"]["secret"]) == (["push"], "********")
    config = {"url": receiver.url, "content_type": "json"}
    _, changed, _ = await call(simulator, "PATCH", place, {"config": config})
    assert "secret" not in changed["config"]
    await call(simulator, "POST", f"{place}/pings")
    headers, _ = await receiver.got.get()
    assert "X-Hub-Signature-256" not in headers


async def test_a_cursor_that_is_none_of_githubs_is_refused(
    simulator: Simulator, call: Caller, receiver: Receiver
) -> None:
    hook = await register(call, simulator, receiver.url)
    place = f"{HOOKS}/{hook['id']}/deliveries?cursor="
    assert (await call(simulator, "GET", f"{place}12"))[0] == 422
    assert (await call(simulator, "GET", f"{place}v1_999999999"))[0] == 200
