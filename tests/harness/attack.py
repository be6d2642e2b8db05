"""Hostile clients, many at once, in a process of their own: whoever measures how the others fare is
not slowed down by them. Run as a script, this file is that process."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import socket
import struct
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

PACE = 100e6
"""Bytes a second that all clients send together: what a gigabit line carries. More would only
measure how this machine shares its processors."""

AGAIN = 0.1
"""Seconds after which a client whose connection has ended comes back."""

DEADLINE = 20.0
"""Seconds for all of them to begin, and for their process to end."""

CHUNK = b"x" * 16384
BODY = 25 * 1024 * 1024
PING = b"GET /ping HTTP/1.1\r\nHost: dispatchd\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


@dataclass(slots=True)
class Client:
    """One client on one connection. Each attack is a method, named after what it does."""

    writer: asyncio.StreamWriter
    path: str
    seconds_per_byte: float
    begun: Callable[[], None]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        self.begun()
        await self.writer.drain()
        await asyncio.sleep(len(data) * self.seconds_per_byte)

    async def post(self, framing: str) -> None:
        await self.send(
            f"POST {self.path} HTTP/1.1\r\nHost: dispatchd\r\nContent-Type: application/json\r\n"
            f"X-Hub-Signature-256: sha256={'0' * 64}\r\n{framing}\r\n\r\n".encode()
        )

    async def idle(self) -> None:
        self.begun()

    async def slow_head(self) -> None:
        for byte in PING:
            await self.send(bytes([byte]))
            await asyncio.sleep(1)

    async def slow_body(self) -> None:
        await self.post("Content-Length: 1000")
        for _ in range(1000):
            await self.send(b"[")
            await asyncio.sleep(1)

    async def large(self) -> None:
        await self.post(f"Content-Length: {BODY}")
        for _ in range(BODY // len(CHUNK)):
            await self.send(CHUNK)

    async def endless(self) -> None:
        await self.post("Transfer-Encoding: chunked")
        while True:
            await self.send(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))

    async def crumbs(self) -> None:
        """At a hundredth of the pace: each of these bytes costs the server that much more."""
        await self.post("Transfer-Encoding: chunked")
        while True:
            crumbs = b"1\r\nx\r\n" * 100
            await self.send(crumbs)
            await asyncio.sleep(99 * len(crumbs) * self.seconds_per_byte)

    async def junk(self) -> None:
        await self.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" * 10)

    async def pipelined(self) -> None:
        await self.send(PING * 100_000)

    async def deaf(self) -> None:
        self.writer.transport.pause_reading()  # type: ignore[attr-defined] # it can read
        while True:
            await self.send(PING * 1000)

    async def reset(self) -> None:
        self.begun()
        line: socket.socket = self.writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def attack(
    kind: str, url: str, clients: int, path: str = "/ping"
) -> AsyncIterator[Counter[str]]:
    """So many clients at the server at ``url``, who have all begun, for as long as the context
    lasts; each comes back when its connection has ended. What they were answered stands in the
    counter then, by status."""
    answers = Counter[str]()
    arguments = [kind, url, str(clients), path]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", __file__, *arguments), stdin=PIPE, stdout=PIPE, env={}
    )
    try:
        async with asyncio.timeout(DEADLINE):
            assert process.stdout is not None
            assert await process.stdout.readline() == b"begun\n"
        yield answers
        async with asyncio.timeout(DEADLINE):
            told, _ = await process.communicate(b"")
        answers.update(json.loads(told))
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _attack(kind: str, url: str, clients: int, path: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    answers, began, all_begun = Counter[str](), set[int](), asyncio.Event()
    parts = urlsplit(url)

    async def one(number: int) -> None:
        def begun() -> None:
            began.add(number)
            if len(began) == clients:
                all_begun.set()

        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                client = Client(writer, path, clients / PACE, begun)
                sending = asyncio.create_task(getattr(client, kind)())
                try:
                    await _count(reader, answers)
                finally:
                    sending.cancel()
                    with suppress(asyncio.CancelledError, OSError):
                        await sending
                    writer.transport.abort()
            await asyncio.sleep(AGAIN)

    tasks = [asyncio.create_task(one(number)) for number in range(clients)]
    await all_begun.wait()
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    print(json.dumps(answers))


async def _count(reader: asyncio.StreamReader, answers: Counter[str]) -> None:
    """Until the connection ends."""
    seen = b""
    while data := await reader.read(65536):
        answers.update(status.decode() for status in STATUS.findall(seen + data))
        seen = data[-11:]  # one byte less than a status takes


if __name__ == "__main__":
    _, kind, url, clients, path = sys.argv
    asyncio.run(_attack(kind, url, int(clients), path))
