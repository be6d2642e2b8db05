"""TLS before a connection. It counts from its first byte on: a client that does not come to an end
with the handshake is one that keeps us waiting, like any other."""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from http import HTTPStatus
from typing import cast

from daemon.connections import LINGERING, RECEIVED_AT_ONCE, Connection, Connections

HANDSHAKE = 0x16
"""The first byte that a client of TLS sends: RFC 8446, section 5.1."""

PLAIN = "this is plain HTTP, and TLS is spoken here: write https:// in place of http://"


class TlsFront(SSLProtocol):
    """asyncio's, of which its servers make one for each connection, made to count early. It takes
    32 KiB for itself, in place of 256."""

    max_size = RECEIVED_AT_ONCE

    def __init__(
        self, connection: Connection, context: ssl.SSLContext, connections: Connections
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            connection,
            context,
            None,  # type: ignore[arg-type] # nobody waits for it: so asyncio's servers do it
            server_side=True,
            call_connection_made=True,
            ssl_handshake_timeout=connections.limits.head,  # type: ignore[arg-type] # as a float too
            ssl_shutdown_timeout=LINGERING,
        )
        self._connection = connection
        self._connections = connections
        self._begun = False
        self._filling = memoryview(b"")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.arrive(cast("asyncio.Transport", transport))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._connections.left(self._connection)

    def get_buffer(self, n: int) -> memoryview:
        self._filling = super().get_buffer(n)
        return self._filling

    def buffer_updated(self, nbytes: int) -> None:
        if not self._begun and nbytes:
            self._begun = True
            if self._filling[0] != HANDSHAKE:
                self._connection.turn_away(HTTPStatus.BAD_REQUEST, PLAIN)
                return
        super().buffer_updated(nbytes)

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        if isinstance(handshake_exc, ssl.SSLError):
            told = (handshake_exc.reason or "").lower().replace("_", " ")
            self._connections.turned_away(
                self._connection.client, HTTPStatus.BAD_REQUEST, f"no TLS came about: {told}"
            )
        super()._on_handshake_complete(handshake_exc)
