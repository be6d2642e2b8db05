"""How many wrong keys an address may try: enough for who mistypes one, too few to guess by."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

FAILURES = 10
PER = 60.0
"""So many wrong keys at once, and on average so many in as many seconds."""

ADDRESSES_MAX = 4096
"""Addresses that are remembered. The one that failed longest ago is forgotten first: who has so
many of them is not held up by this, but by the length of the keys."""


@dataclass(slots=True)
class _Debt:
    """What an address owes at the time ``at``; it is paid off steadily."""

    failures: float
    at: float

    def left(self, now: float) -> float:
        return max(0.0, self.failures - max(0.0, now - self.at) * FAILURES / PER)


class Throttle:
    """Remembers who presented wrong keys. Times are seconds of any clock that nobody sets. It is
    kept over a reload of the config."""

    def __init__(self) -> None:
        self._debts: OrderedDict[str, _Debt] = OrderedDict()

    def wait(self, address: str, now: float) -> int:
        """Whole seconds until ``address`` may try another key; 0: it may."""
        debt = self._debts.get(address)
        if debt is None:
            return 0
        over = debt.left(now) - (FAILURES - 1)
        return math.ceil(over * PER / FAILURES) if over > 0 else 0

    def failed(self, address: str, now: float) -> None:
        """Counts a wrong key."""
        debt = self._debts.pop(address, None)
        owed = debt.left(now) if debt else 0.0
        self._debts[address] = _Debt(min(owed + 1, FAILURES), now)
        if len(self._debts) > ADDRESSES_MAX:
            self._debts.popitem(last=False)

    def __len__(self) -> int:
        return len(self._debts)
