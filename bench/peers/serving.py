"""How the peers in aiohttp are served: on a port of their own, which they announce."""

from __future__ import annotations

from aiohttp import web

from bench.process import announce


async def listen(app: web.Application) -> None:
    """Serves ``app`` until the program ends."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    announce(f"http://127.0.0.1:{runner.addresses[0][1]}")
