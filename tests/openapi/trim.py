"""Cuts GitHub's official API description down to what the tests need, as ``github.json``.

``npm pack @octokit/openapi``, unpack it, and run ``python -m tests.openapi.trim
package/generated/api.github.com.json``. The description is under the MIT licence beside this file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = [
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


def trimmed(whole: dict[str, Any]) -> dict[str, Any]:
    """The operations with their schemas as JSON Schema, and the schemas that these refer to."""
    components = {
        kind: whole["components"].get(kind, {})
        for kind in ("responses", "requestBodies", "schemas")
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

    operations: dict[str, Any] = {}
    for operation in OPERATIONS:
        verb, _, path = operation.partition(" ")
        described = whole["paths"][path][verb.lower()]
        operations[operation] = {
            "request": schema(described["requestBody"]) if "requestBody" in described else None,
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
            definitions[name] = as_json_schema(components["schemas"][name])
            wanted |= references(definitions[name])
    return {
        "description": "From @octokit/openapi, MIT licence; see trim.py",
        "version": whole["info"]["version"],
        "operations": operations,
        "$defs": definitions,
    }


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
    text = json.dumps(trimmed(description), separators=(",", ":"))
    (Path(__file__).parent / "github.json").write_text(text + "\n", encoding="utf-8")
