"""What every form of schedule answers: when it fires next, when it fired last, and what is owed.
Pure: each question takes the instant that it is asked about; answers are instants in UTC."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from daemon.wallclock import SECOND

TICK = timedelta(microseconds=1)
"""The least step between two instants."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The instants of one schedule that passed since a cursor, oldest first.

    Where there were more than asked for, ``instants`` holds the newest and ``omitted`` the first
    and the last of those left off.
    """

    instants: tuple[datetime, ...]
    omitted: tuple[datetime, datetime] | None = None


class Schedule(ABC):
    """The instants at which a cron entry fires. ``timezone`` is the IANA name of the zone on whose
    wall clock people look at them."""

    __slots__ = ()

    timezone: str

    @property
    @abstractmethod
    def text(self) -> str:
        """The schedule as it is shown to people: ``0 3 * * *``, ``every 15m``."""

    @property
    @abstractmethod
    def words(self) -> str:
        """When it fires, in plain English and by the clock of ``timezone``."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Equal for schedules that differ in spelling only: a stored cursor holds for both."""

    @abstractmethod
    def next_after(self, instant: datetime) -> datetime | None:
        """The first instant strictly after ``instant``; None when it fires no more."""

    @abstractmethod
    def last_before(self, instant: datetime) -> datetime | None:
        """The last instant strictly before ``instant``; None when there was none."""

    @abstractmethod
    def times_on(self, day: date) -> int:
        """The seconds of a day on the wall clock outside of which it does not fire then, as a set
        (``matching.WHOLE_DAY``): so that what is left out can be stepped over day by day."""

    def seconds_between(self, start: datetime, end: datetime) -> int:
        """The seconds from ``start`` up to ``end`` in which it fires, as a set: bit n stands for
        the n-th second. Both are on whole seconds. Here each instant is looked up; what may fire
        often does better."""
        found = 0
        instant = self.next_after(start - TICK)
        while instant is not None and instant < end:
            found |= 1 << (instant - start) // SECOND
            instant = self.next_after(instant)
        return found

    def warnings(self) -> tuple[str, ...]:
        """What is legal but easily means something else than its author thinks."""
        return ()

    def due_between(self, cursor: datetime, now: datetime, limit: int) -> Backlog:
        """The newest ``limit`` instants t with cursor < t <= now.

        They are searched backwards from ``now``, so that the cost is that of ``limit`` however
        long ago ``cursor`` was.
        """
        newest: list[datetime] = []
        instant = self.last_before(now.astimezone(UTC) + TICK)
        while instant is not None and instant > cursor:
            if len(newest) == limit:
                omitted = (self.next_after(cursor) or instant, instant)
                return Backlog(tuple(reversed(newest)), omitted)
            newest.append(instant)
            instant = self.last_before(instant)
        return Backlog(tuple(reversed(newest)))
