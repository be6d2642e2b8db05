"""Paths, methods and headers that nobody should send, and connections that misbehave: each gets a
clear answer or none, and the others are served as before (the fixture looks after each test)."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.raw_http import connected, request
from tests.harness.target import DEADLINE, JSON, Target

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/",
        "//",
        "//open",
        "/open/",
        "/open//",
        "/Open",
        "/hooks%2Fgithub",
        "/./open",
        "/x/../open",
        "/%2e%2e/open",
        "/open%00",
        "/open;x=y",
        "/team/",
        "/team//x",
        "/%",
        "/%zz",
        "/" + "a" * 7000,
        "/api/v1/",
        "/api/v1/nothing",
    ],
)
async def test_a_path_that_nobody_configured_is_answered_404(target: Target, path: str) -> None:
    """No spelling of a path but its own leads to a trigger: what stands before us (a proxy with
    rules by path) would not have known it either."""
    answer = await target.post(path, b"{}")
    assert answer.status == 404
    assert answer.error


@pytest.mark.parametrize("team", ["a%2Fb", "..", "%2e%2e%2f", "%00", "%ff", "%ed%a0%80", "%F0%9F"])
async def test_a_path_parameter_is_one_segment_and_any_text(target: Target, team: str) -> None:
    assert (await target.post(f"/team/{team}", b"{}")).status == 202


@pytest.mark.parametrize("query", ["a=%ff&%00=1", "&&&===", "a=1&a=2", "%", "a=1&" * 1500])
async def test_a_strange_query_is_no_reason_to_refuse(target: Target, query: str) -> None:
    assert (await target.post(f"/open?{query}", b"{}")).status == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/hooks/github", "POST"), ("/team/x", "POST"), ("/dispatch", "POST"), ("/ping", "GET, HEAD")],
)
async def test_another_method_is_answered_405_with_those_allowed(
    target: Target, method: str, path: str, allowed: str
) -> None:
    answer = await target.ask(request(method, path), method=method)
    if method in allowed:
        assert answer.status == 200
        return
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert answer.body == b"" if method == "HEAD" else allowed in answer.error


@pytest.mark.parametrize(
    "junk",
    [
        request("GET", "/ping", {"X-Long": "a" * 100_000}),
        request("GET", "/ping", [(f"X-{number}", "a" * 100) for number in range(2000)]),
        request("GET", "/" + "a" * 100_000),
        request("POST", "/open", {**JSON, "Content-Length": "5"}, b"{}"),
        request("POST", "/open", {"Transfer-Encoding": "chunked"}, b"{}"),
        request("POST", "/open", JSON, length=-5),
        request("POST", "/open", JSON, length=10**30),
        request("GET", "/ping", {"X-Control": b"\x01"}),
        request("GET", "/ping", {"No Spaces": "here"}),
        request("GET", b"/\xff"),
        request("GET", "ping"),
        request("NOPE", "/ping"),
        b"GET /ping HTTP/1.1\r\n\r\n",
        b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=range(17),
)
async def test_what_is_no_http_or_too_much_of_it_is_answered_400(
    target: Target, junk: bytes
) -> None:
    answer = await target.ask(junk)
    assert answer.status == 400
    assert answer.body


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 36",
        "Content-Length: 4, 4",
        "Content-Length: +4",
        "Content-Length: 0x4",
        "Content-Length: 4 4",
        "Content-Length : 4",
        "Content-Length:\r\n 4",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\x0bchunked",
        "X: 1\nContent-Length: 4",
    ],
)
async def test_a_body_whose_end_is_not_clear_is_refused_with_what_follows(
    target: Target, framing: str
) -> None:
    """What stands before us (a proxy) may see the end elsewhere, and with it the beginning of the
    next request: of somebody else's (RFC 9112, 11.2)."""
    smuggled = request("GET", "/ping")
    head = f"POST /open HTTP/1.1\r\nHost: dispatchd\r\n{framing}\r\n\r\n".encode()
    async with connected(target.url) as wire:
        await wire.send(head + b"0\r\n\r\n" + smuggled)
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 400
        assert await wire.answer() is None


async def test_junk_after_a_good_request_is_refused_and_the_good_one_answered(
    target: Target,
) -> None:
    """Pipelining: what stands in one packet is several requests, one after another."""
    async with connected(target.url) as wire:
        await wire.send(request("GET", "/ping") * 3 + b"\x00junk\r\n\r\n" + request("GET", "/ping"))
        answers = [await wire.answer() for _ in range(5)]
    statuses = [answer and answer.status for answer in answers]
    assert statuses in ([200, 200, 200, 400, None], [400, None, None, None, None])


async def test_silent_and_slow_clients_keep_nobody_else_waiting(target: Target) -> None:
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
        done = asyncio.Event()
        ready = [asyncio.Event() for _ in range(200)]

        async def linger(began: asyncio.Event, number: int) -> None:
            async with connected(target.url) as wire:
                half = request("POST", "/open", JSON, b"[1", length=9)
                await wire.send((b"", b"GET /pi", half)[number % 3])
                began.set()
                await done.wait()

        for number, began in enumerate(ready):
            tasks.create_task(linger(began, number))
        await asyncio.gather(*(began.wait() for began in ready))
        answer = await target.post("/open", b"{}")
        done.set()
    assert answer.status == 202
