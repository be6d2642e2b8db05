"""When a cron entry fires: the rules of Debian cron, daylight saving included. Pure: every
question takes the instant it is asked about, and answers are instants in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from daemon.crontab import DAY_OF_MONTH, FIELDS, HASHED, HOUR, WEEKDAY, hashes, plain
from daemon.errors import ScheduleError
from daemon.explanation import explained
from daemon.matching import WHOLE_DAY, Fields, hours_named, times, walk
from daemon.schedule import TICK, Schedule
from daemon.seconds import every_time, first_time
from daemon.wallclock import DAY, Change, WallClock, standing_changes, wall_clock

YEAR_2000 = datetime(2000, 1, 1)  # noqa: DTZ001  a wall time has no zone

REMEMBERED = 2048
"""Answers that are kept for a while: entries of one schedule ask the same within moments."""


@dataclass(frozen=True, slots=True)
class CronSchedule(Schedule):
    """A cron expression on the wall clock of a zone; made by ``parse``.

    The fields are matched on naive wall time only. What becomes of a wall time that the
    clock skips or repeats is decided here, by the rule of Debian cron (cron(8), "Notes"): an entry
    with a fixed minute and hour fires once, at the first instant after a gap or the first time
    round; one with a wildcard in either follows the clock. A seconds field, which Debian cron does
    not have, counts like these two.
    """

    expression: str
    timezone: str
    _plain: str = field(repr=False)
    _clock: WallClock = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        return self.expression

    @property
    def words(self) -> str:
        return explained(self._plain)

    @property
    def identity(self) -> str:
        """Equal for schedules that differ in spelling only: a stored cursor holds for both."""
        return f"{self._plain} {self.timezone}"

    def next_after(self, instant: datetime) -> datetime | None:
        """The first instant strictly after ``instant``; None when it fires no more."""
        # Adding to a zone's own time moves its wall clock.
        return self._after(instant.astimezone(UTC))

    def last_before(self, instant: datetime) -> datetime | None:
        """The last instant strictly before ``instant``; None when there was none."""
        instant = instant.astimezone(UTC)
        try:
            return self._last_wildcard(instant) if self._wildcard else self._last_fixed(instant)
        except (OverflowError, StopIteration):
            return None

    def times_on(self, day: date) -> int:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if not self._wildcard and (
            self._clock.offset(midnight - DAY) != self._clock.offset(midnight + 2 * DAY)
        ):
            return WHOLE_DAY  # after a gap it fires at a time that it does not name
        return times(self._plain).on(day)

    def taken_up(self, cursor: datetime, offset: timedelta) -> datetime:
        """As where a clock is put forward or back: what has a fixed time fires once on its day,
        so it goes on from the wall time that it had come to; what follows the clock goes on."""
        return cursor if self._wildcard else cursor - (self._clock.offset(cursor) - offset)

    def seconds_between(self, start: datetime, end: datetime) -> int:
        rule = every_time if self._wildcard else first_time
        return rule(self._clock, times(self._plain).on, start, end)

    def warnings(self) -> tuple[str, ...]:
        """What is legal but easily means something else than its author thinks."""
        return (
            *_day_warnings(self._plain),
            *_step_warnings(self._plain),
            *_hash_warnings(self.expression),
            *_clock_warnings(self._plain, self._clock, wildcard=self._wildcard),
        )

    @lru_cache(maxsize=REMEMBERED)  # noqa: B019 - what it keeps alive is small
    def _after(self, instant: datetime) -> datetime | None:
        try:
            return self._next_wildcard(instant) if self._wildcard else self._next_fixed(instant)
        except (OverflowError, StopIteration):  # the year 9999; no match in 50 years
            return None

    @property
    def _wildcard(self) -> bool:
        """Whether second, minute or hour starts with ``*``; Debian cron counts ``*/5`` too."""
        return any(part.startswith("*") for part in self._plain.split()[:DAY_OF_MONTH])

    def _match_after(self, wall: datetime) -> Iterator[datetime]:
        return walk(self._plain, wall.replace(fold=0))

    def _match_before(self, wall: datetime) -> Iterator[datetime]:
        return walk(self._plain, wall.replace(fold=0), reverse=True)

    def _next_fixed(self, instant: datetime) -> datetime:
        # A wall time that is not ahead of the clock has had its first time; those ahead may have
        # had it too, when the clock was put back since.
        walls = self._match_after(self._clock.read(instant))
        return next(first for first in map(self._clock.first, walls) if first > instant)

    def _last_fixed(self, instant: datetime) -> datetime:
        wall = self._clock.read(instant - TICK)
        furthest = wall + self._clock.set_back(wall)  # what the clock showed before it was put back
        walls = self._match_before(furthest + TICK)
        return next(first for first in map(self._clock.first, walls) if first < instant)

    def _next_wildcard(self, instant: datetime) -> datetime:
        start = instant + TICK
        while True:
            offset = self._clock.offset(start)
            wall = (start + offset).replace(tzinfo=None)
            match = next(self._match_after(wall - TICK))
            # Right as long as the clock is not changed on the way. That is looked at a day at a
            # time; the clock cannot reach the match before the last of these days.
            found = match.replace(tzinfo=UTC) - offset
            edge = min(found, start + DAY)
            if self._clock.offset(edge) != offset:
                start = self._clock.change(start, edge)
            elif edge == found:
                return found
            else:
                start = max(edge, found - 2 * DAY)

    def _last_wildcard(self, instant: datetime) -> datetime:
        end = instant
        while True:
            offset = self._clock.offset(end - TICK)
            wall = (end + offset).replace(tzinfo=None)
            match = next(self._match_before(wall))
            found = match.replace(tzinfo=UTC) - offset
            edge = max(found, end - DAY)
            if self._clock.offset(edge) != offset:
                end = self._clock.change(edge, end - TICK)
            elif edge == found:
                return found
            else:
                end = min(edge, found + 2 * DAY)


def parse(expression: str, timezone: str = "UTC", name: str = "") -> CronSchedule:
    """Reads a crontab expression of 5 fields, or 6 with seconds first, or a macro; ``timezone`` is
    an IANA name. ``name`` is the entry's, of which ``H`` is made.

    Raises ``ScheduleError``, its hint included, for what cannot be read or would never fire.
    """
    fields = plain(expression, name)
    clock = wall_clock(timezone)
    day, weekday = (fields.split()[index] for index in (DAY_OF_MONTH, WEEKDAY))
    if day != "*" and Fields(fields).dateless:
        hint = "no month that it names has such a day"
        raise ScheduleError(f"`{expression}` never fires ({hint})")
    # The days of the week move through the months within 40 years, the turn of a century included.
    excluding = (day != "*" and weekday != "*") or any(form in fields for form in ("W", "L", "#"))
    if excluding and next(walk(fields, YEAR_2000), None) is None:
        raise ScheduleError(f"`{expression}` never fires (no day is all that it names)")
    return CronSchedule(expression, timezone, fields, clock)


def _day_warnings(fields: str) -> Iterator[str]:
    days = [fields.split()[index] for index in (DAY_OF_MONTH, WEEKDAY)]
    if "*" in days:
        return
    if any(day.startswith("*") for day in days):
        yield "both day fields are set and one starts with `*`: it fires on days that match both"
    else:
        yield "both day fields are set: it fires on days that match either of them"


def _step_warnings(fields: str) -> Iterator[str]:
    texts = fields.split()
    for kind, text in zip(FIELDS[-len(texts) :], texts, strict=True):
        for term in text.split(","):
            step = int(term[2:]) if term.startswith("*/") else 1
            if kind.cycle % step:
                last = kind.low + (kind.cycle - 1) // step * step
                yield (
                    f"`{term}` in the {kind.name} field is uneven: "
                    f"after {last} comes {kind.low} again"
                )


def _hash_warnings(expression: str) -> Iterator[str]:
    if not hashes(expression):
        return
    words = expression.upper().split()
    for kind, word in zip(FIELDS[-len(words) :], words, strict=True):
        for found in filter(None, map(HASHED.fullmatch, word.split(","))):
            if not found["step"] or found["first"]:
                continue
            if kind is FIELDS[DAY_OF_MONTH]:
                yield f"`{found[0]}` takes days from 1 to 28: the last gap of a month is longer"
            elif kind.cycle % int(found["step"]):
                yield (
                    f"`{found[0]}` in the {kind.name} field is uneven: "
                    f"{kind.cycle} is no multiple of {int(found['step'])}"
                )


def _clock_warnings(fields: str, clock: WallClock, *, wildcard: bool) -> Iterator[str]:
    """One for each kind of change (02:00 to 03:00, forward) that a named hour falls into."""
    hour = fields.split()[HOUR]
    if hour.startswith("*"):
        return  # it names no hour, and nobody is surprised that it follows the clock
    hours = hours_named(hour)
    for recurring in standing_changes(clock):
        if recurring.hours.isdisjoint(hours):
            continue  # spares the look at each year, for most entries
        walls = (_match_within(fields, change) for change in recurring.changes)
        wall = next(filter(None, walls), None)
        if wall is not None:
            first = recurring.changes[0]
            start, end = f"{first.start:%H:%M}", f"{first.end:%H:%M}"
            if first.gap:
                change_text = f"skipped when the clock goes from {start} to {end}"
                effect = "does not fire then" if wildcard else f"fires at {end} on that day"
            else:
                change_text = f"repeated when the clock goes back from {end} to {start}"
                effect = "fires both times" if wildcard else "fires the first time only"
            shown = f"{wall:%H:%M:%S}" if wall.second else f"{wall:%H:%M}"
            yield f"{shown} is {change_text} in {clock.zone.key}: it {effect}"


def _match_within(fields: str, change: Change) -> datetime | None:
    """The first wall time within a gap or an overlap that matches."""
    wall = next(walk(fields, change.start - TICK), None)
    return wall if wall is not None and wall < change.end else None
