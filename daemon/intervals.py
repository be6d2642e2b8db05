"""Schedules without an expression: `every` so often, counted from the epoch, and `at` one instant.
Both are counted in UTC, so that no change of a clock on the wall concerns them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from daemon.explanation import amount, every
from daemon.matching import DAY_SECONDS, WHOLE_DAY
from daemon.schedule import TICK, Schedule
from daemon.wallclock import DAY, SECOND, wall_clock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = (("d", DAY), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)), ("s", SECOND))


@dataclass(frozen=True, slots=True)
class Interval(Schedule):
    """``every`` so often: at the epoch (1970-01-01T00:00:00Z) plus ``offset``, and a whole number
    of intervals before and after it. Restarts, reloads and replicas thereby agree.

    Both are whole seconds. Every question takes the same time, however long ago the cursor was.
    """

    every: timedelta
    offset: timedelta = timedelta()
    timezone: str = "UTC"

    @property
    def text(self) -> str:
        shift = self.offset % self.every
        return f"every {_span(self.every)}" + (f" offset {_span(shift)}" if shift else "")

    @property
    def words(self) -> str:
        shift = self.offset % self.every // SECOND
        plus = f" plus {amount(shift)}" if shift else ""
        return f"{every(self.every // SECOND)}, counted in UTC from {_shown(EPOCH)}{plus}"

    @property
    def identity(self) -> str:
        """The zone is no part of it: it moves no instant."""
        return self.text

    def next_after(self, instant: datetime) -> datetime | None:
        first = EPOCH + self.offset % self.every
        try:
            return first + ((instant.astimezone(UTC) - first) // self.every + 1) * self.every
        except OverflowError:
            return None

    def last_before(self, instant: datetime) -> datetime | None:
        first = EPOCH + self.offset % self.every
        try:
            return first + ((instant.astimezone(UTC) - first - TICK) // self.every) * self.every
        except OverflowError:
            return None

    def count(self, first: datetime, last: datetime) -> int:
        since = EPOCH + self.offset
        before, to = ((at.astimezone(UTC) - since) // self.every for at in (first - TICK, last))
        return max(to - before, 0)

    def times_on(self, day: date) -> int:
        """Around a change of the clock, those of both offsets."""
        clock = wall_clock(self.timezone)
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        period = self.every // SECOND
        comb = _comb(period, DAY_SECONDS)
        found = 0
        for offset in {clock.offset(midnight - DAY), clock.offset(midnight + 2 * DAY)}:
            # The first wall second of the day, in UTC, that is a whole number of periods.
            shift = (self.offset + offset - (midnight - EPOCH)) % self.every // SECOND
            if shift < DAY_SECONDS:
                found |= comb << shift
        return found & WHOLE_DAY

    def seconds_between(self, start: datetime, end: datetime) -> int:
        ahead = (self.offset - (start - EPOCH)) % self.every // SECOND
        length = (end - start) // SECOND
        return _comb(self.every // SECOND, length) << ahead & ((1 << length) - 1)


@dataclass(frozen=True, slots=True)
class OneTime(Schedule):
    """``at`` one instant, once."""

    instant: datetime
    timezone: str = "UTC"

    @property
    def text(self) -> str:
        return f"at {_shown(self.instant)}"

    @property
    def words(self) -> str:
        return f"once, at {_shown(self.instant)}"

    @property
    def identity(self) -> str:
        return self.text

    def next_after(self, instant: datetime) -> datetime | None:
        return self.instant.astimezone(UTC) if self.instant > instant else None

    def last_before(self, instant: datetime) -> datetime | None:
        return self.instant.astimezone(UTC) if self.instant < instant else None

    def times_on(self, day: date) -> int:
        return WHOLE_DAY


def _shown(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _comb(period: int, length: int) -> int:
    """The second 0 and every ``period``-th after it, of ``length`` seconds at least."""
    comb = 1
    width = period
    while width < length:  # doubled rather than counted out: a day has 86,400 seconds
        comb |= comb << width
        width *= 2
    return comb


def _span(span: timedelta) -> str:
    """In the largest unit that it is a whole number of: ``90s``, ``15m``."""
    unit, size = next((unit, size) for unit, size in UNITS if not span % size)
    return f"{span // size}{unit}"
