"""What `exclude` leaves out of a schedule: dates, date ranges, and what cron expressions name; all
of it on the wall clock of the entry's zone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from daemon.cron import parse
from daemon.crontab import plain
from daemon.errors import ScheduleError
from daemon.explanation import days_explained, explained, times_explained
from daemon.matching import WHOLE_DAY, times

ONE_DAY = timedelta(days=1)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Dates:
    """The days from ``first`` to ``last``, both included."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first}/{self.last}"

    @property
    def words(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class Named:
    """What a cron expression names, in its plain form. One of five fields names whole minutes."""

    plain: str

    def __str__(self) -> str:
        return self.plain

    @property
    def words(self) -> str:
        """Whole minutes are said to be that, where they are not whole days."""
        if self._seconds_named:
            return explained(self.plain)
        if times_explained(self.plain) == "every minute":
            return days_explained(self.plain).removeprefix("on ")
        return f"{explained(self.plain)} (whole minutes)"

    def on(self, day: date) -> int:
        return times(self.plain, whole_minutes=not self._seconds_named).on(day)

    @property
    def _seconds_named(self) -> bool:
        return len(self.plain.split()) == 6


@dataclass(frozen=True, slots=True)
class Exclusion:
    """All that one entry leaves out: its dates in order, those that touch joined; and what its
    expressions name. Equal for lists that differ in spelling and order only."""

    dates: tuple[Dates, ...]
    named: tuple[Named, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, (*self.dates, *self.named)))

    @property
    def words(self) -> list[str]:
        items: tuple[Dates | Named, ...] = (*self.dates, *self.named)
        return [item.words for item in items]

    def on(self, day: date) -> int:
        """The seconds of the day that are left out, as a set."""
        if any(dates.first <= day <= dates.last for dates in self.dates):
            return WHOLE_DAY
        left_out = 0
        for named in self.named:
            left_out |= named.on(day)
        return left_out

    def after(self, day: date) -> date:
        """The first day from ``day`` on that is in none of the dates. Raises OverflowError where
        the calendar ends with them."""
        for dates in self.dates:
            if dates.first <= day <= dates.last:
                return dates.last + ONE_DAY
        return day

    def before(self, day: date) -> date:
        """The last such day up to ``day``."""
        for dates in self.dates:
            if dates.first <= day <= dates.last:
                return dates.first - ONE_DAY
        return day


def exclusion(items: Iterable[Dates | Named]) -> Exclusion:
    items = list(items)
    joined: list[Dates] = []
    for dates in sorted(
        (item for item in items if isinstance(item, Dates)), key=lambda dates: dates.first
    ):
        if joined and dates.first.toordinal() <= joined[-1].last.toordinal() + 1:
            joined[-1] = Dates(joined[-1].first, max(joined[-1].last, dates.last))
        else:
            joined.append(dates)
    named = {item.plain: item for item in items if isinstance(item, Named)}
    return Exclusion(tuple(joined), tuple(named[key] for key in sorted(named)))


def parse_exclusion(text: str, name: str) -> Dates | Named:
    """Reads one item: ``2026-12-25``, ``2026-12-24/2027-01-01``, or a cron expression, in which
    ``H`` is made of the entry's ``name``. Raises ``ScheduleError``."""
    first, slash, last = text.strip().partition("/")
    if DATE.fullmatch(first.strip()):
        dates = Dates(_date(first), _date(last) if slash else _date(first))
        if dates.last < dates.first:
            raise ScheduleError(f"`{text}` runs backwards (write `{dates.last}/{dates.first}`)")
        return dates
    if len(text.split()) == 1 and not text.strip().startswith("@"):
        raise ScheduleError(
            f"`{text}` cannot be read (write a date as `2026-12-25`, dates as "
            "`2026-12-24/2027-01-01`, or a cron expression as `* * 25 12 *`)"
        )
    parse(text, name=name)  # refuses what names no day
    fields = plain(text, name)
    six = len(text.split()) == 6 and len(fields.split()) == 5
    return Named(f"0 {fields}" if six else fields)


def _date(text: str) -> date:
    try:
        if DATE.fullmatch(text.strip()):
            return date.fromisoformat(text.strip())
    except ValueError:
        pass
    raise ScheduleError(f"`{text.strip()}` is not a date (write it as `2026-12-25`)")
