"""aiohttp's server, made to accept connections a few at a time, as many as the system permits, and
to make each a `Connection`."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from daemon.connections import Connection, Connections
from daemon.tls import TlsFront

Present = Callable[[], ssl.SSLContext]
"""What a connection is made with that comes now: the certificate may have been renewed."""

ACCEPTED_AT_ONCE = 16
QUEUED = 1024
"""Connections that are accepted in one go, and those that the system may queue meanwhile."""

LET_IN = 0.01
"""Seconds that asyncio gets for making a connection of what it has accepted: some of its turns."""

FILES_BESIDE = 512
"""Descriptors left to all else: the database, GitHub, the log, the admin socket, and connections
that are being closed."""


def permitted(connections: int) -> int:
    """As many of them as the limit of open files permits. It is raised as far as may be: that it
    is 1,024 as a rule is for the sake of programs that use select(), which we do not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(soft - FILES_BESIDE, soft // 4)


class _Site(web.BaseSite):
    """A site whose stop cuts nobody off who was let in: asyncio drops those of whom it has not made
    a connection when the server is closed."""

    async def stop(self) -> None:
        for each in self._server.sockets if isinstance(self._server, asyncio.Server) else ():
            asyncio.get_running_loop().remove_reader(each.fileno())
        await asyncio.sleep(LET_IN)
        await super().stop()


class PublicSite(_Site, web.TCPSite):
    """aiohttp's site, with one number less to choose from: asyncio accepts as many connections in
    one go as it lets the system queue. In a flood of them that takes tens of milliseconds, with
    everybody waiting; and a short queue would turn senders away who come at the same moment."""

    def __init__(self, runner: web.BaseRunner, host: str, port: int) -> None:
        super().__init__(runner, host, port, backlog=ACCEPTED_AT_ONCE)

    async def start(self) -> None:
        await super().start()
        _queue_more(self._server)


class InheritedSite(_Site, web.SockSite):
    """The same on a socket that listens already. Where others have it too, it goes on to queue
    connections when this site has stopped."""

    def __init__(self, runner: web.BaseRunner, listening: socket.socket) -> None:
        super().__init__(runner, listening, backlog=ACCEPTED_AT_ONCE)

    async def start(self) -> None:
        await super().start()
        _queue_more(self._server)


def _queue_more(server: asyncio.AbstractServer | None) -> None:
    for each in server.sockets if isinstance(server, asyncio.Server) else ():
        with socket.socket(fileno=os.dup(each.fileno())) as listening:
            listening.listen(QUEUED)


class Runner(web.AppRunner):
    """aiohttp's runner, for `Connection`, and for TLS where there is something to ``present``."""

    def __init__(
        self,
        app: web.Application,
        connections: Connections,
        present: Present | None = None,
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self._connections = connections
        self._present = present

    async def cleanup(self) -> None:
        """Lets nobody in any more, hears those who had just come, and closes."""
        for site in list(self.sites):
            await site.stop()
        await self._connections.newcomers_heard()
        await super().cleanup()
        self._connections.end()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made, self._connections, self._present, self._kwargs)


class _Server(web.Server):
    """aiohttp leaves no other way to choose the class of the connections."""

    def __init__(
        self,
        made: web.Server,
        connections: Connections,
        present: Present | None,
        options: dict[str, Any],
    ) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory, **options)
        self._of_door = connections
        self._present = present

    def __call__(self) -> web.RequestHandler:
        connection = Connection(self, self._of_door, loop=self._loop, **self._kwargs)
        if self._present is None:
            return connection
        # To asyncio either is a protocol.
        return cast("web.RequestHandler", TlsFront(connection, self._present(), self._of_door))
