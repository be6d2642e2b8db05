"""Removes what has been kept long enough, in small batches that hold nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from daemon.errors import StoreError
from daemon.facts import Facts, Trouble

EVERY = 600.0
"""Seconds between two rounds."""

BATCH = 500
"""Events that are removed in one transaction."""

BREATH = 0.05
"""Seconds between two batches: writers that wait go first."""


class Archive(Protocol):
    """What the janitor needs of the store."""

    async def prune(self, before: datetime, limit: int) -> int:
        """Removes up to ``limit`` finished events that are older; returns how many."""
        ...


class Janitor:
    """Keeps ``retention`` of history. What is unfinished is kept however old it is."""

    def __init__(
        self,
        archive: Archive,
        retention: Callable[[], timedelta],
        *,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._archive = archive
        self._retention = retention
        self._clock = clock
        self._facts = facts

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.clean()
            except StoreError as error:
                self._facts.publish(Trouble("janitor", f"{error}; trying again later"))
            await asyncio.sleep(EVERY)

    async def clean(self) -> int:
        """One round; returns how many events it removed."""
        before = self._clock() - self._retention()
        removed = 0
        while count := await self._archive.prune(before, BATCH):
            removed += count
            await asyncio.sleep(BREATH)
        return removed
