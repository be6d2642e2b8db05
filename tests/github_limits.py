"""What GitHub takes as a repository_dispatch, from the words of its documentation: nothing here is
from the daemon."""

from __future__ import annotations

import json


def refusals(request_body: bytes) -> list[str]:
    """Why GitHub would refuse the body of ``POST /repos/{owner}/{repo}/dispatches``; empty where
    it takes it. Source: https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
    """
    try:
        request = json.loads(request_body.decode("utf-8"), parse_constant=_no_constant)
    except ValueError as error:
        return [f"no JSON: {error}"]
    found = []
    event_type, payload = request["event_type"], request["client_payload"]
    if not isinstance(event_type, str) or not 1 <= len(event_type) <= 100:
        found.append(f"event_type is not text of 1 to 100 characters: {event_type!r:.200}")
    if not isinstance(payload, dict):
        return [*found, "client_payload is no object"]
    if len(payload) > 10:
        found.append(f"client_payload has {len(payload)} properties")
    try:
        size = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
    except UnicodeEncodeError:
        return [*found, "client_payload holds half of a surrogate pair"]
    if size >= 64 * 1024:
        found.append(f"client_payload has {size:,} bytes")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
