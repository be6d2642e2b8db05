"""How a command reaches the daemon: over its Unix socket where that can be opened, else over HTTP
with the API key. Commands that only read fall back on the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from daemon.errors import DispatchdError
from daemon.secret import Secret

TIMEOUT = 30.0
"""Seconds for one request: three times what ``POST /dispatch`` may take."""


class NoDaemon(DispatchdError):
    """No daemon answers; the text says where it was looked for."""


class Answered(DispatchdError):
    """The daemon answered with an error: its own words and the status."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        words = str(answer.get("error", f"status {status}"))
        if reason := answer.get("reason"):
            words = f"{words}: {reason}"
        super().__init__(words)
        self.status = status
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Address:
    """One place where a daemon may listen. ``socket`` is None for HTTP."""

    url: URL
    socket: Path | None = None
    key: Secret | None = None

    def __str__(self) -> str:
        return str(self.socket or self.url)


class Connection:
    """Asks the first of ``addresses`` at which a daemon answers."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = tuple(addresses)
        self._session: aiohttp.ClientSession | None = None
        self._address: Address | None = None

    async def __aenter__(self) -> Self:
        """Raises NoDaemon."""
        tried: list[str] = []
        for address in self._addresses:
            if address.socket is not None and not address.socket.exists():
                tried.append(f"{address.socket} is not there")
                continue
            session = _session(address)
            try:
                async with session.get(address.url / "ping") as response:
                    await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                await session.close()
                tried.append(f"{address}: {error}")
                continue
            self._session, self._address = session, address
            return self
        raise NoDaemon("no daemon answers: " + "; ".join(tried))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return await self._ask("GET", path, query=query)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self._ask("POST", path, body=body)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON object. Raises Answered for 4xx and 5xx, NoDaemon where it is lost."""
        if self._session is None or self._address is None:
            raise RuntimeError("not connected")
        url = self._address.url.joinpath(path.lstrip("/"))
        try:
            async with self._session.request(method, url, params=query, json=body) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoDaemon(f"the daemon at {self._address} did not answer: {error}") from None
        if response.status >= 400:
            if response.status == 401 and self._address.key is None:
                raise Answered(401, {"error": "Unauthorized", "reason": "API_KEY is not set here"})
            raise Answered(response.status, answer)
        return dict(answer)


def addresses(
    sockets: Sequence[Path | None], listen: tuple[str, int], url: str | None, key: Secret | None
) -> list[Address]:
    """Where to look: only at ``url`` where one is given; else the sockets, then HTTP where
    ``listen`` says."""
    if url is not None:
        return [Address(URL(url), key=key)]
    host, port = listen
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    http = Address(URL.build(scheme="http", host=reachable, port=port), key=key)
    local = [Address(URL("http://dispatchd"), socket) for socket in sockets if socket is not None]
    return [*local, http]


def _session(address: Address) -> aiohttp.ClientSession:
    connector = aiohttp.UnixConnector(str(address.socket)) if address.socket else None
    return aiohttp.ClientSession(
        connector=connector,
        headers={"x-api-key": address.key.reveal()} if address.key else {},
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
    )
