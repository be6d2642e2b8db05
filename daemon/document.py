"""Configuration files as data that remembers its place: read JSON or YAML, and ask for the line
and column of any key or value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from daemon import json_text, yaml_text
from daemon.errors import ConfigError, Fault
from daemon.json_places import JsonPlace
from daemon.positions import DEEPEST, Lines, Place, Slip

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_PLAIN_KEY = re.compile(r"[\w$-]+")


@dataclass(eq=False)
class Document:
    """A file's text and the data in it. ``file`` is its name as shown to people; ``text`` is
    without a byte-order mark. Where no ``places`` are given it is JSON without slips, and they are
    looked for in it."""

    file: str
    text: str = field(repr=False)
    data: Any = field(repr=False)
    places: Place | None = field(default=None, repr=False)

    def place(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """The line and column, both from 1, of the value at ``path``, or (``key``) of the key that
        it stands under. A path that leads nowhere gives the value that it gets to."""
        here: Place | JsonPlace = self._root
        at = here.start
        for step in path:
            child = here.children.get(step)
            if child is None:
                return self._lines.at(here.start)
            at = here.keys.get(step, child.start) if isinstance(step, str) else child.start
            here = child
        return self._lines.at(at if key else here.start)

    @cached_property
    def _root(self) -> Place | JsonPlace:
        return self.places or JsonPlace.root(self.text)

    @cached_property
    def _lines(self) -> Lines:
        return Lines(self.text)


def dotted(path: Iterable[str | int]) -> str:
    """A path as faults show it: ``triggers[2].auth.secret``."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            shown += f".{step}"
        else:
            shown += f"[{json.dumps(step, ensure_ascii=False)}]"
    return shown.removeprefix(".")


def read_json(path: Path, shown: str | None = None) -> Document:
    """Reads a JSON file; ``shown`` is what faults call it. Raises ConfigError with every slip that
    the file holds: a syntax error, and all that ``json_text.scan`` finds beyond that."""
    file = shown or str(path)
    text = _text(path, file)
    try:
        data = _load(text)
    except (ValueError, RecursionError):
        _refuse(file, text, json_text.scan(text)[1])
        data = json.loads(text)
    return Document(file, text, data)


def read_yaml(path: Path, shown: str | None = None) -> Document:
    """Reads a YAML file of one document and JSON's kinds of data; an empty one is ``{}``.
    ``shown`` is what faults call it. Raises ConfigError with every slip that it holds."""
    file = shown or str(path)
    text = _text(path, file)
    places, data, slips = yaml_text.scan(text)
    _refuse(file, text, slips)
    return Document(file, text, data, places)


def _load(text: str) -> Any:
    """The data in ``text``, at the speed of the standard library. Raises ValueError (or
    RecursionError) for anything that the slow scan should look at; it may find nothing wrong."""
    if _SURROGATE.search(text):
        raise ValueError("escapes that may be half a pair")
    data = json.loads(
        text,
        object_pairs_hook=_object,
        parse_int=lambda digits: int(_number(digits)),
        parse_float=lambda digits: float(_number(digits)),
        parse_constant=_constant,
    )
    level = [data]
    for _ in range(DEEPEST):
        level = [child for value in level for child in _children(value)]
    if any(isinstance(value, dict | list) for value in level):
        raise ValueError("nested too deep")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a repeated key")
    return found


def _number(digits: str) -> str:
    if not json_text.readable_number(digits):
        raise ValueError("a number too large")
    return digits


def _constant(word: str) -> Any:
    raise ValueError(word)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _text(path: Path, file: str) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hint = "create it, or name another directory with --config-dir"
        raise ConfigError([Fault(file, 0, 0, "", "there is no such file", hint)]) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([Fault(file, 0, 0, "", f"cannot be read: {reason}")]) from None
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8").removeprefix("\ufeff")
        line, column = Lines(before).at(len(before))
        what = f"not UTF-8: the byte 0x{content[error.start]:02x}"
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "it looks like UTF-16: " if wide else ""
        fault = Fault(file, line, column, "", what, hint + "save the file as UTF-8")
        raise ConfigError([fault]) from None


def _refuse(file: str, text: str, slips: Sequence[Slip]) -> None:
    if slips:
        lines = Lines(text)
        raise ConfigError(
            [
                Fault(file, *lines.at(slip.offset), "", slip.message, slip.hint)
                for slip in sorted(slips, key=lambda slip: slip.offset)
            ]
        )
