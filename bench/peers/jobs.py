"""Plain jobs of APScheduler in an asyncio program, which only note when they ran: what the crons of
dispatchd stand beside. In the end it writes when each of them ran.

    python -m bench.peers.jobs OUTPUT --count 10000 --every 20 --grace 3600
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path

from aiohttp import web
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from bench.peers.serving import listen


async def serve(count: int, every: int, options: Mapping[str, int]) -> list[float]:
    """Until SIGTERM; returns when the jobs ran, in seconds since 1970."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    ran: list[float] = []

    async def note(number: int) -> None:
        ran.append(time.time())

    scheduler = AsyncIOScheduler(timezone=UTC)
    for number in range(count):
        trigger = CronTrigger(second=f"*/{every}", timezone=UTC)
        scheduler.add_job(note, trigger, args=(number,), name=f"job-{number}", **options)
    scheduler.start()
    app = web.Application()
    app.router.add_get("/ping", pong)
    await listen(app)
    await stop.wait()
    return ran


async def pong(request: web.Request) -> web.Response:
    return web.Response(text="pong")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--every", type=int, required=True, help="seconds from run to run")
    parser.add_argument("--grace", type=int, help="seconds that a run may be late (default: 1)")
    given = parser.parse_args()
    options = {"misfire_grace_time": given.grace} if given.grace is not None else {}
    ran = asyncio.run(serve(given.count, given.every, options))
    given.output.write_text(json.dumps(ran))


if __name__ == "__main__":
    main()
