"""How many messages may go to one URL, and when again after it took none. Pure: time and chance are
arguments."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

BASE = timedelta(seconds=10)
CAP = timedelta(hours=1)
"""The wait after a first failure, doubled with each further one up to this."""

Limit = tuple[int, timedelta]
"""At most so many within such a span."""


class TellingPace:
    """The pace of one URL; each of the ``limits`` holds. What was sent longer ago than
    ``remembered`` counts towards none."""

    def __init__(self, limits: Collection[Limit]) -> None:
        self.limits = frozenset(limits)
        self.remembered = max(per for _, per in limits)
        self._sent: deque[datetime] = deque()
        self._failures = 0
        self._closed_until = datetime.min.replace(tzinfo=UTC)

    def count(self, at: datetime) -> None:
        """A message went out then."""
        self._sent.append(at)

    def room(self, now: datetime) -> int:
        """How many may go now."""
        if now < self._closed_until <= now + CAP:  # beyond that the clock was set
            return 0
        while self._sent and not now - self.remembered < self._sent[0] <= now:
            self._sent.popleft()
        return max(0, min(most - self._within(now, per) for most, per in self.limits))

    def free_at(self, now: datetime) -> datetime:
        """When there is room again at the earliest."""
        free = [max(now, self._closed_until)]
        for most, per in self.limits:
            if self._within(now, per) >= most:
                free.append(self._sent[-most] + per)
        # One that asks for longer is looked at in between.
        return min(max(free), now + CAP)

    def went_well(self) -> None:
        self._failures = 0

    def failed(
        self, now: datetime, retry_after: timedelta | None, random: Callable[[], float]
    ) -> datetime:
        """When to try again after a message did not arrive: when it was asked for, within `CAP`,
        else later each time, and up to a quarter more by chance."""
        self._failures += 1
        wait = min(CAP, BASE * 2 ** min(self._failures - 1, 20))
        if retry_after is not None:
            wait = max(retry_after, BASE)
        self._closed_until = now + min(CAP, wait * (1 + random() / 4))
        return self._closed_until

    def _within(self, now: datetime, per: timedelta) -> int:
        return sum(1 for at in self._sent if at > now - per)
