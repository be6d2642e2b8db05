"""Where the keys and values of a JSON text stand, looked for no further than somebody asks: what is
said of one entry of ten thousand does not wait for the places of all that is in the others."""

from __future__ import annotations

import json
import re
from functools import cached_property

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_DELIMITER = re.compile(r"[ \t\r\n]*[:,]?[ \t\r\n]*")


class JsonPlace:
    """Where a value begins, as an offset into a text without slips, and what it holds: ``children``
    by key or index, and for an object ``keys``, where each key begins."""

    def __init__(self, text: str, start: int) -> None:
        self.start = start
        self._text = text

    @classmethod
    def root(cls, text: str) -> JsonPlace:
        """The place of the one value in ``text``."""
        return cls(text, _after(_SPACE, text, 0))

    @property
    def children(self) -> dict[str | int, JsonPlace]:
        return self._held[0]

    @property
    def keys(self) -> dict[str, int]:
        return self._held[1]

    @cached_property
    def _held(self) -> tuple[dict[str | int, JsonPlace], dict[str, int]]:
        text = self._text
        children: dict[str | int, JsonPlace] = {}
        keys: dict[str, int] = {}
        if text[self.start] not in "[{":
            return children, keys
        at = _after(_SPACE, text, self.start + 1)
        while text[at] not in "]}":
            name: str | int = len(children)
            if text[self.start] == "{":
                name, end = _DECODER.raw_decode(text, at)
                keys[str(name)] = at
                at = _after(_DELIMITER, text, end)
            children[name] = JsonPlace(text, at)
            # Only to get past it, at the speed of the standard library.
            _, end = _DECODER.raw_decode(text, at)
            at = _after(_DELIMITER, text, end)
        return children, keys


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Past what the pattern, which may fit nothing, fits at ``at``."""
    found = pattern.match(text, at)
    return found.end() if found else at
