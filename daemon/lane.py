"""The way to GitHub under one credential: what may go now, by the pacing, the state of the network
and whether GitHub takes the credential at all. Pure: the time is an argument."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.outage import Outage
from daemon.pacing import Budget

URGENT_TURNS = 3
"""Claims in a row that may begin with what is urgent; the next one begins with the rest."""


class Lane:
    """One credential's, by its name.

    ``outage`` is about the network, and ``refusal`` about a credential that GitHub does not take:
    while it does not, one request at a time finds out whether it was replaced. ``unanswered`` and
    ``in_flight`` are ids of dispatches.
    """

    def __init__(self, name: str, budget: Budget) -> None:
        self.name = name
        self.budget = budget
        self.outage = Outage()
        self.refusal = Outage(base=timedelta(seconds=2), cap=timedelta(minutes=1))
        self.refused = ""
        self.unanswered: set[str] = set()
        self.in_flight: set[str] = set()
        self._turns = 0

    def allowance(self, now: datetime) -> int:
        """How many requests may go now."""
        waiting = len(self.unanswered)
        return min(
            self.budget.allowance(now),
            self.outage.allowance(now, waiting),
            self.refusal.allowance(now, waiting),
        )

    def held_up_until(self, now: datetime) -> datetime | None:
        """When the next may go; None: when one that is on its way comes to an end."""
        pauses = [self.outage.paused_until(now), self.refusal.paused_until(now)]
        if known := [pause for pause in pauses if pause]:
            return max(*known, self.budget.next_at(now))
        return self.budget.next_at(now) if self.budget.allowance(now) <= 0 else None

    def closed(self, now: datetime) -> bool:
        """Whether nothing goes, whatever the pacing allows."""
        return bool(
            self.budget.blocked_until(now)
            or self.outage.paused_until(now)
            or self.refusal.paused_until(now)
        )

    def urgent_first(self) -> bool:
        """Whether the next claim begins with what is urgent. Every fourth does not, so that an
        endless stream of it leaves the rest a share."""
        self._turns = (self._turns + 1) % (URGENT_TURNS + 1)
        return self._turns != 0

    def refuse(self, now: datetime, reason: str) -> bool:
        """GitHub did not take the credential; whether that is news."""
        news = not self.refused
        self.refused = reason
        self.refusal.unreachable(now)
        return news

    def taken(self) -> bool:
        """GitHub took the credential; whether that is news."""
        news = bool(self.refused)
        self.refused = ""
        self.refusal.reached()
        return news
