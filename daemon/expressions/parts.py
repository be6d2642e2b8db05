"""A condition taken apart at its ``&&``, ``||`` and ``!``, and what each part comes to: for people
who want to know which of them said no."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from daemon.errors import ExpressionError
from daemon.expressions import syntax
from daemon.expressions.evaluation import Bindings, Condition, Expression
from daemon.expressions.syntax import Loop, Name, Node, Path, Select, children, path_of
from daemon.expressions.wire import field, fields, integer, member, members

PARTS_MAX = 200
"""Operators that a condition is taken apart at. One of more is machine-made, and nobody would read
on; and each part is a whole expression to the engine."""

_SOURCE_INFO, _POSITIONS, _KEY, _VALUE = 5, 4, 1, 2
"""Field numbers of ``cel.expr.CheckedExpr.source_info`` (cel-spec, checked.proto, syntax.proto):
for the id of each node the character at which its operator stands."""

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|//[^\n]*)+)
    |(?P<text>(?:[rR][bB]?|[bB][rR])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
        |(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
    |(?P<open>\()|(?P<close>\))|(?P<word>\w+)""",
    re.DOTALL | re.VERBOSE,
)


class Join(StrEnum):
    """How a part is made of its own parts."""

    ALL = "all"  # a && b && c
    ANY = "any"  # a || b || c
    NOT = "not"  # !(a && b)
    NONE = ""  # it is not taken apart further


_JOINS = {b"_&&_": Join.ALL, b"_||_": Join.ANY, b"!_": Join.NOT}


@dataclass(frozen=True, slots=True)
class Operand:
    """A value that a part looks at by a written-out path (``body.ref``), in the engine's Python
    form. Where there is nothing, it is not ``present``."""

    path: str
    value: Any
    present: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a condition, or all of it. ``value`` is None where it fails, and ``error`` says
    why. ``operands`` are given for what is not taken apart further."""

    source: str
    value: bool | None
    error: str
    join: Join
    parts: tuple[Part, ...]
    operands: tuple[Operand, ...]


def take_apart(condition: Condition, bindings: Bindings) -> Part:
    """The parts of a condition, each evaluated on its own: also those that the engine need not look
    at, since another one decides. Never raises; each is held to the bounds of any expression."""
    return _Division(condition.expression, bindings).part()


class _Division:
    """The division of one expression. The engine has parsed it already: its tree says what the
    parts are, and the positions of the operators where their text is cut."""

    def __init__(self, expression: Expression, bindings: Bindings) -> None:
        self._expression = expression
        self._bindings = bindings
        self._source = expression.source
        checked = member(expression.checked, syntax.ANY_VALUE)
        self._root = member(checked, syntax.EXPR)
        positions = members(member(checked, _SOURCE_INFO), _POSITIONS)
        self._positions = {integer(one, _KEY): integer(one, _VALUE) for one in positions}
        tokens = [*_TOKEN.finditer(self._source)]
        self._opening = [token.start() for token in tokens if token.lastgroup == "open"]
        self._closing = [token.start() for token in tokens if token.lastgroup == "close"]

    def part(self) -> Part:
        """The whole expression."""
        if _operators(self._root) > PARTS_MAX:
            return self._leaf(self._root, 0, len(self._source))
        return self._part(self._root, 0, len(self._source))

    def _part(self, message: bytes, start: int, end: int) -> Part:
        """The part with this tree, whose text lies between ``start`` and ``end``."""
        join, operands = _joined(message)
        if join is Join.NONE or (join is Join.NOT and _joined(operands[0])[0] is Join.NONE):
            return self._leaf(message, start, end)
        start, end = self._within_parentheses(start, end, self._at(message))
        if join is Join.NOT:
            parts = [self._part(operands[0], self._at(message) + 1, end)]
        else:
            parts = [*self._chain(message, start, end)]
        value, error = self._value(message)
        return Part(self._text(start, end), value, error, join, tuple(parts), ())

    def _chain(self, message: bytes, start: int, end: int) -> Iterator[Part]:
        """The operands of ``a && b && c``. The engine has such a chain as a tree, whose shape is
        its own choice: what belongs to it is what stands outside of further parentheses."""
        join, operands = _joined(message)
        at = self._at(message)
        for operand, (first, last) in zip(operands, ((start, at), (at + 2, end)), strict=True):
            same = _joined(operand)[0] is join
            if same and not self._enclosing(first, self._at(operand)):
                yield from self._chain(operand, first, last)
            else:
                yield self._part(operand, first, last)

    def _leaf(self, message: bytes, start: int, end: int) -> Part:
        value, error = self._value(message)
        node = syntax.parsed(_only(self._expression.checked, message))
        operands = dict.fromkeys(_paths(node, {}))
        values = self._bindings.values
        return Part(
            self._text(start, end),
            value,
            error,
            Join.NONE,
            (),
            tuple(_operand(path, values) for path in operands if path[0] in values),
        )

    def _value(self, message: bytes) -> tuple[bool | None, str]:
        whole = self._expression
        compiled = whole.env.deserialize(_only(whole.checked, message))
        part = Expression.compiled_by(whole.env, whole.source, compiled)
        try:
            return Condition(part).holds(self._bindings), ""
        except ExpressionError as error:
            return None, error.message

    def _at(self, message: bytes) -> int:
        """Where the operator of a node stands."""
        return self._positions.get(integer(message, syntax.ID), 0)

    def _enclosing(self, start: int, at: int) -> int:
        """How many parentheses that open after ``start`` are still open there."""
        opened = sum(start <= one < at for one in self._opening)
        return opened - sum(start <= one < at for one in self._closing)

    def _within_parentheses(self, start: int, end: int, at: int) -> tuple[int, int]:
        """The range without the parentheses around all of it, of which ``at`` is outside of any
        others."""
        depth = self._enclosing(start, at)
        if depth:
            start = [one for one in self._opening if one >= start][depth - 1] + 1
            end = [one for one in self._closing if one < end][-depth]
        return start, end

    def _text(self, start: int, end: int) -> str:
        """The source there on one line, without comments; text literals as they are."""
        found = self._source[start:end]
        return _TOKEN.sub(
            lambda token: " " if token.lastgroup == "space" else token[0], found
        ).strip()


def _joined(message: bytes) -> tuple[Join, list[bytes]]:
    """How the expression with this tree is made of which others."""
    call = member(message, syntax.CALL)
    join = _JOINS.get(member(call, syntax.FUNCTION), Join.NONE)
    return join, [*members(call, syntax.ARGUMENTS)] if join else []


def _operators(message: bytes) -> int:
    join, operands = _joined(message)
    return bool(join) + sum(map(_operators, operands))


def _only(checked: bytes, message: bytes) -> bytes:
    """The checked expression with nothing but this part of its tree."""
    inner = member(checked, syntax.ANY_VALUE)
    changed = b"".join(
        field(number, message if number == syntax.EXPR else value)
        for number, value in fields(inner)
    )
    return b"".join(
        field(number, changed if number == syntax.ANY_VALUE else value)
        for number, value in fields(checked)
    )


def _paths(node: Node, local: Mapping[str, Path | None]) -> Iterator[Path]:
    """The paths that are looked at, each as far as it is written out. ``local`` are the names that
    loops give, which stand for no one value."""
    path = path_of(node, local)
    if path is not None:
        yield path
        return
    match node:
        case Name():
            return
        case Select(test=True) if found := path_of(node.of, local):
            yield (*found, node.field)
        case Loop():
            yield from _paths(node.start if node.binds else node.range, local)
            within = {**local, node.item: None, node.so_far: None}
            for inner in (node.go_on, node.step, node.result):
                yield from _paths(inner, within)
        case _:
            for inner in children(node):
                yield from _paths(inner, local)


def _operand(path: Path, values: Mapping[str, Any]) -> Operand:
    found: Any = values
    shown = str(path[0])
    for step in path[1:]:
        plain = isinstance(step, str) and step.isidentifier()
        shown += f".{step}" if plain else f"[{step!r}]"
    try:
        for step in path:
            found = found[step]
    except (KeyError, IndexError, TypeError):
        return Operand(shown, None, present=False)
    return Operand(shown, found, present=True)
