"""When to try a dispatch again, and when to give up: exponential backoff with full jitter for
lost answers, and patience for GitHub's own rate limits. Pure: time and chance are arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

UNTIMED = timedelta(minutes=1)
"""The least wait after a rate limit for which GitHub names no time."""

_DOUBLINGS_MAX = 32  # every cap is reached long before; keeps the powers small


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at ``when``. ``retry_until`` is the new end of the retries, to be stored."""

    when: datetime
    retry_until: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The next try would come too late. ``reason`` names the end that it would pass."""

    reason: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How one dispatch is retried.

    After a lost answer the wait is a random share of ``base`` doubled with each attempt, at most
    ``cap``. After a rate limit for which GitHub names no time it is at least ``throttle_base``,
    doubled with each refusal in a row, at most ``throttle_cap``: "wait for at least one minute",
    then "an exponentially increasing amount of time" (GitHub, "Rate limits for the REST API").

    Retries end ``window`` after the first attempt, or at the dispatch's ``expires_at``. Waits
    that GitHub imposed are not held against the dispatch: each moves the end by its own length.
    They do not move ``expires_at``.
    """

    base: timedelta = timedelta(seconds=2)
    cap: timedelta = timedelta(minutes=5)
    window: timedelta = timedelta(hours=24)
    throttle_base: timedelta = UNTIMED
    throttle_cap: timedelta = timedelta(hours=1)

    def after_failure(
        self,
        attempts: int,
        *,
        now: datetime,
        retry_until: datetime | None,
        expires_at: datetime,
        random: Callable[[], float],
    ) -> RetryAt | GiveUp:
        """The next try after an answer was lost or GitHub could not be reached.

        ``attempts`` counts those made, this one included. ``retry_until`` is None after the
        first one, which starts the window. ``random`` gives numbers from 0 to below 1.
        """
        when = now + random() * _doubled(self.base, attempts, self.cap)
        return self._within(when, retry_until or now + self.window, expires_at)

    def after_throttle(
        self,
        until: datetime,
        *,
        now: datetime,
        retry_until: datetime | None,
        expires_at: datetime,
    ) -> RetryAt | GiveUp:
        """The next try after GitHub refused for its rate limits and nothing may go before
        ``until`` (its own time, or ``throttled_until``)."""
        when = max(until, now)
        end = (retry_until or now + self.window) + (when - now)
        return self._within(when, end, expires_at)

    def throttled_until(
        self, throttles: int, *, now: datetime, random: Callable[[], float]
    ) -> datetime:
        """The end of a wait for which GitHub named none. ``throttles`` counts the refusals of
        this credential in a row before this one. Up to a quarter is added by chance, so that
        daemons which share a credential do not come back together."""
        wait = _doubled(self.throttle_base, throttles + 1, self.throttle_cap)
        return now + wait * (1 + random() / 4)

    def _within(
        self, when: datetime, retry_until: datetime, expires_at: datetime
    ) -> RetryAt | GiveUp:
        if when > expires_at:
            return GiveUp(f"its send_within ends at {expires_at:%Y-%m-%d %H:%M:%S %Z}")
        if when > retry_until:
            return GiveUp(f"its retries end at {retry_until:%Y-%m-%d %H:%M:%S %Z}")
        return RetryAt(when, retry_until)


def _doubled(base: timedelta, times: int, cap: timedelta) -> timedelta:
    """``base`` the first time, twice that the second, and so on, at most ``cap``."""
    return min(cap, base * (1 << min(max(times - 1, 0), _DOUBLINGS_MAX)))
