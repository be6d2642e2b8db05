"""Upper bounds of amounts, and of the size of values, while it is not yet known which item a loop
is at: a bound within a loop is in terms of its item, and is summed over all items at its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """An amount that differs from one round of a loop to the next, and is at most ``peak``."""

    peak: float


_NONE: Mapping[Unknown, float] = {}


class Bound:
    """At most ``constant``, and of each unknown amount that many times more. Nothing is negative,
    so that of a product of two unknowns one may be taken at its peak."""

    # A plain class: hundreds are made to reckon one expression, most of them constants.
    __slots__ = ("constant", "times")

    def __init__(self, constant: float, times: Mapping[Unknown, float] = _NONE) -> None:
        self.constant = constant
        self.times = times

    @property
    def peak(self) -> float:
        """The most that it can be in any round."""
        if not self.times:
            return self.constant
        return self.constant + sum(many * each.peak for each, many in self.times.items())

    def __add__(self, other: Bound) -> Bound:
        constant = self.constant + other.constant
        if not (self.times and other.times):
            return Bound(constant, self.times or other.times)
        times = dict(self.times)
        for unknown, many in other.times.items():
            times[unknown] = times.get(unknown, 0.0) + many
        return Bound(constant, times)

    def __mul__(self, other: Bound | float) -> Bound:
        if not isinstance(other, Bound):
            if not self.times:
                return Bound(self.constant * other)
            times = {unknown: many * other for unknown, many in self.times.items()}
            return Bound(self.constant * other, times)
        # (a + Σ bx) · (c + Σ dy) ≤ a · (c + Σ dy) + Σ bx · (the peak of c + Σ dy)
        return other * self.constant + Bound(0.0, self.times) * other.peak

    def or_more(self, other: Bound) -> Bound:
        """At most the larger of the two."""
        constant = max(self.constant, other.constant)
        if not (self.times and other.times):
            return Bound(constant, self.times or other.times)
        times = dict(self.times)
        for unknown, many in other.times.items():
            times[unknown] = max(times.get(unknown, 0.0), many)
        return Bound(constant, times)

    def over(self, rounds: Bound, totals: Mapping[Unknown, Bound]) -> Bound:
        """The sum over all rounds of a loop whose own unknowns have these totals."""
        rest = {unknown: many for unknown, many in self.times.items() if unknown not in totals}
        total = Bound(self.constant, rest) * rounds
        for unknown, many in self.times.items():
            if unknown in totals:
                total += totals[unknown] * many
        return total


NOTHING = Bound(0.0)


class Kind(Enum):
    """What a value is, as far as it matters to what is done with it."""

    SCALAR = auto()
    LIST = auto()
    MAP = auto()
    ANY = auto()


@dataclass(frozen=True, slots=True)
class Extent:
    """At most how large a value is: ``nodes`` of it (itself, and every key, value and item within),
    bytes of ``text`` in all of them, and ``items`` (or keys) right within it. No item has more than
    ``widest`` nodes and bytes of text."""

    kind: Kind
    nodes: Bound
    text: Bound
    items: Bound
    widest: tuple[float, float]

    @property
    def item(self) -> Extent:
        """Any one of its items."""
        if self.nodes.times:  # what is known of it in all serves a sum better than its peak
            return some(self.nodes, self.text)
        nodes, text = self.widest
        return some(Bound(nodes), Bound(text))

    def __add__(self, other: Extent) -> Extent:
        return Extent(
            self.kind if self.kind is other.kind else Kind.ANY,
            self.nodes + other.nodes,
            self.text + other.text,
            self.items + other.items,
            _wider(self.widest, other.widest),
        )

    def or_more(self, other: Extent) -> Extent:
        """At most as large as the larger of the two, in every respect."""
        return Extent(
            self.kind if self.kind is other.kind else Kind.ANY,
            self.nodes.or_more(other.nodes),
            self.text.or_more(other.text),
            self.items.or_more(other.items),
            _wider(self.widest, other.widest),
        )


def some(nodes: Bound, text: Bound) -> Extent:
    """A value of which no more is known than its size in all."""
    return Extent(Kind.ANY, nodes, text, nodes, (nodes.peak, text.peak))


def scalar(text: Bound = NOTHING) -> Extent:
    """A value without items: a number, or that much text."""
    return Extent(Kind.SCALAR, Bound(1), text, NOTHING, (0, 0))


def made(kind: Kind, parts: Sequence[Extent], items: int) -> Extent:
    """A list or a map with so many items, of these parts."""
    return Extent(
        kind,
        sum((part.nodes for part in parts), Bound(1)),
        sum((part.text for part in parts), NOTHING),
        Bound(items),
        (
            max((part.nodes.peak for part in parts), default=0),
            max((part.text.peak for part in parts), default=0),
        ),
    )


def measured(value: Any) -> Extent:
    """The extent of a value that is there."""
    match value:
        case list():
            kind, parts = Kind.LIST, value
        case dict():
            kind, parts = Kind.MAP, [*value, *value.values()]
        case _:
            return scalar(Bound(size(value).text))
    texts = [_bytes_of(part) for part in parts if type(part) is str]
    sizes = [size(part) for part in parts if type(part) is dict or type(part) is list]
    nodes = 1 + len(parts) - len(sizes) + sum(each.nodes for each in sizes)
    text = sum(texts) + sum(each.text for each in sizes)
    widest = (
        max((each.nodes for each in sizes), default=1),
        max(max(texts, default=0), max((each.text for each in sizes), default=0)),
    )
    return Extent(kind, Bound(nodes), Bound(text), Bound(len(value)), widest)


class Size(NamedTuple):
    """How large a value is that is there; ``depth`` counts the levels of lists and maps."""

    nodes: int
    text: int
    depth: int

    @property
    def length(self) -> int:
        """The bytes of JSON, about."""
        return 2 * self.nodes + self.text


def size(value: Any) -> Size:
    """The size of a value that is there."""
    if type(value) is str:
        return Size(1, _bytes_of(value), 0)
    nodes, text, depth = 0, 0, -1
    level = [value]
    while level:
        nodes += len(level)
        depth += 1
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                text += _bytes_of(item)
            elif kind is dict:
                below += item
                below += item.values()
            elif kind is list:
                below += item
            elif kind is bytearray:
                text += len(item)
        level = below
    return Size(nodes, text, depth)


def _bytes_of(text: str) -> int:
    """UTF-8 takes up to four bytes a character."""
    return len(text) if text.isascii() else 4 * len(text)


def _wider(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return max(one[0], other[0]), max(one[1], other[1])
