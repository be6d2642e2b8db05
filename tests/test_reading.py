"""What a body has to keep to before anybody looks at it: a size, a time, and the room that all
bodies have together."""

from __future__ import annotations

import asyncio
import gc
import hmac
import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from daemon.addresses import household
from daemon.proving import HASHED_ON_THE_LOOP
from tests.harness.door import BODY_MAX, Door, door
from tests.harness.raw_http import Answer, Wire, ask, chunked, connected, request
from tests.inprocess import serving
from tests.specs import SIGNED, trigger_entry

KIB = 1024
ROOM = 1024 * KIB


async def answered(wire: Wire) -> Answer:
    answer = await wire.answer()
    assert answer is not None
    return answer


def post(size: int, path: str = "/take") -> bytes:
    """The head of a request with so large a body."""
    return request("POST", path, length=size)


def chunks(*sizes: int) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (size, bytes(size)) for size in sizes)


@asynccontextmanager
async def from_address(client: str, at: Door) -> AsyncIterator[Wire]:
    """A connection from another of this machine's addresses."""
    url = urlsplit(at.url)
    lines = await asyncio.open_connection(url.hostname, url.port, local_addr=(client, 0))
    try:
        yield Wire(*lines)
    finally:
        lines[1].transport.abort()


# Size and time


@pytest.mark.parametrize(
    "parts",
    [
        [post(0)],
        [post(9) + b"[1, 2, 3]"],
        [post(9), b"[1, 2,", b" 3]"],
        [post(BODY_MAX), *[bytes(64 * KIB)] * 16],
        [chunked("POST", "/take") + chunks(7) + b"0\r\n\r\n"],
        [chunked("POST", "/take"), chunks(7), chunks(3, 4), b"0\r\n\r\n"],
        [chunked("POST", "/take"), chunks(*[1] * 9000), b"0\r\n\r\n"],
    ],
    ids=["none", "in one piece", "in pieces", "largest", "chunk", "chunks", "tiny chunks"],
)
async def test_a_body_is_read_however_it_comes(parts: list[bytes]) -> None:
    async with door() as at, connected(at.url) as wire:
        size = 0
        for part in parts:
            await wire.send(part)
            await asyncio.sleep(0.02)
            body = part.partition(b"\r\n\r\n")[2] if part.startswith(b"POST") else part
            size += len(body) if b"chunked" not in parts[0] else body.count(b"\0")
        answer = await answered(wire)
        assert (answer.status, answer.json()) == (200, {"size": size})
        assert at.told == []


@pytest.mark.parametrize(
    "parts",
    [
        [post(BODY_MAX + 1)],
        [chunked("POST", "/take"), *[chunks(64 * KIB)] * 17],
    ],
    ids=["as promised", "as it comes"],
)
async def test_a_body_that_is_too_large_is_cut_off(parts: list[bytes]) -> None:
    """At the limit, however much was promised or is still to come; then the connection ends."""
    async with door() as at, connected(at.url) as wire:
        await wire.send(*parts)
        answer = await answered(wire)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert f"larger than the {BODY_MAX:,} bytes" in answer.error


@pytest.mark.parametrize("expect", [[], [("Expect", "100-continue")]], ids=["plain", "expect"])
async def test_a_body_that_does_not_come_in_time_is_answered_408(
    expect: list[tuple[str, str]],
) -> None:
    async with door(body_timeout=0.3) as at, connected(at.url) as wire:
        await wire.send(request("POST", "/take", expect, length=5))
        if expect:
            assert (await answered(wire)).status == 100
        else:
            await wire.send(b"[1")
        answer = await answered(wire)
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert at.told == [answer.error]


async def test_a_body_that_breaks_off_is_told_to_the_operator() -> None:
    async with door() as at:
        async with connected(at.url) as wire:
            await wire.send(post(5) + b"[1")
            await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            while not at.told:  # noqa: ASYNC110 - nobody tells of it but the log
                await asyncio.sleep(0.01)
        assert at.told == ["the connection ended after 2 bytes of body"]


# Room


async def test_of_bodies_that_are_too_much_together_the_last_come_gives_way() -> None:
    async with door(room=ROOM) as at, connected(at.url) as first, connected(at.url) as last:
        await first.send(post(700 * KIB), bytes(600 * KIB))
        await asyncio.sleep(0.1)
        await last.send(post(700 * KIB), bytes(600 * KIB))
        refused = await answered(last)
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert refused.error.startswith("too much is coming in at once")
        await first.send(bytes(100 * KIB))
        assert (await answered(first)).json() == {"size": 700 * KIB}


async def test_small_bodies_get_through_amid_large_ones() -> None:
    async with door(room=ROOM) as at, connected(at.url) as large, connected(at.url) as small:
        await large.send(post(BODY_MAX), bytes(1020 * KIB))
        await asyncio.sleep(0.1)
        await small.send(post(50 * KIB), bytes(40 * KIB))
        assert (await answered(large)).status == 503
        await small.send(bytes(10 * KIB))
        assert (await answered(small)).json() == {"size": 50 * KIB}


async def test_who_promises_a_large_body_and_sends_none_takes_no_room() -> None:
    async with (
        door(room=ROOM) as at,
        AsyncExitStack() as liars,
        connected(at.url) as honest,
    ):
        for _ in range(50):
            liar = await liars.enter_async_context(connected(at.url))
            await liar.send(post(BODY_MAX), b"[")
        await honest.send(post(1000 * KIB), bytes(1000 * KIB))
        assert (await answered(honest)).status == 200


async def test_the_client_that_takes_most_gives_way_to_the_others() -> None:
    """However many connections it has, and though theirs is the larger body and came last."""
    async with (
        door(room=ROOM) as at,
        from_address("127.0.0.2", at) as other,
        connected(at.url) as one,
        connected(at.url) as two,
        connected(at.url) as three,
    ):
        for wire in (one, two, three):
            await wire.send(post(500 * KIB), bytes(200 * KIB))
            await asyncio.sleep(0.05)
        await other.send(post(500 * KIB), bytes(500 * KIB))
        assert (await answered(other)).status == 200
        assert (await answered(three)).status == 503
        await one.send(bytes(300 * KIB))
        assert (await answered(one)).status == 200


async def test_room_is_held_until_the_answer_and_free_after_it() -> None:
    async with door(room=ROOM) as at, connected(at.url) as held:
        await held.send(post(900 * KIB, "/hold"), bytes(900 * KIB))
        await at.holding.wait()
        for _ in range(3):
            answer = await ask(at.url, post(300 * KIB), bytes(300 * KIB))
            assert answer is not None
            assert answer.status == 503
        at.let_go.set()
        assert (await answered(held)).status == 200
        for _ in range(3):
            answer = await ask(at.url, post(900 * KIB), bytes(900 * KIB))
            assert answer is not None
            assert answer.status == 200
        (told,) = at.told
        assert told.startswith("the bodies of requests took more than the 1 MiB")


async def test_what_was_refused_is_forgotten_at_once() -> None:
    """And not only when the garbage collector comes by: a flood is faster."""
    async with door(room=ROOM) as at, connected(at.url) as held:
        await held.send(post(900 * KIB, "/hold"), bytes(900 * KIB))
        await at.holding.wait()
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(40):
                answer = await ask(at.url, post(300 * KIB), bytes(200 * KIB))
                assert answer is not None
                assert answer.status == 503
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
        assert kept < 2 * 1024 * KIB  # of 5 MiB that came in
        at.let_go.set()
        assert (await answered(held)).status == 200


async def test_however_many_bodies_come_at_once_they_are_read_a_few_at_a_time() -> None:
    """Those of tiny chunks cost most: everybody else would wait for all of them, time and again.
    Told by how often the event loop comes round meanwhile: each time others are served."""
    size, clients = 32_000, 30
    body = chunked("POST", "/take") + chunks(*[1] * size) + b"0\r\n\r\n"

    async def taken(client: socket.socket) -> Answer:
        reader, writer = await asyncio.open_connection(sock=client)
        answer = await answered(Wire(reader, writer))
        writer.close()
        await writer.wait_closed()
        return answer

    rounds = 0
    async with door() as at:
        answers = asyncio.gather(*map(taken, flood(at.url, clients, body)))
        while not answers.done():
            await asyncio.sleep(0)
            rounds += 1
        assert all(answer.json() == {"size": size} for answer in answers.result())
    assert rounds > 20 * clients  # it would be twice for each, were they read all at once


def flood(url: str, number: int, sent: bytes) -> list[socket.socket]:
    """So many clients who sent that before the server, which shares our loop, could read any."""
    place = urlsplit(url)
    clients = [socket.create_connection((place.hostname, place.port)) for _ in range(number)]
    for client in clients:
        client.setblocking(False)
        assert client.send(sent) == len(sent)
    return clients


async def test_the_signature_of_a_large_body_is_checked_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes up to 25 ms, and who sends it may be anybody."""
    beside: list[bool] = []

    def compare(one: bytes, other: bytes) -> bool:
        beside.append(threading.current_thread() is not threading.main_thread())
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    wrong = {"x-hub-signature-256": f"sha256={'0' * 64}"}
    async with serving(tmp_path, triggers=[trigger_entry(auth=SIGNED)]) as daemon:
        for body in (b"[1]", b"[%b]" % (b" " * HASHED_ON_THE_LOOP)):
            assert (await daemon.deliver("/hook", body))[0] == 202
            assert (await daemon.deliver("/hook", body, headers=wrong))[0] == 401
    assert beside == [False, False, True, True]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
    ],
)
def test_an_ipv6_client_is_a_network(one: str, other: str, same: bool) -> None:
    """A single customer is given a /64 and more, and could be a new client with each request."""
    assert (household(one) == household(other)) is same
