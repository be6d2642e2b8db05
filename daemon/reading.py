"""Request bodies: read within a size, a time, and the room that all of them have in memory
together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from daemon.addresses import household
from daemon.body import content_codings
from daemon.errors import Refused
from daemon.facts import Facts, Trouble
from daemon.sparing import Sparing
from daemon.web import Crowded, client_ip

BODY_TIMEOUT = 30.0
"""Seconds that a sender has for its whole body."""

ROOM_BYTES = 64 * 1024 * 1024
"""Bytes of bodies that may be in memory at once, from the first byte of each to its answer. Not
counted are those that came with their head in one piece: they are small, and a connection has only
one of them."""

LARGE = 64 * 1024
"""Bytes above which a body is large. Nearly all webhooks are below, and get room before the large
ones."""

AT_ONCE = 2
TURNS = 2
"""A body that is not here after the first so many readings is read on in turns, so many at a time:
everybody else waits for these, and not for all that hundreds of others send."""


class Reading:
    """One body on its way. ``size`` bytes of it are here."""

    __slots__ = ("_patience", "_refusal", "_room", "client", "refused", "size")

    def __init__(self, room: Room, client: str, patience: asyncio.Timeout) -> None:
        self.client = client
        self.size = 0
        self.refused = False
        self._refusal: Refused | None = None
        self._room = room
        self._patience = patience

    def take(self, size: int) -> None:
        """Counts ``size`` bytes more. Raises Refused where it was refused meanwhile."""
        if not self.refused:
            self.size += size
            self._room.take(size)
        self.check()

    def refuse(self, refusal: Refused) -> None:
        """Ends the reading: whoever reads hears of it where it waits for more."""
        if self.refused or self._patience.expired():
            return
        self.refused = True
        self._refusal = refusal
        self._patience.reschedule(asyncio.get_running_loop().time())

    def check(self) -> None:
        """Raises the refusal, if there is one. It is kept no longer: an exception holds the frames
        that it passed, and so the body, until the garbage collector finds them."""
        refusal, self._refusal = self._refusal, None
        try:
            if refusal is not None:
                raise refusal
        finally:
            del refusal

    def release(self) -> None:
        """Gives back what the body took: it is answered, or was refused."""
        self._room.take(-self.size)
        self.size = 0


READING = web.RequestKey("reading", Reading)
"""Under which a request holds its body's `Reading`, where it had to wait for it."""


class Room:
    """The memory that bodies have together.

    A body takes of it as it comes in, not what its length promises: who promises much and sends
    nothing takes nothing. When there is no more, the client gives way that takes most, all its
    bodies together, until a quarter is free again: first its large bodies, and of these the last
    come, so that some get finished. So no client shuts out the others, and small bodies, which
    nearly all are, get through amid large ones. Nobody waits for room: those who have it might wait
    themselves. What has come entirely stays, for it will be answered.
    """

    def __init__(
        self, facts: Facts, *, size: int = ROOM_BYTES, body_timeout: float = BODY_TIMEOUT
    ) -> None:
        self._facts = facts
        self._size = size
        self._body_timeout = body_timeout
        self._taken = 0
        self._readings: dict[Reading, None] = {}
        self._sparing = Sparing()
        self._turns = asyncio.Semaphore(TURNS)

    @asynccontextmanager
    async def reading(self, request: web.Request) -> AsyncIterator[Reading]:
        """For as long as the body is waited for; what it took it keeps until it is released.
        Raises Refused: 408 when its time is over, 503 when it gave way to others, or what the
        connection found wrong with it."""
        try:
            async with asyncio.timeout(self._body_timeout) as patience:
                reading = request[READING] = Reading(self, client_ip(request), patience)
                self._readings[reading] = None
                try:
                    yield reading
                finally:
                    del self._readings[reading]
        except TimeoutError:
            reading.check()
            seconds = f"{self._body_timeout:.0f} s"
            raise Refused(408, f"the body did not arrive within {seconds}") from None
        reading.check()

    async def turn(self) -> None:
        """Waits for one's turn to take another chunk."""
        async with self._turns:
            await asyncio.sleep(0)

    def take(self, size: int) -> None:
        """Counts bytes that came, or, below 0, that have gone."""
        self._taken += size
        if size > 0 and self._taken > self._size:
            self._make_room()

    def _make_room(self) -> None:
        takes = Counter[str]()
        last_come_first = [(each, household(each.client)) for each in reversed(self._readings)]
        for each, client in last_come_first:
            takes[client] += each.size

        def order(one: tuple[Reading, str]) -> tuple[int, str, bool]:
            each, client = one
            return takes[client], client, each.size > LARGE

        for each, _ in sorted(last_come_first, key=order, reverse=True):
            if self._taken <= self._size * 3 // 4:
                break
            each.refuse(Crowded())
            each.release()
        text = (
            f"the bodies of requests took more than the {self._size / 2**20:.0f} MiB that they "
            "have together; the last come of the client that takes most were answered 503"
        )
        if said := self._sparing.told(text, asyncio.get_running_loop().time()):
            self._facts.publish(Trouble("http", said))


ROOM = web.AppKey("room", Room)
"""Under which an application holds the room that its requests have."""


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, if it is at most ``limit`` bytes and comes in time. Nothing is hashed or parsed
    before this has passed. It stays as it was sent, compressed or not: that is what is signed, and
    what ``limit`` is for. Raises Refused: 400 for one that breaks off, 408, 413, 415 for a
    compression that is not supported, or 503 when there is no room."""
    if "Content-Encoding" in request.headers:
        content_codings(", ".join(request.headers.getall("Content-Encoding")))
    content = request.content
    chunks: list[bytes] = []
    received = 0
    try:
        if content.is_eof():  # as a rule it comes with its head, in one piece
            body = content.read_nowait()
            if len(body) > limit:
                raise _too_large(len(body), limit)
            return body
        if (request.content_length or 0) > limit:
            raise _too_large(request.content_length or 0, limit)
        room = request.app[ROOM]
        async with room.reading(request) as reading:
            async for chunk in content.iter_any():
                chunks.append(chunk)
                received += len(chunk)
                if received > limit:
                    raise _too_large(received, limit)
                reading.take(len(chunk))
                if len(chunks) > AT_ONCE:
                    await room.turn()
    except ConnectionError:
        # Nobody will read this; the operator may.
        raise Refused(400, f"the connection ended after {received:,} bytes of body") from None
    return b"".join(chunks)


def _too_large(size: int, limit: int) -> Refused:
    return Refused(
        413, f"the body is larger than the {limit:,} bytes allowed here (at least {size:,})"
    )
