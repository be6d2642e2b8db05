"""A deadline for an answer, by which a process that was stopped meanwhile still reads what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LAST = 1.0
"""Seconds that are left after the loop gets to know that the time is over but for these."""


@asynccontextmanager
async def deadline(at: float) -> AsyncIterator[asyncio.Timeout]:
    """Like ``asyncio.timeout_at``. After SIGSTOP or a suspend the loop runs its timers before it
    looks at its sockets, where the answer may have been for long: to give up then would be to
    send twice. So the last second begins when the loop is there to see it."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:

        def begin_last() -> None:
            limit.reschedule(loop.time() + LAST)

        timer = loop.call_at(at - LAST, begin_last)
        try:
            yield limit
        finally:
            timer.cancel()
