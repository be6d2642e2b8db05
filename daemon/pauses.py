"""Entries at rest: what somebody paused sends nothing until somebody resumes it. What is to be sent
meanwhile is recorded and held; restarts change nothing about that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from daemon.errors import StoreError
from daemon.event import Pause
from daemon.facts import EntryPaused, EntryResumed, Facts, Trouble
from daemon.ports import Rests

BATCH = 500
"""Dispatches that are held or let go in one transaction."""

PAUSE = 1.0
"""Seconds until the store is asked again for what it did not take."""

TOLD_AT_A_TIME = 100
"""After so many lines of the log others have a turn."""


class Pauses:
    """The pauses, at hand; the store has the last word."""

    def __init__(
        self,
        rests: Rests,
        clock: Callable[[], datetime],
        facts: Facts,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rests = rests
        self._clock = clock
        self._facts = facts
        self._pauses: dict[str, Pause] = {}
        self._turns = asyncio.Lock()
        self._unfinished = asyncio.Event()
        self._sleep = sleep

    async def load(self) -> None:
        """Those from before this start; what a sudden end left half done is done. Raises
        StoreUnavailable."""
        self._pauses = dict(await self._rests.pauses())
        await self._settle()

    def of(self, entry: str) -> Pause | None:
        return self._pauses.get(entry)

    @property
    def standing(self) -> Mapping[str, Pause]:
        """Those that stand, by entry."""
        return self._pauses

    async def pause(self, entries: Sequence[str], by: str, reason: str) -> list[Pause]:
        """Nothing of the entries is sent from now on, but for what is on its way. Returns the
        pauses that stand, some of which may be earlier ones. Raises StoreUnavailable."""
        now = self._clock()
        async with self._turns:
            new = {
                entry: Pause(entry, now, by, reason)
                for entry in entries
                if entry not in self._pauses
            }
            # First of all for those who judge: whatever they made of an event before is recorded
            # before this pause, and held with the rest.
            self._pauses |= new
            try:
                await self._rests.pause(list(new.values()))
            except BaseException:
                for entry in new:
                    del self._pauses[entry]
                raise
            await self._finish()
            await self._tell([EntryPaused(pause) for pause in new.values()])
            return [self._pauses[entry] for entry in entries]

    async def resume(
        self, entries: Sequence[str], by: str, catch_up: Callable[[], Awaitable[None]]
    ) -> dict[str, int]:
        """Lets the entries work again, and what they held go; returns how many dispatches that
        were, by entry. Those that are not paused are passed over. ``catch_up`` accounts for the
        instants that passed up to now, while they still are. Raises StoreUnavailable."""
        async with self._turns:
            await catch_up()
            ended = {entry: self._pauses.pop(entry) for entry in entries if entry in self._pauses}
            try:
                await self._rests.resume(ended, self._clock())
            except BaseException:
                self._pauses |= ended
                raise
            released = await self._finish()
            await self._tell([EntryResumed(entry, by, released[entry]) for entry in ended])
            return {entry: released[entry] for entry in ended}

    async def run(self) -> None:
        """Does what the store did not take at the first try, until cancelled."""
        while True:
            await self._unfinished.wait()
            await self._sleep(PAUSE)
            async with self._turns:
                await self._finish()

    async def _finish(self) -> Counter[str]:
        """Holds what waits of paused entries, and lets go what ended pauses held: how many of each
        entry. What the store does not take now is done when it does: till then it lets nobody claim
        anything either."""
        self._unfinished.clear()
        try:
            return await self._settle()
        except StoreError as error:
            text = f"not all is held or let go yet that should be: {error}; trying again"
            self._facts.publish(Trouble("pauses", text))
            self._unfinished.set()
            return Counter()

    async def _settle(self) -> Counter[str]:
        while await self._rests.hold(BATCH):
            pass
        released: Counter[str] = Counter()
        while some := await self._rests.release(self._clock(), BATCH):
            released.update(some)
        return released

    async def _tell(self, facts: Sequence[EntryPaused | EntryResumed]) -> None:
        for number, fact in enumerate(facts):
            self._facts.publish(fact)
            if number % TOLD_AT_A_TIME == 0:
                await asyncio.sleep(0)
