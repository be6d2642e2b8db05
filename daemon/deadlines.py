"""Watches the clock for firings that GitHub ought to have taken by now (`alert_after`): whose
deadline passed without that is an incident, at once and not only when somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from daemon.errors import StoreError
from daemon.facts import Facts, IncidentNoticed, Trouble
from daemon.incident import Incident

EVERY = 5.0
"""Seconds between two looks."""

BATCH = 500
"""Deadlines that are looked at in one transaction."""


class Deadlines(Protocol):
    """Where they are noted."""

    async def look_at_deadlines(self, now: datetime, limit: int) -> tuple[int, Sequence[Incident]]:
        """Looks at those that are over: how many, and the incidents among them."""
        ...


class DeadlineWatch:
    """Looks while any entry has it ``wanted``, and tells what was missed."""

    def __init__(
        self,
        deadlines: Deadlines,
        *,
        wanted: Callable[[], bool],
        clock: Callable[[], datetime],
        facts: Facts,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._deadlines = deadlines
        self._wanted = wanted
        self._clock = clock
        self._facts = facts
        self._sleep = sleep

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if self._wanted():
                    await self.look()
            except StoreError as error:
                text = f"late firings cannot be told: {error}; trying again"
                self._facts.publish(Trouble("deadlines", text))
            await self._sleep(EVERY)

    async def look(self) -> None:
        """One look. Raises StoreUnavailable."""
        looked_at = BATCH
        while looked_at == BATCH:
            looked_at, incidents = await self._deadlines.look_at_deadlines(self._clock(), BATCH)
            for incident in incidents:
                self._facts.publish(IncidentNoticed(incident))
