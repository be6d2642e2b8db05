"""Where things stand in a text: lines and columns, the tree of places that a reader leaves behind,
and the slips that it met."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from daemon.errors import DispatchdError

DEEPEST = 100
"""Levels of arrays and objects that a configuration file may nest."""

_LINE_END = re.compile(r"\r\n|\n|\r")


class Place:
    """Where a value begins, as an offset into the text, and what it holds: ``children`` by key or
    index, and for an object ``keys``, where each key begins."""

    __slots__ = ("children", "keys", "start")

    def __init__(
        self,
        start: int,
        children: Mapping[str | int, Place] = MappingProxyType({}),
        keys: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.start = start
        self.children = children
        self.keys = keys


@dataclass(frozen=True, slots=True)
class Slip:
    """Something in the text that cannot stay: where, what, and how to mend it."""

    offset: int
    message: str
    hint: str = ""


class Unreadable(DispatchdError):
    """The text cannot be read past this slip."""

    def __init__(self, offset: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.slip = Slip(offset, message, hint)


class Lines:
    """Turns offsets into (line, column), both from 1, as editors count them."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(end.end() for end in _LINE_END.finditer(text))]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
