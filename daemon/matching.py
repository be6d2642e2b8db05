"""Which wall times the fields of an expression name. cronsim matches and walks; the day forms that
it does not know, and the question what is named on one day, are answered here."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import cast

from cronsim import CronSim
from cronsim.cronsim import Field

SATURDAY, SUNDAY = 5, 6

DAY_SECONDS = 86_400
WHOLE_DAY = (1 << DAY_SECONDS) - 1
"""All seconds of a day. Such a set is a number: bit n stands for the n-th second after midnight."""

_OWN = re.compile(r"L-(?P<back>\d+)|(?P<near>\d+)W")


class Fields(CronSim):
    """cronsim with ``L-3`` (so many days before the month's last) and ``15W`` (the weekday nearest
    to that day, within its month) in the day of the month.

    The rest of the day forms cronsim knows: ``L``, ``LW``, ``5L`` and ``1#2`` in the plain form, as
    numbers, agree with a calendar written out (in the tests), also in lists and under both day
    rules. Its check for a day that no month has is passed over, since it looks at the plain
    numbers of the field alone.
    """

    def __init__(self, plain: str, wall: datetime, reverse: bool = False) -> None:
        words = plain.split()
        days = words[-3]
        terms = days.split(",")
        own = [found for found in map(_OWN.fullmatch, terms) if found]
        others = [term for term in terms if not _OWN.fullmatch(term)]
        self._back = [int(found["back"]) for found in own if found["back"]]
        self._near = [int(found["near"]) for found in own if found["near"]]
        words[-3] = "1"
        super().__init__(" ".join(words), wall, reverse)
        self.days = cast("set[int]", Field.DAY.parse(",".join(others))) if others else set()
        self.day_and = days.startswith("*") or words[-1].startswith("*")

    def match_dom(self, d: date) -> bool:
        if super().match_dom(d):
            return True
        first, last = monthrange(d.year, d.month)
        return any(d.day == last - back for back in self._back) or any(
            d.day == _nearest_weekday(day, first, last) for day in self._near
        )


def walk(plain: str, wall: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """The wall times that the plain expression names, from the first after ``wall`` (or the last
    before it) on. Raises CronSimError where no month that is named has such a day."""
    own = "W" in plain or "L-" in plain
    return (Fields if own else CronSim)(plain, wall, reverse)


@dataclass(frozen=True, slots=True)
class Times:
    """What an expression names, day by day."""

    _fields: CronSim
    _seconds: int

    def on(self, day: date) -> int:
        """The seconds of the day, as a set; 0 where it names none of them."""
        named = day.month in self._fields.months and self._fields.match_day(day)
        return self._seconds if named else 0


@lru_cache(maxsize=1024)
def times(plain: str, *, whole_minutes: bool = False) -> Times:
    """What the plain expression names; with ``whole_minutes`` all of each minute."""
    fields = Fields(plain, datetime(2000, 1, 1))  # noqa: DTZ001  a wall time has no zone
    seconds = range(60) if whole_minutes else fields.seconds
    minute = sum(1 << second for second in seconds)
    hour = sum(minute << 60 * number for number in fields.minutes)
    return Times(fields, sum(hour << 3600 * number for number in fields.hours))


@lru_cache(maxsize=1024)
def hours_named(field: str) -> frozenset[int]:
    """The hours that a plain hour field names."""
    return frozenset(cast("set[int]", Field.HOUR.parse(field)))


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
