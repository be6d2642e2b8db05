"""Entries at rest: what somebody paused sends nothing until somebody resumes it. What is to be sent
meanwhile is recorded and held; restarts change nothing about that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from daemon.event import Pause
from daemon.facts import EntryPaused, EntryResumed, Facts
from daemon.ports import Rests

BATCH = 500
"""Dispatches that are held or let go in one transaction."""


class Pauses:
    """The pauses, at hand; the store has the last word."""

    def __init__(self, rests: Rests, clock: Callable[[], datetime], facts: Facts) -> None:
        self._rests = rests
        self._clock = clock
        self._facts = facts
        self._pauses: dict[str, Pause] = {}

    async def load(self) -> None:
        """Those from before this start; what a sudden end left half done is done. Raises
        StoreUnavailable."""
        self._pauses = dict(await self._rests.pauses())
        for pause in self._pauses.values():
            await self._hold(pause)
        for entry in await self._rests.holding():
            if entry not in self._pauses:
                await self._release(entry)

    def of(self, entry: str) -> Pause | None:
        return self._pauses.get(entry)

    @property
    def entries(self) -> tuple[str, ...]:
        return tuple(self._pauses)

    async def pause(self, entry: str, by: str, reason: str) -> Pause:
        """Nothing of the entry is sent from now on, but for what is on its way. Returns the pause
        that stands, which may be an earlier one. Raises StoreUnavailable."""
        if entry in self._pauses:
            return self._pauses[entry]
        pause = Pause(entry, self._clock(), by, reason)
        # First of all for those who judge: whatever they made of an event before is recorded before
        # this pause, and held with the rest.
        self._pauses[entry] = pause
        try:
            self._pauses[entry] = pause = await self._rests.pause(pause)
        except BaseException:
            del self._pauses[entry]
            raise
        await self._hold(pause)
        self._facts.publish(EntryPaused(pause))
        return pause

    async def resume(
        self, entry: str, by: str, catch_up: Callable[[], Awaitable[None]]
    ) -> int | None:
        """Lets the entry work again, and what it held go; returns how many dispatches that were,
        None where it was not paused. ``catch_up`` accounts for the instants that passed up to now,
        while it still is. Raises StoreUnavailable."""
        if entry not in self._pauses:
            return None
        await catch_up()
        pause = self._pauses.pop(entry, None)
        try:
            await self._rests.unpause(entry)
        except BaseException:
            if pause is not None:
                self._pauses[entry] = pause
            raise
        released = await self._release(entry)
        self._facts.publish(EntryResumed(entry, by, released))
        return released

    async def _hold(self, pause: Pause) -> None:
        while await self._rests.hold(pause, BATCH) == BATCH:
            pass

    async def _release(self, entry: str) -> int:
        released = 0
        while count := await self._rests.release(entry, self._clock(), BATCH):
            released += count
        return released
