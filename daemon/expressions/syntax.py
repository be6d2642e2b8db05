"""Looks into a compiled expression for the one thing that the engine's checker lets pass and its
Python binding does not survive: an optional within a list or a map.

The binding converts such a value into a Python object and crashes the process. The checker types
an optional, but not what becomes of it in a literal of mixed types or under ``dyn()``, so these
places are looked at themselves. The compiled form is read as what it is documented to be, a
``cel.expr.CheckedExpr`` in protobuf's wire format (github.com/google/cel-spec: checked.proto,
syntax.proto); the numbers below are its field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

OPTIONAL = b"optional_type"
"""How the type of an optional is named wherever it occurs within a type."""

ANY_VALUE = 2
TYPE_MAP, EXPR = 3, 4
KEY, VALUE = 1, 2
ID = 2
CALL, LIST, STRUCT = 6, 7, 8
FUNCTION, ARGS = 2, 3
ELEMENTS, OPTIONAL_INDICES = 1, 2
ENTRIES, ENTRY_VALUE, ENTRY_OPTIONAL = 2, 4, 5

WITHIN = {
    5: (1,),  # select: its operand
    CALL: (1, ARGS),  # call: its target and arguments
    LIST: (ELEMENTS,),
    9: (2, 4, 5, 6, 7),  # comprehension: range, start, condition, step, result
}
"""For each kind of expression, the fields that hold further ones (maps are read entry by entry)."""

Field = tuple[int, int | bytes]


def hides_optional(serialized: bytes) -> bool:
    """Whether ``serialized`` (a checked expression) puts an optional into a list, a map or
    ``dyn()``. ``[?x]`` and ``{?"k": x}`` are what they are for, and put in no optional."""
    checked = _member(serialized, ANY_VALUE)
    types = {}
    for number, entry in _fields(checked):
        if number == TYPE_MAP and isinstance(entry, bytes):
            types[_number(entry, KEY)] = _member(entry, VALUE)
    return any(
        OPTIONAL in types.get(_number(value, ID), b"") for value in _kept(_member(checked, EXPR))
    )


def _kept(expression: bytes) -> Iterator[bytes]:
    """Every expression whose value ends up in a list, a map or under ``dyn()``."""
    for number, body in _fields(expression):
        if not isinstance(body, bytes):
            continue
        if number == LIST:
            optional = set(_numbers(body, OPTIONAL_INDICES))
            elements = enumerate(_members(body, ELEMENTS))
            yield from (element for index, element in elements if index not in optional)
        elif number == STRUCT:
            for entry in _members(body, ENTRIES):
                value = _member(entry, ENTRY_VALUE)
                if not _number(entry, ENTRY_OPTIONAL):
                    yield value
                yield from _kept(value)
        elif number == CALL and _member(body, FUNCTION) == b"dyn":
            yield from _members(body, ARGS)
        for inner in WITHIN.get(number, ()):
            for part in _members(body, inner):
                yield from _kept(part)


def _fields(message: bytes) -> Iterator[Field]:
    """The fields of a message in order: (number, integer or bytes)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
        else:  # length-delimited, or one of the two fixed widths
            length, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            yield number, message[at : at + length]
            at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = message[at]
        at += 1
        result |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return result, at


def _members(message: bytes, wanted: int) -> Iterator[bytes]:
    for number, value in _fields(message):
        if number == wanted and isinstance(value, bytes):
            yield value


def _member(message: bytes, wanted: int) -> bytes:
    return next(_members(message, wanted), b"")


def _number(message: bytes, wanted: int) -> int:
    return next((v for n, v in _fields(message) if n == wanted and isinstance(v, int)), 0)


def _numbers(message: bytes, wanted: int) -> Iterator[int]:
    """A repeated integer, packed or not."""
    for number, value in _fields(message):
        if number != wanted:
            continue
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):
            one, at = _varint(value, at)
            yield one
