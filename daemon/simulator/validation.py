"""GitHub's checks of the body of a dispatch of either kind, in its own words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never

from daemon.github import EVENT_TYPE_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_KEYS_MAX

DOCS = "https://docs.github.com/rest"
DISPATCH_DOCS = f"{DOCS}/repos/repos#create-a-repository-dispatch-event"
WORKFLOW_DISPATCH_DOCS = f"{DOCS}/actions/workflows#create-a-workflow-dispatch-event"
INPUTS_MAX = 25


class Rejection(Exception):
    """An error answer in GitHub's shape; ``location`` is where a redirect points, ``retry_after``
    the seconds to wait, and ``errors`` say what is wrong with which field."""

    def __init__(
        self,
        status: int,
        message: str,
        documentation_url: str = DOCS,
        *,
        location: str = "",
        retry_after: int | None = None,
        errors: tuple[Mapping[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.documentation_url = documentation_url
        self.location = location
        self.retry_after = retry_after
        self.errors = errors

    def as_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"message": self.message}
        if self.errors:
            shown["errors"] = [dict(error) for error in self.errors]
        shown |= {"url": self.location} if self.location else {"status": str(self.status)}
        return {**shown, "documentation_url": self.documentation_url}


def read_dispatch(body: bytes) -> tuple[str, dict[str, object]]:
    """The event type and the payload of a dispatch's body; raises Rejection as GitHub answers.

    The wording is that of real answers, quoted in github/docs#16469,
    lukasoppermann/design-tokens#155 and prowler-cloud/prowler#12370.
    """
    document = read_object(body, DISPATCH_DOCS)
    event_type = document.get("event_type")
    payload = document.get("client_payload", {})
    faults = [*_event_type_faults(document), *_payload_faults(payload)]
    if faults or not isinstance(event_type, str):
        raise Rejection(422, "Invalid request.\n\n" + "\n".join(faults), DISPATCH_DOCS)
    if len(body) > PAYLOAD_BYTES_MAX and _size(payload) > PAYLOAD_BYTES_MAX:
        raise Rejection(422, "client_payload is too large.", DISPATCH_DOCS)
    return event_type, payload


@dataclass(frozen=True, slots=True)
class WorkflowDispatch:
    """What a ``workflow_dispatch`` asks for; ``wants_run`` is None where it does not say."""

    ref: str
    inputs: dict[str, object]
    wants_run: bool | None


def read_workflow_dispatch(body: bytes) -> WorkflowDispatch:
    """The body of a ``workflow_dispatch``; raises Rejection as GitHub answers."""
    document = read_object(body, WORKFLOW_DISPATCH_DOCS)
    ref, inputs = document.get("ref"), document.get("inputs", {})
    wants_run = document.get("return_run_details")
    faults = []
    if "ref" not in document:
        faults.append('"ref" wasn\'t supplied.')
    elif not isinstance(ref, str):
        faults.append(f"For 'properties/ref', {_shown(ref)} is not a string.")
    if not isinstance(inputs, dict):
        faults.append(f"For 'properties/inputs', {_shown(inputs)} is not an object.")
    elif len(inputs) > INPUTS_MAX:
        faults.append(
            f"No more than {INPUTS_MAX} properties are allowed; {len(inputs)} were supplied."
        )
    if not isinstance(wants_run, bool | None):
        faults.append(f"For 'properties/return_run_details', {_shown(wants_run)} is not a boolean.")
    if faults or not isinstance(ref, str):
        raise Rejection(422, "Invalid request.\n\n" + "\n".join(faults), WORKFLOW_DISPATCH_DOCS)
    if len(body) > PAYLOAD_BYTES_MAX and _size(inputs) > PAYLOAD_BYTES_MAX:
        raise Rejection(422, "inputs are too large.", WORKFLOW_DISPATCH_DOCS)
    return WorkflowDispatch(ref, inputs, wants_run)


def read_object(body: bytes, documentation_url: str = DOCS) -> dict[str, Any]:
    """The JSON object that a body is; raises Rejection as GitHub answers where it is none."""
    try:
        document = _STRICT.decode(body.decode())
    except (ValueError, RecursionError):
        raise Rejection(400, "Problems parsing JSON", documentation_url) from None
    if not isinstance(document, dict):
        raise Rejection(400, "Body should be a JSON object", documentation_url)
    return document


def _size(payload: object) -> int:
    encoded = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return len(encoded.encode(errors="surrogatepass"))


def _event_type_faults(document: dict[str, object]) -> list[str]:
    if "event_type" not in document:
        return ['"event_type" wasn\'t supplied.']
    event_type = document["event_type"]
    if not isinstance(event_type, str):
        return [f"For 'properties/event_type', {_shown(event_type)} is not a string."]
    if not event_type:
        return ["At least 1 character is required; only 0 were supplied."]
    if len(event_type) > EVENT_TYPE_MAX:
        return [f"Only {EVENT_TYPE_MAX} characters are allowed; {len(event_type)} were supplied."]
    return []


def _payload_faults(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return [f"For 'properties/client_payload', {_shown(payload)} is not an object."]
    if len(payload) > PAYLOAD_KEYS_MAX:
        return [
            f"No more than {PAYLOAD_KEYS_MAX} properties are allowed; {len(payload)} were supplied."
        ]
    return []


def _shown(value: object) -> str:
    return "nil" if value is None else json.dumps(value)


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)
