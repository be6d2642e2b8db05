"""Whether a value fits a shipped schema, at a speed at which ten thousand entries are checked in a
tenth of a second. What is wrong with one that does not is for the validator to say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from functools import cache
from types import NoneType
from typing import Any

Schema = Mapping[str, Any]
Predicate = Callable[[Any], bool]
Classes = tuple[type, ...]

_NUMBER: Classes = (int, float)
_CLASSES: Mapping[str, Classes] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": _NUMBER,
    "integer": _NUMBER,  # 200.0 is a whole one, too
    "boolean": (bool,),
    "null": (NoneType,),
}
"""What JSON's types are read as. A value's class is looked up as it is: ``True`` is no number."""

_ANY: Classes = (dict, list, str, *_NUMBER, bool, NoneType)

_SILENT = frozenset({"$schema", "$id", "$defs", "title", "description", "examples", "default"}) | {
    *("deprecated", "x-form", "then", "else"),
}
"""Keywords that ask for nothing by themselves."""


class Predicates:
    """The predicates of ``root`` and of the schemas within it, by the keywords of JSON Schema's
    draft 2020-12 that ours use. All ``$ref`` point into ``root`` itself."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._made: dict[int, Predicate] = {}

    def of(self, schema: Schema) -> Predicate:
        """Says of a value whether it fits ``schema``, which is ``root`` or stands within it."""
        made = self._made.get(id(schema))  # `root` lives as long as its predicates
        if made is None:
            made = self._made[id(schema)] = self._compiled(schema)
        return made

    def target(self, pointer: str) -> Schema:
        """What a ``$ref`` points to."""
        found: Any = self._root
        for step in pointer.removeprefix("#/").split("/"):
            found = found[step]
        schema: Schema = found
        return schema

    def _compiled(self, schema: Schema) -> Predicate:
        named = schema.get("type", tuple(_CLASSES))
        kinds = (named,) if isinstance(named, str) else named
        asked: dict[type, list[Predicate]] = {each: [] for kind in kinds for each in _CLASSES[kind]}
        for keyword, rule in schema.items():
            if keyword not in _SILENT:
                classes, check = self._check(keyword, rule, schema)
                for each in asked.keys() & set(classes):
                    asked[each].append(check)

        def fits(value: Any) -> bool:
            checks = asked.get(value.__class__)
            if checks is None:
                return False
            for check in checks:  # noqa: SIM110 - `all` takes twice as long, a million times
                if not check(value):
                    return False
            return True

        return fits

    def _check(self, keyword: str, rule: Any, schema: Schema) -> tuple[Classes, Predicate]:
        """What one keyword asks for, and of values of which classes."""
        match keyword:
            case "type":
                return (float,), (_anything if "number" in rule else float.is_integer)
            case "enum":
                texts = frozenset(rule)
                return _ANY, lambda value: isinstance(value, str) and value in texts
            case "const":
                return _ANY, lambda value: value is rule  # it is a boolean
            case "pattern":
                return (str,), lambda text: matches(rule, text)
            case "minLength" | "minItems":
                return (str, list), lambda value: len(value) >= rule
            case "maxLength" | "maxProperties":
                return (str, dict), lambda value: len(value) <= rule
            case "minimum":
                return _NUMBER, lambda number: number >= rule
            case "maximum":
                return _NUMBER, lambda number: number <= rule
            case "uniqueItems":
                return (list,), _distinct
            case "items":
                item = self.of(rule)
                return (list,), lambda values: all(map(item, values))
            case "required":
                wanted = frozenset(rule)
                return (dict,), lambda value: value.keys() >= wanted
            case "properties":
                return (dict,), self._properties(rule)
            case "additionalProperties":
                return (dict,), self._others(schema.get("properties", {}).keys(), rule)
            case "propertyNames":
                name = self.of(rule)
                return (dict,), lambda value: all(map(name, value))
            case "$ref":  # looked up when asked: a schema may stand within itself
                return _ANY, lambda value: self.of(self.target(rule))(value)
            case "allOf":
                parts = tuple(map(self.of, rule))
                return _ANY, lambda value: all(part(value) for part in parts)
            case "anyOf":
                parts = tuple(map(self.of, rule))
                return _ANY, lambda value: any(part(value) for part in parts)
            case "oneOf":
                parts = tuple(map(self.of, rule))
                return _ANY, lambda value: sum(part(value) for part in parts) == 1
            case "not":
                refused = self.of(rule)
                return _ANY, lambda value: not refused(value)
            case "if":
                holds = self.of(rule)
                then, other = (self.of(schema.get(key, {})) for key in ("then", "else"))
                return _ANY, lambda value: then(value) if holds(value) else other(value)
        raise AssertionError(f"the schemas have no use for {keyword!r} so far")

    def _properties(self, known: Mapping[str, Schema]) -> Predicate:
        parts = {key: self.of(schema) for key, schema in known.items()}

        def fit(value: Any) -> bool:
            for key, child in value.items():
                part = parts.get(key)
                if part is not None and not part(child):
                    return False
            return True

        return fit

    def _others(self, known: Set[str], rule: Schema | bool) -> Predicate:
        """What is asked of the keys that are not ``known``."""
        if isinstance(rule, bool):
            return lambda value: rule or value.keys() <= known
        other = self.of(rule)
        return lambda value: all(other(value[key]) for key in value.keys() - known)


def matches(pattern: str, text: str) -> bool:
    """Whether a ``pattern`` of a schema is found in the text."""
    return _expression(pattern).search(text) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    # In the patterns of JSON Schema (ECMA 262) `$` is the end; Python's also fits before a newline.
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def _distinct(values: list[Any]) -> bool:
    """Whether all are different texts: in our schemas no other values have to be distinct."""
    return all(isinstance(value, str) for value in values) and len(set(values)) == len(values)


def _anything(value: Any) -> bool:
    return True
