"""How late the event loop wakes who sleeps: what everybody waits for beside their own work."""

from __future__ import annotations

import asyncio

from daemon.measures import Histogram

EVERY = 0.5
"""Seconds between two looks."""

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class LoopLag:
    """Sleeps, and notes by how much it overslept."""

    def __init__(self) -> None:
        self.seen = Histogram(BOUNDS)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            until = loop.time() + EVERY
            await asyncio.sleep(EVERY)
            self.seen.observe(max(loop.time() - until, 0.0))
