"""GitHub, for a run of any length: takes dispatches with the simulation's checks, and tells of
each on standard output, before it answers. It remembers nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import sys
import time
from pathlib import Path

from aiohttp import web

from daemon.simulator.validation import Rejection, read_dispatch

ROOT = Path(__file__).parents[2]

LATENCY = 0.02
"""Seconds that an answer takes at most: a time in which the daemon can be killed."""

TOKEN = "ghp_TheLifeOfTheDaemonWithTheNumber"  # it opens nothing


def token_of(life: int) -> str:
    """The token for one life of the daemon, by which it is told who sends."""
    return f"{TOKEN}{life:06}"


def tell(line: object) -> None:
    print(json.dumps(line), flush=True)


async def take(request: web.Request) -> web.Response:
    """``POST /repos/{owner}/{name}/dispatches``, with the simulation's checks of the body."""
    body = await request.read()
    life = re.fullmatch(f"Bearer {TOKEN}([0-9]+)", request.headers.get("Authorization", ""))
    try:
        if life is None:
            raise Rejection(401, "Bad credentials")
        _, payload = read_dispatch(body)
    except Rejection as rejection:
        tell(f"{rejection.status} {rejection.message}")
        return web.json_response(rejection.as_json(), status=rejection.status)
    metadata = payload.get("dispatchd")
    id_ = metadata.get("id") if isinstance(metadata, dict) else None
    tell([time.time(), int(life[1]), str(id_), str(payload.get("subject"))])
    await asyncio.sleep(random.uniform(0, LATENCY))  # noqa: S311 - it guards nothing
    return web.Response(status=204)


async def mark(request: web.Request) -> web.Response:
    """``POST /mark/{number}``: says the number among the requests taken."""
    tell(int(request.match_info["number"]))
    return web.Response(status=204)


async def serve() -> None:
    """Serves on a free port, which the first line names, until standard input ends."""
    logging.disable()  # connections break off here by the thousand, with the daemon
    app = web.Application()
    app.router.add_post("/repos/{owner}/{name}/dispatches", take)
    app.router.add_post("/mark/{number}", mark)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
