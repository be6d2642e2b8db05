"""What an expression reaches of the values that it may name. The engine converts a value whole,
however little of it is looked at, so it is given only this; the expression comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from daemon.expressions.syntax import (
    EACH,
    Call,
    Constant,
    Loop,
    Node,
    Path,
    Select,
    Step,
    children,
    path_of,
)

_CONTAINERS = frozenset({dict, list})

Part: TypeAlias = "dict[Step, Part] | None"
"""What of a value is reached: by each step (a key, or EACH item of a list) what of that; None for
all of it. Where it is empty, only whether the value is there, its type, and of a list how long."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What is reached of each name. Of equal reaches the ``key`` is equal."""

    names: Mapping[str, Part]
    key: frozenset[tuple[Path, bool]]

    @classmethod
    def of(cls, root: Node) -> Reach:
        """What the expression with this tree reaches."""
        return cls._from(frozenset(_reached(root, {})))

    @classmethod
    def together(cls, reaches: Iterable[Reach]) -> Reach:
        """What is in any of them."""
        return cls._from(frozenset().union(*(reach.key for reach in reaches)))

    @classmethod
    def _from(cls, key: frozenset[tuple[Path, bool]]) -> Reach:
        names: dict[Step, Part] = {}
        for path, whole in key:
            _add(names, path, whole)
        return cls({str(name): part for name, part in names.items()}, key)

    def within(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Only what is reached of these values; what is missing stays missing."""
        return {
            name: values[name] if part is None else _only(values[name], part)
            for name, part in self.names.items()
            if name in values
        }


def _only(value: Any, part: dict[Step, Part]) -> Any:
    kind = type(value)
    if kind is dict and EACH not in part:
        found = {}
        for key, below in part.items():
            if key in value:
                found[key] = value[key] if below is None else _only(value[key], below)
        return found
    if kind is list and part.keys() <= {EACH}:
        below = part.get(EACH, {})
        if below is None:
            return value
        return [_only(item, below) if type(item) in _CONTAINERS else item for item in value]
    # A loop over a map's keys, or a step that will fail: both are the engine's to answer.
    return value


def _add(parts: dict[Step, Part], path: Path, whole: bool) -> None:
    *steps, last = path
    for step in steps:
        below = parts.setdefault(step, {})
        if below is None:
            return
        parts = below
    if whole:
        parts[last] = None
    else:
        parts.setdefault(last, {})


def _reached(node: Node, local: Mapping[str, Path | None]) -> Iterator[tuple[Path, bool]]:
    """The paths that are reached, each with whether all that is there is looked at. ``local`` are
    the names given by the loops around ``node``, with the path of what they stand for."""
    path = path_of(node, local)
    if path is not None:
        yield _each(path), True
        return
    match node:
        case Select(test=True) if found := path_of(node.of, local):
            yield (*_each(found), node.field), False
        case Call(function="hasValue", arguments=(of,)) if found := path_of(of, local):
            yield _each(found), False
        case Call(function="size", arguments=(of,)) if found := path_of(of, local):
            yield (*_each(found), EACH), False
        case Loop(binds=True):
            found = path_of(node.start, local)
            if found is None:
                yield from _reached(node.start, local)
            yield from _reached(node.result, {**local, node.so_far: found})
        case Loop():
            found = path_of(node.range, local)
            if found is None:
                yield from _reached(node.range, local)
            else:
                found = (*_each(found), EACH)
                yield found, False
            within = {**local, node.item: found, node.so_far: None}
            yield from _reached(node.start, local)
            for part in (node.go_on, node.step, node.result):
                yield from _reached(part, within)
        case Constant():
            return
        case _:
            for part in children(node):
                yield from _reached(part, local)


def _each(path: Path) -> Path:
    """The path with every index of a list as EACH: a list keeps its length and its order."""
    return tuple(EACH if isinstance(step, int) else step for step in path)
