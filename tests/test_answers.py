"""What every answer says of itself, whatever it is the answer to."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.connections import HEAD_MAX
from daemon.web import SECURITY_HEADERS
from tests.harness.door import door
from tests.harness.raw_http import Answer, ask, connected, request
from tests.inprocess import serving
from tests.specs import trigger_entry

TOO_LARGE = [f"X-{number}: {'a' * 8000}\r\n".encode() for number in range(HEAD_MAX // 8000 + 1)]
ASKED = {
    "an answer": (request("GET", "/ping"), 200),
    "another's page": (request("GET", "/nowhere"), 404),
    "another method": (request("PUT", "/ping"), 405),
    "without a key": (request("GET", "/api/v1/status"), 401),
    "a webhook's own answer": (request("POST", "/hook", length=2) + b"{}", 200),
    "no HTTP": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "too much of a head": (request("GET", "/ping")[:-2] + b"".join(TOO_LARGE), 431),
}


@pytest.mark.parametrize("case", ASKED)
async def test_every_answer_is_for_programs_and_names_no_version(tmp_path: Path, case: str) -> None:
    sent, status = ASKED[case]
    response = {"status": 200, "body": "<p>hello</p>", "content_type": "text/html"}
    triggers = [trigger_entry("page", response=response)]
    async with serving(tmp_path, triggers=triggers) as daemon:
        answer = await ask(daemon.url, sent)
    assert answer is not None
    assert answer.status == status
    assert_said(answer)


async def test_so_is_what_was_never_a_request() -> None:
    async with door() as at, connected(at.url) as wire:
        await wire.send(request("GET", "/ping")[:-2], *TOO_LARGE)
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 431
        assert_said(answer)


def assert_said(answer: Answer) -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["server"] == "dispatchd"
    assert "strict-transport-security" not in answer.headers  # this is plain HTTP
    assert {name.lower() for name in SECURITY_HEADERS} <= answer.headers.keys()
