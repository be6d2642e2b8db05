"""GitHub's official description of its API, cut down to the operations that concern us; and a check
of a request or of an answer's JSON against it."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema

HERE = Path(__file__).parent


@cache
def description(version: str = "") -> dict[str, Any]:
    """``{"operations": {"GET /path": {"parameters": {name: …}, "request": schema, "responses":
    {status: schema}}}, "$defs": …}``, as ``trim.py`` wrote it. ``version`` is the API's, where it
    is not the oldest."""
    document: dict[str, Any] = json.loads((HERE / "github.json").read_text(encoding="utf-8"))
    newer = document["newer"]
    if version != newer["version"]:
        return document
    return {kind: {**document[kind], **newer[kind]} for kind in ("operations", "$defs")}


def faults(method: str, target: str, body: bytes, version: str = "") -> list[str]:
    """What GitHub's description of this version has against the request; ``target`` is its path
    with its query. Raises LookupError where there is no such operation."""
    url = urlsplit(target)
    operation = operation_of(method, url.path)
    described = description(version)["operations"][operation]
    known = described["parameters"]
    given = [("path", name, value) for name, value in _in_path(operation, url.path).items()]
    given += [("query", *each) for each in parse_qsl(url.query, keep_blank_values=True)]
    found = []
    for place, name, text in given:
        if name not in known or known[name]["in"] != place:
            found.append(f"{operation} has no {name} in its {place}")
            continue
        schema = known[name]["schema"]
        is_number = schema.get("type") == "integer" and re.fullmatch(r"[0-9]+", text)
        found += _against(schema, int(text) if is_number else text, version, name)
    for name, parameter in known.items():
        if parameter["required"] and name not in {each for _, each, _ in given}:
            found.append(f"{operation} requires {name}")
    if not body:
        return found + [f"{operation} requires a body"] * described["request_required"]
    if described["request"] is None:
        return [*found, f"{operation} takes no body"]
    document = json.loads(body)
    keys = described["request"].get("properties", {})
    found += [f"{operation} takes no {key}" for key in document if key not in keys]
    return found + _against(described["request"], document, version, "body")


def _in_path(operation: str, path: str) -> dict[str, str]:
    """The parameters of the path, decoded."""
    found = re.fullmatch(_form(operation.partition(" ")[2]), path)
    return {name: unquote(value) for name, value in found.groupdict().items()} if found else {}


def _form(template: str) -> str:
    """A regular expression for paths; some parameters may hold several segments."""
    form = re.sub(r"\\\{(path|ref|branch)\\\}", r"(?P<\1>.+)", re.escape(template))
    return re.sub(r"\\\{([^}]*)\\\}", r"(?P<\1>[^/]+)", form)


def _against(schema: dict[str, Any], value: object, version: str, place: str) -> list[str]:
    whole = {"$defs": description(version)["$defs"], **schema}
    errors = jsonschema.Draft202012Validator(whole).iter_errors(value)
    return [f"{place}: {error.message}" for error in errors]


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
        if verb == method and re.fullmatch(_form(template), path):
            return str(operation)
    raise LookupError(f"GitHub's description has no {method} {path}")


def _check(schema: dict[str, Any] | None, document: object) -> None:
    if schema is None:
        assert document in (None, b"", ""), "GitHub's answer has no body"
        return
    whole = {"$defs": description()["$defs"], **schema}
    jsonschema.Draft202012Validator(whole).validate(document)
