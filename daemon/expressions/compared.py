"""Which texts an expression compares a value with, as far as that is written out in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from daemon.expressions.evaluation import Expression
from daemon.expressions.syntax import (
    Call,
    Constant,
    ListOf,
    Node,
    Path,
    children,
    parsed,
    path_of,
)


def texts_compared(expression: Expression, paths: Collection[Path]) -> frozenset[str]:
    """The literals that the value at one of ``paths`` is held to be (``== 'a'``, ``in ['a']``).
    What is said not to be is none of them."""
    return frozenset(_compared(parsed(expression.checked), paths))


def stands_for(expression: Expression, paths: Collection[Path]) -> bool:
    """Whether the expression is the value at one of ``paths``, and nothing more."""
    return _same(parsed(expression.checked), paths)


def _same(node: Node, paths: Collection[Path]) -> bool:
    match node:
        case Call(function="orValue", arguments=(of, _)):
            return _same(of, paths)
        case _:
            return path_of(node, {}) in paths


def _compared(node: Node, paths: Collection[Path]) -> Iterator[str]:
    match node:
        case Call(function="_==_", arguments=(a, b)):
            for one, other in ((a, b), (b, a)):
                if _same(one, paths):
                    yield from _texts(other)
        case Call(function="@in", arguments=(one, ListOf(elements=elements))) if _same(one, paths):
            for element in elements:
                yield from _texts(element)
        case Call(function="!_"):
            return
    for part in children(node):
        yield from _compared(part, paths)


def _texts(node: Node) -> Iterator[str]:
    match node:
        case Constant(value=str() as text):
            yield text
        case Call(function="optional.of", arguments=(of,)):
            yield from _texts(of)
