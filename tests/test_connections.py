"""How long a client may keep a connection waiting, how many there may be, and what becomes of bytes
that come before their turn."""

from __future__ import annotations

import asyncio
import socket
import sys
import tracemalloc
from contextlib import AsyncExitStack, ExitStack, suppress
from urllib.parse import urlsplit

import pytest

from daemon.addresses import Networks
from daemon.connections import HEAD_MAX, Limits
from daemon.http_server import LET_IN
from tests.harness.door import LONG, Door, door
from tests.harness.raw_http import Wire, ask, chunked, connected, request

DEADLINE = 20.0
PING = request("GET", "/ping")


async def assert_closed(wire: Wire) -> None:
    async with asyncio.timeout(DEADLINE):
        with suppress(ConnectionError):
            assert await wire.reader.read() == b""


async def assert_serves(at: Door) -> None:
    answer = await ask(at.url, PING)
    assert answer is not None
    assert answer.status == 200


async def test_a_head_that_does_not_end_in_time_is_answered_408() -> None:
    """The time counts from its first byte, and further bytes win nothing."""
    async with door(Limits(head=0.3)) as at, connected(at.url) as wire:
        answering = asyncio.create_task(wire.answer())
        await wire.send(b"GET /ping HTTP/1.1\r\nX-Slow: ")
        while not answering.done():
            with suppress(ConnectionError):
                await wire.send(b"a")
            await asyncio.sleep(0.02)
        answer = await answering
        assert answer is not None
        assert answer.status == 408
        assert answer.error == "the request line and the headers did not arrive within 0.3 s"
        await assert_closed(wire)
        assert at.told == [answer.error]
        assert at.clients == ["127.0.0.1"]


async def test_a_connection_without_a_request_is_not_hurried() -> None:
    async with door(Limits(head=0.2)) as at, connected(at.url) as wire:
        await asyncio.sleep(0.3)
        for _ in range(2):
            await wire.send(PING[:20])
            await asyncio.sleep(0.02)
            await wire.send(PING[20:])
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 200
            await asyncio.sleep(0.3)


async def test_a_head_that_is_too_large_is_answered_431_before_its_end() -> None:
    lines = [f"X-{number}: {'a' * 8000}\r\n".encode() for number in range(HEAD_MAX // 8000 + 1)]
    async with door() as at, connected(at.url) as wire:
        await wire.send(PING[:-2], *lines)
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 431
        assert f"larger than {HEAD_MAX:,} bytes" in answer.error
        await assert_serves(at)


async def test_what_many_do_wrong_is_told_once() -> None:
    async with door(Limits(head=0.1)) as at, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connected(at.url)) for _ in range(20)]
        for wire in wires:
            await wire.send(b"G")
        for wire in wires:
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 408
        assert len(at.told) == 1


async def test_who_was_let_in_just_before_a_stop_is_still_heard() -> None:
    async with door() as at, connected(at.url) as wire:
        await assert_serves(at)  # on another connection, so this one was accepted before
        closing = asyncio.create_task(at.close())
        await asyncio.sleep(5 * LET_IN)
        await wire.send(PING)
        answer = await wire.answer()
        assert answer is not None
        assert answer.status == 200
        await closing


async def test_a_stop_waits_for_nobody_who_says_nothing() -> None:
    async with door() as at, connected(at.url) as wire:
        await assert_serves(at)
        async with asyncio.timeout(DEADLINE):
            await at.close()
        await assert_closed(wire)


async def test_a_stop_drops_nobody_of_whom_the_loop_has_made_no_connection_yet() -> None:
    """They come and the stop does in the same turn of the loop in which they are accepted."""
    async with door() as at:
        place = (urlsplit(at.url).hostname, urlsplit(at.url).port)
        with ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(place, DEADLINE)) for _ in range(8)
            ]
            for client in clients:
                client.sendall(PING)
            await asyncio.sleep(0)  # the loop sees them,
            await asyncio.sleep(0)  # and accepts
            await at.close()
            for client in clients:
                assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


async def test_of_too_many_connections_the_one_longest_without_a_request_gives_way() -> None:
    """A newcomer always gets in, and nobody whose request is being answered is put out."""
    async with door(Limits(connections=4)) as at, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connected(at.url)) for _ in range(4)]
        busy, *idle = wires
        await busy.send(request("POST", "/hold", body=b"[]"))
        await at.holding.wait()
        for wire in (idle[1], idle[0], idle[2]):  # the order in which they had their requests
            await wire.send(PING)
            assert await wire.answer() is not None
        newcomer = await stack.enter_async_context(connected(at.url))
        await assert_closed(idle[1])
        at.let_go.set()
        for wire in (busy, idle[0], idle[2], newcomer):
            if wire is not busy:
                await wire.send(PING)
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 200
        (told,) = at.told
        assert told.startswith("more than 4 connections; ")


async def test_a_body_on_its_way_gives_way_with_an_answer() -> None:
    async with door(Limits(connections=1)) as at, connected(at.url) as slow:
        await slow.send(request("POST", "/take", body=b"[", length=9))
        await asyncio.sleep(0.1)
        await assert_serves(at)
        answer = await slow.answer()
        assert answer is not None
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")


async def test_who_does_not_take_an_answer_is_cut_off() -> None:
    """Its handler would wait for it without end, and its connection could never be closed."""
    async with (
        asyncio.timeout(DEADLINE),
        door(Limits(answer=0.3)) as at,
        connected(at.url) as deaf,
    ):
        deaf.writer.transport.pause_reading()  # type: ignore[attr-defined] # it can read
        await deaf.send(request("GET", "/long") * 4)
        await asyncio.sleep(0.5)
        deaf.writer.transport.resume_reading()  # type: ignore[attr-defined]
        received = 0
        with suppress(ConnectionError):
            while data := await deaf.reader.read(2**20):
                received += len(data)
        assert received < 4 * LONG
        await assert_serves(at)


async def test_who_takes_an_answer_slowly_gets_all_of_it() -> None:
    async with door(Limits(answer=0.3)) as at, connected(at.url) as slow:
        await slow.send(request("GET", "/long"))
        received = 0
        while received < LONG:
            data = await slow.reader.read(LONG // 20)
            assert data
            received += len(data)
            await asyncio.sleep(0.03)


async def test_an_answer_that_comes_before_the_end_of_the_body_is_seen() -> None:
    """Who sends all of it first and only then reads would see a reset, were it closed at once."""
    async with door() as at, connected(at.url) as wire:
        await wire.send(request("POST", "/nowhere", length=4 * 2**20), *[bytes(2**16)] * 64)
        answer = await wire.answer()
        assert answer is not None
        assert (answer.status, answer.headers["connection"]) == (404, "close")


# Pipelining: requests that are sent before the last one is answered


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    count = 3000
    async with door() as at, connected(at.url) as wire:
        sending = asyncio.create_task(
            wire.send(*(request("GET", f"/ping?{number}") for number in range(count)))
        )
        for number in range(count):
            answer = await wire.answer()
            assert answer is not None
            assert answer.json() == {"asked": f"/ping?{number}"}
        await sending


@pytest.mark.parametrize("begun", [b"", b"1"])
async def test_a_body_that_follows_a_request_sent_ahead_is_waited_for(begun: bytes) -> None:
    async with door() as at, connected(at.url) as wire:
        await wire.send(request("POST", "/hold", body=b"[]"))
        await at.holding.wait()
        await wire.send(request("POST", "/take", body=begun, length=4))
        await asyncio.sleep(0.05)
        at.let_go.set()
        assert await wire.answer() is not None
        await wire.send(b"1234"[len(begun) :])
        answer = await wire.answer()
        assert answer is not None
        assert answer.json() == {"size": 4}


async def test_what_is_sent_ahead_of_an_answer_waits_with_its_sender() -> None:
    """In the sockets, whose size is bounded, and not in the memory of the daemon."""
    ahead, count = request("POST", "/take", body=bytes(30_000)), 50
    async with door() as at, connected(at.url) as wire:
        line: socket.socket = wire.writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * count * len(ahead))
        await wire.send(request("POST", "/hold", body=b"[]"))
        await at.holding.wait()
        tracemalloc.start()
        try:
            await wire.send(*[ahead] * count)
            await asyncio.sleep(0.2)
            taken = tracemalloc.get_traced_memory()[0] - unsent(wire)
        finally:
            tracemalloc.stop()
        assert taken < 5 * len(ahead)
        at.let_go.set()
        for _ in range(1 + count):
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 200


async def test_who_sent_ahead_is_heard_again_after_the_answers() -> None:
    async with door() as at, connected(at.url) as wire:
        await wire.send(request("POST", "/hold", body=b"[]"))
        await at.holding.wait()
        await wire.send(PING)
        await asyncio.sleep(0.05)
        at.let_go.set()
        for _ in range(2):
            assert await wire.answer() is not None
        await wire.send(PING)
        assert await wire.answer() is not None


def unsent(wire: Wire) -> int:
    """Bytes that the client's own system would not take yet."""
    return wire.writer.transport.get_write_buffer_size()


async def test_junk_amid_a_chunked_body_ends_it_at_once() -> None:
    async with door() as at, connected(at.url) as wire:
        await wire.send(chunked("POST", "/take"), b"3\r\n[1]\r\n")
        await asyncio.sleep(0.05)
        await wire.send(b"no chunk\r\n")
        answer = await wire.answer()
        assert answer is not None
        assert (answer.status, answer.error) == (400, "this is not HTTP that can be read")
        await assert_closed(wire)
        assert at.told == [answer.error]


async def test_many_who_come_at_the_same_moment_all_find_a_place() -> None:
    """Who finds no place in the system's queue is not even refused: it tries again by itself, after
    a second at the soonest."""
    async with door() as at:
        for newcomer in crowd(at.url, 400):
            newcomer.close()


def crowd(url: str, number: int) -> list[socket.socket]:
    """So many who come before the server, which shares our loop, gets to accept anybody."""
    place = urlsplit(url)
    return [
        socket.create_connection((place.hostname, place.port), timeout=0.5) for _ in range(number)
    ]


LIMITS = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from daemon.http_server import permitted
print(permitted(4096), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "permitted", "raised"),
    [(256, 5000, 4096, 4608), (256, 2000, 1488, 2000)],
)
async def test_connections_leave_descriptors_to_all_else(
    soft: int, hard: int, permitted: int, raised: int
) -> None:
    """The soft limit is raised as far as need be, and as the hard one allows."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LIMITS.format(soft=soft, hard=hard)),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert printed.decode().split() == [str(permitted), str(raised)]


async def test_one_client_has_so_many_connections_and_closes_only_its_own() -> None:
    async with (
        door(Limits(of_one_client=2)) as at,
        connected(at.url) as another,
        connected(at.url, source="127.0.0.2") as first,
        connected(at.url, source="127.0.0.2") as second,
        connected(at.url, source="127.0.0.2") as third,
    ):
        await assert_closed(first)
        for wire in (another, second, third):
            await wire.send(PING)
            answer = await wire.answer()
            assert answer is not None
            assert answer.status == 200
        assert "more than 2 connections of one client" in at.told[0]


async def test_a_trusted_proxy_has_as_many_as_there_are_for_all() -> None:
    trusted = Networks.parse(["127.0.0.2"])
    async with door(Limits(of_one_client=1), trusted=trusted) as at, AsyncExitStack() as stack:
        wires = [
            await stack.enter_async_context(connected(at.url, source="127.0.0.2")) for _ in range(5)
        ]
        for wire in wires:
            await wire.send(PING)
            assert await wire.answer() is not None
        assert at.told == []
