"""Text from outside as a log may hold it: on one line, with nothing that steers a terminal, turns
its direction or cannot be seen (control characters, ANSI escapes, bidirectional marks)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from daemon.log_line import Value

TEXT_MAX = 500
"""Characters of any text from outside that get into a line, as they are written there."""

_BARE = re.compile(r"[\w.:/@+,;#~*-]+", re.ASCII)
_ESCAPED = 10  # characters, of the longest escape: \U000e0001


def short(text: str, most: int = TEXT_MAX) -> str:
    """The text, cut to what takes at most ``most`` characters with its escapes."""
    if len(text) <= most and text.isprintable():
        return text
    room, end = most - 1, 0
    for character in text[:most]:
        room -= 1 if character.isprintable() else _ESCAPED
        if room < 0:
            break
        end += 1
    return text if end == len(text) else text[:end] + "…"


def escaped(text: str) -> str:
    r"""The text with all that cannot be printed as Python writes it: ``\n``, ``\x1b``, ``\u202e``.
    A backslash stays as it is."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def escaped_json(line: str) -> str:
    """JSON that says the same without any character that cannot be printed."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def shown(value: Value) -> str:
    """A value for people: in quotation marks, and with escapes, unless it is one plain word."""
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else _quoted(value)
    if isinstance(value, list):
        return ",".join(map(shown, value)) or "[]"
    return str(value)


def shown_fields(fields: Iterable[tuple[str, Value]]) -> str:
    """The fields for people, as ``name=value``."""
    return " ".join(f"{name}={shown(value)}" for name, value in fields)


def _quoted(text: str) -> str:
    doubled = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped(doubled)}"'


def _escape(character: str) -> str:
    if 0xD800 <= ord(character) < 0xE000:  # half of a surrogate pair
        return f"\\u{ord(character):04x}"
    return character.encode("unicode_escape").decode()
