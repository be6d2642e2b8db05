"""The stand-in for GitHub as a process of its own, which tells how much it has received, and in the
end when it received what.

    python -m bench.peers.github OUTPUT
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.process import announce
from daemon.simulator import Simulator

TELLS_EVERY = 0.02
"""Seconds between two lines; it bounds how exactly a rate can be known."""

NO_LIMIT = 10**9


async def serve() -> list[tuple[object, float]]:
    """Until SIGTERM; returns which delivery's dispatch was received when."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Simulator(lambda: datetime.now(UTC), rate_limit=NO_LIMIT) as github:
        announce(github.url)
        told = -1
        while not stop.is_set():
            if (received := github.writes) != told:
                told = received
                line = {"event": "received", "count": received, "at": time.time()}
                print(json.dumps(line), flush=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TELLS_EVERY)
    return [
        (dispatch.client_payload.get("delivery"), dispatch.at.timestamp())
        for dispatch in github.received
    ]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asyncio.run(serve())))
