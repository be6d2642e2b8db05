"""The load: signed push deliveries in open loop, at a rate that asks nobody whether he is there."""

from __future__ import annotations

import asyncio
import random
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp

from tests.harness.sender import SEND_DEADLINE, post

PACE = 0.005
"""Seconds between two looks at how many deliveries are due."""

ACKNOWLEDGED = (200, 202)  # 200: it is a duplicate of one that is on disk


class Load:
    """Sends deliveries to one address at random moments, ``rate`` a second on average, from
    ``start`` until ``stop``.

    ``sent`` and ``acknowledged`` are called with the name of each, the latter with the answer as
    well. One whose answer broke off may be recorded or not: it is sent again, under its name, by
    ``redeliver``.
    """

    def __init__(
        self,
        url: str,
        rate: float,
        chance: random.Random,
        *,
        sent: Callable[[str], None],
        acknowledged: Callable[[str, bytes], None],
    ) -> None:
        self.seconds = array("f")
        """How long each answer took that acknowledged something."""
        self.answers: Counter[str] = Counter()
        """How many deliveries were answered how: by status, ``refused`` (no connection came about)
        or ``broken off``. One that is sent again counts again."""
        self._url = url
        self._rate = rate
        self._chance = chance
        self._sent = sent
        self._acknowledged = acknowledged
        self._number = 0
        self._broken_off = deque[str]()
        self._under_way: set[asyncio.Task[None]] = set()
        self._sending: asyncio.Task[None] | None = None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=SEND_DEADLINE),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
        await self._session.close()

    @property
    def deliveries(self) -> int:
        """How many there were, each counted once."""
        return self._number

    @property
    def broken_off(self) -> frozenset[str]:
        """Those that `redeliver` will send again."""
        return frozenset(self._broken_off)

    def start(self) -> None:
        self._sending = asyncio.create_task(self._send_on())

    async def stop(self) -> None:
        """Sends no more, and waits for the answers."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
            self._sending = None
        await self.answered()

    async def answered(self) -> None:
        """Waits for the fate of everything that was sent up to now."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    def redeliver(self) -> None:
        """Sends what broke off again, as a sender's Redeliver button does."""
        while self._broken_off:
            self._send(self._broken_off.popleft())

    async def _send_on(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            while due <= loop.time():
                self._send(f"push-{self._number:07}")
                self._number += 1
                due += self._chance.expovariate(self._rate)
            await asyncio.sleep(PACE)

    def _send(self, name: str) -> None:
        self._sent(name)
        task = asyncio.create_task(self._push(name))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _push(self, name: str) -> None:
        began = time.monotonic()
        try:
            status, told = await post(self._session, self._url, name)
        except aiohttp.ClientConnectorError:
            self.answers["refused"] += 1
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
            self.answers["broken off"] += 1
            self._broken_off.append(name)
        else:
            self.answers[str(status)] += 1
            if status in ACKNOWLEDGED:
                self.seconds.append(time.monotonic() - began)
                self._acknowledged(name, told)
