"""A slow second opinion on schedules: every minute (or second) is asked whether it is meant. Each
form of a field is drawn together with its meaning in plain code; nothing of the daemon is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

Meant = Callable[[date], bool]

CHANGES = {
    "America/New_York": [date(2026, 3, 8), date(2031, 11, 2)],
    "Europe/Berlin": [date(2026, 3, 29), date(2028, 10, 29)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2029, 10, 7)],
    "Asia/Beirut": [date(2026, 3, 29), date(2027, 10, 31)],
    "America/Havana": [date(2026, 3, 8), date(2026, 11, 1)],
    "America/St_Johns": [date(2007, 3, 11), date(2007, 11, 4)],  # at 00:01
    "Pacific/Apia": [date(2011, 12, 30)],  # a day that never was
    "Africa/Casablanca": [date(2026, 2, 15), date(2026, 3, 22)],
    "UTC": [date(2028, 2, 29), date(2026, 12, 31)],
}


def hashed(count: int, name: str, field: str) -> int:
    return int(hashlib.sha256(f"{name}\0{field}".encode()).hexdigest()[:16], 16) % count


@lru_cache(maxsize=4096)
def month_of(day: date) -> list[date]:
    first = day.replace(day=1)
    days = (first + DAY * number for number in range(31))
    return [each for each in days if each.month == day.month]


def is_last(day: date) -> bool:
    return day == month_of(day)[-1]


def is_last_working(day: date) -> bool:
    return day == [each for each in month_of(day) if each.isoweekday() < 6][-1]


def before_last(back: int) -> Meant:
    return lambda day: day + DAY * back == month_of(day)[-1]


def nearest_to(number: int) -> Meant:
    """The working day of the month with the least distance; Saturday goes to the Friday before,
    Sunday to the Monday after, wherever these are of the same month."""

    def meant(day: date) -> bool:
        month = month_of(day)
        if number > len(month):
            return False
        working = [each for each in month if each.isoweekday() < 6]
        return day == min(working, key=lambda each: abs(each.day - number))

    return meant


def last_weekday(weekday: int) -> Meant:
    return lambda day: (
        day == [each for each in month_of(day) if each.isoweekday() % 7 == weekday % 7][-1]
    )


def nth_weekday(weekday: int, nth: int) -> Meant:
    def meant(day: date) -> bool:
        same = [each for each in month_of(day) if each.isoweekday() % 7 == weekday % 7]
        return day in same[nth - 1 : nth]

    return meant


@dataclass(frozen=True)
class Rule:
    """An expression together with what it means. ``seconds`` are None where it has no such
    field."""

    text: str
    seconds: frozenset[int] | None
    minutes: frozenset[int]
    hours: frozenset[int]
    days: tuple[Meant, ...]
    months: frozenset[int]
    weekdays: tuple[Meant, ...]

    @lru_cache(maxsize=4096)  # noqa: B019  a test's run is short
    def names_day(self, day: date) -> bool:
        in_month = any(meant(day) for meant in self.days)
        in_week = any(meant(day) for meant in self.weekdays)
        dom, _, dow = self.text.split()[-3:]
        both = dom.startswith("*") or dow.startswith("*")
        return day.month in self.months and (
            (in_month and in_week) if both else (in_month or in_week)
        )

    def names(self, wall: datetime, *, whole_minutes: bool = False) -> bool:
        seconds = self.seconds or {0}
        return (
            wall.minute in self.minutes
            and wall.hour in self.hours
            and (wall.second in seconds or (whole_minutes and self.seconds is None))
            and self.names_day(wall.date())
        )

    @property
    def wild(self) -> bool:
        return any(field.startswith("*") for field in self.text.split()[:-3])


ANY_DAY: tuple[str, tuple[Meant, ...]] = ("*", (lambda day: True,))


@st.composite
def numbers(
    draw: st.DrawFn, kind: str, low: int, high: int, likely: int, name: str
) -> tuple[str, frozenset[int]]:
    """A field without day forms, as (text, values)."""
    form = draw(st.sampled_from(["*", "*", "likely", "likely", "step", "range", "H", "H/", "H()"]))
    top = {"day of the month": 28, "weekday": 6}.get(kind, high)
    every = range(low, high + 1)
    if form == "*":
        return "*", frozenset(every)
    if form == "likely":
        return str(likely), frozenset({likely})
    if form == "step":
        step = draw(st.integers(1, high - low + 2))
        return f"*/{step}", frozenset(every[::step])
    if form == "H":
        return "H", frozenset({low + hashed(top - low + 1, name, kind)})
    if form == "H/":
        step = draw(st.integers(2, top - low + 1))
        return f"h/{step}", frozenset(range(low + hashed(step, name, kind), top + 1, step))
    first = draw(st.integers(low, high - 1))
    last = draw(st.integers(first + 1, high))
    if form == "range":
        return f"{first}-{last}", frozenset(range(first, last + 1))
    step = draw(st.integers(1, last - first + 1))
    if step == 1:
        return f"H({first}-{last})", frozenset({first + hashed(last - first + 1, name, kind)})
    start = first + hashed(step, name, kind)
    return f"H({first}-{last})/{step}", frozenset(range(start, last + 1, step))


@st.composite
def month_days(draw: st.DrawFn, likely: int, name: str) -> tuple[str, tuple[Meant, ...]]:
    if draw(st.sampled_from([True, False, False])):
        text, values = draw(numbers("day of the month", 1, 31, likely, name))
        return text, (lambda day: day.day in values,)
    texts: list[str] = []
    meant: list[Meant] = []
    for _ in range(draw(st.integers(1, 3))):
        form = draw(st.sampled_from(["L", "LW", "L-", "W", "W", "number"]))
        number = draw(st.sampled_from([likely, 1, 1, 2, 15, 28, 29, 30, 31]))
        if form == "L":
            texts.append("L")
            meant.append(is_last)
        elif form == "LW":
            texts.append("lw")
            meant.append(is_last_working)
        elif form == "L-":
            texts.append(f"L-{min(number, 30)}")
            meant.append(before_last(min(number, 30)))
        elif form == "W":
            texts.append(f"{number}W")
            meant.append(nearest_to(number))
        else:
            texts.append(str(number))
            meant.append(lambda day, number=number: day.day == number)  # type: ignore[misc]
    return ",".join(texts), tuple(meant)


NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


@st.composite
def week_days(draw: st.DrawFn, likely: int, name: str) -> tuple[str, tuple[Meant, ...]]:
    if draw(st.sampled_from([True, True, False])):
        text, values = draw(
            st.one_of(st.just(("*", frozenset(range(8)))), numbers("weekday", 0, 7, likely, name))
        )
        return text, (lambda day: not values.isdisjoint({day.isoweekday(), day.isoweekday() % 7}),)
    texts: list[str] = []
    meant: list[Meant] = []
    for _ in range(draw(st.integers(1, 2))):
        weekday = draw(st.one_of(st.just(likely), st.integers(0, 7)))
        word = draw(st.sampled_from([str(weekday), NAMES[weekday]]))
        nth = draw(st.integers(0, 5))
        texts.append(f"{word}#{nth}" if nth else f"{word}L")
        meant.append(nth_weekday(weekday, nth) if nth else last_weekday(weekday))
    return ",".join(texts), tuple(meant)


@st.composite
def rules(
    draw: st.DrawFn, near: datetime, name: str, *, seconds: bool = False, daily: bool = False
) -> Rule:
    """``near`` is a wall time that matters; with ``daily`` the day is any."""
    second = draw(numbers("second", 0, 59, near.second, name)) if seconds else None
    minute = draw(numbers("minute", 0, 59, near.minute, name))
    hour = draw(numbers("hour", 0, 23, near.hour, name))
    month: tuple[str, frozenset[int]] = ("*", frozenset(range(1, 13)))
    day = week = ANY_DAY
    if not daily:
        month = draw(st.one_of(st.just(month), numbers("month", 1, 12, near.month, name)))
        day = draw(st.one_of(st.just(day), month_days(near.day, name)))
        week = draw(st.one_of(st.just(week), week_days(near.isoweekday(), name)))
    fields = [minute[0], hour[0], day[0], month[0], week[0]]
    return Rule(
        " ".join([second[0], *fields] if second else fields),
        second[1] if second else None,
        minute[1],
        hour[1],
        day[1],
        month[1],
        week[1],
    )


def dense(minutes: int) -> Rule:
    every = frozenset(range(0, 60, minutes))
    hours, months = frozenset(range(24)), frozenset(range(1, 13))
    text = f"*/{minutes} * * * *"
    return Rule(text, None, every, hours, ANY_DAY[1], months, ANY_DAY[1])


@st.composite
def stretches(draw: st.DrawFn, near: datetime) -> Rule:
    """A run of minutes, or of whole hours, near a time that matters."""
    hour = draw(st.sampled_from([near.hour, (near.hour + 1) % 24, (near.hour + 2) % 24]))
    last = draw(st.integers(hour, min(hour + 3, 23)))
    hours = frozenset(range(hour, last + 1))
    low, high = draw(st.sampled_from([(0, 59), (0, 59), (0, 29), (30, 59), (20, 59)]))
    text = f"{low}-{high} {hour}-{last} * * *" if last > hour else f"{low}-{high} {hour} * * *"
    minutes, months = frozenset(range(low, high + 1)), frozenset(range(1, 13))
    return Rule(text, None, minutes, hours, ANY_DAY[1], months, ANY_DAY[1])


@st.composite
def day_rules(draw: st.DrawFn, likely: date, name: str) -> Rule:
    """A rule whose days are of any form, at noon."""
    week = st.one_of(st.just(ANY_DAY), week_days(likely.isoweekday(), name))
    day, weekday = draw(month_days(likely.day, name)), draw(week)
    month = draw(st.sampled_from([("*", range(1, 13)), ("*", range(1, 13)), ("2", [2])]))
    text = f"0 12 {day[0]} {month[0]} {weekday[0]}"
    one = frozenset({0})
    return Rule(text, None, one, frozenset({12}), day[1], frozenset(month[1]), weekday[1])


def cron_walk(rule: Rule, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants in (start, end], as Debian's cron finds them: its clock runs fixed entries
    through what the wall clock skips, and waits when that is put back."""
    step = MINUTE if rule.seconds is None else SECOND
    at = start.replace(second=0, microsecond=0)
    virtual = max((at - MINUTE * back).astimezone(zone).replace(tzinfo=None) for back in range(300))
    while at < end:
        at += step
        wall = at.astimezone(zone).replace(tzinfo=None, fold=0)
        fires = rule.wild and rule.names(wall)
        while virtual < wall:
            virtual += step
            fires = fires or (not rule.wild and rule.names(virtual))
        if fires and start < at <= end:
            yield at


def every_walk(
    every: timedelta, offset: timedelta, start: datetime, end: datetime
) -> Iterator[datetime]:
    """Minute by minute (or second by second, for what is no whole number of them), by the number of
    seconds since 1970."""
    step = SECOND if every % MINUTE or offset % MINUTE else MINUTE
    at = start.replace(second=0, microsecond=0)
    while at + step <= end:
        at += step
        if at <= start:
            continue
        if int(at.timestamp() - offset.total_seconds()) % int(every.total_seconds()) == 0:
            yield at


def utc(day: date, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def members(seconds: int) -> set[int]:
    """Of a set of seconds that is a number."""
    return {number for number, digit in enumerate(reversed(f"{seconds:b}")) if digit == "1"}
