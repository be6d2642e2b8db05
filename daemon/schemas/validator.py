"""Compiles a shipped schema: jsonschema's draft 2020-12 at a speed at which ten
thousand wrong entries are told in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from daemon.schemas.predicates import Schema, matches


def compiled(root: Schema) -> Validator:
    """A validator for ``root``. Its errors say in ``path`` where they are; their ``schema_path``
    holds only the last steps.

    jsonschema makes a new validator for each schema within the schema and each value, which is
    most of its time. The keywords that nest schemas are therefore replaced by ones that make it
    once. They mean the same, with all ``$ref`` pointing into ``root`` itself.
    """
    parts: dict[int, Validator] = {}

    def errors(validator: Validator, part: Schema, value: Any) -> Iterator[ValidationError]:
        compiled_part = parts.get(id(part))  # `root` lives as long as its validator
        if compiled_part is None:
            compiled_part = parts[id(part)] = validator.evolve(schema=part)
        return compiled_part.iter_errors(value)

    def properties(
        validator: Validator, known: Mapping[str, Schema], value: Any, schema: Schema
    ) -> Iterator[ValidationError]:
        if isinstance(value, dict):
            for key, child in value.items():
                if key in known:
                    for error in errors(validator, known[key], child):
                        error.path.appendleft(key)
                        yield error

    def items(
        validator: Validator, item: Schema, value: Any, schema: Schema
    ) -> Iterator[ValidationError]:
        if isinstance(value, list):
            for index, child in enumerate(value):
                for error in errors(validator, item, child):
                    error.path.appendleft(index)
                    yield error

    def all_of(
        validator: Validator, parts: list[Schema], value: Any, schema: Schema
    ) -> Iterator[ValidationError]:
        for part in parts:
            yield from errors(validator, part, value)

    def if_(
        validator: Validator, condition: Schema, value: Any, schema: Schema
    ) -> Iterator[ValidationError]:
        holds = not any(errors(validator, condition, value))
        branch = "then" if holds else "else"
        if branch in schema:
            yield from errors(validator, schema[branch], value)

    def ref(
        validator: Validator, pointer: str, value: Any, schema: Schema
    ) -> Iterator[ValidationError]:
        target = root
        for step in pointer.removeprefix("#/").split("/"):
            target = target[step]
        yield from errors(validator, target, value)

    keywords = {
        "properties": properties,
        "items": items,
        "allOf": all_of,
        "if": if_,
        "$ref": ref,
        "pattern": _pattern,
    }
    # jsonschema's stubs leave `extend` untyped
    made: Validator = extend(Draft202012Validator, keywords)(root)  # type: ignore[no-untyped-call]
    return made


def _pattern(
    validator: Validator, pattern: str, value: Any, schema: Schema
) -> Iterator[ValidationError]:
    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError("does not match")
