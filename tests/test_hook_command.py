"""Webhooks at GitHub, set up, shown, tested and deleted from the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.app import wall_clock
from daemon.simulator import App, Fault, FaultKind, Simulator
from daemon.simulator.faults import FaultPlace
from tests.harness import reserved_port
from tests.inprocess import Serving, serving
from tests.rsa import key_pair
from tests.shell import Shell
from tests.specs import OPEN, SIGNED, trigger_entry

PUSH = trigger_entry(
    "push", path="/hooks/github", auth=SIGNED, when="headers['x-github-event'] == 'push'"
)
ANY = trigger_entry("any", path="/hooks/{team}", auth=SIGNED)
KEYS = key_pair()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@asynccontextmanager
async def daemon(
    directory: Path,
    *triggers: Mapping[str, Any],
    simulator: Simulator | None = None,
    environ: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Serving]:
    with reserved_port() as port:
        async with serving(
            directory,
            triggers=triggers or [PUSH, ANY],
            settings={"public_url": f"http://127.0.0.1:{port}", **(settings or {})},
            environ={"DISPATCHD_LISTEN": f"127.0.0.1:{port}", **(environ or {})},
            simulator=simulator,
        ) as daemon:
            yield daemon


async def test_a_webhook_is_set_up_with_the_triggers_url_secret_and_events(
    shell: Shell, tmp_path: Path
) -> None:
    async with daemon(tmp_path) as serving:
        made = await shell.run("hook", "create", "push")
        url = f"{serving.url}/hooks/github"
        assert (made.code, made.err) == (0, "")
        assert f"in octo-org/octo-repo: {url} for push, workflow_run" in made.out
        # GitHub's ping is signed with the secret, so it was believed.
        tested = await shell.run("hook", "test", "push")
        assert (tested.code, "the ping arrived: 200 OK" in tested.out) == (0, True)
        listed = await shell.run("hook", "list")
        assert url in listed.out
        assert "200 OK" in listed.out
        (hook,) = (await shell.run("hook", "list", "--json")).json["hooks"]
        assert (hook["triggers"], hook["active"], hook["content_type"]) == (["push"], True, "json")


async def test_a_second_time_changes_the_one_that_is_there(shell: Shell, tmp_path: Path) -> None:
    async with daemon(tmp_path):
        made = (await shell.run("hook", "create", "push", "--no-track", "--json")).json
        again = (await shell.run("hook", "create", "push", "--event", "release", "--json")).json
        assert (made["done"], made["events"]) == ("created", ["push"])
        assert (again["done"], again["id"]) == ("updated", made["id"])
        assert again["events"] == ["push", "release", "workflow_run"]
        assert len((await shell.run("hook", "list", "--json")).json["hooks"]) == 1


async def test_a_webhook_whose_answer_was_lost_is_not_made_twice(
    shell: Shell, tmp_path: Path
) -> None:
    async with Simulator(wall_clock) as simulator:

        async def forgetting(request: web.Request) -> web.Response:
            """GitHub's answers to POST get lost on their way."""
            async with (
                aiohttp.ClientSession() as session,
                session.request(
                    request.method,
                    simulator.url + request.path_qs,
                    data=await request.read(),
                    headers=request.headers,
                ) as answer,
            ):
                body = await answer.read()
            if request.method == "POST":
                return web.Response(status=502)
            headers = {"x-github-request-id": "1", "content-type": "application/json"}
            return web.Response(status=answer.status, body=body, headers=headers)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", forgetting)
        async with TestServer(app) as proxy:
            url = str(proxy.make_url("")).rstrip("/")
            async with daemon(tmp_path, simulator=simulator, environ={"GH_API_URL": url}):
                made = await shell.run("hook", "create", "push", "--json")
                assert made.json["done"] == "created", made
                assert len((await shell.run("hook", "list", "--json")).json["hooks"]) == 1


async def test_an_organisations_webhook_has_the_parameters_and_events_that_are_given(
    shell: Shell, tmp_path: Path
) -> None:
    async with daemon(tmp_path) as serving:
        options = ("--organization", "octo-org", "--param", "team=a", "--event", "push")
        made = (await shell.run("hook", "create", "any", *options, "--json")).json
        # Nothing but the event says which deliveries the trigger is for, so none are added.
        assert (made["place"], made["events"]) == ("octo-org", ["push"])
        assert made["url"] == f"{serving.url}/hooks/a"
        tracked = await shell.run("hook", "create", "any", *options, "--track")
        assert "any takes every event" in tracked.err
        gone = await shell.run("hook", "delete", str(made["id"]))
        assert (gone.code, f"deleted webhook {made['id']} in octo-org" in gone.out) == (0, True)
        assert "no webhook comes here" in (await shell.run("hook", "list")).out


async def test_a_url_that_is_not_known_to_lead_here_is_warned_of(
    shell: Shell, tmp_path: Path
) -> None:
    async with daemon(tmp_path):
        other = "http://127.0.0.1:9/elsewhere"
        made = await shell.run("hook", "create", "push", "--hook-url", other)
        assert (made.code, "what it misses is not looked for" in made.err) == (0, True)


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("create", "nope"), 1, "there are: any, off, open, push"),
        (("create", "off"), 1, "off is disabled"),
        (("create", "open"), 1, '"auth": {"scheme": "github"'),
        (("create", "any", "--event", "push"), 1, "give --param team=VALUE"),
        (("create", "any", "--param", "team=a"), 1, "--event push"),
        (("create", "any", "--param", "team"), 2, "NAME=VALUE"),
        (("create", "push", "--param", "team=a"), 1, "has no {team}"),
        (("create", "push", "--hook-url", "ftp://x"), 1, "no URL of http"),
        (("create", "push", "--repository", "acme"), 2, "OWNER/NAME"),
        (("create", "push", "--organization", "a/b"), 2, "--repository"),
        (("create", "push", "--organization", "a", "--repository", "a/b"), 2, "either"),
        (("create", "push", "--repository", "a/b/c"), 1, "neither owner/name"),
        (("test", "push"), 1, "no webhook comes to push: dispatchd hook create push"),
        (("delete", "7"), 1, "no webhook 7 comes here"),
    ],
)
async def test_what_cannot_be_done_is_said_with_how_to_mend_it(
    shell: Shell, tmp_path: Path, args: tuple[str, ...], code: int, says: str
) -> None:
    off, unsigned = trigger_entry("off", enabled=False), trigger_entry("open", auth=OPEN)
    async with daemon(tmp_path, PUSH, ANY, off, unsigned):
        ran = await shell.run("hook", *args)
        assert (ran.code, says in ran.err) == (code, True), ran


async def test_a_missing_right_is_said_with_its_name(shell: Shell, tmp_path: Path) -> None:
    """A GitHub App that was not given the right to webhooks."""
    app = App(7, KEYS.public, {"octo-org": 99})
    settings = {"credentials": {"octo-org": {"app_id": 7, "private_key": "env:APP_KEY"}}}
    environ = {"APP_KEY": KEYS.private, "GH_TOKEN": ""}
    simulator = Simulator(wall_clock, apps=[app])
    async with daemon(tmp_path, simulator=simulator, environ=environ, settings=settings):
        for place in ("--repository", "octo-org/octo-repo"), ("--organization", "octo-org"):
            ran = await shell.run("hook", "create", "push", *place)
            assert (ran.code, "'webhooks: write'" in ran.err) == (1, True), ran
        listed = await shell.run("hook", "list")
        assert (listed.code, "Resource not accessible by integration" in listed.err) == (1, True)


async def test_a_github_app_with_the_right_sets_webhooks_up(shell: Shell, tmp_path: Path) -> None:
    permissions = {"repository_hooks": "write", "organization_hooks": "write"}
    app = App(7, KEYS.public, {"octo-org": 99}, permissions=permissions)
    settings = {"credentials": {"octo-org": {"app_id": 7, "private_key": "env:APP_KEY"}}}
    environ = {"APP_KEY": KEYS.private, "GH_TOKEN": ""}
    simulator = Simulator(wall_clock, apps=[app])
    async with daemon(tmp_path, simulator=simulator, environ=environ, settings=settings):
        made = await shell.run("hook", "create", "push", "--organization", "octo-org")
        assert made.code == 0, made


async def test_a_ping_that_does_not_arrive_fails_the_test(shell: Shell, tmp_path: Path) -> None:
    async with daemon(tmp_path, settings={"public_url": "http://127.0.0.1:9"}):
        assert (await shell.run("hook", "create", "push")).code == 0
        ran = await shell.run("hook", "test", "push")
        assert (ran.code, "did not arrive: 502 failed to connect" in ran.out) == (1, True), ran


async def test_github_that_is_away_is_said_and_nothing_is_made(
    shell: Shell, tmp_path: Path
) -> None:
    async with daemon(tmp_path) as serving:
        fault = Fault(FaultKind.STATUS, status=502, times=1, on=FaultPlace.READ)
        serving.simulator.inject(fault)
        ran = await shell.run("hook", "create", "push")
        assert (ran.code, "GitHub answered 502" in ran.err) == (1, True)
        assert (await shell.run("hook", "list", "--json")).json["hooks"] == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"events": []}, "`events` is an array of names"),
        ({"events": "push"}, "`events` is an array of names"),
        ({"events": [1]}, "`events` is an array of names"),
        ({"params": ["a"]}, "`params` is an object of texts"),
        ({"params": {"a": 1}}, "`params` is an object of texts"),
        ({"track": "yes"}, "`track` is true or false"),
        ({"url": 7}, "no URL of http"),
        ({"place": 7}, "neither owner/name nor an organisation"),
        ({"place": "app:octo-org"}, "neither owner/name nor an organisation"),
        ({"secret": "x"}, "means nothing here"),
    ],
)
async def test_a_call_of_the_api_that_makes_no_sense_is_refused(
    tmp_path: Path, body: object, says: str
) -> None:
    async with daemon(tmp_path) as serving:
        status, answer = await serving.call("POST", "/api/v1/triggers/push/hook", json=body)
        assert (status, says in answer["error"]) == (400, True), answer
        assert serving.simulator.requests == 0


async def test_where_no_place_is_named_or_given_it_is_asked_for(tmp_path: Path) -> None:
    elsewhere = {**PUSH, "dispatch": {"event_type": "x", "repository": "acme/site"}}
    environ = {"GH_OWNER": "", "GH_REPO": ""}
    async with daemon(tmp_path, elsewhere, environ=environ) as serving:
        status, answer = await serving.call("POST", "/api/v1/triggers/push/hook")
        assert (status, "--repository OWNER/NAME" in answer["error"]) == (400, True)
        # Dispatches do not go there, so nobody waits to hear of its runs.
        made = await serving.call("POST", "/api/v1/triggers/push/hook", json={"place": "acme/docs"})
        assert (made[0], made[1]["events"]) == (201, ["push"])


async def test_only_webhooks_that_come_here_are_tried_or_deleted(tmp_path: Path) -> None:
    async with daemon(tmp_path) as serving:
        url = "http://127.0.0.1:9/elsewhere"
        _, made = await serving.call("POST", "/api/v1/triggers/push/hook", json={"url": url})
        for act in ("ping", "delete"):
            body = {"place": made["place"], "id": made["id"]}
            status, answer = await serving.call("POST", f"/api/v1/hooks/{act}", json=body)
            assert (status, "that comes here" in answer["error"]) == (404, True)
