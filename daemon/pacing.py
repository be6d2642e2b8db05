"""How fast one credential may write to GitHub: a token bucket, an hourly budget and the waits
that GitHub imposes, as one Budget that takes the time as an argument."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

from msgspec import Struct

UNLIMITED = 1_000_000
"""What ``allowance`` answers where no limit is set: more than anyone claims at once."""

CORE = "core"
"""What GitHub calls the requests to its REST API, but for searches and the like."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_SLOT = 60 * _SECOND
_HOUR = 3600 * _SECOND


class Limits(Struct, frozen=True):
    """GitHub's own count, from the ``x-ratelimit-*`` headers of an answer: ``remaining`` of
    ``limit`` requests of ``resource`` (``core``) until ``reset``, which is by our clock."""

    limit: int
    remaining: int
    reset: datetime
    resource: str


class Spent(Struct, frozen=True):
    """What a budget has counted until ``seen``, for another to go on from. Times are microseconds
    since 1970; ``writes`` are (start of a minute, count)."""

    seen: int
    full_at: int
    blocked_until: int
    throttles: int
    writes: tuple[tuple[int, int], ...]


class Budget:
    """Says when the next writes of one credential may go.

    At most ``burst`` at once and ``writes_per_second`` (requests per second) after that, and at
    most ``writes_per_hour`` in any 60 minutes. 0 means no limit, for each; without a rate or
    without a burst there is no bucket. Every ``now`` is an aware datetime.

    A clock that was set back takes all that is remembered with it, so it never freezes anything
    for longer than the wait that was left. One that was set on cannot be told from time that
    passed: that is said by `clock_set_on`.

    Inside, times are whole microseconds since 1970: sums of floats would drift past the limits.
    """

    def __init__(self, writes_per_second: float, burst: int, writes_per_hour: int) -> None:
        bucket = writes_per_second > 0 and burst > 0
        # Rounded up, so that the rate is never passed. Less than one a day is taken as that.
        self._interval = -int(-_SECOND // max(writes_per_second, 1 / 86_400)) if bucket else 0
        self._depth = burst * self._interval
        self._per_hour = writes_per_hour
        # The bucket is kept as the instant at which it will be full again (GCRA).
        self._full_at = 0
        # Writes by the minute they went in, (start, count): at most 61 of them, whatever the rate.
        self._slots: deque[tuple[int, int]] = deque()
        self._blocked_until = 0
        self._throttles = 0
        self._seen = 0
        self.told: Limits | None = None
        """What GitHub said last of the requests that writes count among."""

    @property
    def spent(self) -> Spent:
        """What is to be known after a restart."""
        return Spent(
            self._seen, self._full_at, self._blocked_until, self._throttles, tuple(self._slots)
        )

    def resume(self, spent: Spent) -> None:
        """Goes on from what was counted before, perhaps by other limits: a bucket that is smaller
        now is empty at most. A clock that is behind ``spent.seen`` was set back."""
        self._seen = spent.seen
        self._blocked_until = spent.blocked_until
        self._full_at = min(spent.full_at, max(spent.seen, spent.blocked_until) + self._depth)
        self._throttles = spent.throttles
        self._slots = deque(spent.writes if self._per_hour else ())

    @property
    def per_hour(self) -> int:
        """The most writes in any 60 minutes; 0 means no limit."""
        return self._per_hour

    @property
    def throttles(self) -> int:
        """How many waits GitHub has imposed since it last took a write, but for one in force."""
        return max(self._throttles - self._blocked, 0)

    def allowance(self, now: datetime) -> int:
        """How many writes may go right now; ``UNLIMITED`` without limits."""
        at = self._advance(now)
        if self._blocked:
            return 0
        allowed = UNLIMITED
        if self._interval:
            allowed = (self._depth - max(self._full_at - at, 0)) // self._interval
        if self._per_hour:
            allowed = min(allowed, self._per_hour - self._in_hour())
        return max(allowed, 0)

    def spend(self, now: datetime, n: int = 1) -> None:
        """Books ``n`` writes. More than the allowance may be spent and is waited for later."""
        at = self._advance(now)
        self._full_at = max(self._full_at, at) + n * self._interval
        if not self._per_hour:
            return
        if self._slots and at < self._slots[-1][0] + _SLOT:
            start, count = self._slots.pop()
            self._slots.append((start, count + n))
        else:
            self._slots.append((at, n))

    def take_back(self, now: datetime, n: int = 1) -> None:
        """Unbooks ``n`` writes that never reached GitHub. They make no room for a burst after a
        wait that it imposed meanwhile."""
        self._advance(now)
        self._full_at -= n * self._interval
        if self._blocked:
            self._full_at = max(self._full_at, self._no_burst_after(self._blocked_until))
        while n and self._slots:
            start, count = self._slots.pop()
            if count > n:
                self._slots.append((start, count - n))
            n -= min(n, count)

    def next_at(self, now: datetime) -> datetime:
        """The earliest instant, from ``now`` on, at which one write may go if none goes before."""
        at = self._advance(now)
        earliest = max(at, self._blocked_until)
        if self._interval:
            earliest = max(earliest, self._full_at + self._interval - self._depth)
        if self._per_hour:
            excess = self._in_hour() - self._per_hour + 1
            for start, count in self._slots:
                if excess <= 0:
                    break
                excess -= count
                earliest = max(earliest, start + _SLOT + _HOUR)
        return now if earliest == at else _EPOCH + earliest * _MICROSECOND

    def in_hour(self, now: datetime) -> int:
        """How many writes went in the last 60 minutes; 0 where no limit makes them count."""
        self._advance(now)
        return self._in_hour()

    def blocked_until(self, now: datetime) -> datetime | None:
        """The end of the wait that GitHub imposed, while it lasts; else None."""
        if self._advance(now) >= self._blocked_until:
            return None
        return _EPOCH + self._blocked_until * _MICROSECOND

    def throttle(self, now: datetime, until: datetime) -> None:
        """GitHub refused a write for its rate: nothing goes before ``until``, and then one by one.

        Refusals of requests that were in flight together count as one in ``throttles``.
        """
        self._advance(now)
        if not self._blocked:
            self._throttles += 1
        self._block(until)

    def accepted(self) -> None:
        """GitHub took a write: the next wait for which it names no time starts small again.

        One that was taken while others were refused says nothing about the wait in force.
        """
        if not self._blocked:
            self._throttles = 0

    def observe(self, now: datetime, limits: Limits) -> None:
        """Heeds GitHub's own count: with nothing left, nothing goes before it starts anew."""
        self._advance(now)
        if limits.resource == CORE:
            self.told = limits
        if limits.remaining <= 0:
            self._block(limits.reset)

    def clock_set_on(self, by: timedelta) -> None:
        """The clock was set on ``by``: no wait is over for that."""
        on = by // _MICROSECOND
        self._full_at += on
        self._blocked_until += on
        self._slots = deque((start + on, count) for start, count in self._slots)

    @property
    def _blocked(self) -> bool:
        return self._seen < self._blocked_until

    def _block(self, until: datetime) -> None:
        end = (until - _EPOCH) // _MICROSECOND
        self._blocked_until = max(self._blocked_until, end)
        self._full_at = max(self._full_at, self._no_burst_after(end))

    def _no_burst_after(self, end: int) -> int:
        # GitHub wants writes a second apart, and after a refusal more than ever: no burst then.
        return end + self._depth - self._interval

    def _in_hour(self) -> int:
        return sum(count for _, count in self._slots)

    def _advance(self, now: datetime) -> int:
        """Takes note of the time: forgets what is over an hour old, follows a clock set back."""
        at = (now - _EPOCH) // _MICROSECOND
        back = self._seen - at
        if back > 0:
            self._full_at -= back
            self._blocked_until -= back
            self._slots = deque((start - back, count) for start, count in self._slots)
        self._seen = at
        while self._slots and at >= self._slots[0][0] + _SLOT + _HOUR:
            self._slots.popleft()
        return at
