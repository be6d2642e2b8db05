"""How much work an evaluation can be at most, reckoned from the sizes of what it is about to look
at. The engine cannot be interrupted, so what would take too long must not be begun.

What each function costs, and how large its value can be, is in ``rules``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from daemon.expressions.bounds import (
    NOTHING,
    Bound,
    Extent,
    Kind,
    Unknown,
    made,
    measured,
    scalar,
    size,
    some,
)
from daemon.expressions.rules import ITEM_MADE, LINEAR, rule
from daemon.expressions.syntax import (
    Call,
    Constant,
    ListOf,
    Loop,
    MapOf,
    Name,
    Node,
    Path,
    Select,
    children,
    path_of,
)

MOST = 300e6
"""The most work of one evaluation. A unit is about a nanosecond, and of memory at most a byte, so
this is 0.3 s and 300 MB at the very worst; most evaluations come nowhere near their bound."""

ROUNDS_MAX = 10_000
"""The engine ends an evaluation at so many rounds of all its loops together."""

STEP = 50  # whatever it does
TAKEN_NODE, TAKEN_BYTE = 110, 2  # a value of ours becomes one of the engine's …
GIVEN_NODE, GIVEN_BYTE = 250, 3  # … and the result one of ours, as JSON

_LINEAR_UP_TO = 256 * 1024
_LINEAR_STEPS_MAX = 40
_LENGTHS = tuple(kib << 10 for kib in (2, 8, 32, 128, 512, 2048, 8192))

Inputs: TypeAlias = Callable[[Path], Extent]


def work(root: Node, values: Mapping[str, Any]) -> float:
    """At most so much work is the expression with this tree, where ``values`` is what it reaches.
    The unit is that of ``MOST``."""
    nodes, text, _ = size(list(values.values()))
    taken = nodes * TAKEN_NODE + text * TAKEN_BYTE
    any_value = some(Bound(nodes), Bound(text))
    bound = taken + _Reckoning(lambda _: any_value).of(root)
    if bound <= MOST or taken > MOST:
        return bound
    known: dict[Path, Extent] = {}

    def extent(path: Path) -> Extent:
        if path not in known:
            known[path] = measured(_at(values, path))
        return known[path]

    return taken + _Reckoning(extent).of(root)


def always_done_up_to(root: Node) -> int:
    """The bytes of JSON up to which any input is less work than ``MOST``, whatever is in it, so
    that nothing need be reckoned; rounded down."""
    if _is_linear(root):
        return _LINEAR_UP_TO
    most = bisect_right(_LENGTHS, MOST, key=lambda length: _at_worst(root, length))
    return _LENGTHS[most - 1] if most else 0


def _at_worst(root: Node, length: int) -> float:
    """The work where all that is looked at is as large as JSON of that many bytes can be."""
    # `[0,0,…]` has a node every two bytes; text may be twice as long in UTF-8 as it came.
    nodes, text = length / 2 + 2, 2 * length
    any_value = some(Bound(nodes), Bound(text))
    return nodes * TAKEN_NODE + text * TAKEN_BYTE + _Reckoning(lambda _: any_value).of(root)


def _is_linear(root: Node) -> bool:
    """Whether it is a few steps, none of which is more than linear in its input."""
    steps = [root]
    for node in steps:
        if isinstance(node, Loop) or (isinstance(node, Call) and node.function not in LINEAR):
            return False
        steps.extend(children(node))
    return len(steps) <= _LINEAR_STEPS_MAX


def _at(values: Mapping[str, Any], path: Path) -> Any:
    found: Any = values
    for step in path:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and isinstance(step, int) and 0 <= step < len(found):
            found = found[step]
        else:
            return None
    return found


class _Reckoning:
    """Goes through a tree once, and adds up."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._extents: Mapping[str, Extent] = {}  # of the names that loops gave
        self._paths: Mapping[str, Path | None] = {}
        self._own = NOTHING  # in one round of the loop that it is in …
        self._inner = NOTHING  # … and in all rounds of the loops within
        self._round = 0.0  # the most that any one round of any loop is by itself

    def of(self, root: Node) -> float:
        result = self._extent(root)
        self._spend(result.nodes * GIVEN_NODE + result.text * GIVEN_BYTE)
        return self._own.peak + min(self._inner.peak, ROUNDS_MAX * self._round)

    def _spend(self, bound: Bound) -> None:
        self._own += bound

    def _extent(self, node: Node) -> Extent:
        """How large the node's value can be; what it takes to get there is spent."""
        self._spend(Bound(STEP))
        path = path_of(node, self._paths)
        if path is not None:
            return self._inputs(path)
        match node:
            case Name():
                return self._extents[node.name]
            case Constant():
                return measured(node.value)
            case Select():
                of = self._extent(node.of)
                return scalar() if node.test else of.item
            case ListOf():
                return self._made(Kind.LIST, node.elements, len(node.elements))
            case MapOf():
                return self._made(Kind.MAP, children(node), len(node.entries))
            case Call():
                extent, cost = rule(node)(node, [self._extent(each) for each in node.arguments])
                self._spend(cost)
                return extent
        return self._bound_name(node) if node.binds else self._loop(node)

    def _made(self, kind: Kind, parts: Sequence[Node], items: int) -> Extent:
        self._spend(Bound(ITEM_MADE * items))
        return made(kind, [self._extent(part) for part in parts], items)

    def _bound_name(self, loop: Loop) -> Extent:
        path = path_of(loop.start, self._paths)
        return self._within(
            {loop.so_far: self._extent(loop.start)}, {loop.so_far: path}, loop.result
        )

    def _loop(self, loop: Loop) -> Extent:
        """The loop's work is that of one round, summed over all of them."""
        over, start = self._extent(loop.range), self._extent(loop.start)
        nodes, text = (Unknown(peak) for peak in over.widest)
        totals = {nodes: over.nodes, text: over.text}
        names = {
            loop.item: some(Bound(0, {nodes: 1}), Bound(0, {text: 1})),
            loop.so_far: start if loop.collects else scalar(),
        }
        outside, self._own, self._inner = (self._own, self._inner), NOTHING, NOTHING
        local = dict.fromkeys(names)
        self._within(names, local, loop.go_on)
        added = self._within(names, local, loop.step)
        self._round = max(self._round, self._own.peak)
        spent = (self._own + self._inner).over(over.items, totals)
        self._own, self._inner = outside
        self._inner += spent
        so_far = scalar()
        if loop.collects:
            so_far = Extent(
                Kind.LIST,
                added.nodes.over(over.items, totals) + Bound(1),
                added.text.over(over.items, totals),
                added.items.over(over.items, totals),
                added.widest,
            )
        return self._within({loop.so_far: so_far}, {loop.so_far: None}, loop.result)

    def _within(
        self, extents: Mapping[str, Extent], paths: Mapping[str, Path | None], node: Node
    ) -> Extent:
        """The extent of a node that sees these names as well."""
        outside = self._extents, self._paths
        self._extents, self._paths = {**self._extents, **extents}, {**self._paths, **paths}
        try:
            return self._extent(node)
        finally:
            self._extents, self._paths = outside
