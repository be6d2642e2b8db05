"""Which wall times the fields of an expression name. cronsim reads the fields and matches days; the
day forms that it does not know, and the walk through the times, are here."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from cronsim import CronSim
from cronsim.cronsim import DAYS_IN_MONTH, Field

LONGEST = 50
"""Years after which what has not come never comes."""

DAY, SECOND, MICROSECOND = timedelta(days=1), timedelta(seconds=1), timedelta(microseconds=1)
LAST_SECOND = time(23, 59, 59)

SATURDAY, SUNDAY = 5, 6

DAY_SECONDS = 86_400
WHOLE_DAY = (1 << DAY_SECONDS) - 1
"""All seconds of a day. Such a set is a number: bit n stands for the n-th second after midnight."""

_OWN = re.compile(r"L-(?P<back>\d+)|(?P<near>\d+)W")


class Fields(CronSim):
    """The fields of a plain expression: read by cronsim, which also matches their days, beside
    ``L-3`` (so many days before the month's last) and ``15W`` (the weekday nearest to that day,
    within its month), which it does not know.

    The rest of the day forms cronsim knows: ``L``, ``LW``, ``5L`` and ``1#2`` in the plain form, as
    numbers, agree with a calendar written out (in the tests), also in lists and under both day
    rules. Its own walk is not used, nor set up. On a zone's time it is wrong from inside a repeated
    hour (an instant in the past), over shifts of 30 minutes, and now and then after a gap at
    midnight: so wall times are walked without a zone here, and ``cron.py`` makes instants of them.
    Without a zone it is right, but takes an hour at a time and reads every field anew, which was
    most of the time that a question about a schedule took.
    """

    def __init__(self, plain: str) -> None:
        *second, minute, hour, days, months, weekdays = plain.split()
        terms = days.split(",")
        own = [found for found in map(_OWN.fullmatch, terms) if found]
        self._back = [int(found["back"]) for found in own if found["back"]]
        self._near = [int(found["near"]) for found in own if found["near"]]
        others = ",".join(term for term in terms if not _OWN.fullmatch(term)) if own else days
        self.clock = (
            _in_order(Field.HOUR, hour),
            _in_order(Field.MINUTE, minute),
            _in_order(Field.SECOND, second[0] if second else "0"),
        )
        self.days = _values(Field.DAY, others) if others else set()
        self.months = _values(Field.MONTH, months)
        self.weekdays = _values(Field.DOW, weekdays)
        self.day_and = days.startswith("*") or weekdays.startswith("*")

    @property
    def dateless(self) -> bool:
        """Whether no month that is named has such a day, as far as that is told by the numbers."""
        numbered = self.day_and and not (self._back or self._near)
        return numbered and min(self.days) > max(DAYS_IN_MONTH[month] for month in self.months)

    def match_dom(self, d: date) -> bool:
        if super().match_dom(d):
            return True
        if not (self._back or self._near):
            return False
        first, last = monthrange(d.year, d.month)
        return any(d.day == last - back for back in self._back) or any(
            d.day == _nearest_weekday(day, first, last) for day in self._near
        )

    def walk(self, wall: datetime, *, reverse: bool) -> Iterator[datetime]:
        """The wall times named, from ``wall`` on or (``reverse``) back from it, itself included;
        to the end where none comes within `LONGEST`. Raises OverflowError at that of the calendar.
        """
        hours, minutes, seconds = self.clock
        edge = LAST_SECOND if reverse else time.min
        for day in self._walk_days(wall.date(), reverse=reverse):
            start = wall.time() if day == wall.date() else edge
            for hour in _onward(hours, start.hour, reverse):
                if hour != start.hour:
                    start = edge
                for minute in _onward(minutes, start.minute, reverse):
                    if minute != start.minute:
                        start = edge
                    for second in _onward(seconds, start.second, reverse):
                        yield datetime.combine(day, time(hour, minute, second))
                    start = edge
                start = edge

    def _walk_days(self, day: date, *, reverse: bool) -> Iterator[date]:
        step = -DAY if reverse else DAY
        since = day.year
        while abs(day.year - since) <= LONGEST:
            if day.month not in self.months:
                begin = day.replace(day=1)
                day = begin - DAY if reverse else (begin + 31 * DAY).replace(day=1)
                continue
            if self.match_day(day):
                yield day
                since = day.year
            day += step


def walk(plain: str, wall: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """The wall times that the plain expression names, from the first after ``wall`` (or the last
    before it) on."""
    if reverse:
        begin = (wall - MICROSECOND).replace(microsecond=0)
    else:
        begin = wall.replace(microsecond=0) + SECOND
    return Fields(plain).walk(begin, reverse=reverse)


@dataclass(frozen=True, slots=True)
class Times:
    """What an expression names, day by day."""

    _fields: Fields
    _seconds: int

    def on(self, day: date) -> int:
        """The seconds of the day, as a set; 0 where it names none of them."""
        named = day.month in self._fields.months and self._fields.match_day(day)
        return self._seconds if named else 0


@lru_cache(maxsize=1024)
def times(plain: str, *, whole_minutes: bool = False) -> Times:
    """What the plain expression names; with ``whole_minutes`` all of each minute."""
    fields = Fields(plain)
    hours, minutes, seconds = fields.clock
    minute = sum(1 << second for second in (range(60) if whole_minutes else seconds))
    hour = sum(minute << 60 * number for number in minutes)
    return Times(fields, sum(hour << 3600 * number for number in hours))


def hours_named(field: str) -> tuple[int, ...]:
    """The hours that a plain hour field names, in order."""
    return _in_order(Field.HOUR, field)


@lru_cache(maxsize=1024)
def _in_order(field: Field, text: str) -> tuple[int, ...]:
    return tuple(sorted(_values(field, text)))


@lru_cache(maxsize=1024)  # expressions are many, and have most of their fields in common
def _values(field: Field, text: str) -> set[Any]:
    return field.parse(text)


def _onward(values: Sequence[int], start: int, reverse: bool) -> Sequence[int]:
    """The values from ``start`` on, upwards or (``reverse``) downwards."""
    if reverse:
        return values[: bisect_right(values, start)][::-1]
    return values[bisect_left(values, start) :]


def _nearest_weekday(day: int, first: int, last: int) -> int:
    """The day from Monday to Friday nearest to ``day`` in a month that begins on the weekday
    ``first`` (0 is Monday) and has ``last`` days; 0 where it has no such day."""
    if day > last:
        return 0
    weekday = (first + day - 1) % 7
    if weekday == SATURDAY:
        return day - 1 if day > 1 else 3
    if weekday == SUNDAY:
        return day + 1 if day < last else day - 2
    return day
