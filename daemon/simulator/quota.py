"""The primary rate limit of the stand-in: so many requests an hour, counted as GitHub counts."""

from __future__ import annotations

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
