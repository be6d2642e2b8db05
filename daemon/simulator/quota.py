"""The rate limits of the stand-in, counted as GitHub counts: so many requests an hour, and so many
points and writes in shorter spans, which nothing announces."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(hours=1)


class Quota:
    """``limit`` requests in each hour, which starts with its first request."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._reset_at: datetime | None = None

    def take(self, now: datetime) -> bool:
        """Counts a request; False when there is none left."""
        self._reset(now)
        if self._used >= self._limit:
            return False
        self._used += 1
        return True

    def give_back(self) -> None:
        """Takes the last request out of the count: it had an answer that costs nothing."""
        self._used = max(self._used - 1, 0)

    def as_json(self, now: datetime) -> dict[str, int]:
        """The numbers that GitHub shows in its headers and at ``/rate_limit``."""
        reset_at = self._reset(now)
        return {
            "limit": self._limit,
            "remaining": self._limit - self._used,
            "used": self._used,
            "reset": int(reset_at.timestamp()),
        }

    def _reset(self, now: datetime) -> datetime:
        if self._reset_at is None or now >= self._reset_at:
            self._used, self._reset_at = 0, now + WINDOW
        return self._reset_at


@dataclass(frozen=True, slots=True)
class SecondaryLimits:
    """What GitHub's documentation says of them; None: not watched. A read is one point, a write is
    five. Points count for one endpoint, writes for all."""

    points_per_minute: int | None = None
    writes_per_minute: int | None = None
    writes_per_hour: int | None = None


class SecondaryQuota:
    """Says when the secondary limits are passed."""

    def __init__(self, limits: SecondaryLimits) -> None:
        self.limits = limits
        self._points: dict[str, deque[tuple[datetime, int]]] = {}
        self._writes: deque[tuple[datetime, int]] = deque()

    def wait(self, now: datetime, method: str, endpoint: str) -> int | None:
        """Counts a request: None where it may pass, else the seconds after which one may."""
        if self.limits == SecondaryLimits():
            return None
        points = self._points.setdefault(endpoint, deque())
        weight = 1 if method in ("GET", "HEAD", "OPTIONS") else 5
        checks = [(points, self.limits.points_per_minute, timedelta(minutes=1), weight)]
        if weight > 1:
            hour = timedelta(hours=1)
            checks.append((self._writes, self.limits.writes_per_hour, hour, 1))
            minute = timedelta(minutes=1)
            checks.append((self._writes, self.limits.writes_per_minute, minute, 1))
        for counted, most, span, more in checks:
            since = [(at, n) for at, n in counted if at > now - span]
            if most is not None and sum(n for _, n in since) + more > most:
                return max(round((since[0][0] + span - now).total_seconds()), 1) if since else 60
        points.append((now, weight))
        if weight > 1:
            self._writes.append((now, 1))
        _forget(points, now - timedelta(minutes=1))
        _forget(self._writes, now - timedelta(hours=1))
        return None


def _forget(counted: deque[tuple[datetime, int]], before: datetime) -> None:
    while counted and counted[0][0] <= before:
        counted.popleft()
