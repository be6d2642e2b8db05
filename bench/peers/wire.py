"""A client's keep-alive connection that costs little: prebuilt bytes out, and of an answer no more
is read than its status and its length."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bench.request import MARK, SIGNATURE, id_of, signatures_of

LENGTH = b"content-length:"

LISTENS_WITHIN = 30.0
LOOKS_EVERY = 0.002
"""Seconds that a server may take to listen, and between two attempts to reach it."""

MARKS = re.compile(f"({MARK}|{SIGNATURE})".encode())


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
    """A wire to a server on this machine, as soon as it listens. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LISTENS_WITHIN):
        while True:
            with suppress(ConnectionRefusedError):
                _, wire = await loop.create_connection(lambda: Wire(answered), "127.0.0.1", port)
                return wire
            await asyncio.sleep(LOOKS_EVERY)


class Copies:
    """The request in ``file``, each time with another id and its signature in the places that are
    marked for them."""

    def __init__(self, file: Path, prefix: str) -> None:
        self._pieces = MARKS.split(file.read_bytes())
        self._signatures = signatures_of(file).read_bytes()
        self._prefix = prefix
        self._number = 0

    @property
    def used_up(self) -> bool:
        """Whether there are no more signatures."""
        return 0 < len(self._signatures) <= self._number * len(SIGNATURE)

    def next(self) -> tuple[str, bytes]:
        """The id, and the bytes."""
        id_ = id_of(self._prefix, self._number)
        at = self._number * len(SIGNATURE)
        pieces = self._pieces.copy()
        for place in range(1, len(pieces), 2):  # the pattern has a group: the odd ones are marks
            if pieces[place] == MARK.encode():
                pieces[place] = id_.encode()
            else:
                pieces[place] = self._signatures[at : at + len(SIGNATURE)]
        self._number += 1
        return id_, b"".join(pieces)


def _length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(LENGTH)
    if at < 0:
        return 0
    return int(lowered[at + len(LENGTH) : lowered.index(b"\r", at)])
