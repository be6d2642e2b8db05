"""Calls a URL while all is well, so that somebody who waits for it hears of a daemon that is dead,
or stuck, or cannot do its work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from daemon.facts import Facts, Trouble
from daemon.notice import NotTold
from daemon.ports import Condition
from daemon.secret import Secret

EVERY = 60.0
"""Seconds between two calls."""


class Heartbeat:
    """Calls ``url`` by ``call`` (which raises NotTold) every minute in which ``condition`` finds
    nothing that is not well. What keeps it from that is told once, and when it is over."""

    def __init__(
        self,
        url: Callable[[], Secret | None],
        call: Callable[[Secret], Awaitable[None]],
        condition: Callable[[], Awaitable[Condition]],
        facts: Facts,
    ) -> None:
        self._url = url
        self._call = call
        self._condition = condition
        self._facts = facts
        self._silent = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(EVERY)

    async def beat(self) -> None:
        """Calls once, if all is well and there is a URL."""
        url = self._url()
        if url is None:
            return
        reasons = (await self._condition()).reasons
        why = f"is not called, since {reasons[0]}" if reasons else ""
        if not reasons:
            try:
                await self._call(url)
            except NotTold as error:
                why = f"was called in vain: {error}"
        if why and not self._silent:
            self._facts.publish(Trouble("heartbeat", f"`heartbeat_url` {why}"))
        elif self._silent and not why:
            self._facts.publish(Trouble("heartbeat", "`heartbeat_url` is called again"))
        self._silent = bool(why)
