"""Two sides measured in turns, so that whatever else the machine does meets both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.plan import Plan, say


@dataclass(frozen=True, slots=True)
class Turns:
    """A figure of either side for each round, larger being better."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs."""
        return [one / other for one, other in zip(self.ours, self.theirs, strict=True)]

    def beside(self, ours: str, theirs: str, unit: str = "/s") -> dict[str, str]:
        """The two medians, by name."""
        sides = {ours: self.ours, theirs: self.theirs}
        return {name: f"{median(side):,.0f}{unit}" for name, side in sides.items()}


def in_turns(
    plan: Plan, name: str, ours: Callable[[], float], theirs: Callable[[], float]
) -> Turns:
    """Measures A B A B …, a pair each round."""
    mine: list[float] = []
    other: list[float] = []
    for number in range(1, plan.rounds + 1):
        other.append(theirs())
        mine.append(ours())
        say(
            f"{name}: round {number} of {plan.rounds}: {mine[-1]:,.0f} to {other[-1]:,.0f} a"
            f" second, {mine[-1] / other[-1]:.3f}"
        )
    return Turns(tuple(mine), tuple(other))
