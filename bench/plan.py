"""How a measurement is to be made: how often, how long, where, and how it tells how far it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from bench.load import Generator


@dataclass(frozen=True, slots=True)
class Plan:
    """``rounds`` is how often each figure is taken. ``quick`` asks for tiny numbers, which show
    that a row works and nothing else. ``place`` is a directory on a real disk."""

    place: Path
    rounds: int
    quick: bool
    generator: Generator

    def sized(self, full: float, quick: float) -> float:
        """A number of seconds, as large as the plan wants it."""
        return quick if self.quick else full

    def count(self, full: int, quick: int) -> int:
        """A number of things, likewise."""
        return quick if self.quick else full

    def directory(self, name: str) -> Path:
        """A new, empty directory."""
        return Path(mkdtemp(prefix=f"{name}-", dir=self.place))

    def each_round(self, name: str, figure: Callable[[], float], unit: str) -> list[float]:
        """One figure a round."""
        figures = []
        for number in range(1, self.rounds + 1):
            figures.append(figure())
            say(f"{name}: round {number} of {self.rounds}: {figures[-1]:,.3f} {unit}")
        return figures


def say(text: str) -> None:
    """Progress: for a person who waits, not for the result."""
    print(text, file=sys.stderr, flush=True)
