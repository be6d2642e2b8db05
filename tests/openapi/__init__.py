"""GitHub's official description of its API, cut down to the operations that concern us; and a check
of a request's or an answer's JSON against it."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

HERE = Path(__file__).parent


@cache
def description() -> dict[str, Any]:
    """``{"operations": {"GET /path": {"request": schema, "responses": {status: schema}}},
    "$defs": …}``, as ``trim.py`` wrote it."""
    document: dict[str, Any] = json.loads((HERE / "github.json").read_text(encoding="utf-8"))
    return document


def check_answer(operation: str, status: int, document: object) -> None:
    """Raises ValidationError where GitHub's answer to ``GET /repos/{owner}/{repo}`` (the path as
    the description writes it) would not look so, KeyError where there is no such answer."""
    _check(description()["operations"][operation]["responses"][str(status)], document)


def check_request(operation: str, document: object) -> None:
    """The same of a request's body; a key that GitHub does not know is a fault too."""
    schema = description()["operations"][operation]["request"]
    unknown = set(document) - set(schema["properties"]) if isinstance(document, dict) else set()
    assert not unknown, f"{operation} takes no {unknown}"
    _check(schema, document)


def operation_of(method: str, path: str) -> str:
    """The operation whose path has this form; raises LookupError where there is none."""
    for operation in description()["operations"]:
        verb, _, template = operation.partition(" ")
        form = re.sub(r"\\\{(path|ref|branch)\\\}", ".+", re.escape(template))
        form = re.sub(r"\\\{[^}]*\\\}", "[^/]+", form)
        if verb == method and re.fullmatch(form, path):
            return str(operation)
    raise LookupError(f"GitHub's description has no {method} {path}")


def _check(schema: dict[str, Any] | None, document: object) -> None:
    if schema is None:
        assert document in (None, b"", ""), "GitHub's answer has no body"
        return
    whole = {"$defs": description()["$defs"], **schema}
    jsonschema.Draft202012Validator(whole).validate(document)
