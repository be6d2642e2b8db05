"""Which routes a daemon has, and what each takes: learned from a daemon at work, and from no list
that somebody has to keep."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import MultiMapping

from daemon.call import KEYS
from daemon.event import API_ENTRY
from daemon.http_server import Runner
from tests.harness import Entry
from tests.inprocess import Serving, serving
from tests.specs import API_KEY

OPEN = frozenset({"/ping", "/healthz", "/readyz"})
"""The paths that nobody needs a key for."""

PARAMETER = re.compile(r"\{[^}]*\}")
KEY_TOLD = re.compile(r"`(\w+)`")
NO_KEY = "no-key-of-any-call"


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` has its parameters in braces. ``query`` and ``body`` are the names that it looks for
    there; a body of None is not read. An ``admin`` route is on the Unix socket only."""

    method: str
    path: str
    query: frozenset[str] = frozenset()
    body: frozenset[str] | None = None
    admin: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


async def learned(
    directory: Path, triggers: Sequence[Entry], crons: Sequence[Entry]
) -> list[Route]:
    """The routes of a daemon with these entries that want a key, or are there for admins alone. It
    works in ``directory`` meanwhile. Where there are several kinds of `{name}`, the entries should
    hold one of each: what a route looks for it does once it has found its entry."""
    with pytest.MonkeyPatch.context() as patch:
        apps: list[web.Application] = []
        asked: set[str] = set()
        _note_apps(patch, apps)
        _note_queries(patch, asked)
        async with (
            serving(directory, triggers=triggers, crons=crons) as daemon,
            _admin(daemon) as admin,
        ):
            known: dict[tuple[str, str], bool] = {}
            for app, on_socket in zip(apps, (False, True), strict=True):
                for method, path in _routes(app):
                    known.setdefault((method, path), on_socket)
            _, answer = await daemon.call("POST", API_ENTRY, json={"event_type": "for-its-id"})
            names = [answer["dispatch_id"], *(entry["name"] for entry in [*triggers, *crons])]
            return [
                await _learn(Route(method, path, admin=on_socket), daemon, admin, names, asked)
                for (method, path), on_socket in known.items()
                if path not in OPEN
            ]


def _note_apps(patch: pytest.MonkeyPatch, apps: list[web.Application]) -> None:
    """The applications that are served, in the order in which they are."""
    setup = web.AppRunner.setup

    async def noting(runner: web.AppRunner) -> None:
        if isinstance(runner, Runner):  # and not the stand-in's
            apps.append(runner.app)
        await setup(runner)

    patch.setattr(web.AppRunner, "setup", noting)


class _Asked(dict[str, str]):
    """A query that notes what is looked for in it."""

    def __init__(self, query: MultiMapping[str], names: set[str]) -> None:
        super().__init__(query)
        self._names = names

    def get(self, name: str, default: Any = None) -> Any:
        self._names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self._names.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._names.add(str(name))
        return super().__contains__(name)

    def getall(self, name: str, default: Any = ()) -> Any:
        self._names.add(name)
        return [self[name]] if name in self else default


def _note_queries(patch: pytest.MonkeyPatch, names: set[str]) -> None:
    def query(request: web.BaseRequest) -> _Asked:
        return _Asked(request.rel_url.query, names)

    patch.setattr(web.BaseRequest, "query", property(query))


def _routes(app: web.Application) -> Iterator[tuple[str, str]]:
    """Those with a method of their own: the others are for what is wrong, and for webhooks."""
    for route in app.router.routes():
        if route.method not in ("*", "HEAD") and route.resource is not None:
            yield route.method, route.resource.canonical


async def _learn(
    route: Route, daemon: Serving, admin: aiohttp.ClientSession, names: list[str], asked: set[str]
) -> Route:
    """Asks it with everything in the places of its parameters that leads somewhere, and with a key
    that no call has: it answers with those that it knows."""
    asked.clear()
    body = KEYS if route.path == API_ENTRY else None
    paths = {PARAMETER.sub(name, route.path) for name in names}
    for path in sorted(paths):
        url, session = ("", admin) if route.admin else (daemon.url, daemon.session)
        options: dict[str, Any] = {"json": {NO_KEY: 0}} if route.method != "GET" else {}
        async with session.request(
            route.method, url + path, headers={"x-api-key": API_KEY}, **options
        ) as answer:
            text = await answer.text()
        if NO_KEY in text:
            body = frozenset(KEY_TOLD.findall(text))
    return replace(route, query=frozenset(asked), body=body)


@asynccontextmanager
async def _admin(daemon: Serving) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(daemon.socket)
    async with aiohttp.ClientSession("http://localhost", connector=connector) as session:
        yield session
