"""Protobuf's wire format (protobuf.dev/programming-guides/encoding), as far as a compiled
expression needs it: read field by field, and written again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Value: TypeAlias = int | bytes
"""An integer, or the bytes of text, of a message within, or of a number of fixed width."""

VARINT, FIXED64, LENGTH_DELIMITED = 0, 1, 2
_FIXED_WIDTH = {FIXED64: 8, 5: 4}


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message in order: their number and their value."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
        else:
            length, at = (
                _varint(message, at) if kind == LENGTH_DELIMITED else (_FIXED_WIDTH[kind], at)
            )
            yield tag >> 3, message[at : at + length]
            at += length


def members(message: bytes, wanted: int) -> Iterator[bytes]:
    """What stands in every field of that number, where it is not an integer."""
    for number, value in fields(message):
        if number == wanted and isinstance(value, bytes):
            yield value


def member(message: bytes, wanted: int) -> bytes:
    """The first of ``members``; empty where there is none."""
    return next(members(message, wanted), b"")


def integer(message: bytes, wanted: int) -> int:
    """The integer in the field of that number; 0 where there is none, as protobuf means it."""
    return next((v for n, v in fields(message) if n == wanted and isinstance(v, int)), 0)


def integers(message: bytes, wanted: int) -> Iterator[int]:
    """The integers of a repeated field, packed or not."""
    for number, value in fields(message):
        if number != wanted:
            continue
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):
            one, at = _varint(value, at)
            yield one


def field(number: int, value: Value) -> bytes:
    """A field as it is written."""
    if isinstance(value, int):
        return _written(number << 3 | VARINT) + _written(value)
    return _written(number << 3 | LENGTH_DELIMITED) + _written(len(value)) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    byte = message[at]
    if byte < 0x80:
        return byte, at + 1
    result, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = message[at]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at + 1
        shift += 7


def _written(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
