"""The seconds between two instants at which a clock on the wall shows what is named, as a set: the
bit n of a number stands for the n-th second. A day of every second costs no more than one of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import TypeAlias

from daemon.wallclock import DAY, SECOND, Stretch, WallClock

Named: TypeAlias = Callable[[date], int]
"""The seconds of a day that are named, as a set."""


def every_time(clock: WallClock, named: Named, start: datetime, end: datetime) -> int:
    """Each second from ``start`` up to ``end`` at which the clock shows what is named: nothing of
    what it skips, and what it repeats both times. Both are instants in UTC, on whole seconds."""
    found = 0
    for stretch in clock.stretches(start, end):
        found |= _within(stretch, named, start, end)
    return found


def first_time(clock: WallClock, named: Named, start: datetime, end: datetime) -> int:
    """Likewise, but of what the clock repeats only the first time; and where it skips anything
    that is named, the first second after that."""
    found = 0
    for stretch in clock.stretches(start, end):
        found |= _within(stretch, named, start, end)
        change = (stretch.start - start) // SECOND
        if stretch.jump < timedelta():
            repeated = max(change - stretch.jump // SECOND, 0)  # up to this second
            found = found >> repeated << repeated | found & _first(max(change, 0))
        elif stretch.jump and change >= 0:
            wall = _wall(stretch, stretch.start)
            if _between(named, wall - stretch.jump, wall):
                found |= 1 << change
    return found


def _within(stretch: Stretch, named: Named, start: datetime, end: datetime) -> int:
    """What the clock shows within the stretch, counted from ``start``."""
    first, last = max(stretch.start, start), min(stretch.end, end)
    if first >= last:
        return 0
    found = _between(named, _wall(stretch, first), _wall(stretch, last))
    return found << (first - start) // SECOND


def _between(named: Named, start: datetime, end: datetime) -> int:
    """What is named from the wall time ``start`` up to ``end``."""
    found = 0
    midnight = datetime.combine(start.date(), time())
    while midnight < end:
        seconds = (midnight - start) // SECOND
        on_day = named(midnight.date())
        found |= on_day << seconds if seconds > 0 else on_day >> -seconds
        midnight += DAY
    return found & _first((end - start) // SECOND)


def _first(number: int) -> int:
    """So many seconds, all of them."""
    return (1 << number) - 1


def _wall(stretch: Stretch, instant: datetime) -> datetime:
    return (instant + stretch.offset).replace(tzinfo=None)
