"""GitHub's endpoints that only read, but for Actions': repositories, branches, workflow files, the
user, what is left of the rate limit, and where GitHub's requests come from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from daemon.simulator import shapes
from daemon.simulator.paging import Page
from daemon.simulator.quota import Quota
from daemon.simulator.repositories import Repository
from daemon.simulator.routing import named, of_repository
from daemon.simulator.validation import Rejection
from daemon.simulator.world import World
from daemon.workflow_file import DIRECTORY

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
            *of_repository("GET", "", self._repository),
            *of_repository("GET", "/branches", self._branches),
            *of_repository("GET", "/branches/{branch:.+}", self._branch),
            *of_repository("GET", "/git/ref/heads/{branch:.+}", self._ref),
            *of_repository("GET", "/git/matching-refs/heads/{prefix:.*}", self._refs),
            *of_repository("GET", f"/contents/{DIRECTORY}", self._files),
            *of_repository("GET", f"/contents/{DIRECTORY}/{{file}}", self._file),
            web.get("/rate_limit", self._rate_limit),
            web.get("/user", self._user),
            web.get(META, self._meta),
        ]

    async def _repository(self, request: web.Request) -> web.StreamResponse:
        repository = named(request, self._world)
        return web.json_response(shapes.repository_in_full(repository, here(request)))

    async def _branches(self, request: web.Request) -> web.StreamResponse:
        repository = named(request, self._world)
        page = Page.asked(request)
        branches = self._all_branches(repository)
        url = f"{here(request)}/repos/{repository.full_name}/commits"
        found = [
            {
                "name": name,
                "commit": {
                    "sha": repository.commit(name),
                    "url": f"{url}/{repository.commit(name)}",
                },
                "protected": False,
            }
            for name in page.of(branches)
        ]
        return web.json_response(found, headers=page.links(request, len(branches)))

    async def _branch(self, request: web.Request) -> web.StreamResponse:
        repository, name = self._branch_named(request, "Branch not found")
        return web.json_response(shapes.branch(name, repository, here(request)))

    async def _ref(self, request: web.Request) -> web.StreamResponse:
        repository, name = self._branch_named(request, "Not Found")
        return web.json_response(shapes.git_ref(name, repository, here(request)))

    async def _refs(self, request: web.Request) -> web.StreamResponse:
        repository = named(request, self._world)
        prefix = request.match_info["prefix"]
        names = [name for name in self._all_branches(repository) if name.startswith(prefix)]
        found = [shapes.git_ref(name, repository, here(request)) for name in names]
        return web.json_response(found)

    def _branch_named(self, request: web.Request, absent: str) -> tuple[Repository, str]:
        repository, name = named(request, self._world), request.match_info["branch"]
        if name not in self._all_branches(repository):
            raise Rejection(404, absent)
        return repository, name

    def _all_branches(self, repository: Repository) -> list[str]:
        return self._world.branches(repository, self._clock())

    async def _files(self, request: web.Request) -> web.StreamResponse:
        repository = self._on_default_branch(request)
        if not repository.files:
            raise Rejection(404, "Not Found")  # as of every directory without files
        files = sorted(repository.files, key=lambda each: each.file)
        return web.json_response(
            [shapes.file_entry(each, repository, here(request)) for each in files]
        )

    async def _file(self, request: web.Request) -> web.StreamResponse:
        repository = self._on_default_branch(request)
        wanted = request.match_info["file"]
        file = next((each for each in repository.files if each.file == wanted), None)
        if file is None:
            raise Rejection(404, "Not Found")
        if "raw" in request.headers.get("Accept", ""):
            return web.Response(text=file.text, content_type="application/vnd.github.raw+json")
        return web.json_response(shapes.file_content(file, repository, here(request)))

    def _on_default_branch(self, request: web.Request) -> Repository:
        """The repository, whose other branches hold the same files."""
        repository = named(request, self._world)
        ref = request.query.get("ref", repository.default_branch).removeprefix("refs/heads/")
        if ref not in self._all_branches(repository):
            raise Rejection(404, f"No commit found for the ref {ref}")
        return repository

    async def _rate_limit(self, request: web.Request) -> web.StreamResponse:
        rate = self._quota.as_json(self._clock())
        search = {"limit": 30, "remaining": 30, "used": 0, "reset": rate["reset"]}
        return web.json_response({"resources": {"core": rate, "search": search}, "rate": rate})

    async def _user(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(shapes.signed_in(here(request), self._clock()))

    async def _meta(self, request: web.Request) -> web.StreamResponse:
        """The networks of its webhooks; of other parts of GitHub, which are many more, a few."""
        document = {
            "verifiable_password_authentication": False,
            "hooks": [*HOOKS, *HERE],
            "web": [*HOOKS, "20.201.28.151/32"],
            "api": [*HOOKS, "20.201.28.148/32"],
            "actions": ["4.148.0.0/16", "2603:1030:401:7::/64"],
        }
        return web.json_response(document)


def here(request: web.Request) -> str:
    """What the addresses in an answer begin with."""
    return str(request.url.origin())
