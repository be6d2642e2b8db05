"""Text from outside as a terminal may get it: without anything that would steer it."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with its control characters escaped, line breaks excepted."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )
