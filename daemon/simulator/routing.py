"""The addresses under which a repository is found: its name, its number, and the names that it had,
which point to its number."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from aiohttp import web

from daemon.simulator.repositories import Repository
from daemon.simulator.validation import Rejection
from daemon.simulator.world import World

NAMED = "/repos/{owner}/{name}"
NUMBERED = r"/repositories/{number:\d{1,9}}"

# A context variable, since the keys that aiohttp wants for a request's own storage are new in 3.14.
request_id: ContextVar[str] = ContextVar("request_id")
"""What GitHub calls the request that is being served."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def of_repository(method: str, place: str, handler: Handler) -> list[web.RouteDef]:
    """The routes of ``place`` in a repository, by its name and by its number."""
    return [web.route(method, prefix + place, handler) for prefix in (NAMED, NUMBERED)]


def named(request: web.Request, world: World) -> Repository:
    """The repository that the path names, or its number does; raises Rejection where there is
    none, and where it has another name now."""
    info = request.match_info
    if "number" in info:
        repository = world.numbered(int(info["number"]))
    else:
        name = f"{info['owner']}/{info['name']}"
        repository = world.repository(name)
        if repository is None and (renamed := world.formerly(name)):
            raise _moved(request, renamed)
    if repository is None:
        raise Rejection(404, "Not Found")
    return repository


def writable(request: web.Request, world: World) -> Repository:
    """The same for a request that changes something."""
    repository = named(request, world)
    if repository.archived:
        raise Rejection(403, "Repository was archived so is read-only.")
    return repository


def by_number(repository: Repository, place: str) -> str:
    return f"/repositories/{repository.number}{place}"


def _moved(request: web.Request, repository: Repository) -> Rejection:
    """GitHub answers 301 to what only reads; to the rest 307, which keeps method and body."""
    _, _, _, _, *rest = request.rel_url.raw_path.split("/")
    place = by_number(repository, "".join(f"/{part}" for part in rest))
    query = request.rel_url.raw_query_string
    location = f"{request.url.origin()}{place}" + (f"?{query}" if query else "")
    if request.method in ("GET", "HEAD"):
        return Rejection(301, "Moved Permanently", location=location)
    return Rejection(307, "Temporary Redirect", location=location)
