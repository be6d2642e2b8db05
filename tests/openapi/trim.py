"""Cuts GitHub's official API description down to what the tests need, as ``github.json``. What a
newer version of the API changes there is kept beside it.

``npm pack @octokit/openapi``, unpack it, and run ``python -m tests.openapi.trim
package/generated/api.github.com.json``. The description is under the MIT licence beside this file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = [
    "GET /meta",
    "GET /user",
    "GET /rate_limit",
    "POST /app/installations/{installation_id}/access_tokens",
    *(
        f"{verb} {REPOSITORY}{place}"
        for verb, place in [
            ("GET", ""),
            ("GET", "/installation"),
            ("POST", "/dispatches"),
            ("GET", "/branches"),
            ("GET", "/branches/{branch}"),
            ("GET", "/git/ref/{ref}"),
            ("GET", "/git/matching-refs/{ref}"),
            ("GET", "/contents/{path}"),
            ("GET", "/actions/permissions"),
            ("GET", "/actions/runs"),
            ("GET", "/actions/runs/{run_id}"),
            ("GET", "/actions/runs/{run_id}/attempts/{attempt_number}"),
            ("POST", "/actions/runs/{run_id}/rerun"),
            ("POST", "/actions/runs/{run_id}/cancel"),
            ("GET", "/actions/workflows"),
            ("GET", "/actions/workflows/{workflow_id}"),
            ("GET", "/actions/workflows/{workflow_id}/runs"),
            ("POST", "/actions/workflows/{workflow_id}/dispatches"),
            ("GET", "/hooks"),
            ("POST", "/hooks"),
            ("GET", "/hooks/{hook_id}"),
            ("PATCH", "/hooks/{hook_id}"),
            ("DELETE", "/hooks/{hook_id}"),
            ("POST", "/hooks/{hook_id}/pings"),
            ("GET", "/hooks/{hook_id}/deliveries"),
            ("GET", "/hooks/{hook_id}/deliveries/{delivery_id}"),
            ("POST", "/hooks/{hook_id}/deliveries/{delivery_id}/attempts"),
            ("GET", "/pulls"),
            ("POST", "/pulls"),
            ("GET", "/pulls/{pull_number}"),
            ("PUT", "/pulls/{pull_number}/merge"),
        ]
    ),
    "GET /app/hook/config",
    "GET /app/hook/deliveries",
    "GET /app/hook/deliveries/{delivery_id}",
    "POST /app/hook/deliveries/{delivery_id}/attempts",
    "GET /orgs/{org}/installation",
    *(
        f"{verb} /orgs/{{org}}/hooks{place}"
        for verb, place in [
            ("GET", ""),
            ("POST", ""),
            ("GET", "/{hook_id}"),
            ("PATCH", "/{hook_id}"),
            ("DELETE", "/{hook_id}"),
            ("POST", "/{hook_id}/pings"),
            ("GET", "/{hook_id}/deliveries"),
            ("GET", "/{hook_id}/deliveries/{delivery_id}"),
            ("POST", "/{hook_id}/deliveries/{delivery_id}/attempts"),
        ]
    ),
]
_PROSE = ("description", "example", "examples", "externalDocs", "title", "deprecated", "default")
_COMPONENT = "#/components/schemas/"
_CHANGES = "x-github-breaking-changes"
NEWER = "2026-03-10"
"""The version of the API whose changes the description carries along."""


def both(whole: dict[str, Any]) -> dict[str, Any]:
    """The description of the oldest version of the API, and under ``newer`` what differs in
    ``NEWER``."""
    base, newer = trimmed(whole, ""), trimmed(whole, NEWER)
    return {
        "description": "From @octokit/openapi, MIT licence; see trim.py",
        "version": whole["info"]["version"],
        **base,
        "newer": {
            "version": NEWER,
            **{
                kind: {name: each for name, each in newer[kind].items() if each != of.get(name)}
                for kind, of in base.items()
            },
        },
    }


def trimmed(whole: dict[str, Any], version: str) -> dict[str, Any]:
    """The operations with their schemas as JSON Schema, and the schemas that these refer to, as of
    ``version``; empty for the oldest."""
    components = {
        kind: whole["components"].get(kind, {})
        for kind in ("responses", "requestBodies", "schemas", "parameters")
    }

    def resolved(node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        _, _, kind, name = node["$ref"].split("/")
        found: dict[str, Any] = components[kind][name]
        return found

    def schema(node: dict[str, Any]) -> dict[str, Any] | None:
        content = resolved(node).get("content", {}).get("application/json")
        return as_json_schema(content["schema"]) if content else None

    def parameter(node: dict[str, Any]) -> dict[str, Any]:
        found = resolved(node)
        return {
            "in": found["in"],
            "required": found.get("required", False),
            "schema": as_json_schema(found["schema"]),
        }

    operations: dict[str, Any] = {}
    for operation in OPERATIONS:
        verb, _, path = operation.partition(" ")
        described = changed(whole["paths"][path][verb.lower()], version)
        body = resolved(described.get("requestBody", {}))
        operations[operation] = {
            "parameters": {
                resolved(each)["name"]: parameter(each) for each in described.get("parameters", [])
            },
            "request": schema(body),
            "request_required": body.get("required", False),
            "responses": {
                status: schema(response)
                for status, response in described["responses"].items()
                if status.startswith("2")
            },
        }
    definitions: dict[str, Any] = {}
    wanted = references(operations)
    while missing := sorted(wanted - set(definitions)):
        for name in missing:
            definitions[name] = as_json_schema(changed(components["schemas"][name], version))
            wanted |= references(definitions[name])
    return {"operations": operations, "$defs": definitions}


def changed(node: Any, version: str) -> Any:
    """The description with every change made that ``version`` brings."""
    if isinstance(node, list):
        return [changed(item, version) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: changed(value, version) for key, value in node.items() if key != _CHANGES}
    changes = node.get(_CHANGES, [])
    for change in changes if isinstance(changes, list) else []:
        if change["version"] == version:
            patch = change["patch"]
            found = steps(found, patch) if isinstance(patch, list) else merged(found, patch)
    return found


def merged(node: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Merge Patch (RFC 7396)."""
    found = dict(node) if isinstance(node, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value) if isinstance(value, dict) else value
    return found


def steps(node: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """A JSON Patch (RFC 6902) that removes and replaces members of objects, as GitHub's do."""
    found = deepcopy(node)
    for step in patch:
        *way, last = (
            part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]
        )
        place = found
        for key in way:
            place = place[key]
        if step["op"] == "remove":
            del place[last]
        elif step["op"] == "replace" and last in place:
            place[last] = step["value"]
        else:
            raise ValueError(f"{step['op']} {step['path']} is not known here")
    return found


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's dialect as draft 2020-12, without its prose."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"].replace(_COMPONENT, "#/$defs/")}
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            found[key] = {name: as_json_schema(each) for name, each in value.items()}
        elif key not in (*_PROSE, "nullable", "discriminator") and not key.startswith("x-"):
            found[key] = as_json_schema(value)
    if not node.get("nullable"):
        return found
    if isinstance(found.get("type"), str) and "enum" not in found:
        return {**found, "type": [found["type"], "null"]}
    return {"anyOf": [found, {"type": "null"}]}


def references(node: Any) -> set[str]:
    """The names that ``node`` refers to."""
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    if "$ref" in node:
        return {node["$ref"].rpartition("/")[2]}
    return references(list(node.values()))


if __name__ == "__main__":
    description = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    text = json.dumps(both(description), separators=(",", ":"))
    (Path(__file__).parent / "github.json").write_text(text + "\n", encoding="utf-8")
