"""Bytes that are no HTTP request: answered as everything else is, and never quoted (the fixture
looks after each test)."""

from __future__ import annotations

import pytest
from aiohttp import web

from daemon.connections import Connections, Limits
from daemon.facts import Fact, Facts, Trouble
from daemon.http_server import Runner
from daemon.web import http_log
from tests.harness import API_KEY
from tests.harness.raw_http import ask, connected, request
from tests.harness.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORD = "never-to-be-seen-again"
UNREADABLE = "this is not HTTP that can be read"
TOO_LONG = "the request line or a header is too long"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (request("GET", "/ping", {"x-api-key": WORD * 1000}), TOO_LONG),
        (request("GET", "/ping", {"X-" + WORD * 1000: "1"}), TOO_LONG),
        (request("GET", f"/ping?token={WORD * 1000}"), TOO_LONG),
        (request("GET", "/ping", {"x-api-key": f"{WORD}\0{API_KEY}"}), UNREADABLE),
        (request("GET", "/ping", {"x-api-key": f"{WORD}\r{API_KEY}"}), UNREADABLE),
        (request("GET", "/ping", {f"x-api-key {WORD}": "1"}), UNREADABLE),
        (request("GET", "/ping", {"Content-Length": WORD}), UNREADABLE),
        (request(f"G@T-{WORD}", "/ping"), UNREADABLE),
        (request("GET", f"/ping HTTP/1.1 {WORD}"), UNREADABLE),
        (f"GET /ping?{WORD} HTTP/9.7\r\n\r\n".encode(), UNREADABLE),
        (f"GET /ping?{WORD} SPDY/1.1\r\n\r\n".encode(), UNREADABLE),
        (f"{API_KEY} {WORD}\r\n\r\n".encode(), UNREADABLE),
    ],
    ids=[
        "header value too long",
        "header name too long",
        "target too long",
        "NUL in a header",
        "CR in a header",
        "space in a header name",
        "length that is no number",
        "method",
        "two versions",
        "unknown version",
        "another protocol",
        "no HTTP at all",
    ],
)
async def test_what_is_no_request_is_refused_in_json_that_quotes_nothing_of_it(
    target: Target, sent: bytes, error: str
) -> None:
    answer = await target.ask(sent)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {"error": error}
    shown = f"{answer.headers}{answer.body!r}" + "\n".join(target.daemon.log)
    assert WORD not in shown


async def test_after_what_is_no_request_the_connection_is_closed(target: Target) -> None:
    """Where the next request would begin cannot be known."""
    async with connected(target.url) as wire:
        await wire.send(request("G@T", "/ping"))
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 400
        assert await wire.answer() is None


async def test_a_fault_that_no_handler_caught_is_told_to_the_log_without_its_words() -> None:
    async def broken(_: web.Request) -> web.Response:
        raise LookupError(WORD)

    app = web.Application()
    app.router.add_get("/ping", broken)
    facts, seen = Facts(), list[Fact]()
    facts.subscribe(seen.append)
    runner = Runner(app, Connections(facts, Limits()), access_log=None, logger=http_log(facts))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ((host, port),) = runner.addresses
        answer = await ask(f"http://{host}:{port}", request("GET", "/ping"))
    finally:
        await runner.cleanup()
    assert answer is not None
    assert (answer.status, answer.error) == (500, "internal error; the daemon's log says more")
    (trouble,) = seen
    assert isinstance(trouble, Trouble)
    assert trouble.message.startswith("nobody caught a LookupError in broken (")
    assert WORD not in trouble.message, "it could be what was sent"
