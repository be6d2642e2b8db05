"""Whether the wall clock was set, as a clock tells that nobody sets. A step is no time that passed:
what waits for a wall time has to move with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

TOLERANCE = timedelta(seconds=1)
"""What is less is no step: both clocks are slewed alike, but not read at the same moment."""

APART = 0.1
"""Seconds between two readings that count as the same moment."""


@dataclass(frozen=True, slots=True)
class Step:
    """The wall clock was set on ``by`` (back, where that is negative), some time in the last
    ``within``."""

    by: timedelta
    within: timedelta


class ClockWatch:
    """Gives the time and notes the steps of it, which its owner then follows.

    ``clock`` gives the wall time, and ``elapsed`` the seconds since some moment: they go on while
    the machine is suspended, or that would look like a step.
    """

    def __init__(self, clock: Callable[[], datetime], elapsed: Callable[[], float]) -> None:
        self._clock = clock
        self._elapsed = elapsed
        self._now, self._at = self._read()
        self._followed = timedelta()
        self._followed_at = self._at
        self.set_by = timedelta()
        """By how much the clock was set in all since the watch began."""

    def now(self) -> datetime:
        """The wall time, looked at anew."""
        now, at = self._read()
        by = now - self._now - timedelta(seconds=at - self._at)
        if abs(by) > TOLERANCE:
            self.set_by += by
        elif self.set_by == self._followed:
            self._followed_at = at
        self._now, self._at = now, at
        return now

    @property
    def step(self) -> Step | None:
        """What is still to be followed, several steps as one; None where there is nothing."""
        if self.set_by == self._followed:
            return None
        within = timedelta(seconds=self._at - self._followed_at)
        return Step(self.set_by - self._followed, within)

    def followed(self, step: Step) -> None:
        """That ``step`` was followed."""
        self._followed += step.by

    def _read(self) -> tuple[datetime, float]:
        while True:
            before, now, after = self._elapsed(), self._clock(), self._elapsed()
            if after - before < APART:  # else the process was stopped in between
                return now, after
