"""Shows the faults that the stand-in was told to show, each on a request of the sort that it is
meant for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from aiohttp import web

from daemon.simulator.faults import Fault, FaultKind, FaultPlace, Faults
from daemon.simulator.wrong_answers import drip, pour, reset_connection, wrong_answer

_HELD = (FaultKind.STALL, FaultKind.ENDLESS, FaultKind.DRIP)


class Mishaps:
    """Requests go ``through`` here. ``changed`` is called when an answer begins to be held."""

    def __init__(self, clock: Callable[[], datetime], changed: Callable[[], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._released = asyncio.Event()
        self.faults = Faults()
        self.stalled = 0

    def release(self) -> None:
        """Lets every held answer go out."""
        self._released.set()
        self._released = asyncio.Event()

    async def through(
        self,
        request: web.Request,
        place: FaultPlace,
        act: Callable[[], Awaitable[web.StreamResponse]],
        renamed_to: str,
    ) -> web.StreamResponse:
        """What ``act`` answers, or the next fault for this ``place``, with or without acting.
        ``renamed_to`` is where a redirect points by default."""
        fault = self.faults.take(place)
        if fault is None:
            return await act()
        done: web.StreamResponse | None = None
        if fault.acts or fault.kind is FaultKind.STALL:
            done = await act()
        if fault.kind is FaultKind.RESET:
            reset_connection(request)
            return web.Response(status=500)  # which nobody can receive any more
        if fault.kind in _HELD:
            return await self._hold(request, fault, done)
        return wrong_answer(fault, self._clock(), renamed_to)

    async def _hold(
        self, request: web.Request, fault: Fault, done: web.StreamResponse | None
    ) -> web.StreamResponse:
        """The answers that take their time. All end when they are released."""
        released = self._released
        self.stalled += 1
        self._changed()
        try:
            if fault.kind is FaultKind.ENDLESS:
                return await pour(request, fault, released)
            if fault.kind is FaultKind.DRIP:
                return await drip(request, fault, released)
            async with asyncio.timeout(fault.seconds):
                await released.wait()
        except TimeoutError:
            pass
        finally:
            self.stalled -= 1
        return done or web.Response(status=204)
