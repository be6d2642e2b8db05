"""What jsonschema finds, in words for the person who mends it: each mistake once, with a hint, and
without the value, which may be a secret."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import ValidationError

from daemon.schemas.predicates import Schema

Path = tuple[str | int, ...]

_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_LONGEST_EXAMPLE = 120

_REFERENCE = "a reference to a secret, never the secret itself"
_VARIABLE = re.compile(r"\$?\{?([A-Z]+[0-9]{0,2}(?:_(?:[A-Z]+[0-9]{0,2}|[0-9]{1,2}))+)\}?")
"""What stands for a secret and looks like the name of a variable, not like the secret itself: words
with few digits."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake. ``at_key`` says that the key at ``path`` is what is wrong, not its value. One of
    some ``weight`` leaves nothing to say about what is within its value, nor anything lighter
    about the value itself. ``wants`` names the keys of which one is missing (or too many), and
    ``meant`` the key that an unknown one was probably meant to be, with those that lead there from
    the object that it stands in."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False
    weight: int = 0
    wants: tuple[str, ...] = ()
    meant: tuple[str, ...] = ()


class Wording:
    """Puts one schema's errors into words. Keys are looked up by name alone, wherever in the schema
    they stand: for examples in hints."""

    def __init__(self, schema: Schema) -> None:
        self._keys = dict(_named_schemas(schema))
        self._definitions: Mapping[str, Schema] = schema.get("$defs", {})

    def findings(self, errors: Iterable[ValidationError]) -> list[Finding]:
        """The mistakes behind ``errors``, without those that only follow from another one."""
        found = [finding for error in errors for finding in self._of(error)]
        weights: dict[Path, int] = {}
        for finding in found:
            weights[finding.path] = max(finding.weight, weights.get(finding.path, 0))
        meant = {
            (*finding.path[:-1], *finding.meant[: length + 1])
            for finding in found
            for length in range(len(finding.meant))
        }

        def follows(finding: Finding) -> bool:
            above = (finding.path[:length] for length in range(len(finding.path)))
            return (
                finding.weight < weights[finding.path]
                or any(weights.get(path) for path in above)
                # A misspelt or misplaced key, here or in the defaults, is why the right one is
                # missing; and a key that is to go anyway excludes no other.
                or any(
                    (*finding.path, key) in meant
                    or ("defaults", key) in meant
                    or weights.get((*finding.path, key))
                    for key in finding.wants
                )
            )

        return list(dict.fromkeys(finding for finding in found if not follows(finding)))

    def _of(self, error: ValidationError) -> Iterator[Finding]:
        path = tuple(error.absolute_path)
        value: Any = error.instance
        rule: Any = error.validator_value
        schema: Any = error.schema
        form = schema.get("x-form", "")
        if "propertyNames" in error.schema_path:
            yield Finding((*path, value), f"must be {form}", at_key=True)
            return
        match error.validator:
            case "additionalProperties":
                for key in value:
                    if key not in schema["properties"]:
                        yield self._unknown(path, key, schema["properties"])
            case "required":
                for key in rule:
                    if key not in value:
                        yield self._missing(path, (key,))
            case "oneOf":
                yield self._one_of(path, value, rule)
            case "type":
                kinds = [rule] if isinstance(rule, str) else rule
                fraction = "integer" in kinds and isinstance(value, float)
                given = "a fraction" if fraction else _kind(value)
                message = f"must be {_joined(_KINDS[kind] for kind in kinds)}, not {given}"
                hint = "" if rule == "boolean" else _such_as(schema)
                yield Finding(path, message, hint, weight=1)
            case "enum":
                allowed = schema["enum"]
                hint = _did_you_mean(value, allowed) if len(allowed) > 1 else ""
                yield Finding(path, f"must be {form or _listed(allowed)}", hint)
            case "pattern":
                variable = _VARIABLE.fullmatch(value) if form == _REFERENCE else None
                hint = f"did you mean env:{variable[1]}?" if variable else _such_as(schema)
                yield Finding(path, f"must be {form}", hint)
            case "not":
                yield Finding(path, f"must be {form}", at_key=rule == {})
            case "minLength" | "minItems":
                yield Finding(path, "must not be empty", _such_as(schema))
            case "maxLength":
                yield Finding(path, _passed(len(value), rule, "characters"))
            case "maxProperties":
                yield Finding(path, _passed(len(value), rule, "keys"))
            case "minimum":
                yield Finding(path, f"must be at least {rule}")
            case "maximum":
                yield Finding(path, f"must be at most {rule}: this is {value - rule} more")
            case "uniqueItems":
                yield Finding(path, "holds the same value twice")
            case other:
                raise AssertionError(f"the schemas have no use for {other!r} so far")

    def _unknown(self, path: Path, key: str, known: Mapping[str, Schema]) -> Finding:
        offered = [
            one for one in known if known[one].get("not") != {} and not _hidden(self._keys[one])
        ]
        close = difflib.get_close_matches(key.lower(), offered, n=1)
        homes = [one for one in offered if one != "defaults" and key in self._within(known[one])]
        meant: tuple[str, ...] = ()
        if homes:
            hint = f"it belongs in {_joined(f'`{home}`' for home in homes)}"
            meant = (homes[0], key) if len(homes) == 1 else ()
        elif close:
            hint, meant = f'did you mean "{close[0]}"?', (close[0],)
        elif outer := self._beside(path, key):
            hint = f"it belongs beside `{outer}`"
        else:
            hint = "allowed here: " + ", ".join(offered)
        message = f"unknown key {_quoted(key)}"
        return Finding((*path, key), message, hint, at_key=True, weight=2, meant=meant)

    def _within(self, schema: Schema) -> set[str]:
        """The keys that may be offered within an object which ``schema`` describes."""
        while "properties" not in schema and "$ref" in schema:
            schema = self._definition(schema["$ref"])
        return {key for key, one in schema.get("properties", {}).items() if not _hidden(one)}

    def _beside(self, path: Path, key: str) -> str:
        """The entry's own key within which ``key`` stands at ``path``, where it is one itself."""
        own = self._definitions.get("entry", {}).get("properties", {})
        if key not in own or _hidden(own[key]):
            return ""
        return next((step for step in path if isinstance(step, str) and step in own), "")

    def _definition(self, pointer: str) -> Schema:
        found: Any = {"$defs": self._definitions}
        for step in pointer.removeprefix("#/").split("/"):
            found = found[step]
        definition: Schema = found
        return definition

    def _missing(self, path: Path, keys: tuple[str, ...]) -> Finding:
        hint = _such_as(self._keys[keys[0]], keys[0])
        return Finding(path, f"missing key {_joined(map(_quoted, keys))}", hint, wants=keys)

    def _one_of(self, path: Path, value: Any, choices: list[Schema]) -> Finding:
        """One of several keys must be there, and only one."""
        keys = tuple(choice["required"][0] for choice in choices)
        given = [key for key in keys if isinstance(value, dict) and key in value]
        if not given:
            offered = tuple(key for key in keys if not _hidden(self._keys[key]))
            return self._missing(path, offered)
        message = f"{' and '.join(map(_quoted, given))} exclude each other"
        return Finding(path, message, "keep one of them", wants=tuple(given))


def _named_schemas(schema: Any) -> Iterator[tuple[str, Schema]]:
    """Every described key of a schema by its name, the deepest first: an entry's own keys win over
    those of the same name within them. The defaults only point at an entry's keys."""
    if isinstance(schema, dict):
        for child in schema.values():
            yield from _named_schemas(child)
        for key, child in schema.get("properties", {}).items():
            if "examples" in child and not child.get("$ref", "").startswith("#/$defs/entry/"):
                yield key, child


def _hidden(schema: Schema) -> bool:
    """Whether a key is not to be offered: an older entry's."""
    return bool(schema.get("deprecated"))


def _did_you_mean(value: Any, allowed: list[Any]) -> str:
    by_lower_case = {one.lower(): one for one in allowed}
    close = difflib.get_close_matches(str(value).lower(), by_lower_case, n=1)
    return f"did you mean {_quoted(by_lower_case[close[0]])}?" if close else ""


def _such_as(schema: Schema, key: str = "") -> str:
    if "examples" not in schema:
        return ""
    example = _quoted(schema["examples"][0])
    if len(example) > _LONGEST_EXAMPLE:
        return ""
    return f"such as {_quoted(key)}: {example}" if key else f"such as {example}"


def _passed(size: int, limit: int, what: str) -> str:
    return f"{size} {what}, {size - limit} more than the {limit} allowed"


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case None:
            return "null"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return "a number"


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _joined(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _listed(values: Iterable[Any]) -> str:
    return _joined(map(_quoted, values))
