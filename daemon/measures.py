"""How often values came to how much, counted so cheaply that it can be done at every step of the
way of an event. What is counted is read by `daemon.metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Histogram:
    """Counts values by the first of ``bounds`` (ascending) that they do not pass. One thread at a
    time observes."""

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.total = 0.0
        """The sum of all values."""
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def cumulative(self) -> tuple[int, ...]:
        """How many values there were up to each bound, and at last of all."""
        return tuple(accumulate(self._counts))
