"""Looks names up in threads that nothing waits for: a name server that does not answer holds up
neither the rest of the daemon nor its end."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future

from aiohttp.abc import AbstractResolver, ResolveResult

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Resolver(AbstractResolver):
    """The system's resolver, for aiohttp's connector.

    ``getaddrinfo`` blocks for as long as its name servers let it (30 s and more) and cannot be
    broken off. The threads of an executor are waited for when the program ends; these are not.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of ``host`` in the system's order. Raises OSError, as ``gaierror``."""
        found: Future[list[ResolveResult]] = Future()
        # Running, so that whoever gives up waiting does not take it from under the thread.
        found.set_running_or_notify_cancel()
        threading.Thread(
            target=_look_up, args=(host, port, family, found), name="resolver", daemon=True
        ).start()
        return await asyncio.wrap_future(found)

    async def close(self) -> None:
        """There is nothing to close."""


def _look_up(
    host: str, port: int, family: socket.AddressFamily, found: Future[list[ResolveResult]]
) -> None:
    try:
        # AI_ADDRCONFIG: no addresses of a family that this machine has none of itself.
        addresses = socket.getaddrinfo(
            host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    except OSError as error:
        found.set_exception(error)
    except UnicodeError as error:  # a label of the name is empty or too long
        found.set_exception(socket.gaierror(socket.EAI_NONAME, str(error)))
    else:
        found.set_result(
            [
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=_NUMERIC,
                )
                for kind, _, protocol, _, address in addresses
            ]
        )
