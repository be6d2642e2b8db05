"""How a step of the wall clock is told from time that passes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from daemon.clockwatch import ClockWatch, Step

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Clocks:
    """Two clocks that stand still until they are moved."""

    def __init__(self) -> None:
        self.wall = START
        self.elapsed = 1000.0
        self.watch = ClockWatch(lambda: self.wall, lambda: self.elapsed)

    def pass_by(self, time: timedelta) -> None:
        self.wall += time
        self.elapsed += time.total_seconds()
        self.watch.now()

    def set_clock(self, by: timedelta) -> None:
        self.wall += by
        self.watch.now()


def test_time_that_passes_is_no_step() -> None:
    """However much passed between two looks: the machine may have been suspended."""
    clocks = Clocks()
    for time in (SECOND, 5 * SECOND, 100 * HOUR):
        clocks.pass_by(time)
    assert clocks.watch.now() == START + 100 * HOUR + 6 * SECOND
    assert clocks.watch.step is None
    assert not clocks.watch.set_by


@pytest.mark.parametrize("by", [HOUR, -HOUR, 1.5 * SECOND])
def test_a_step_is_told_until_it_was_followed(by: timedelta) -> None:
    clocks = Clocks()
    clocks.pass_by(5 * SECOND)
    clocks.elapsed += 3
    clocks.set_clock(by + 3 * SECOND)
    step = clocks.watch.step
    assert step == Step(by, within=3 * SECOND)
    clocks.pass_by(2 * SECOND)
    assert clocks.watch.step == Step(by, within=5 * SECOND)
    clocks.watch.followed(step)
    assert clocks.watch.step is None
    assert clocks.watch.set_by == by


def test_what_is_less_than_a_second_is_no_step() -> None:
    clocks = Clocks()
    for _ in range(5):
        clocks.set_clock(0.9 * SECOND)
    assert clocks.watch.step is None


def test_steps_that_were_not_followed_yet_are_one() -> None:
    clocks = Clocks()
    clocks.set_clock(HOUR)
    clocks.pass_by(SECOND)
    first = clocks.watch.step
    clocks.set_clock(-3 * HOUR)
    assert first == Step(HOUR, within=SECOND)
    assert clocks.watch.step == Step(-2 * HOUR, within=SECOND)
    clocks.watch.followed(first)
    assert clocks.watch.step == Step(-3 * HOUR, within=SECOND)


def test_a_stop_between_the_readings_of_the_two_clocks_is_no_step() -> None:
    """They are read again, until they were read at one moment."""
    wall = START

    def elapsed() -> Iterator[float]:
        nonlocal wall
        yield from (0.0, 0.0)  # at the beginning
        yield 1.0
        wall += 120 * SECOND
        yield 121.0
        while True:
            yield 121.0

    readings = elapsed()
    watch = ClockWatch(lambda: wall, lambda: next(readings))
    wall += SECOND
    assert watch.now() == START + 121 * SECOND
    assert watch.step is None
