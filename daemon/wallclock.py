"""A time zone's wall clock: which instant a wall time is, and where the clock is put forward or
back. All arithmetic is on UTC instants, since same-zone comparison in Python ignores ``fold``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from daemon.errors import ScheduleError

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

STANDING_YEARS = range(2037, 2065)
"""Where a zone's standing rule is read off: past every one-off change that its tables list, and
as long as the calendar needs to repeat (28 years), so that every date of a change occurs."""


@dataclass(frozen=True, slots=True)
class Change:
    """One time the clock is put forward (a gap) or back (an overlap): the wall times from
    ``start`` up to ``end``, naive, do not occur or occur twice."""

    start: datetime
    end: datetime
    gap: bool


@dataclass(frozen=True, slots=True)
class Recurring:
    """The ``changes`` of one kind that come at the same time of day, oldest first, and the
    ``hours`` of the day in which their wall times are."""

    changes: tuple[Change, ...]
    hours: frozenset[int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time, from the instant ``start`` up to ``end``, in which the clock stays ``offset`` ahead
    of UTC. At ``start`` it was put forward by ``jump``, which is below zero where it was put back,
    and zero where the stretch begins since somebody asked no earlier."""

    start: datetime
    end: datetime
    offset: timedelta
    jump: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class WallClock:
    """The clock on the wall of one zone. Wall times are naive, instants are UTC."""

    zone: ZoneInfo

    def offset(self, instant: datetime) -> timedelta:
        """What the wall clock is ahead of UTC at ``instant``."""
        return self.read(instant) - instant.astimezone(UTC).replace(tzinfo=None)

    def read(self, instant: datetime) -> datetime:
        """The wall time at ``instant``; ``fold`` is 1 the second time the clock shows it."""
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def first(self, wall: datetime) -> datetime:
        """The first instant at which the clock shows ``wall``, or has just skipped it."""
        earlier, later = self._offsets(wall)
        naive = wall.replace(tzinfo=UTC)
        if later > earlier:  # PEP 495: only so for a wall time in a gap
            return self.change(naive - later, naive - earlier)
        return naive - earlier

    def set_back(self, wall: datetime) -> timedelta:
        """How far the clock was put back just before ``wall`` came the second time, else zero."""
        earlier, later = self._offsets(wall)
        return earlier - later if wall.fold else timedelta()

    def change(self, before: datetime, after: datetime) -> datetime:
        """The first instant with the offset of ``after``, which differs from that of ``before``.

        Between the two there must be one change only; zones leave days between theirs.
        """
        offset = self.offset(after)
        low = before.replace(microsecond=0)  # changes come on whole seconds
        steps = (after - low) // SECOND + 1
        first, last = 0, steps
        while last - first > 1:
            middle = (first + last) // 2
            if self.offset(low + middle * SECOND) == offset:
                last = middle
            else:
                first = middle
        return low + last * SECOND

    def stretches(self, start: datetime, end: datetime) -> tuple[Stretch, ...]:
        """The stretches from the instant ``start`` up to ``end``, in order. The first one begins a
        day before, so that a change whose hours are still being repeated is among them."""
        return _stretches(self, start, end)

    def _offsets(self, wall: datetime) -> tuple[timedelta, timedelta]:
        """The offsets of the first and of the second time that the clock shows ``wall``."""
        aware = wall.replace(tzinfo=self.zone)
        earlier, later = (aware.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        return wall - earlier.replace(tzinfo=None), wall - later.replace(tzinfo=None)


def wall_clock(timezone: str) -> WallClock:
    """The clock of an IANA zone; raises ``ScheduleError`` with the nearest name for another."""
    try:
        return WallClock(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, such as "America"
        pass
    known = {name.casefold(): name for name in available_timezones()}
    near = difflib.get_close_matches(timezone.casefold(), known, n=1, cutoff=0.8)
    hint = f"did you mean {known[near[0]]}?" if near else "write an IANA name: Europe/Berlin, UTC"
    raise ScheduleError(f"there is no time zone `{timezone}` ({hint})")


@lru_cache(maxsize=256)  # many entries of a zone are asked about the same days
def _stretches(clock: WallClock, start: datetime, end: datetime) -> tuple[Stretch, ...]:
    found: list[Stretch] = []
    begin = at = start - DAY
    jump = timedelta()
    while at < end:
        offset = clock.offset(begin)
        edge = min(at + DAY, end)
        after = clock.offset(edge)
        if after != offset:
            change = clock.change(at, edge)
            found.append(Stretch(begin, change, offset, jump))
            begin, jump, edge = change, after - offset, change
        at = edge
    if begin < end:
        found.append(Stretch(begin, end, clock.offset(begin), jump))
    return tuple(found)


@cache  # every entry of a zone asks the same, and the answer is part of the zone
def standing_changes(clock: WallClock) -> tuple[Recurring, ...]:
    """Each change of the clock under the zone's standing rule."""
    alike: dict[tuple[bool, time, time], list[Change]] = {}
    for change in _changes(clock, STANDING_YEARS):
        kind = (change.gap, change.start.time(), change.end.time())
        alike.setdefault(kind, []).append(change)
    return tuple(Recurring(tuple(each), _hours(each[0])) for each in alike.values())


def _hours(change: Change) -> frozenset[int]:
    first = change.start.replace(minute=0, second=0)
    count = -((first - change.end) // HOUR)
    return frozenset((first + number * HOUR).hour for number in range(count))


def _changes(clock: WallClock, years: range) -> Iterator[Change]:
    step = timedelta(days=5)  # short enough for Morocco, which changes twice around Ramadan
    instant, end = datetime(years.start, 1, 1, tzinfo=UTC), datetime(years.stop, 1, 1, tzinfo=UTC)
    before = clock.offset(instant)
    while instant < end:
        after = clock.offset(instant + step)
        if after != before:
            at = clock.change(instant, instant + step).replace(tzinfo=None)
            yield Change(at + min(before, after), at + max(before, after), gap=after > before)
        instant, before = instant + step, after
