"""An expression's plain form in words. They are made of the times and days that it names, and not
of its fields one by one: so two spellings of the same have the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from daemon.crontab import DAY_OF_MONTH, FIELDS, HOUR, MINUTE, MONTH, WEEKDAY, Field

SECOND = -6
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""How many days a month has in every year."""

UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
MINUTE_LONG, HOUR_LONG, DAY_LONG = 60, 3600, 86_400

LISTED, LISTED_MAX = 6, 24
"""So many times of a day are listed one by one; so many, where no shorter way says them."""

FEW = 4
"""So many numbers are listed one by one although they are of equal steps."""

ROWS_MAX = 4
"""Into so many rows of equal steps may the times of a day fall, to be told as such."""


def explained(plain: str) -> str:
    """When it fires, as ``at 03:30 on Monday to Friday``, of what ``crontab.plain`` gives. That is
    by the clock on the wall, on days on which nobody changes that."""
    times, days = times_explained(plain), days_explained(plain)
    return times if days == "every day" and "every " in times else f"{times} {days}"


def times_explained(plain: str) -> str:
    """The times of a day: ``at 03:30``, ``every 15 minutes from 08:00 to 18:45``."""
    words = plain.split()
    seconds = _numbers(FIELDS[SECOND], words[SECOND]) if len(words) == 6 else [0]
    minutes = _numbers(FIELDS[MINUTE], words[MINUTE])
    hours = _numbers(FIELDS[HOUR], words[HOUR])
    of_hour = [minute * MINUTE_LONG + second for minute in minutes for second in seconds]
    times = [hour * HOUR_LONG + time for hour in hours for time in of_hour]
    step = _step(times)
    if len(times) > 3 and step:
        return _all_day(times[0], step) if step * len(times) == DAY_LONG else _row(times)
    if len(times) <= LISTED:
        return f"at {_clocks(times)}"
    step = _step([*of_hour, of_hour[0] + HOUR_LONG])  # one that goes on into the next hour
    rows = _rows(times, step)
    if len(rows) <= ROWS_MAX:
        return _joined(map(_row, rows))
    if len(times) <= LISTED_MAX:
        return f"at {_clocks(times)}"
    return _by_field(seconds, minutes, hours)


def days_explained(plain: str) -> str:
    """The days: ``every day``, ``on the 1st of January and July``."""
    words = plain.split()
    months = _numbers(FIELDS[MONTH], words[MONTH])
    month, week = _month_days(words[DAY_OF_MONTH]), _week_days(words[WEEKDAY])
    of, within = "the month", ""
    if len(months) < 12:
        of = _joined(_ranged(months, lambda number: MONTHS[number - 1]))
        within = f" in {of}"
    both = words[DAY_OF_MONTH].startswith("*") or words[WEEKDAY].startswith("*")
    if (month.all and week.all) or (not both and (month.all or week.all)):
        return f"every day{within}"
    if week.all:
        return f"on {month.said(of, months)}"
    if month.all:
        return f"on {week.said(of, within)}"
    if both:
        return f"on {month.said(of, months)}, if that is {week.said(of, '', 'or')}"
    return f"on {month.said(of, months)}, and also on {week.said(of, within)}"


def every(seconds: int) -> str:
    """``every 90 minutes``: in the largest unit that it is a whole number of."""
    number, unit = _amount(seconds)
    return f"every {unit}" if number == 1 else f"every {number} {unit}s"


def amount(seconds: int) -> str:
    """``1 hour``, ``90 minutes``."""
    number, unit = _amount(seconds)
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


@dataclass(frozen=True, slots=True)
class _MonthDays:
    """What the day of the month field names. ``near`` are the days to which a working day is the
    nearest, ``back`` how many days before the last (0: the last itself)."""

    numbers: Sequence[int]
    near: Sequence[int]
    back: Sequence[int]
    last_working: bool

    @property
    def all(self) -> bool:
        return len(self.numbers) == 31

    def said(self, of: str, months: Sequence[int]) -> str:
        parts = [f"the {each}" for each in _ranged(self.numbers, _ordinal, " to the ")]
        step = _step(self.numbers)
        if len(self.numbers) > FEW and step > 1:
            first, last = _ordinal(self.numbers[0]), _ordinal(self.numbers[-1])
            parts = [f"every {_ordinal(step)} day from the {first} to the {last}"]
        parts += [f"the working day nearest to the {_ordinal(day)}" for day in self.near]
        parts += ["the last working day"] * self.last_working
        parts += [
            f"the {_ordinal(back + 1)} day from the end" if back else "the last day"
            for back in self.back
        ]
        least = max((*self.numbers, *self.near, *(back + 1 for back in self.back)), default=0)
        rare = least > min(MONTH_LENGTHS[month - 1] for month in months)
        return f"{_joined(parts)} of {of}" + (" (where there is one)" if rare else "")


@dataclass(frozen=True, slots=True)
class _WeekDays:
    """What the weekday field names, Monday being 1 and Sunday 7. ``nth`` are pairs such as (1, 7)
    for the first Sunday of a month, and (-1, 7) for its last."""

    numbers: Sequence[int]
    nth: Sequence[tuple[int, int]]

    @property
    def all(self) -> bool:
        return len(self.numbers) == 7

    def said(self, of: str, within: str, conjunction: str = "and") -> str:
        plain = _joined(_ranged(self.numbers, _weekday), conjunction)
        parts = [plain + within] if plain else []
        for nth, weekday in self.nth:
            which = "last" if nth < 0 else _ordinal(nth)
            parts.append(
                f"the {which} {_weekday(weekday)} of {of}"
                + (" (where there is one)" if nth == 5 else "")
            )
        return _joined(parts, conjunction)


def _month_days(text: str) -> _MonthDays:
    terms = set(text.split(","))
    near = {term for term in terms if term.endswith("W")} - {"LW"}
    last = {term for term in terms if term.startswith("L")} - {"LW"}
    return _MonthDays(
        numbers=_numbers(FIELDS[DAY_OF_MONTH], *(terms - near - last - {"LW"})),
        near=sorted(int(term[:-1]) for term in near),
        back=sorted((int(term[2:] or 0) for term in last), reverse=True),
        last_working="LW" in terms,
    )


def _week_days(text: str) -> _WeekDays:
    terms = set(text.split(","))
    last = {term for term in terms if term.endswith("L")}
    nth = {term for term in terms if "#" in term}
    pairs = {(-1, _iso(int(term[:-1]))) for term in last}
    pairs |= {(int(term[2:]), _iso(int(term[0]))) for term in nth}
    numbers = {_iso(number) for number in _numbers(FIELDS[WEEKDAY], *(terms - last - nth))}
    return _WeekDays(sorted(numbers), sorted(pairs, key=lambda pair: (pair[0] < 0, pair)))


def _numbers(field: Field, *texts: str) -> list[int]:
    """The values of a field's plain terms, in order."""
    values: set[int] = set()
    for term in ",".join(texts).split(",") if texts else ():
        span, _, step = term.partition("/")
        first, _, last = span.partition("-")
        low = field.low if first == "*" else int(first)
        high = field.high if first == "*" else int(last or first)
        values.update(range(low, high + 1, int(step or 1)))
    return sorted(values)


def _by_field(seconds: Sequence[int], minutes: Sequence[int], hours: Sequence[int]) -> str:
    """The way to say times that follow no order but that of the fields."""
    parts = [] if list(seconds) == [0] else [_units("second", seconds, 60)]
    if not parts or len(minutes) < 60:
        parts.append(_units("minute", minutes, 60))
    elif parts:
        parts.append("every minute")
    if len(hours) < 24 or parts[-1] != "every minute":
        parts.append(_units("hour", hours, 24))
    return f"at {' of '.join(parts)}"


def _units(unit: str, values: Sequence[int], cycle: int) -> str:
    """``minutes 0 and 40``, ``every 7th minute from 0 to 56``, ``every hour``."""
    if len(values) == cycle:
        return f"every {unit}"
    step = _step(values)
    if len(values) > FEW and step > 1:
        return f"every {_ordinal(step)} {unit} from {values[0]} to {values[-1]}"
    return f"{unit}{'s' * (len(values) > 1)} {_joined(_ranged(values, str))}"


def _all_day(first: int, step: int) -> str:
    """Times that go on at the same step from one day to the next."""
    if step == HOUR_LONG and first % MINUTE_LONG == 0:
        return f"every hour at minute {first // MINUTE_LONG}"
    if step == MINUTE_LONG and first:
        return f"every minute at second {first}"
    if first == 0 and step < HOUR_LONG:
        return every(step)
    return _row([first, first + step, DAY_LONG - step + first])


def _row(times: Sequence[int]) -> str:
    """Times of equal steps; one or two are named."""
    if len(times) < 3:
        return f"at {_clocks(times)}"
    return f"{every(times[1] - times[0])} from {_clocks([times[0], times[-1]], 'to')}"


def _rows(times: Sequence[int], step: int) -> list[list[int]]:
    rows = [[times[0]]]
    for before, time in pairwise(times):
        if time - before == step:
            rows[-1].append(time)
        else:
            rows.append([time])
    return rows


def _step(values: Sequence[int]) -> int:
    """The step from each value to the next where it is the same for all, else 0."""
    steps = {later - earlier for earlier, later in pairwise(values)}
    return steps.pop() if len(steps) == 1 else 0


def _ranged(values: Sequence[int], word: Callable[[int], str], to: str = " to ") -> list[str]:
    """The values as words; three or more that follow each other as a range."""
    said: list[str] = []
    for row in _rows(values, 1) if values else ():
        if len(row) > 2:
            said.append(f"{word(row[0])}{to}{word(row[-1])}")
        else:
            said.extend(map(word, row))
    return said


def _joined(parts: Iterable[str], conjunction: str = "and") -> str:
    *most, last = list(parts) or [""]
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def _clocks(times: Sequence[int], conjunction: str = "and") -> str:
    """Times as ``08:00``, with seconds where one of them has any."""
    exact = any(time % MINUTE_LONG for time in times)
    return _joined((_clock(time, exact=exact) for time in times), conjunction)


def _clock(time: int, *, exact: bool) -> str:
    hours, rest = divmod(time, HOUR_LONG)
    minutes, seconds = divmod(rest, MINUTE_LONG)
    return f"{hours:02}:{minutes:02}" + (f":{seconds:02}" if exact else "")


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number in (11, 12, 13) else ending}"


def _iso(weekday: int) -> int:
    """1 (Monday) to 7 (Sunday)."""
    return weekday or 7


def _weekday(number: int) -> str:
    return WEEKDAYS[number - 1]


def _amount(seconds: int) -> tuple[int, str]:
    size, unit = next((size, unit) for size, unit in UNITS if not seconds % size)
    return seconds // size, unit
