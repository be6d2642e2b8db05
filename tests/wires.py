"""GitHub as bytes on a wire: a server that says whatever a test wants said, a dispatch to send to
it, and the client that sends it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from daemon.client import Exchange, GitHub
from daemon.dispatch import Dispatch
from daemon.secret import Secret

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKEN = Secret("ghp_dontshowme", "env:GH_TOKEN")
SHORT = timedelta(milliseconds=150)
LONG = timedelta(seconds=10)

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def now() -> datetime:
    return T0


def a_dispatch(attempts: int = 0, repository: str = "acme/shop") -> Dispatch:
    return Dispatch(
        id="dsp_1",
        event_id="evt_1",
        entry="nightly",
        repository=repository,
        event_type="build",
        client_payload='{"dispatchd":{"id":"dsp_1"}}',
        created_at=T0,
        due_at=T0,
        expires_at=T0 + timedelta(days=1),
        attempts=attempts,
    )


async def send(url: str, within: timedelta = LONG, connect_within: timedelta = LONG) -> Exchange:
    """Sends one dispatch in a session of its own."""
    async with GitHub(url, TOKEN, now, timeout=within, connect_timeout=connect_within) as github:
        return await github.send(a_dispatch())


@dataclass
class Wire:
    """A raw TCP server that answers each request with ``answer``, and what it saw."""

    answer: Answer
    url: str = ""
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _writer: asyncio.StreamWriter | None = None

    async def say(self, raw: bytes) -> None:
        """Says this unasked on the newest connection, to a client on the same event loop."""
        if self._writer is None:
            raise RuntimeError("nobody is connected")
        self._writer.write(raw)
        for _ in range(5):  # the loopback delivers at once: it has only to be read
            await asyncio.sleep(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = head.lower().partition("content-length: ")[2].partition("\r")[0]
                self.bodies.append(await reader.readexactly(int(length or 0)))
                await self.answer(writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def wire(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    wire = Wire(answer)
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0, ssl=tls)
    wire.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield wire
        # Every client is gone by now; a handler of theirs ends once it has noticed.
        if wire.heads:
            await wire.closed.wait()


def saying(raw: bytes) -> Answer:
    """An answer that is always these bytes."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


def response(status: int, body: bytes = b"", *headers: str) -> bytes:
    """The bytes of an answer of GitHub's."""
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {len(body)}",
        "X-GitHub-Request-Id: C0DE:1",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
