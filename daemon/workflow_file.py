"""Reads a workflow file as GitHub does, as far as to know which events start it, with what inputs,
and how its runs are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

DIRECTORY = ".github/workflows"

TEXT_MAX = 512 * 1024
"""Characters of a file that are read; real ones have a few thousand."""
DEEPEST = 100
"""Levels that a file may nest."""
MOST_VALUES = 50_000
"""Keys and values of a file; what an alias repeats is not counted, since it is not copied."""
MOST_DIRECTIVES = 100
"""Lines that begin with %. libyaml holds each such directive against all before it."""
MOST_NAMES = 1_000
"""Event types that one file may list, and inputs with their options."""
RUN_NAME_MAX = 2_000
"""Characters of a ``run-name`` that are looked at. Of a title GitHub shows a few hundred."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml's, where it is there
_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Input:
    """One of the inputs of ``workflow_dispatch``; ``options`` are those of a ``choice``."""

    type: str = "string"
    required: bool = False
    default: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """What a file says. ``events`` names what starts it; ``types`` None stands for every type of
    ``repository_dispatch``."""

    name: str
    run_name: str
    events: frozenset[str]
    types: frozenset[str] | None
    inputs: Mapping[str, Input]

    def hears(self, event_type: str) -> bool:
        """Whether a ``repository_dispatch`` of this type starts it. Types are no patterns. GitHub
        does not say whether it minds their case; taken to be another type is one that differs in
        case only."""
        if "repository_dispatch" not in self.events:
            return False
        return self.types is None or event_type in self.types


class WorkflowFault(Exception):
    """GitHub calls this file invalid, and starts nothing from it. The text says why, as what the
    file is or has."""


def read(text: str) -> WorkflowFile:
    """What a workflow file says. Raises WorkflowFault."""
    if len(text) > TEXT_MAX:
        raise WorkflowFault(f"has over {TEXT_MAX:,} characters")
    if text.count("\n%") > MOST_DIRECTIVES:
        raise WorkflowFault(f"has over {MOST_DIRECTIVES} directives (%…)")
    try:
        document = _composed(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise WorkflowFault(f"is no valid YAML{where}") from None
    except (yaml.YAMLError, ValueError, OverflowError):
        raise WorkflowFault("is no valid YAML") from None
    if not isinstance(document, dict):
        raise WorkflowFault("is no mapping of keys")
    on = _events(document.get("on"))
    if not on:
        raise WorkflowFault("has no `on`")
    jobs = document.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        raise WorkflowFault("has no `jobs`")
    name, run_name = document.get("name") or "", document.get("run-name") or ""
    if not isinstance(name, str) or not isinstance(run_name, str):
        raise WorkflowFault("has a `name` or `run-name` that is no text")
    return WorkflowFile(
        name=name,
        run_name=run_name[:RUN_NAME_MAX],
        events=frozenset(on),
        types=_types(on.get("repository_dispatch")),
        inputs=_inputs(on.get("workflow_dispatch")),
    )


def _composed(text: str) -> object:
    """The document, whose scalars are all text (the key ``on`` stays one, and is not "true"), but
    for what is empty, which is None. An alias stands for the very value of its anchor, so that
    aliases of aliases cost nothing. Raises YAMLError and WorkflowFault."""
    root: list[object] = []
    stack: list[_Open] = [_Open(root)]
    anchors: dict[str, object] = {}
    values = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.DocumentStartEvent) and root:
            raise WorkflowFault("holds a second document (---)")
        if not isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            done = stack.pop()
            if done.anchor:
                anchors[done.anchor] = done.value
            continue
        values += 1
        if values > MOST_VALUES:
            raise WorkflowFault(f"has over {MOST_VALUES:,} values")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise WorkflowFault("has an alias (*…) to an anchor that is not there")
            stack[-1].put(anchors[event.anchor])
        elif isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "")
            value = None if plain and event.value in _NULLS else event.value
            if event.anchor:
                anchors[event.anchor] = value
            stack[-1].put(value)
        else:
            below: object = {} if isinstance(event, yaml.MappingStartEvent) else []
            stack[-1].put(below)
            stack.append(_Open(below, event.anchor or ""))
            if len(stack) > DEEPEST:
                raise WorkflowFault(f"is nested deeper than {DEEPEST} levels")
    return root[0] if root else None


class _Open:
    """A list or mapping that is being filled."""

    def __init__(self, value: object, anchor: str = "") -> None:
        self.value = value
        self.anchor = anchor
        self._key: str | None = None

    def put(self, value: object) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        elif isinstance(self.value, dict):
            if self._key is None:
                self._begin(value, self.value)
            else:
                self.value[self._key] = value
                self._key = None

    def _begin(self, key: object, within: Mapping[str, object]) -> None:
        if not isinstance(key, str | None):
            raise WorkflowFault("has a key that is no text")
        self._key = key or ""
        if self._key in within:
            raise WorkflowFault("names a key twice")


def _events(on: object) -> Mapping[str, object]:
    match on:
        case str() if on:
            return {on: {}}
        case list():
            return {event: {} for event in on if isinstance(event, str)}
        case dict():
            return on
    return {}


def _types(listening: object) -> frozenset[str] | None:
    types = listening.get("types") if isinstance(listening, dict) else None
    if isinstance(types, str) and types:
        return frozenset({types})
    if not isinstance(types, list):
        return None
    if len(types) > MOST_NAMES:
        raise WorkflowFault(f"lists over {MOST_NAMES:,} types")
    return frozenset(each for each in types if isinstance(each, str))


def _inputs(listening: object) -> Mapping[str, Input]:
    inputs = listening.get("inputs") if isinstance(listening, dict) else None
    if not isinstance(inputs, dict):
        return {}
    read = {name: _input(each if isinstance(each, dict) else {}) for name, each in inputs.items()}
    if sum(1 + len(each.options) for each in read.values()) > MOST_NAMES:
        raise WorkflowFault(f"declares over {MOST_NAMES:,} inputs and options")
    return read


def _input(about: Mapping[str, object]) -> Input:
    options = about.get("options")
    return Input(
        type=_word(about.get("type")) or "string",
        required=about.get("required") == "true",
        default=_word(about.get("default")),
        options=tuple(map(_word, options)) if isinstance(options, list) else (),
    )


def _word(value: object) -> str:
    """A scalar's text. Of anything else none is made: by its aliases it may be without bounds."""
    return value if isinstance(value, str) else ""
