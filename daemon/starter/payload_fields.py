"""The fields of a payload as a workflow reads them: an environment variable for each, and the
expression that fills it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from daemon.expressions import Expression, Template
from daemon.spec import DispatchSpec

PREFIX = "PAYLOAD_"
"""What the variables begin with: without it, a key such as ``path`` would replace ``PATH``."""
NAME_MAX = 60

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Field:
    """One top-level key of a payload.

    ``variable`` is valid in every shell and unique in its workflow. ``expression`` stands between
    ``${{`` and ``}}``. ``event_types`` are those whose payload has the key, and ``alike`` other
    keys that differ from it only in their case.
    """

    key: str
    variable: str
    expression: str
    nested: bool
    event_types: frozenset[str]
    alike: tuple[str, ...]


def event_types(dispatch: DispatchSpec) -> frozenset[str]:
    """Every type that the dispatch may be of."""
    literal = dispatch.event_type.literal
    return dispatch.event_types if literal is None else frozenset({literal})


def fields(dispatches: Iterable[DispatchSpec]) -> tuple[Field, ...]:
    """The keys of all payloads, each once, in order."""
    found: dict[str, set[str]] = {}
    nested: set[str] = set()
    for dispatch in dispatches:
        for key, value in _members(dispatch):
            found.setdefault(key, set()).update(event_types(dispatch))
            if _is_nested(value):
                nested.add(key)
    names = variables(found)
    return tuple(
        Field(
            key,
            names[key],
            _expression(key, nested=key in nested),
            key in nested,
            frozenset(types),
            tuple(other for other in found if other != key and other.lower() == key.lower()),
        )
        for key, types in found.items()
    )


def _members(dispatch: DispatchSpec) -> Iterator[tuple[str, object]]:
    root = dispatch.client_payload.root
    if isinstance(root, dict):
        yield from root.items()


def _is_nested(value: object) -> bool:
    """Whether it comes to an object or an array, as far as that can be told; a body does."""
    match value:
        case Template(parts=(Expression() as expression,)):
            kind: str = expression.type.name()  # as MAP<STRING, DYN>
            return kind.startswith(("MAP<", "LIST<")) or expression.path == ("body",)
    return isinstance(value, dict | list)


def variables(keys: Iterable[str], prefix: str = PREFIX) -> dict[str, str]:
    """An environment variable for each key, no two the same."""
    chosen: dict[str, str] = {}
    for key in keys:
        bare = re.sub(r"[^A-Z0-9]+", "_", key.upper()).strip("_")[:NAME_MAX] or "FIELD"
        name, number = prefix + bare, 1
        while name in chosen.values():
            number += 1
            name = f"{prefix}{bare}_{number}"
        chosen[key] = name
    return chosen


def _expression(key: str, *, nested: bool) -> str:
    """How GitHub's expressions name the key. In their text a doubled quote is the only escape, and
    braces in it do not end the expression.

    https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#literals;
    the braces: TemplateReader.cs of actions/runner, from general knowledge, not confirmed.
    """
    payload = "github.event.client_payload"
    plain = _IDENTIFIER.fullmatch(key)
    path = f"{payload}.{key}" if plain else f"{payload}[{_quoted(key)}]"
    return f"toJSON({path})" if nested else path


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
