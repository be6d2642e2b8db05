"""Nothing is missed while the daemon is down: GitHub is asked for what it could not deliver, once,
and what arrives twice is dispatched once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon import hooks_at_github, recovery
from daemon.app import wall_clock
from daemon.facts import Fact, MissedLookedFor, Trouble
from daemon.simulator import App, AppWebhook, Fault, FaultKind, Simulator
from daemon.simulator.faults import FaultPlace
from tests.harness import reserved_port
from tests.inprocess import Serving, serving
from tests.rsa import key_pair
from tests.shell import Shell
from tests.specs import SECRET, SIGNED, trigger_entry

PUSH = trigger_entry(
    "push",
    path="/hooks/github",
    auth=SIGNED,
    when="headers['x-github-event'] == 'push'",
    dispatch={"event_type": "pushed", "client_payload": {"sha": "{{ body.after }}"}},
)
BEHIND = web.AppKey("behind", str)
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
    async def daemon(
        self,
        settings: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **keys: Any,
    ) -> AsyncIterator[Serving]:
        """With ``keys`` of the trigger's that differ."""
        async with serving(
            self._directory,
            triggers=[{**PUSH, **keys}],
            environ={"DISPATCHD_LISTEN": f"127.0.0.1:{self._port}", **(environ or {})},
            settings={"public_url": self.url, **(settings or {})},
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
            return await response.json() if response.status != 204 else None

    async def hook(
        self,
        place: str = HOOKS,
        path: str = "/hooks/github",
        url: str = "",
        secret: str = SECRET,
    ) -> dict[str, Any]:
        config = {"url": url or self.url + path, "content_type": "json", "secret": secret}
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


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def finished(daemon: Serving) -> dict[str, Any]:
    """The report of the last look, once that is over."""
    report: dict[str, Any] = {}
    while not report.get("finished"):
        _, report = await daemon.call("GET", "/api/v1/recovery")
    return report


def looks(daemon: Serving) -> list[MissedLookedFor]:
    return [fact for fact in daemon.seen if isinstance(fact, MissedLookedFor)]


def looked(fact: Fact) -> bool:
    return isinstance(fact, MissedLookedFor)


async def test_what_was_missed_while_the_daemon_was_down_is_dispatched_once(stage: Stage) -> None:
    async with stage.daemon():
        await stage.hook()
        await stage.push("a")
        assert await stage.dispatched(1) == ["a"]
    await stage.push("b", "c")
    async with stage.daemon() as daemon:
        await daemon.until(looked)
        assert sorted(map(str, await stage.dispatched(3))) == ["a", "b", "c"]
        assert looks(daemon) == [MissedLookedFor(hooks=1, missed=2, asked=2, refused={})]
        await stage.simulator.hooks.settled()
    async with stage.daemon() as daemon:
        await daemon.until(looked)
        assert looks(daemon) == [MissedLookedFor(hooks=1, missed=0, asked=0, refused={})]
    assert len(stage.simulator.received) == 3


async def losing(request: web.Request) -> web.Response:
    """A proxy in front of the daemon, whose answers do not get through."""
    body, to = await request.read(), f"{request.app[BEHIND]}{request.path}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(to, data=body, headers=request.headers) as answer,
    ):
        assert answer.status == 202
    return web.Response(status=504)


async def test_what_came_in_although_its_answer_was_lost_is_not_dispatched_twice(
    stage: Stage,
) -> None:
    """Also where nothing is known again by its id: the trigger takes equal deliveries as two."""
    app = web.Application()
    app.router.add_post("/hooks/github", losing)
    app[BEHIND] = stage.url
    async with TestServer(app) as proxy:
        front = str(proxy.make_url("")).rstrip("/")
        settings = {"public_url": front}
        async with stage.daemon(settings, dedupe=False):
            await stage.hook(url=f"{front}/hooks/github")
            await stage.push("a")
            await stage.dispatched(1)
        async with stage.daemon(settings, dedupe=False) as daemon:
            await daemon.until(looked)
            assert looks(daemon) == [MissedLookedFor(hooks=1, missed=0, asked=0, refused={})]
            (report,) = (await daemon.call("GET", "/api/v1/recovery"))[1]["hooks"]
            assert (report["here"], report["looked_at"]) == (1, 2)
    assert len(stage.simulator.received) == 1


async def test_what_we_refused_is_told_and_asked_for_by_hand_only(
    stage: Stage, shell: Shell
) -> None:
    async with stage.daemon() as daemon:
        hook = await stage.hook(secret="another one than the daemon has")
        await stage.push("a")
    async with stage.daemon() as daemon:
        await daemon.until(looked)
        assert looks(daemon) == [MissedLookedFor(hooks=1, missed=0, asked=0, refused={401: 1})]
        left = await shell.run("recover")
        assert (left.code, "1 answered 401 are left" in left.out) == (0, True), left
        # The secret is mended, and so is what it cost.
        made = await shell.run("hook", "create", "push", "--json")
        assert (made.json["done"], made.json["id"]) == ("updated", hook["id"])
        done = await shell.run("recover", "--refused", "--json")
        assert (done.json["missed"], done.json["asked"]) == (1, 1)
        assert await stage.dispatched(1) == ["a"]


async def test_a_dry_run_shows_what_was_missed_and_asks_for_nothing(
    stage: Stage, shell: Shell
) -> None:
    await stage.hook()
    (guid,) = await stage.push("a")
    async with stage.daemon(settings={"recover": False}) as daemon:
        shown = await shell.run("recover", "--dry-run")
        assert guid in shown.out
        assert "webhooks 1, deliveries 2: 1 missed, would be asked for" in shown.out
        assert not any(map(looked, daemon.seen))
        await stage.simulator.hooks.settled()
        assert not stage.simulator.received
        assert (await shell.run("recover", "--since", "1h")).code == 0
        assert await stage.dispatched(1) == ["a"]
        nothing = await shell.run("recover", "--json")
        assert nothing.json["missed"] == 0


async def test_switched_off_nothing_is_asked_at_a_start(stage: Stage) -> None:
    await stage.hook()
    await stage.push("a")
    before = stage.simulator.requests
    async with stage.daemon(settings={"recover": False}) as daemon:
        assert (await daemon.call("GET", "/api/v1/recovery"))[0] == 404
    async with stage.daemon(enabled=False) as daemon:
        status, answer = await daemon.call("POST", "/api/v1/recover")
        assert (status, "`public_url`" in answer["error"]) == (409, True)
    assert stage.simulator.requests == before


async def test_a_look_costs_a_request_for_each_place_and_each_webhook_and_then_nothing(
    stage: Stage,
) -> None:
    await stage.hook()
    before = stage.simulator.requests
    async with stage.daemon() as daemon:
        await daemon.until(looked)
        assert stage.simulator.requests == before + 2
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert "Tracker" in names
        assert "Recovery" not in names


async def test_many_pages_of_deliveries_are_looked_through(stage: Stage) -> None:
    await stage.hook()
    await stage.push(*(str(number) for number in range(230)))
    async with stage.daemon() as daemon:
        await daemon.until(looked)
        assert looks(daemon) == [MissedLookedFor(hooks=1, missed=230, asked=230, refused={})]
        assert set(await stage.dispatched(230)) == {str(number) for number in range(230)}
    assert len(stage.simulator.received) == 230


async def test_what_lies_beyond_the_pages_that_are_read_is_told_and_not_read_for_again(
    stage: Stage, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks_at_github, "DELIVERY_PAGES_MAX", 1)
    await stage.hook()
    await stage.push(*(str(number) for number in range(110)))
    async with stage.daemon() as daemon:
        await daemon.until(lambda fact: isinstance(fact, Trouble))
        (trouble,) = [fact for fact in daemon.seen if isinstance(fact, Trouble)]
        assert "only the newest 100 were looked through" in trouble.message
        assert len(await stage.dispatched(100)) == 100
        shown = await shell.run("recover")
        assert "only the newest 100 deliveries were looked through" in shown.out
    async with stage.daemon() as daemon:
        report = await finished(daemon)
        (hook,) = report["hooks"]
        assert hook["missed"] == []
        assert hook["since"] > (wall_clock() - timedelta(hours=1)).isoformat()


async def test_an_organisations_webhook_is_found_where_its_deliveries_come_from(
    stage: Stage,
) -> None:
    """The config names no organisation, nor the repository that pushes."""
    async with stage.daemon() as daemon:
        await stage.hook("/orgs/others/hooks")
        await stage.push("a", repository="others/site")
        await stage.dispatched(1)
    await stage.push("b", repository="others/site")
    async with stage.daemon() as daemon:
        await daemon.until(looked)
        assert await stage.dispatched(2) == ["a", "b"]


async def test_what_a_github_apps_own_webhook_missed_is_asked_for_as_that_app(
    tmp_path: Path, shell: Shell
) -> None:
    keys = key_pair()
    with reserved_port() as port:
        url = f"http://127.0.0.1:{port}"
        webhook = AppWebhook(f"{url}/hooks/github", SECRET)
        app = App(7, keys.public, {"octo-org": 99, "others": 98}, webhook=webhook)
        app_key = {"app_id": 7, "private_key": "env:APP_KEY"}
        settings = {"credentials": {"octo-org": app_key, "others": app_key}}
        environ = {"APP_KEY": keys.private, "GH_TOKEN": ""}
        async with Simulator(wall_clock, apps=[app]) as simulator:
            stage = Stage(tmp_path, port, simulator)
            await stage.push("a", repository="others/site")
            await stage.push("b")
            async with stage.daemon(settings, environ) as daemon:
                await daemon.until(looked)
                assert await stage.dispatched(2) == ["a", "b"]
                assert looks(daemon) == [MissedLookedFor(hooks=1, missed=2, asked=2, refused={})]
                listed = await shell.run("hook", "list")
                assert "app:octo-org   push      as its page says" in listed.out


async def test_a_place_without_a_webhook_of_ours_is_not_looked_at_again(stage: Stage) -> None:
    async with stage.daemon(settings={"recover": False}):
        hook = await stage.hook("/orgs/others/hooks")
        await stage.push("a", repository="others/site")
        await stage.dispatched(1)
    await stage.ask("DELETE", f"/orgs/others/hooks/{hook['id']}")
    costs = []
    for _ in range(2):
        before = stage.simulator.requests
        async with stage.daemon() as daemon:
            await finished(daemon)
        costs.append(stage.simulator.requests - before)
    assert costs == [2, 1]


async def test_webhooks_that_go_elsewhere_or_are_switched_off_are_left_alone(stage: Stage) -> None:
    await stage.hook(url="http://127.0.0.1:9/hooks/github")
    await stage.hook(path="/hooks/other")
    off = await stage.hook()
    await stage.push("a")
    await stage.ask("PATCH", f"{HOOKS}/{off['id']}", {"active": False})
    async with stage.daemon() as daemon:
        report = await finished(daemon)
        assert (report["hooks"], report["errors"]) == ([], [])


async def test_a_missing_right_is_told_once_and_nothing_else_stops(stage: Stage) -> None:
    await stage.hook()
    await stage.push("a")
    stage.simulator.inject(Fault(FaultKind.STATUS, status=404, times=None, on=FaultPlace.READ))
    async with stage.daemon() as daemon:
        await daemon.until(lambda fact: isinstance(fact, Trouble))
        (trouble,) = [fact for fact in daemon.seen if isinstance(fact, Trouble)]
        assert "'webhooks: write' on the repository" in trouble.message
        assert "recover: false" in trouble.message
        assert (await daemon.call("GET", "/readyz"))[0] == 200


async def test_github_that_is_away_at_the_start_is_asked_again(stage: Stage) -> None:
    await stage.hook()
    await stage.push("a")
    stage.simulator.inject(Fault(FaultKind.STATUS, status=502, times=2, on=FaultPlace.READ))
    async with stage.daemon() as daemon:
        assert await stage.dispatched(1) == ["a"]
        await daemon.until(looked)
        (trouble,) = [fact for fact in daemon.seen if isinstance(fact, Trouble)]
        assert "GitHub answered 502" in trouble.message


async def test_a_redelivery_whose_answer_was_lost_is_asked_for_again_only_if_it_did_not_arrive(
    stage: Stage,
) -> None:
    """Of two that were asked for GitHub heard the first, and the proxy between the second not."""
    asked: list[str] = []

    async def forgetting(request: web.Request) -> web.Response:
        attempt = request.path.endswith("/attempts")
        if attempt:
            asked.append(request.path)
            if len(asked) == 2:
                return web.Response(status=502)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                stage.simulator.url + request.path_qs,
                data=await request.read(),
                headers=request.headers,
            ) as answer,
        ):
            body = await answer.read()
        await stage.simulator.hooks.settled()
        status = 502 if len(asked) == 1 and attempt else answer.status
        headers = {"x-github-request-id": "1", "content-type": "application/json"}
        return web.Response(status=status, body=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forgetting)
    await stage.hook()
    await stage.push("a", "b")
    async with TestServer(app) as proxy:
        api = str(proxy.make_url("")).rstrip("/")
        async with stage.daemon(environ={"GH_API_URL": api}) as daemon:
            assert await stage.dispatched(2) == ["a", "b"]
            await daemon.until(lambda fact: looked(fact) and fact != looks(daemon)[0])
    assert len(asked) == 3
    assert asked[1] == asked[2] != asked[0]


async def test_a_right_to_read_alone_shows_what_was_missed_and_says_what_is_lacking(
    tmp_path: Path, shell: Shell
) -> None:
    keys = key_pair()
    rights = {"contents": "write", "repository_hooks": "read"}
    app = App(7, keys.public, {"octo-org": 99}, permissions=rights)
    with reserved_port() as port:
        async with Simulator(wall_clock, apps=[app]) as simulator:
            stage = Stage(tmp_path, port, simulator)
            await stage.hook()
            await stage.push(*"abcde")
            settings = {
                "credentials": {"octo-org": {"app_id": 7, "private_key": "env:APP_KEY"}},
                "recover": False,
            }
            environ = {"APP_KEY": keys.private, "GH_TOKEN": ""}
            async with stage.daemon(settings, environ):
                before = simulator.requests
                ran = await shell.run("recover")
                assert (ran.code, "5 missed, 0 asked for again" in ran.out) == (1, True), ran
                assert "'webhooks: write' on the repository" in ran.err
                # The App, its installation and token, two lists, and three tries at most.
                assert simulator.requests - before == 8


async def test_a_rate_limit_is_waited_for(stage: Stage) -> None:
    await stage.hook()
    await stage.push("a")
    fault = Fault(FaultKind.SECONDARY, retry_after=1, on=FaultPlace.READ)
    stage.simulator.inject(fault)
    async with stage.daemon():
        assert await stage.dispatched(1) == ["a"]


async def test_redeliveries_keep_to_the_pacing_and_leave_half_of_the_hour(stage: Stage) -> None:
    await stage.hook()
    await stage.push(*"abcdef")
    async with stage.daemon(environ={"GH_WRITES_PER_HOUR": "6"}) as daemon:
        # 3 redeliveries, and the 3 dispatches that they bring.
        assert len(await stage.dispatched(3)) == 3
        _, report = await daemon.call("GET", "/api/v1/recovery")
        assert (report["asked"], report["missed"], report["finished"]) == (3, 6, False)
        busy, answer = await daemon.call("POST", "/api/v1/recover")
        assert (busy, "already" in answer["error"]) == (409, True)


async def test_a_call_that_makes_no_sense_is_refused(stage: Stage) -> None:
    async with stage.daemon(settings={"recover": False}) as daemon:
        for body, says in (
            ({"since": "yesterday"}, "since"),
            ({"since": 1}, "since"),
            ({"places": "acme"}, "places"),
            ({"places": ["a/b/c"]}, "neither owner/name"),
            ({"dry_run": "yes"}, "dry_run"),
            ({"all": True}, "means nothing"),
        ):
            status, answer = await daemon.call("POST", "/api/v1/recover", json=body)
            assert (status, says in answer["error"]) == (400, True), answer
