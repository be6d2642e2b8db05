"""Whether GitHub can be reached at all: while it cannot, one request at a time finds out, after
pauses that grow, instead of everything that is owed. Pure: the time is an argument."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.pacing import UNLIMITED


class Outage:
    """The state of the way to GitHub, by what came of the requests.

    After a failure nothing goes for ``base``, doubled with each one more, at most ``cap``. Then one
    request goes, and the next once that is over. Any answer at all ends it.
    """

    def __init__(
        self, base: timedelta = timedelta(seconds=1), cap: timedelta = timedelta(seconds=30)
    ) -> None:
        self._base = base
        self._cap = cap
        self._failures = 0
        self._until: datetime | None = None
        self.since: datetime | None = None
        """When the first request found no connection, of those that did since the last answer."""

    def unreachable(self, now: datetime) -> None:
        """A request found no connection. Those that were on their way together count as one."""
        self.since = self.since or now
        if self.paused_until(now) is None:
            self._failures += 1
            self._until = now + min(self._cap, self._base * 2 ** min(self._failures - 1, 16))

    def reached(self) -> None:
        """GitHub had a request, whatever it made of it."""
        self._failures, self._until, self.since = 0, None, None

    def paused_until(self, now: datetime) -> datetime | None:
        """The end of the pause, while it lasts; else None. A clock that was set back ends it."""
        if self._until is None or not now < self._until <= now + self._cap:
            return None
        return self._until

    def allowance(self, now: datetime, in_flight: int) -> int:
        """How many requests may go now, beside those on their way."""
        if not self._failures:
            return UNLIMITED
        return 0 if in_flight or self.paused_until(now) else 1
