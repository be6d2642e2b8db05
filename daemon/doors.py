"""Where requests come in: the public address with the webhook routes and the API, and the admins'
Unix socket with the API alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from aiohttp import web

from daemon.addresses import Networks
from daemon.api import Handler
from daemon.connections import Connections, Limits
from daemon.errors import UsageError, kind_and_place
from daemon.facts import Facts, Trouble
from daemon.front import Front, Routes
from daemon.http_server import InheritedSite, Present, PublicSite, Runner, permitted
from daemon.places import admin_socket
from daemon.reading import ROOM, Room
from daemon.spec import Settings
from daemon.systemd import inherited_sockets
from daemon.web import SIMULATION_HEADER, TRUSTED, encourage, error_response, http_log, nobody

PUBLIC = Limits()
ADMINS = Limits(connections=64)
"""The admins' door has limits and room of its own: what befalls the public one does not shut it."""

HANDLER_GRACE = 1.0
"""Seconds that requests still being answered get after that."""


async def open_doors(
    stack: AsyncExitStack,
    settings: Settings,
    front: Callable[[], Front],
    trusted_proxies: Callable[[], Networks],
    environ: Mapping[str, str],
    facts: Facts,
    *,
    simulated: bool,
    present: Present | None = None,
) -> list[web.AppRunner]:
    """Listens for everybody on the sockets that systemd handed over, else on ``DISPATCHD_LISTEN``,
    and for admins on the Unix socket. With a certificate to ``present`` it is HTTPS for everybody.
    The runners are cleaned up by ``stack``. Raises UsageError where one of them cannot be opened.
    """
    headers = {SIMULATION_HEADER: "1"} if simulated else {}
    connections = permitted(PUBLIC.connections)
    limits = replace(PUBLIC, connections=connections, of_one_client=connections * 3 // 4)
    public = await _runner(
        stack,
        lambda: front().public,
        facts,
        headers,
        limits,
        trusted_proxies=trusted_proxies,
        present=present,
    )
    host, port = settings.listen
    handed_over = inherited_sockets(environ)
    for each in handed_over:
        await InheritedSite(public, each).start()
    try:
        if not handed_over:
            await PublicSite(public, host, port).start()
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; free the port, or choose "
            "another with --listen HOST:PORT"
        ) from None
    socket = admin_socket(settings.database_url, environ)
    if socket is None:
        facts.publish(
            Trouble("admin socket", "its path is too long for a socket; use --url and API_KEY")
        )
        return [public]
    private = await _runner(stack, lambda: front().private, facts, headers, ADMINS)
    # The database's lock is ours, so a socket that is still there belongs to nobody.
    if socket.exists() and not socket.is_socket():
        raise UsageError(f"{socket} is to be the admin socket and is another file; move it away")
    try:
        socket.unlink(missing_ok=True)
        with _file_mode(0o660):
            await web.UnixSite(private, socket).start()
    except OSError as error:
        raise UsageError(
            f"cannot open the admin socket {socket}: {error.strerror or error}; see that its "
            "directory is there and can be written"
        ) from None
    stack.callback(socket.unlink, missing_ok=True)
    return [public, private]


async def _runner(
    stack: AsyncExitStack,
    routes: Callable[[], Routes],
    facts: Facts,
    headers: Mapping[str, str],
    limits: Limits,
    *,
    trusted_proxies: Callable[[], Networks] = nobody,
    present: Present | None = None,
) -> web.AppRunner:
    @web.middleware
    async def guarding(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:  # aiohttp's own: of what is no path, as in OPTIONS *
            return error_response(error.status, f"{error.reason}: {request.method} of this target")
        except Exception as error:  # noqa: BLE001 - a fault of ours must not kill the connection
            facts.publish(
                Trouble("http", f"{request.method} {request.path}: {kind_and_place(error)}")
            )
            return error_response(500, "internal error; the daemon's log says more")

    async def mark(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    app = web.Application(middlewares=[guarding])
    app[ROOM] = Room(facts)
    app[TRUSTED] = trusted_proxies
    if headers:  # else a coroutine for each answer would do nothing
        app.on_response_prepare.append(mark)
    app.add_routes(
        web.route(*key, _in_force(routes, key), expect_handler=encourage, **route.options)
        for key, route in routes().items()
    )
    runner = Runner(
        app,
        Connections(facts, limits, trusted_proxies),
        present,
        access_log=None,
        logger=http_log(facts),
        shutdown_timeout=HANDLER_GRACE,
        auto_decompress=False,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


def _in_force(routes: Callable[[], Routes], key: tuple[str, str]) -> Handler:
    """Gives each request to the handler of the route that is in force when it comes."""

    async def handle(request: web.Request) -> web.Response:
        return await routes()[key].handler(request)

    return handle


def address_shown(address: Any, *, tls: bool = False) -> str:
    """A socket's address for people: a URL, or the path of a Unix socket."""
    if isinstance(address, str):
        return address
    host, port = address[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@contextlib.contextmanager
def _file_mode(mode: int) -> Iterator[None]:
    """Files are created with ``mode`` meanwhile: there is no moment at which others may enter."""
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)
