"""GitHub's endpoints that only read, as far as the stand-in has them: a repository, its workflows
and its runs, what is left of the rate limit, and where GitHub's requests come from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from daemon.simulator.quota import Quota
from daemon.simulator.validation import DISPATCH_DOCS, Rejection
from daemon.simulator.world import World, workflow_id

REPOSITORY = "/repos/{owner}/{name}"
META = "/meta"

HOOKS = (
    "192.30.252.0/22",
    "185.199.108.0/22",
    "140.82.112.0/20",
    "143.55.64.0/20",
    "2a0a:a440::/29",
    "2606:50c0::/32",
)
"""Where GitHub's webhooks come from, as it told in 2025."""

HERE = ("127.0.0.1/32", "::1/128")
"""Where they come from in a simulation."""


class Lookups:
    """Answers from ``world`` and ``quota`` as of ``clock()``."""

    def __init__(self, world: World, quota: Quota, clock: Callable[[], datetime]) -> None:
        self._world = world
        self._quota = quota
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(REPOSITORY, self._repository),
            web.get(f"{REPOSITORY}/actions/runs", self._runs),
            web.get(REPOSITORY + r"/actions/runs/{id:\d{1,18}}", self._run),
            web.get(f"{REPOSITORY}/actions/workflows", self._workflows),
            web.get("/rate_limit", self._rate_limit),
            web.get(META, self._meta),
        ]

    async def _repository(self, request: web.Request) -> web.StreamResponse:
        repository = named(request, self._world)
        owner, _, name = repository.partition("/")
        here = request.url.origin()
        document = {
            "id": self._world.number(repository),
            "name": name,
            "full_name": repository,
            "private": True,
            "owner": {"login": owner},
            "url": f"{here}/repos/{repository}",
            "html_url": f"{here}/{repository}",
            "archived": False,
            "disabled": False,
            "default_branch": "main",
        }
        return web.json_response(document)

    async def _runs(self, request: web.Request) -> web.StreamResponse:
        runs = self._world.runs_of(named(request, self._world))
        size = min(_at_least_one(request.query.get("per_page"), 30), 100)
        start = (_at_least_one(request.query.get("page"), 1) - 1) * size
        now, here = self._clock(), str(request.url.origin())
        page = [run.as_json(now, here) for run in runs[start : start + size]]
        return web.json_response({"total_count": len(runs), "workflow_runs": page})

    async def _run(self, request: web.Request) -> web.StreamResponse:
        runs = self._world.runs_of(named(request, self._world))
        wanted = int(request.match_info["id"])
        run = next((run for run in runs if run.id == wanted), None)
        if run is None:
            raise Rejection(404, "Not Found")
        return web.json_response(run.as_json(self._clock(), str(request.url.origin())))

    async def _workflows(self, request: web.Request) -> web.StreamResponse:
        repository = named(request, self._world)
        workflows = [
            {
                "id": workflow_id(repository, listener),
                "name": listener.name,
                "path": listener.path,
                "state": "active" if listener.enabled else "disabled_manually",
            }
            for listener in self._world.listeners(repository)
        ]
        return web.json_response({"total_count": len(workflows), "workflows": workflows})

    async def _rate_limit(self, request: web.Request) -> web.StreamResponse:
        rate = self._quota.as_json(self._clock())
        return web.json_response({"resources": {"core": rate}, "rate": rate})

    async def _meta(self, request: web.Request) -> web.StreamResponse:
        """The networks of its webhooks; of other parts of GitHub, which are many more, a few."""
        document = {
            "verifiable_password_authentication": False,
            "hooks": [*HOOKS, *HERE],
            "web": [*HOOKS, "20.201.28.151/32"],
            "api": [*HOOKS, "20.201.28.148/32"],
            "actions": ["4.148.0.0/16", "2603:1030:401:7::/64"],
        }
        body = json.dumps(document).encode()
        etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, content_type="application/json", headers={"ETag": etag})


def named(request: web.Request, world: World) -> str:
    """The repository that the path names, or its number does; raises Rejection where there is
    none."""
    info = request.match_info
    if "number" in info:
        repository = world.numbered(int(info["number"]))
    else:
        repository = f"{info['owner']}/{info['name']}"
    if repository is None or not world.exists(repository):
        raise Rejection(404, "Not Found", DISPATCH_DOCS)
    return repository


def _at_least_one(text: str | None, default: int) -> int:
    """A page number or size; what is no number counts as absent, as on GitHub."""
    if text is None or not re.fullmatch("[0-9]{1,9}", text):
        return default
    return max(int(text), 1)
