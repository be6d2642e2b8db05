"""What aiohttp has to be told so that no request counts as unsent that went out, and no answer
counts that is another request's."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection


class Body(aiohttp.BytesPayload):
    """A request's body, which tells how far the request got.

    Until it has ``begun`` to leave us, GitHub cannot act on the request: the head alone asks for
    nothing. ``gone`` is called once it is written, or could not be written to its end.
    """

    def __init__(self, content: bytes, gone: Callable[[], None]) -> None:
        super().__init__(content)
        self.begun = False
        self._gone = gone

    async def write(self, writer: AbstractStreamWriter) -> None:  # what aiohttp before 3.12 calls
        self.begun = True
        try:
            await super().write(writer)
        finally:
            self._gone()

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self.begun = True
        try:
            await super().write_with_length(writer, content_length)
        finally:
            self._gone()


class OwnAnswer(aiohttp.ClientResponse):
    """An answer to this very request.

    What a server says on an idle connection, before it is asked, aiohttp keeps for the next
    request: a stray 204 would pass for GitHub's word that it took the dispatch.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Reads the answer's head. Raises ServerDisconnectedError where one was there already."""
        if connection.protocol is None or connection.protocol.should_close:
            raise aiohttp.ServerDisconnectedError
        return await super().start(connection)


async def read(content: aiohttp.StreamReader, words: bytearray, most: int) -> None:
    """The start of an answer's body, into ``words``: what came before a failure stays there."""
    while len(words) < most and (chunk := await content.read(most - len(words))):
        words += chunk
