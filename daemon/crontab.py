"""Reads a crontab expression as strictly as Debian cron does, and the forms that it does not know:
into its plain form, or refused with what to write instead. What it means is for ``cron.py``."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from daemon.errors import ScheduleError
from daemon.spread import spread

MACROS = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

TERM = re.compile(r"(?P<first>\*|[0-9A-Z]+)(-(?P<last>[0-9A-Z]+))?(?P<step>/[0-9A-Z]+)?")
HASHED = re.compile(r"H(\((?P<first>\d+)-(?P<last>\d+)\))?(/(?P<step>\d+))?", re.ASCII)
DAY_FORMS = re.compile(r"LW?|L-(?P<back>\d+)|(?P<near>\d+)W", re.ASCII)
WEEKDAY_FORMS = re.compile(r"(?P<weekday>[0-9A-Z]+)(?P<form>L|#[0-9]+)", re.ASCII)

NTH_MAX = 5
"""A weekday comes up to five times in a month."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the fields: what it is called and which values it takes, both ends included.

    ``names`` are the words for the values from ``low`` up; ``cycle`` is how many values there
    are before they start again (weekdays 0 and 7 are the same Sunday). ``H`` hashes to one of
    those from ``low`` to ``hashed``.
    """

    name: str
    low: int
    high: int
    cycle: int
    hashed: int
    names: tuple[str, ...] = ()
    allows: str = ""

    def number(self, word: str) -> int:
        """The value that ``word`` names; raises ``ScheduleError`` for one that it does not take."""
        if word in self.names:
            return self.low + self.names.index(word)
        if word.isdigit() and len(word) < 10 and self.low <= int(word) <= self.high:
            return int(word)
        allowed = f"{self.low} to {self.high}{self.allows}"
        raise ScheduleError(f"`{word}` is not a {self.name} (allowed: {allowed})")


FIELDS = (
    Field("second", 0, 59, 60, 59),
    Field("minute", 0, 59, 60, 59),
    Field("hour", 0, 23, 24, 23),
    Field("day of the month", 1, 31, 31, 28),  # in every month
    Field("month", 1, 12, 12, 12, MONTHS, ", JAN to DEC"),
    Field("weekday", 0, 7, 7, 6, WEEKDAYS, ", SUN to SAT; 0 and 7 are Sunday"),
)
MINUTE, HOUR, DAY_OF_MONTH, MONTH, WEEKDAY = range(-5, 0)
"""Where a field stands, counted from the end: seconds may be there or not."""

ORDER = "minute, hour, day of the month, month, weekday"


def plain(expression: str, name: str = "") -> str:
    """The expression with macros written out, names as numbers, ``H`` as what it comes to for the
    entry ``name``, and one space between fields: 5 of them, or 6 where it fires at other seconds
    than the minute's first.

    Raises ``ScheduleError`` for what Debian cron refuses, but for the forms of other schedulers
    that are known here: ``L``, ``LW``, ``L-3``, ``15W``, ``5L``, ``MON#2`` and ``H``.
    """
    if not expression.isascii():
        raise ScheduleError("an expression holds plain ASCII characters only")
    words = expression.upper().split()
    if words and words[0].startswith(("TZ=", "CRON_TZ=")):
        zone = expression.split()[0].partition("=")[2]
        raise ScheduleError(
            f"an expression names no time zone (use `timezone`: `{zone}`, and leave the prefix off)"
        )
    if words and words[0].startswith("@"):
        return _macro(" ".join(words))
    if len(words) not in (5, 6):
        raise ScheduleError(
            f"an expression has 5 fields, this one has {len(words)} "
            f"({ORDER}; a sixth, before them, is the second)"
        )
    kinds = FIELDS[-len(words) :]
    fields = [_field(field, word, name) for field, word in zip(kinds, words, strict=True)]
    return " ".join(fields[1:] if len(fields) == 6 and fields[0] == "0" else fields)


def hashes(expression: str) -> bool:
    """Whether what the expression means depends on the entry's name."""
    return bool(re.search(r"\bH\b", expression.upper()))


def _macro(word: str) -> str:
    if word in MACROS:
        return MACROS[word]
    if word == "@REBOOT":
        raise ScheduleError("`@reboot` is no point in time (a daemon that restarts is no schedule)")
    near = difflib.get_close_matches(word, MACROS, n=1)
    known = ", ".join(name.lower() for name in MACROS)
    hint = f"did you mean {near[0].lower()}?" if near else f"known are {known}"
    raise ScheduleError(f"there is no `{word.lower()}` ({hint})")


def _field(field: Field, word: str, name: str) -> str:
    if word == "*":
        return word
    if word.startswith(",") or word.endswith(",") or ",," in word:
        raise ScheduleError(f"the list `{word}` in the {field.name} field has an empty item")
    return ",".join(_term(field, term, name) for term in word.split(","))


def _term(field: Field, term: str, name: str) -> str:
    """One item of a list: ``*``, ``a`` or ``a-b``, the first and the last also with a step; or a
    form that other schedulers know."""
    if found := HASHED.fullmatch(term):
        return _hashed(field, found, name)
    if field in (FIELDS[DAY_OF_MONTH], FIELDS[WEEKDAY]):
        if found := DAY_FORMS.fullmatch(term):
            return _day_form(field, found)
        if found := WEEKDAY_FORMS.fullmatch(term):
            return _weekday_form(field, found)
    parts = TERM.fullmatch(term)
    if parts is None or (parts["first"] == "*" and parts["last"]):
        raise ScheduleError(
            f"`{term}` in the {field.name} field cannot be read (write `*`, `*/2`, `{field.low}`, "
            f"`{field.low}-{field.high}`, `{field.low}-{field.high}/2`, or several with commas)"
        )
    step = _step(field, parts["step"] or "")
    if parts["first"] == "*":
        return f"*{step}"
    first = field.number(parts["first"])
    last = field.number(parts["last"]) if parts["last"] else None
    if last is None:
        if parts["step"]:
            raise ScheduleError(
                f"`{term}` steps from a single {field.name} (write `{first}-{field.high}{step}`)"
            )
        return str(first)
    if last < first:
        hint = _wrapped(field, first, last)
        raise ScheduleError(f"`{term}` in the {field.name} field runs backwards (write {hint})")
    if last == first and parts["step"]:
        raise ScheduleError(
            f"`{term}` steps through a single {field.name} "
            f"(write `{first}`, or `{first}-{field.high}{step}`)"
        )
    return f"{first}-{last}{step}"


def _day_form(field: Field, found: re.Match[str]) -> str:
    """``L``, ``LW``, ``L-3`` or ``15W``."""
    term = found[0]
    if field is not FIELDS[DAY_OF_MONTH]:
        hint = "the last Friday of a month is `5L`" if term == "L" else "move it there"
        raise ScheduleError(f"`{term}` belongs to the day of the month field ({hint})")
    if found["back"]:
        if len(found["back"]) > 2 or not 1 <= int(found["back"]) <= 30:
            raise ScheduleError(
                f"`{term}` in the {field.name} field cannot be read (write `L` for the month's "
                "last day, or `L-1` to `L-30` for one before it)"
            )
        return f"L-{int(found['back'])}"
    return f"{field.number(found['near'])}W" if found["near"] else term


def _weekday_form(field: Field, found: re.Match[str]) -> str:
    """``5L`` or ``1#2``."""
    term, form = found[0], found["form"]
    if field is not FIELDS[WEEKDAY]:
        hint = "`L` is the month's last day" if form == "L" else "move it there"
        raise ScheduleError(f"`{term}` belongs to the weekday field ({hint})")
    weekday = field.number(found["weekday"]) % field.cycle
    if form == "L":
        return f"{weekday}L"
    if len(form) > 2 or not 1 <= int(form[1:]) <= NTH_MAX:
        raise ScheduleError(
            f"`{term}` in the weekday field cannot be read (write `{weekday}#1` to "
            f"`{weekday}#{NTH_MAX}`, or `{weekday}L` for the month's last)"
        )
    return f"{weekday}{form}"


def _hashed(field: Field, found: re.Match[str], name: str) -> str:
    """``H``, ``H(0-7)``, ``H/15`` or ``H(0-29)/10``, with Jenkins' meaning: one value of the
    field, or of the range; with a step, which of the first ones it starts from."""
    term = found[0]
    if not name:
        raise ScheduleError(f"`{term}` is made of an entry's name (and there is none here)")
    low = field.number(found["first"]) if found["first"] else field.low
    high = field.number(found["last"]) if found["last"] else field.hashed
    if high < low:
        raise ScheduleError(f"`{term}` in the {field.name} field runs backwards")
    count = high - low + 1
    if not found["step"]:
        return str(low + spread(count, name, field.name))
    size = found["step"].lstrip("0")
    if len(size) > 9 or not 2 <= int(size or 0) <= count:
        raise ScheduleError(
            f"`{term}` in the {field.name} field has no step from 2 to {count} "
            "(write `*` for each value, or `H` for one)"
        )
    step = int(size)
    values = range(low + spread(step, name, field.name), high + 1, step)
    # cronsim misreads `a-a/n`.
    return str(values[0]) if len(values) == 1 else f"{values[0]}-{values[-1]}/{step}"


def _step(field: Field, text: str) -> str:
    """A step such as ``/15`` without leading zeros; empty where there is none, or one of 1."""
    if not text:
        return ""
    digits = text[1:]
    if not digits.isdigit() or len(digits) > 9 or int(digits) == 0:
        raise ScheduleError(
            f"`{text}` is no step in the {field.name} field (a step is a number from 1 up)"
        )
    return f"/{int(digits)}" if int(digits) > 1 else ""


def _wrapped(field: Field, first: int, last: int) -> str:
    """How to write a range that runs over the end of its field."""
    if field is FIELDS[WEEKDAY] and last == 0:
        return f"`{first}-7`, since 7 is Sunday too"
    end = field.low + field.cycle - 1
    head = f"{first}-{end}" if first < end else f"{first}"
    tail = f"{field.low}-{last}" if last > field.low else f"{last}"
    return f"`{head},{tail}`"
