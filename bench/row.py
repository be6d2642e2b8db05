"""One line of the result: a figure, how far it spread over the rounds, and the goal it is held
to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that the figure has to keep: from above where ``at_most``, else from below."""

    bound: float
    at_most: bool

    def met_by(self, figure: float) -> bool:
        return figure <= self.bound if self.at_most else figure >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {number(self.bound)}"


def at_least(bound: float) -> Goal:
    return Goal(bound, at_most=False)


def at_most(bound: float) -> Goal:
    return Goal(bound, at_most=True)


@dataclass(frozen=True, slots=True)
class Row:
    """``figure`` is the median of the rounds, ``least`` and ``most`` are their extremes, all in
    ``unit`` (empty for a ratio). ``beside`` holds what else was seen, in words, by name: the two
    sides of a ratio, for one."""

    name: str
    what: str
    figure: float
    least: float
    most: float
    unit: str = ""
    goal: Goal | None = None
    beside: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        what: str,
        figures: Sequence[float],
        *,
        unit: str = "",
        goal: Goal | None = None,
        beside: Mapping[str, str] | None = None,
    ) -> Self:
        """The row of one figure a round."""
        least, most = min(figures), max(figures)
        return cls(name, what, median(figures), least, most, unit, goal, beside or {})

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        return None if self.goal is None else self.goal.met_by(self.figure)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "what": self.what,
            "figure": self.figure,
            "least": self.least,
            "most": self.most,
            "unit": self.unit,
            "goal": None if self.goal is None else str(self.goal),
            "met": self.met,
            "beside": dict(self.beside),
        }


def number(value: float) -> str:
    """Three digits that mean something, and no exponent."""
    if 0 < abs(value) < 1:
        return f"{value:.3f}"
    if 1 <= abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:,.1f}" if 10 <= abs(value) < 100 else f"{value:,.0f}"
