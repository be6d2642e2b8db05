"""Settles the books of a run amid its load: waits until the daemon has worked off what it owes by
now, and closes what is over by then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.harness import wall_clock
from tests.harness.reckoning import SECOND, Reckoning
from tests.harness.records import Records
from tests.torture.load import Load
from tests.torture.witness import Witness

POLL = 0.05
"""Seconds between two looks into the daemon's database."""


class Stuck(Exception):
    """The daemon does not get on, which is among the findings."""


@dataclass(frozen=True)
class Books:
    """``patience`` is how many seconds the daemon may take; ``find`` hears where it took more."""

    reckoning: Reckoning
    records: Records
    witness: Witness
    load: Load
    crons: Sequence[str]
    patience: float
    find: Callable[[str, str], None]

    async def settle(self) -> None:
        """Raises Stuck."""
        until = wall_clock().replace(microsecond=0)
        deliveries = set(self.reckoning.open_deliveries)
        await self.load.answered()
        deliveries -= self.load.broken_off  # those come again
        try:
            await self.until(lambda: self._has_accounted(until), "instants are not accounted for")
            made = wall_clock()
            await self.until(lambda: not self.records.owes(made), "dispatches wait in it")
        finally:
            await self.witness.told()
            after = self.reckoning.closed_until
            bookings = await asyncio.to_thread(self.records.bookings, after, until, SECOND)
            self.reckoning.close_instants(until, bookings)
            self.reckoning.close_deliveries(deliveries)

    async def until(self, condition: Callable[[], bool], otherwise: str) -> None:
        """Waits for the daemon to catch up; ``condition`` is asked on a thread. Raises Stuck."""
        try:
            async with asyncio.timeout(self.patience):
                # No database tells when it changes.
                while not await asyncio.to_thread(condition):  # noqa: ASYNC110
                    await asyncio.sleep(POLL)
        except TimeoutError:
            self.find("the outbox", f"after {self.patience:.0f} s {otherwise}")
            raise Stuck from None

    def _has_accounted(self, until: datetime) -> bool:
        cursor = self.records.accounted_until(list(self.crons))
        return cursor is not None and cursor >= until
