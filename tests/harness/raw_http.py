"""HTTP written out byte for byte, for requests that no client library would send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWER_DEADLINE = 20.0
"""Seconds for one answer: a daemon that says nothing fails the test."""

Headers = Mapping[str, str | bytes] | Iterable[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: the status, its headers by lower-case name, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's value; raises ValueError where it is no JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The text of an answer in the shape ``{"error": text}``."""
        return str(self.json()["error"])


@dataclass(frozen=True, slots=True)
class Wire:
    """One open connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        """Raises ConnectionError where the server has gone."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self, method: str = "GET") -> Answer | None:
        """The next answer; None where the connection was closed instead."""
        async with asyncio.timeout(ANSWER_DEADLINE):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
                status_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
                fields = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _, value in fields}
                status = int(status_line.split(" ")[1])
                length = int(headers.get("content-length", "0"))
                empty = method == "HEAD" or status in (204, 304)
                body = b"" if empty else await self.reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
        return Answer(status, headers, body)


@asynccontextmanager
async def connected(url: str, *, source: str = "127.0.0.1") -> AsyncIterator[Wire]:
    """A connection from the address ``source`` to the server at ``url``, or at the Unix socket of
    that path; it is given up in the end without a word."""
    if url.startswith("/"):
        reader, writer = await asyncio.open_unix_connection(url)
    else:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port, local_addr=(source, 0)
        )
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def request(
    method: str | bytes,
    target: str | bytes,
    headers: Headers = (),
    body: bytes = b"",
    *,
    length: int | None = None,
) -> bytes:
    """A request's bytes. ``length`` is what it claims its body to be, truly by default."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [
        b"%b %b HTTP/1.1" % (_bytes(method), _bytes(target)),
        b"Host: dispatchd",
        *(b"%b: %b" % (_bytes(name), _bytes(value)) for name, value in pairs),
        b"Content-Length: %d" % (len(body) if length is None else length),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(method: str, target: str, headers: Headers = ()) -> bytes:
    """The head of a request whose body comes in chunks: ``b"3\\r\\n[1]\\r\\n0\\r\\n\\r\\n"``."""
    head = request(method, target, headers)
    return head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")


async def ask(url: str, *parts: bytes, method: str = "GET") -> Answer | None:
    """Sends ``parts`` over a connection of their own; the answer, or None where there is none."""
    async with connected(url) as wire:
        with suppress(ConnectionError):  # the answer may be there all the same
            await wire.send(*parts)
        return await wire.answer(method)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
