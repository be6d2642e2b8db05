"""The least that a webhook receiver in aiohttp can do: read the body, answer 202. What the intake
of dispatchd is measured against."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bench.peers.serving import listen


async def accept(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=202)


async def serve() -> None:
    app = web.Application()
    app.router.add_post("/{path:.*}", accept)
    await listen(app)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
