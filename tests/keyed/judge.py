"""What is wrong with an answer, in words; nothing for one that is in order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus

from tests.harness.raw_http import Answer
from tests.harness.target import UNSEEN
from tests.keyed.calls import Call

INSIDES = re.compile(r"Traceback|File \\?\"|\.py\b|<\w+ object|\b0x[0-9a-f]{8}|sqlite|SQL\b|Errno")
"""What tells of the program and not of the call."""

ANSWERED_BY_GITHUB = ("/hook", "/branch")
"""Routes that answer 502 with GitHub's own refusal, and 503 while it may not be asked: docs/http.md
says so of each."""

SHORTEST = 12
"""Characters that an error needs to explain anything. "Unauthorized" has them: it says no more."""


def faults(call: Call, answer: Answer | None) -> Iterator[str]:
    """Each is the same for calls that show the same fault."""
    if answer is None:
        yield "no answer"
        return
    status, body = answer.status, answer.body
    if status >= 500 and not _of_github(call, answer):
        yield f"{status}: {body[:200]!r}"
    if not call.keyed and call.clean and status not in _TURNED_AWAY:
        yield f"{status} without the key"
    if [secret for secret in UNSEEN if secret in f"{answer.headers}{body!r}"]:
        yield "a secret is shown"
    if call.method == "HEAD":
        if body:
            yield "HEAD has a body"
        return
    if call.route.path == "/metrics" and status == HTTPStatus.OK:
        return
    if not answer.headers.get("content-type", "").startswith("application/json"):
        yield f"{status} of the type {answer.headers.get('content-type')!r}"
        return
    try:
        value = json.loads(body, parse_constant=_no_json)
    except ValueError as fault:
        yield f"{status} that is no JSON: {fault}"
        return
    if status < 400:
        return
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, str) or len(error) < SHORTEST:
        yield f"{status} does not explain itself: {body[:200]!r}"
    elif found := INSIDES.search(error):
        yield f"{status} tells of the insides: {found[0]!r} in {error[:200]!r}"


_TURNED_AWAY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)


def _of_github(call: Call, answer: Answer) -> bool:
    if not any(part in call.route.path for part in ANSWERED_BY_GITHUB):
        return False
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return "retry-after" in answer.headers
    return answer.status == HTTPStatus.BAD_GATEWAY and b"GitHub" in answer.body


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")
