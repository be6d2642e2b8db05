"""What the schedules will ask of GitHub: how many dispatches fall due in each minute of a time
ahead, which minutes are the busiest, and how late that makes the last of their dispatches."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from daemon.pacing import Budget
from daemon.spec import CronSpec, Pace
from daemon.spread import jitter
from daemon.wallclock import DAY, SECOND

MINUTE = timedelta(minutes=1)
DAY_MINUTES = DAY // MINUTE

FEW = 60
"""So many seconds of a day are looked at one by one."""

SETS_KEPT = 1000
"""Sets of more seconds are kept, up to this number, so that equal ones are counted together."""

PACED_MAX = 5000
"""For so many dispatches of a minute it is worked out when each of them is sent."""


@dataclass(frozen=True, slots=True)
class Busy:
    """A minute in which ``dispatches`` of ``crons`` fall due. At the pace asked for, and if nothing
    else is sent, the one that waits longest goes to GitHub ``late`` after its time; or later, where
    not all of them were ``counted``."""

    start: datetime
    dispatches: int
    crons: tuple[CronSpec, ...]
    late: timedelta
    counted: bool


class Forecast:
    """The instants from ``first`` up to ``end`` of the entries that are enabled. ``minutes`` has
    the number of dispatches that fall due in each minute from ``start`` on, which is the minute of
    ``first``. Of an entry with a `jitter` the instant counts, and not when it is sent.

    Entries that fire alike are counted together, and seconds as sets: thousands that fire each
    minute or second take no longer than thousands that fire daily.
    """

    def __init__(self, crons: Sequence[CronSpec], first: datetime, end: datetime) -> None:
        self.first, self.end = _whole(first), _whole(end)
        self.start = self.first.replace(second=0)
        self.minutes = [0] * -((self.start - self.end) // MINUTE)
        self._alike: dict[str, list[CronSpec]] = {}
        for cron in crons:
            if cron.enabled:
                self._alike.setdefault(cron.schedule.identity, []).append(cron)
        many: Counter[tuple[int, int]] = Counter()
        for same in self._alike.values():
            weight = sum(len(cron.dispatches) for cron in same)
            for day, (begin, until) in enumerate(_days(self.start, self.end)):
                seconds = self._seconds(same[0], begin, until)
                if seconds.bit_count() > FEW:
                    many[day, seconds] += weight
                else:
                    self._add(day, _few_by_minute(seconds), weight)
            if len(many) > SETS_KEPT:
                self._add_many(many)
        self._add_many(many)

    def busiest(self, number: int, pace: Pace) -> list[Busy]:
        """The minutes in which most falls due, in that order."""
        found = heapq.nlargest(number, range(len(self.minutes)), key=self.minutes.__getitem__)
        firing: dict[int, list[tuple[int, CronSpec]]] = {
            minute: [] for minute in found if self.minutes[minute]
        }
        for same in self._alike.values():
            for minute, of_minute in firing.items():
                start = self.start + minute * MINUTE
                seconds = self._seconds(same[0], start, min(start + MINUTE, self.end))
                of_minute.extend((seconds, cron) for cron in same if seconds)
        return [self._busy(minute, of_minute, pace) for minute, of_minute in firing.items()]

    def _seconds(self, cron: CronSpec, begin: datetime, until: datetime) -> int:
        seconds = cron.schedule.seconds_between(begin, until)
        past = max((self.first - begin) // SECOND, 0)
        return seconds >> past << past

    def _add(self, day: int, by_minute: Iterable[tuple[int, int]], weight: int) -> None:
        for minute, number in by_minute:
            self.minutes[day * DAY_MINUTES + minute] += number * weight

    def _add_many(self, many: Counter[tuple[int, int]]) -> None:
        for (day, seconds), weight in many.items():
            self._add(day, _many_by_minute(seconds), weight)
        many.clear()

    def _busy(self, minute: int, firing: Sequence[tuple[int, CronSpec]], pace: Pace) -> Busy:
        start = self.start + minute * MINUTE
        due = sorted(islice(_sends(firing, start), PACED_MAX))
        return Busy(
            start=start,
            dispatches=self.minutes[minute],
            crons=tuple(cron for _, cron in firing),
            late=_lateness(due, pace),
            counted=len(due) == self.minutes[minute],
        )


def _whole(instant: datetime) -> datetime:
    """The whole second at ``instant`` or next after it."""
    second = instant.replace(microsecond=0)
    return second if second == instant else second + SECOND


def _days(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + DAY, end)
        start += DAY


def _few_by_minute(seconds: int) -> Iterator[tuple[int, int]]:
    """How many of the seconds are in each minute that has any, as (minute, number)."""
    while seconds:
        minute = (seconds.bit_length() - 1) // 60
        of_minute = seconds >> minute * 60
        yield minute, of_minute.bit_count()
        seconds ^= of_minute << minute * 60


def _many_by_minute(seconds: int) -> Iterator[tuple[int, int]]:
    digits = f"{seconds:b}"[::-1]
    for begin in range(0, len(digits), 60):
        if number := digits.count("1", begin, begin + 60):
            yield begin // 60, number


def _sends(firing: Sequence[tuple[int, CronSpec]], start: datetime) -> Iterator[datetime]:
    """When each dispatch of the minute is due to be sent, jitter included."""
    for seconds, cron in firing:
        for second in range(60):
            if seconds >> second & 1:
                at = start + second * SECOND
                yield from [at + jitter(cron.name, at, cron.jitter)] * len(cron.dispatches)


def _lateness(due: Sequence[datetime], pace: Pace) -> timedelta:
    """The longest that one of them waits for those before it; ``due`` is in order."""
    budget = Budget(pace.writes_per_second, pace.burst, pace.writes_per_hour)
    latest, now = timedelta(), due[0]
    for at in due:
        now = budget.next_at(max(now, at))
        budget.spend(now)
        latest = max(latest, now - at)
    return latest
