"""How a command reaches the daemon: over its Unix socket where that can be opened, else over HTTP
with the API key, which only gets to what has shown that it is a daemon."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from daemon.cli.answers import Shape, misfit
from daemon.errors import DispatchdError, UsageError
from daemon.secret import Secret
from daemon.web import SIMULATION_HEADER

TIMEOUT = 30.0
"""Seconds for one request: three times what ``POST /dispatch`` may take."""


BARE = re.compile(r"[\w.-]+:\d{1,5}")
"""A host and port that lack only their ``http://``."""


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
        return str(self.socket or self.url.with_user(None))


class Connection:
    """Asks the first of ``addresses`` at which a daemon answers. ``simulated`` is known once
    connected: whether that daemon only plays GitHub."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = tuple(addresses)
        self._session: aiohttp.ClientSession | None = None
        self._address: Address | None = None
        self.simulated = False

    async def __aenter__(self) -> Self:
        """Raises NoDaemon."""
        tried: list[str] = []
        for address in self._addresses:
            session = _session(address)
            try:
                self.simulated = await _greet(session, address)
            except (aiohttp.ClientError, TimeoutError, OSError, NoDaemon) as error:
                await session.close()
                tried.append(_silence(address, error))
                continue
            except BaseException:  # whoever asks has waited long enough
                await session.close()
                raise
            self._session, self._address = session, address
            return self
        # Without any address: the database was named, and no socket can lie beside it.
        places = "; ".join(tried) or "the path of its socket would be too long; give --url"
        raise NoDaemon(f"no daemon answers: {places}")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(
        self, path: str, shape: Shape, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return await self._ask("GET", path, shape, query=query)

    async def post(
        self,
        path: str,
        shape: Shape,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        return await self._ask("POST", path, shape, body=body, headers=headers)

    async def reconnect(self) -> None:
        """To the same address, where a daemon that was restarted answers again; what else does
        there gets no key. Raises NoDaemon."""
        if self._session is None or self._address is None:
            raise RuntimeError("not connected")
        try:
            await _greet(self._session, self._address)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoDaemon(f"no daemon answers: {_silence(self._address, error)}") from None

    async def _ask(
        self,
        method: str,
        path: str,
        shape: Shape,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON object, which is of that shape; ``path`` is percent-encoded. Raises
        Answered for 4xx and 5xx, NoDaemon where the answer is lost, DispatchdError where it is
        none of a daemon's."""
        if self._session is None or self._address is None:
            raise RuntimeError("not connected")
        address = self._address
        try:
            async with self._session.request(
                method,
                address.url.joinpath(path.lstrip("/"), encoded=True),
                params=query,
                json=body,
                headers={**(headers or {}), **_key(address)},
                allow_redirects=False,  # the key is for this address alone
            ) as response:
                answer = _read(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoDaemon(f"the daemon at {address} did not answer: {error}") from None
        if 300 <= response.status < 400 or not isinstance(answer, dict):
            raise DispatchdError(f"what answers at {address} is no daemon: {_told(response)}")
        if response.status >= 400:
            if response.status == 401 and address.key is None:
                raise Answered(401, {"error": "Unauthorized", "reason": "API_KEY is not set here"})
            raise Answered(response.status, answer)
        if found := misfit(answer, shape):
            raise DispatchdError(
                f"the daemon at {address} gave an answer that cannot be used ({found}); is it of "
                "another version than this command?"
            )
        return answer


def addresses(
    sockets: Sequence[Path | None],
    listen: tuple[str, int] | None,
    url: str | None,
    key: Secret | None,
    *,
    tls: bool = False,
) -> list[Address]:
    """Where to look: only at ``url`` where one is given; else the sockets, then HTTP where
    ``listen`` says, if it does, with ``tls`` HTTPS. Raises UsageError for a ``url`` that is none.
    """
    if url is not None:
        return [Address(_http_url(url), key=key)]
    local = [Address(URL("http://dispatchd"), socket) for socket in sockets if socket is not None]
    if listen is None:
        return local
    host, port = listen
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    scheme = "https" if tls else "http"
    return [*local, Address(URL.build(scheme=scheme, host=reachable, port=port), key=key)]


def _http_url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") and (place := BARE.fullmatch(text)):
        raise UsageError(f"--url is not a URL of HTTP: write http://{place[0]}")
    if url.scheme not in ("http", "https") or not url.host:
        # It is not repeated: it may hold a password.
        raise UsageError("--url is not a URL of HTTP: write it as http://127.0.0.1:8080")
    return url


def _session(address: Address) -> aiohttp.ClientSession:
    connector: aiohttp.BaseConnector | None = None
    if address.socket:
        connector = aiohttp.UnixConnector(str(address.socket))
    elif address.url.scheme == "https":
        # aiohttp's own was made when it was imported, and knows the authorities of then.
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT))


async def _greet(session: aiohttp.ClientSession, address: Address) -> bool:
    """Asks, without the key, whether a daemon is there, and returns whether it is a simulation.
    Raises NoDaemon where something else answers."""
    if address.socket is not None:
        address.socket.stat()
    ping = address.url.joinpath("ping")
    async with session.get(ping, allow_redirects=False) as response:
        answer = _read(await response.read())
    if response.status != 200 or not isinstance(answer, dict) or answer.get("message") != "Pong!":
        raise NoDaemon(f"something else answers at {address}: {_told(response)}")
    return SIMULATION_HEADER in response.headers


def _key(address: Address) -> dict[str, str]:
    return {"x-api-key": address.key.reveal()} if address.key else {}


def _silence(address: Address, error: Exception) -> str:
    match error:
        case NoDaemon():
            return str(error)
        case FileNotFoundError():
            return f"{address} is not there"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return f"{address}: nothing listens there; start `dispatchd run`"
        case aiohttp.ClientConnectorCertificateError():
            return (
                f"{address}: its certificate is not for that name, or of an authority that is not "
                "known here (SSL_CERT_FILE); give --url https://NAME"
            )
    return f"{address}: {error or type(error).__name__}"


def _told(response: aiohttp.ClientResponse) -> str:
    """What came instead of a daemon's answer."""
    if to := response.headers.get("location"):
        return f"status {response.status}, on to {to!r:.120}"
    return f"status {response.status}, {response.content_type}"


def _read(body: bytes) -> object:
    """The JSON value, or None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
