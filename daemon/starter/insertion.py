"""Puts one more entry into the text of CRONS.json or TRIGGERS.json, of which nothing else changes:
neither order nor indentation nor line ends."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from daemon import json_text
from daemon.expressions import JSON
from daemon.positions import Place

WIDTH = 80
"""Columns that an object within an entry may take, without its key, to stand on one line."""

_LINE_END = re.compile(r"\r\n|\n|\r")


def new_file(key: str, schema: str, entry: Mapping[str, JSON] | None = None) -> str:
    """The text of a file of its own, with no entry or one. ``key`` is ``crons`` or ``triggers``,
    ``schema`` what ``$schema`` shall say."""
    empty = f'{{\n  "$schema": {_text(schema)},\n  "{key}": []\n}}\n'
    return empty if entry is None else with_entry(empty, key, entry)


def with_entry(text: str, key: str, entry: Mapping[str, JSON]) -> str:
    """``text``, either form of a file, with ``entry`` as the last one of its array.

    Raises ValueError where it has no such array, or is not JSON.
    """
    array = _array(text, key)
    if array is None:
        raise ValueError(f"there is no array {key!r}")
    end = _end(text, array.start) - 1  # of the array's content: there stands the bracket
    style = _Style.of(text, array)
    written = style.break_ + style.item + _written(entry, style, style.item, top=True)
    if not array.children:
        return text[: array.start + 1] + written + style.break_ + style.outer + text[end:]
    last = _end(text, array.children[len(array.children) - 1].start)
    after = text[last:end]
    closing = "" if _LINE_END.search(after) else style.break_ + style.outer
    return text[:last] + "," + written + after + closing + text[end:]


def entry_text(entry: Mapping[str, JSON]) -> str:
    """An entry as it is written into a new file, but for the indentation."""
    return _written(entry, _Style("\n", "", "", "  "), "", top=True)


@dataclass(frozen=True, slots=True)
class _Style:
    """How the file is written: its line ``break_``, the indentation of the line on which the array
    begins (``outer``), that of its entries (``item``), and by how much each level is indented."""

    break_: str
    outer: str
    item: str
    step: str

    @classmethod
    def of(cls, text: str, array: Place) -> _Style:
        found = _LINE_END.search(text)
        outer = _indentation(text, array.start)
        entries = [array.children[index] for index in range(len(array.children))]
        item = next((_own_line(text, each.start) for each in reversed(entries)), None)
        inner = next(
            (
                indent
                for each in reversed(entries)
                for start in each.keys.values()
                if (indent := _own_line(text, start)) is not None
            ),
            None,
        )
        if inner is not None and item is not None and inner.startswith(item) and inner != item:
            step = inner[len(item) :]
        elif item is not None and item.startswith(outer) and item != outer:
            step = item[len(outer) :]
        else:
            step = "\t" if outer.startswith("\t") else outer or "  "
        return cls(found[0] if found else "\n", outer, outer + step if item is None else item, step)


def _array(text: str, key: str) -> Place | None:
    root = json_text.scan(text)[0]
    if root is None:
        raise ValueError("not JSON")
    place = root.children.get(key) if text[root.start] == "{" else root
    return place if place is not None and text[place.start] == "[" else None


def _end(text: str, start: int) -> int:
    """Where the value that begins at ``start`` ends."""
    return json.JSONDecoder().raw_decode(text, start)[1]


def _indentation(text: str, at: int) -> str:
    """The white space at the beginning of the line that holds ``at``."""
    line = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    return text[line : line + len(text[line:at]) - len(text[line:at].lstrip(" \t"))]


def _own_line(text: str, at: int) -> str | None:
    """The indentation of what begins at ``at``; None where something stands before it."""
    indentation = _indentation(text, at)
    before = text[: at - len(indentation)] if text[:at].endswith(indentation) else "-"
    return indentation if not before or before[-1] in "\r\n" else None


def _written(
    value: JSON | Mapping[str, JSON], style: _Style, indent: str, *, top: bool = False
) -> str:
    if not isinstance(value, Mapping):
        return _text(value)
    if not top:
        line = "{" + ", ".join(f"{_text(k)}: {_text(v)}" for k, v in value.items()) + "}"
        shallow = not any(isinstance(member, Mapping) for member in value.values())
        if shallow and len(indent) + len(line) <= WIDTH:
            return line
    inner = indent + style.step
    members = [f"{inner}{_text(k)}: {_written(v, style, inner)}" for k, v in value.items()]
    return "{" + style.break_ + f",{style.break_}".join(members) + style.break_ + indent + "}"


def _text(value: JSON | Mapping[str, JSON]) -> str:
    return json.dumps(value, ensure_ascii=False)
