"""A schedule within bounds, and without what its entry leaves out: `start_at`, `end_at` and
`exclude`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from daemon.exclusion import ONE_DAY, Exclusion
from daemon.intervals import OneTime
from daemon.schedule import TICK, Schedule
from daemon.seconds import every_time
from daemon.wallclock import DAY, SECOND, WallClock, wall_clock

DAYS_LOOKED_AT = 50 * 366
"""How many days with nothing left of them are passed over, before a schedule is held to fire no
more. All that can come at all comes within 40 years: a weekday on a 29th of February."""

NOTHING = Exclusion((), ())

BETWEEN = "; "
"""What stands between the parts of an identity."""

HALF_DAY = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Bounded(Schedule):
    """``inner``, never before ``start_at`` nor after ``end_at`` (both of them included), and not
    when the clock on the wall shows what is ``excluded``.

    That is judged by the clock at the very instant: a time that is skipped, and therefore fires
    after the gap, is left out by what names the time after the gap.
    """

    inner: Schedule
    start_at: datetime | None = None
    end_at: datetime | None = None
    excluded: Exclusion = NOTHING
    timezone: str = field(init=False)
    _clock: WallClock = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "timezone", self.inner.timezone)
        object.__setattr__(self, "_clock", wall_clock(self.inner.timezone))

    @property
    def text(self) -> str:
        return self.inner.text

    @property
    def words(self) -> str:
        """As that of ``inner``: what bounds it and what is left out is said apart from it."""
        return self.inner.words

    @property
    def identity(self) -> str:
        parts = [self.inner.identity]
        if self.start_at is not None:
            parts.append(f"from {self.start_at.astimezone(UTC).isoformat()}")
        if self.end_at is not None:
            parts.append(f"until {self.end_at.astimezone(UTC).isoformat()}")
        if left_out := str(self.excluded):
            parts.append(f"without {left_out} in {self.timezone}")
        return BETWEEN.join(parts)

    def warnings(self) -> tuple[str, ...]:
        return self.inner.warnings()

    def times_on(self, day: date) -> int:
        return self.inner.times_on(day) & ~self.excluded.on(day)

    def taken_up(self, cursor: datetime, offset: timedelta) -> datetime:
        return self.inner.taken_up(cursor, offset)

    def seconds_between(self, start: datetime, end: datetime) -> int:
        if isinstance(self.inner, OneTime):  # the only one that fires within a second
            return Schedule.seconds_between(self, start, end)
        found = self.inner.seconds_between(start, end)
        if self.excluded.dates or self.excluded.named:
            found &= ~every_time(self._clock, self.excluded.on, start, end)
        if self.start_at is not None and self.start_at > start:
            before = -((start - self.start_at) // SECOND)
            found = found >> before << before
        if self.end_at is not None and self.end_at < end:
            found &= (1 << max((self.end_at - start) // SECOND + 1, 0)) - 1
        return found

    def next_after(self, instant: datetime) -> datetime | None:
        if self.start_at is not None and instant < self.start_at:
            instant = self.start_at.astimezone(UTC) - TICK
        budget = _Budget()
        try:
            found = self.inner.next_after(instant)
            while found is not None and (self.end_at is None or found <= self.end_at):
                if not self._leaves_out(found):
                    return found
                resumed = self._resume_after(found, budget)
                found = None if resumed is None else self.inner.next_after(resumed)
        except OverflowError:  # the calendar ends
            pass
        return None

    def last_before(self, instant: datetime) -> datetime | None:
        if self.end_at is not None and instant > self.end_at:
            instant = self.end_at.astimezone(UTC) + TICK
        budget = _Budget()
        try:
            found = self.inner.last_before(instant)
            while found is not None and (self.start_at is None or found >= self.start_at):
                if not self._leaves_out(found):
                    return found
                resumed = self._resume_before(found, budget)
                found = None if resumed is None else self.inner.last_before(resumed)
        except OverflowError:
            pass
        return None

    def _leaves_out(self, instant: datetime) -> bool:
        wall = self._clock.read(instant)
        return bool(self.excluded.on(wall.date()) >> _second(wall) & 1)

    def _resume_after(self, found: datetime, budget: _Budget) -> datetime | None:
        """An instant from ``found`` on (which is left out) up to which nothing fires; None where
        nothing does any more."""
        found = found.replace(microsecond=0)
        wall = self._clock.read(found).replace(fold=0)
        midnight = datetime.combine(wall.date(), time())
        later = self.times_on(wall.date()) >> _second(wall) + 1
        if later:
            seconds = _second(wall) + 1 + (later & -later).bit_length() - 1
            target = midnight + seconds * SECOND
        else:
            target = midnight + DAY
        ahead = found + (target - wall)  # where the clock is not changed on the way
        if self._clock.offset(ahead + DAY) != self._clock.offset(found):
            # What it shows after the change may be what it showed before, or what it skips.
            return min(ahead, self._clock.change(found, ahead + DAY)) - TICK
        if not later:
            day = wall.date()
            while True:
                day = self.excluded.after(day + ONE_DAY)
                if self.times_on(day):
                    # The clock may show it for the second time only after `found`.
                    return max(ahead, self._clock.first(datetime.combine(day, time()))) - TICK
                if not budget.take():
                    return None
        return ahead - TICK

    def _resume_before(self, found: datetime, budget: _Budget) -> datetime | None:
        """An instant up to ``found``, from which on nothing fires until then; likewise."""
        found = found.replace(microsecond=0)
        wall = self._clock.read(found).replace(fold=0)
        midnight = datetime.combine(wall.date(), time())
        earlier = self.times_on(wall.date()) & ((1 << _second(wall)) - 1)
        # What fires in the second that is left may do so in any part of it.
        target = midnight + earlier.bit_length() * SECOND
        behind = found - (wall - target)
        if self._clock.offset(behind - DAY) != self._clock.offset(found):
            return max(behind, self._clock.change(behind - DAY, found))
        if earlier:
            return behind
        day = wall.date()
        while True:
            day = self.excluded.before(day - ONE_DAY)
            if self.times_on(day):
                break
            if not budget.take():
                return None
        after = self._clock.first(datetime.combine(day + ONE_DAY, time()))
        if self._clock.offset(after + HALF_DAY) != self._clock.offset(after):
            after += HALF_DAY  # the clock may be put back into the day before
        return min(after, found)


class _Budget:
    """The days that one question may still pass over."""

    def __init__(self) -> None:
        self._left = DAYS_LOOKED_AT

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0


def _second(wall: datetime) -> int:
    return wall.hour * 3600 + wall.minute * 60 + wall.second
