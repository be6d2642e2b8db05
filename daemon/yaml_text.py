"""Reads YAML as the plain data that JSON also has, with the place of every key and value.

Words such as ``yes`` and ``2030-01-01`` stay text: YAML 1.1 would make them something else.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from daemon.json_text import is_unicode
from daemon.positions import DEEPEST, Lines, Place, Slip, Unreadable

MOST_VALUES = 10_000
"""Values that a file may hold once its aliases are followed: nine lines of aliases can stand for
billions."""

_TAG = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$")


class _Loader(yaml.SafeLoader):
    """Knows null, booleans and numbers as JSON writes them; all else is text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own way to have none


_Loader.add_implicit_resolver(
    _TAG + "null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    _TAG + "bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(_TAG + "float", _NUMBER, list("-0123456789"))

_OUT_OF_LINE = (
    "this does not belong to the lines above it",
    'keys of one level begin in the same column, entries of a list with "- "',
)
_UNCLOSED = ("the text ends inside of quotes or brackets", "close them")
_SLIPS = (
    (
        "undefined alias",
        "an alias (*…) to an anchor that is not there",
        "put text that begins with * in quotes",
    ),
    (
        "mapping values are not allowed",
        "a colon that begins a second value on this line",
        'put text that holds ": " in quotes',
    ),
    (
        "cannot start any token",
        "this character cannot begin a value",
        "put the text in quotes",
    ),
    ("expected <block end>", *_OUT_OF_LINE),
    ("expected '<document start>'", *_OUT_OF_LINE),
    ("could not find expected ':'", "a colon is missing after a key", "write key: value"),
    ("unknown escape", "a backslash that begins no escape", "use single quotes, or write \\\\"),
    ("end of stream", *_UNCLOSED),
    ("<stream end>", *_UNCLOSED),
    ("", "cannot be read as YAML", "check quotes, brackets and indentation up to here"),
)
"""What PyYAML's words hold, and ours: its own may repeat the file's text, which may be a secret."""


def scan(text: str) -> tuple[Place, Any, list[Slip]]:
    """The places, the data and every slip; with a slip, places and data may be incomplete. A text
    without any value is an empty mapping."""
    reader = _Reader(text)
    try:
        root = _compose(text)
        if root is None or root.tag == _TAG + "null":
            return Place(0), {}, []
        place, data = reader.value(root, 0)
    except Unreadable as end:
        return Place(0), None, [*reader.slips, end.slip]
    return place, data, reader.slips


def _compose(text: str) -> yaml.Node | None:
    """PyYAML's tree of nodes. Raises Unreadable where the text is not YAML of our plain kind."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        what = f"a control character (U+{ord(text[error.position]):04X})"
        raise Unreadable(error.position, what, "remove it") from None
    try:
        # Composing is recursive, so the depth is taken from the events first.
        _check_events(loader)
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _slip(text, mark.index if mark else 0, error.problem or "") from None
    except (ValueError, OverflowError):  # an escape beyond Unicode, which PyYAML does not expect
        raise Unreadable(loader.index, "an escape that stands for no character") from None
    return node


def _check_events(loader: _Loader) -> None:
    depth = documents = 0
    while loader.check_event():
        event: yaml.Event = loader.get_event()  # type: ignore[no-untyped-call] # PyYAML's stubs
        start = event.start_mark.index if event.start_mark else 0
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                what = "a second document begins here"
                raise Unreadable(start, what, "remove this --- line")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            message = f"nested deeper than the {DEEPEST} levels allowed"
            raise Unreadable(start, message)
        if getattr(event, "tag", None) is not None:
            hint = "put text that begins with ! in quotes"
            raise Unreadable(start, "a tag (!…), which has no use here", hint)


def _slip(text: str, offset: int, problem: str) -> Unreadable:
    if text[offset : offset + 1] == "\t":
        return Unreadable(offset, "a tab, with which YAML cannot be indented", "write spaces")
    return Unreadable(offset, *next(ours for theirs, *ours in _SLIPS if theirs in problem))


class _Reader:
    """Turns nodes into data. Aliases are followed, and paid for each time."""

    def __init__(self, text: str) -> None:
        self.lines = Lines(text)
        self.slips: list[Slip] = []
        self.values = 0

    def value(self, node: yaml.Node, depth: int) -> tuple[Place, Any]:
        start = node.start_mark.index
        self.values += 1
        if depth > DEEPEST:
            raise Unreadable(start, "an alias (*…) repeats what it stands in", "write it out")
        if self.values > MOST_VALUES:
            what = f"more than {MOST_VALUES} values, with what its aliases (*…) repeat"
            raise Unreadable(start, what)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            read = [self.value(child, depth + 1) for child in node.value]
            places: dict[str | int, Place] = {index: one[0] for index, one in enumerate(read)}
            return Place(start, places), [data for _, data in read]
        return Place(start), self.scalar(node)

    def mapping(self, node: yaml.MappingNode, depth: int) -> tuple[Place, dict[str, Any]]:
        places: dict[str | int, Place] = {}
        keys: dict[str, int] = {}
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = key_node.start_mark.index
            if key_node.tag != _TAG + "str":
                self.slips.append(Slip(at, "a key that is not text", "put it in quotes"))
                continue
            key = key_node.value
            if key in keys:
                line, column = self.lines.at(keys[key])
                hint = f"first at {line}:{column}: keep one of the two"
                self.slips.append(Slip(at, f'duplicate key "{key}"', hint))
                continue
            keys[key] = at
            places[key], data[key] = self.value(value_node, depth + 1)
        return Place(node.start_mark.index, places, keys), data

    def scalar(self, node: yaml.Node) -> str | int | float | bool | None:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "float":
                if math.isfinite(number := float(text)):
                    return number if set(text) & set(".eE") else int(text)
                what = f"a number of {len(text)} characters is too large"
                self.slips.append(Slip(node.start_mark.index, what))
                return None
        if not is_unicode(text):
            what = "half a surrogate pair (\\ud800 to \\udfff) in text"
            self.slips.append(Slip(node.start_mark.index, what))
        return text
