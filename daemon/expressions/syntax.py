"""A compiled expression as a tree, to be looked at before anything is evaluated.

It is read from what the engine serializes, a ``cel.expr.CheckedExpr`` (github.com/google/cel-spec:
checked.proto, syntax.proto); the numbers below are its field numbers. Macros are expanded in it:
``exists``, ``map`` and their like are loops, and so is ``cel.bind``, one without a round.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import TypeAlias

from daemon.expressions.wire import fields, integer, integers, member, members

ANY_VALUE = 2
EXPR = 4
ID = 2
CONSTANT, NAME, SELECT, CALL, LIST, MAP, LOOP = 3, 4, 5, 6, 7, 8, 9
IDENT_NAME = 1
OPERAND, FIELD, TEST_ONLY = 1, 2, 3
TARGET, FUNCTION, ARGUMENTS = 1, 2, 3
ELEMENTS, OPTIONAL_INDICES = 1, 2
ENTRIES, ENTRY_KEY, ENTRY_VALUE, ENTRY_OPTIONAL = 2, 3, 4, 5
ITEM, RANGE, RESULT_SO_FAR, START, GO_ON, STEP, RESULT = 1, 2, 3, 4, 5, 6, 7
NULL, BOOL, INT, DOUBLE, STRING = 1, 2, 3, 5, 6

INDEX, INDEX_OR_NONE, FIELD_OR_NONE = "_[_]", "_[?_]", "_?._"
_STEPS = (INDEX, INDEX_OR_NONE, FIELD_OR_NONE)

EACH = ...
"""The step from a list to any of its items."""

Step: TypeAlias = str | int | EllipsisType
Path: TypeAlias = tuple[Step, ...]
"""The name of a variable, and the way from there into its value."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; of the types that JSON does not know (``b'…'``) as the engine wrote it."""

    id: int
    value: bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Name:
    """A variable of ours (``event.id`` is one name), of a loop, or a type."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """``of.field``, or ``has(of.field)`` where it is a ``test``."""

    id: int
    of: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator (``_+_``, ``@in``); what stands before the dot is an argument."""

    id: int
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[…]``; ``optional`` are the indices of the elements with a ``?``."""

    id: int
    elements: tuple[Node, ...]
    optional: frozenset[int]


@dataclass(frozen=True, slots=True)
class MapOf:
    """``{…}``: of each entry the key, the value, and whether it has a ``?``. A message's fields
    have no keys that are looked at."""

    id: int
    entries: tuple[tuple[Node | None, Node, bool], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """For each ``item`` of ``range``, while ``go_on``, ``so_far`` becomes ``step``; at the end all
    comes to ``result``. ``so_far`` begins as ``start``."""

    id: int
    item: str
    range: Node
    so_far: str
    start: Node
    go_on: Node
    step: Node
    result: Node

    @property
    def binds(self) -> bool:
        """Whether it has no round at all: ``cel.bind``, which only names ``start``."""
        return isinstance(self.range, ListOf) and not self.range.elements

    @property
    def collects(self) -> bool:
        """Whether it makes a list: ``map`` or ``filter``."""
        return isinstance(self.start, ListOf)


Node: TypeAlias = Constant | Name | Select | Call | ListOf | MapOf | Loop


def parsed(serialized: bytes) -> Node:
    """The tree of a checked expression."""
    return _node(member(member(serialized, ANY_VALUE), EXPR))


def children(node: Node) -> tuple[Node, ...]:
    """The expressions right within this one."""
    match node:
        case Select():
            return (node.of,)
        case Call():
            return node.arguments
        case ListOf():
            return node.elements
        case MapOf():
            return tuple(part for key, value, _ in node.entries for part in (key, value) if part)
        case Loop():
            return (node.range, node.start, node.go_on, node.step, node.result)
    return ()


def path_of(node: Node, local: Mapping[str, Path | None]) -> Path | None:
    """The way that ``node`` goes into a variable's value by steps that are written out; None for
    anything else. ``local`` are the names that loops around it gave, each with what it stands for.
    """
    match node:
        case Name(name=name):
            # The engine writes a dot before a name of ours that a loop's own name hides.
            return local[name] if name in local else (name.removeprefix("."),)
        case Select(test=False):
            before = path_of(node.of, local)
            return None if before is None else (*before, node.field)
        case Call(arguments=(of, Constant(value=str() | int() as step))) if (
            node.function in _STEPS and not isinstance(step, bool)
        ):
            before = path_of(of, local)
            return None if before is None else (*before, step)
        case Call(function="value", arguments=(of,)):  # of an optional
            return path_of(of, local)
    return None


def _node(message: bytes) -> Node:
    number = kind = 0
    body = b""
    for key, value in fields(message):
        if isinstance(value, int):
            number = value  # the id: all else are messages
        else:
            kind, body = key, value
    return _READERS[kind](number, body)


def _parts(message: bytes) -> dict[int, bytes]:
    """The fields that hold something, of each number one."""
    return {number: value for number, value in fields(message) if isinstance(value, bytes)}


def _constant(number: int, body: bytes) -> Node:
    kind, value = next(fields(body), (NULL, 0))
    if kind == NULL:
        return Constant(number, None)
    if isinstance(value, int):
        if kind == INT and value >= 2**63:  # two's complement of 64 bits
            value -= 2**64
        return Constant(number, bool(value) if kind == BOOL else value)
    if kind == DOUBLE:
        return Constant(number, struct.unpack("<d", value)[0])
    return Constant(number, value.decode() if kind == STRING else value)


def _name(number: int, body: bytes) -> Node:
    return Name(number, member(body, IDENT_NAME).decode())


def _select(number: int, body: bytes) -> Node:
    parts = _parts(body)
    test = bool(integer(body, TEST_ONLY))
    return Select(number, _node(parts[OPERAND]), parts[FIELD].decode(), test)


def _call(number: int, body: bytes) -> Node:
    function, given = "", []
    for part, value in fields(body):
        if not isinstance(value, bytes):
            continue
        if part == FUNCTION:
            function = value.decode()
        else:  # its target, or an argument: the target comes first
            given.append(_node(value))
    return Call(number, function, tuple(given))


def _list(number: int, body: bytes) -> Node:
    elements = tuple(_node(element) for element in members(body, ELEMENTS))
    return ListOf(number, elements, frozenset(integers(body, OPTIONAL_INDICES)))


def _map(number: int, body: bytes) -> Node:
    entries: list[tuple[Node | None, Node, bool]] = []
    for entry in members(body, ENTRIES):
        parts = _parts(entry)
        key = _node(parts[ENTRY_KEY]) if ENTRY_KEY in parts else None
        optional = bool(integer(entry, ENTRY_OPTIONAL))
        entries.append((key, _node(parts[ENTRY_VALUE]), optional))
    return MapOf(number, tuple(entries))


def _loop(number: int, body: bytes) -> Node:
    parts = _parts(body)
    return Loop(
        number,
        parts[ITEM].decode(),
        _node(parts[RANGE]),
        parts[RESULT_SO_FAR].decode(),
        *(_node(parts[part]) for part in (START, GO_ON, STEP, RESULT)),
    )


_READERS = {
    CONSTANT: _constant,
    NAME: _name,
    SELECT: _select,
    CALL: _call,
    LIST: _list,
    MAP: _map,
    LOOP: _loop,
}
