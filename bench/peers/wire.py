"""A client's keep-alive connection that costs little: prebuilt bytes out, and of an answer no more
is read than its status and its length."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

from bench.request import MARK

LENGTH = b"content-length:"


class Wire(asyncio.Protocol):
    """One request at a time. ``answered`` is told of each answer's status; 0 for a connection that
    was closed by the other side."""

    def __init__(self, answered: Callable[[Wire, int], None]) -> None:
        self._answered = answered
        self._read = b""
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self.asked_at = 0.0
        """When the request under way was sent, by the clock of whoever sends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        read = self._read = self._read + data if self._read else data
        end = read.find(b"\r\n\r\n")
        if end >= 0 and len(read) >= end + 4 + _length(read[: end + 2]):
            self._read = b""
            self._answered(self, int(read[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self._closing:
            self._answered(self, 0)

    def ask(self, raw: bytes, at: float) -> None:
        self.asked_at = at
        if self._transport is not None:
            self._transport.write(raw)

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()


async def connected(port: int, answered: Callable[[Wire, int], None]) -> Wire:
    """A wire to a server on this machine. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(lambda: Wire(answered), "127.0.0.1", port)
    return wire


class Copies:
    """The request, each time with another id in the place that is marked for it."""

    def __init__(self, raw: bytes, prefix: str) -> None:
        self._head, self._mark, self._tail = raw.partition(MARK.encode())
        self._prefix = prefix
        self._numbers = count()

    def next(self) -> tuple[str, bytes]:
        """The id, and the bytes."""
        id_ = f"{self._prefix}{next(self._numbers):012d}"
        return id_, self._head + id_.encode() + self._tail if self._mark else self._head


def _length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(LENGTH)
    if at < 0:
        return 0
    return int(lowered[at + len(LENGTH) : lowered.index(b"\r", at)])
