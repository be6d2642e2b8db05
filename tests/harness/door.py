"""A door of the daemon's, with limits that a test can reach and simple routes behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from daemon.addresses import Networks
from daemon.connections import Connections, Limits
from daemon.facts import Fact, Facts, RequestRefused, Trouble
from daemon.http_server import Present, PublicSite, Runner
from daemon.reading import BODY_TIMEOUT, ROOM, ROOM_BYTES, Room, read_body
from daemon.web import answered, encourage, http_log, json_response

Handler = Callable[[web.Request], Awaitable[web.Response]]

BODY_MAX = 1024 * 1024
LONG = 8 * 1024 * 1024


@dataclass
class Door:
    """``POST /take`` reads a body and answers with its size; ``POST /hold`` answers only once
    ``let_go`` is set. ``GET /ping`` has a short answer, ``GET /long`` one that fills a socket."""

    url: str = ""
    told: list[str] = field(default_factory=list)
    """What the log would say."""
    clients: list[str] = field(default_factory=list)
    """And of whom, where it is of one."""
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody's body is held."""
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    close: Callable[[], Coroutine[Any, Any, None]] = field(init=False)
    """What happens when the daemon stops."""


@asynccontextmanager
async def door(
    limits: Limits | None = None,
    *,
    room: int = ROOM_BYTES,
    body_timeout: float = BODY_TIMEOUT,
    present: Present | None = None,
    trusted: Networks | None = None,
) -> AsyncIterator[Door]:
    facts, it = Facts(), Door()

    def hear(fact: Fact) -> None:
        if isinstance(fact, Trouble):
            it.told.append(fact.message)
        elif isinstance(fact, RequestRefused):
            it.told.append(fact.reason)
            it.clients.append(fact.client_ip)

    async def take(request: web.Request) -> web.Response:
        return json_response(200, {"size": len(await read_body(request, BODY_MAX))})

    async def hold(request: web.Request) -> web.Response:
        body = await read_body(request, BODY_MAX)
        it.holding.set()
        await it.let_go.wait()
        return json_response(200, {"size": len(body)})

    async def ping(request: web.Request) -> web.Response:
        return json_response(200, {"asked": request.path_qs})

    async def long(request: web.Request) -> web.Response:
        return web.Response(body=bytes(LONG))

    def refusing(handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            return await answered(handler(request), request, facts)

        return handle

    facts.subscribe(hear)
    app = web.Application()
    app[ROOM] = Room(facts, size=room, body_timeout=body_timeout)
    app.add_routes(
        [
            web.post("/take", refusing(take), expect_handler=encourage),
            web.post("/hold", refusing(hold), expect_handler=encourage),
            web.get("/ping", ping),
            web.get("/long", long),
        ]
    )
    runner = Runner(
        app,
        Connections(facts, limits or Limits(), lambda: trusted or Networks()),
        present,
        access_log=None,
        logger=http_log(facts),
        shutdown_timeout=0.1,
    )
    await runner.setup()
    try:
        await PublicSite(runner, "127.0.0.1", 0).start()
        ((host, port),) = runner.addresses
        it.url = f"{'https' if present else 'http'}://{host}:{port}"
        it.close = runner.cleanup
        yield it
    finally:
        await runner.cleanup()
