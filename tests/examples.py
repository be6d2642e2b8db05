"""The fenced examples of a Markdown document, each with what the comment above it says of it, so
that tests can run what readers are shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"(?P<indent>[ ]*)(?P<marks>`{3,}|~{3,})[ ]*(?P<language>[\w+-]*)[^`]*")
_COMMENT = re.compile(r"\s*<!--\s*example:\s*(?P<words>.*?)\s*-->\s*")


@dataclass(frozen=True, slots=True)
class Example:
    """One fenced block.

    ``language`` is what stands behind the opening fence, ``text`` what is between the fences
    (dedented, ending in a newline), ``line`` the number of its first line in the document.
    ``directives`` come from ``<!-- example: name key=value flag -->`` on the line directly above
    the fence: ``{"name": "name", "key": "value", "flag": ""}``; values may be quoted as in a
    shell.
    """

    language: str
    text: str
    line: int
    directives: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.directives.get("name", "")


def examples(path: Path) -> list[Example]:
    """All of them in order. Raises ValueError, with the place, for what is not well formed."""
    return list(_examples(path.read_text(encoding="utf-8").split("\n"), str(path)))


def _examples(lines: list[str], file: str) -> Iterator[Example]:
    number = 0
    while number < len(lines):
        opening = _FENCE.fullmatch(lines[number])
        above = lines[number - 1] if number else ""
        number += 1
        if opening is None:
            if _COMMENT.fullmatch(above):
                raise ValueError(f"{file}:{number - 1}: no fence directly below this comment")
            continue
        end = _closing(lines, number, opening["marks"])
        if end is None:
            raise ValueError(f"{file}:{number}: this fence is never closed")
        text = [line.removeprefix(opening["indent"]) for line in lines[number:end]]
        yield Example(
            opening["language"], "\n".join([*text, ""]), number + 1, _directives(above, file)
        )
        number = end + 1


def _closing(lines: list[str], start: int, marks: str) -> int | None:
    """The index of the line that closes a fence: its own marks or more of them, and nothing else
    (CommonMark 0.31, section 4.5)."""
    closing = re.compile(rf"[ ]*{re.escape(marks)}{re.escape(marks[0])}*[ ]*")
    return next((n for n in range(start, len(lines)) if closing.fullmatch(lines[n])), None)


def _directives(above: str, file: str) -> dict[str, str]:
    comment = _COMMENT.fullmatch(above)
    if comment is None:
        return {}
    found: dict[str, str] = {}
    for word in shlex.split(comment["words"]):
        key, equals, value = word.partition("=")
        if not equals and "name" not in found:
            key, value = "name", word
        if key in found:
            raise ValueError(f"{file}: {key!r} stands twice in: {above.strip()}")
        found[key] = value
    return found
