"""What every form of schedule answers: when it fires next, when it fired last, and what is owed.
Pure: each question takes the instant that it is asked about; answers are instants in UTC."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from daemon.wallclock import SECOND, wall_clock

TICK = timedelta(microseconds=1)
"""The least step between two instants."""

COUNTED_AT_A_TIME = timedelta(days=30)
"""A set of that many seconds takes a third of a megabyte."""


@dataclass(frozen=True, slots=True)
class Omitted:
    """So many instants that are not listed one by one, from the first to the last of them."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """The instants of one schedule that passed since a cursor, oldest first. Where there were more
    than asked for, ``instants`` holds the newest."""

    instants: tuple[datetime, ...]
    omitted: Omitted | None = None


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

    def utc_offset(self, instant: datetime) -> timedelta:
        """What the clock on its wall is ahead of UTC then."""
        return wall_clock(self.timezone).offset(instant)

    def taken_up(self, cursor: datetime, offset: timedelta) -> datetime:
        """From where to go on after ``cursor``, up to which all was accounted for while the clock
        on the wall was held to be ``offset`` ahead of UTC. It is another place than ``cursor``
        where the time zone data say today that it was not, and the clock was in effect set."""
        return cursor

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
        """The newest ``limit`` instants t with cursor < t <= now, and how many more there were.

        They are searched backwards from ``now``, and the others counted by the month, so that the
        cost is that of ``limit`` and of a glance at each month since ``cursor``.
        """
        newest: list[datetime] = []
        instant = self.last_before(now.astimezone(UTC) + TICK)
        while instant is not None and instant > cursor:
            if len(newest) == limit:
                first = self.next_after(cursor) or instant
                omitted = Omitted(first, instant, self.count(first, instant))
                return Backlog(tuple(reversed(newest)), omitted)
            newest.append(instant)
            instant = self.last_before(instant)
        return Backlog(tuple(reversed(newest)))

    def count(self, first: datetime, last: datetime) -> int:
        """How many instants there are from ``first`` to ``last``, both included."""
        begin = first.astimezone(UTC).replace(microsecond=0)
        end = last.astimezone(UTC).replace(microsecond=0) + SECOND
        counted = 0
        while begin < end:
            until = min(begin + COUNTED_AT_A_TIME, end)
            counted += self.seconds_between(begin, until).bit_count()
            begin = until
        return counted
