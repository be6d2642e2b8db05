"""The one HTTP client that talks to GitHub: sends a dispatch, and tells for certain whether a lost
answer means that nothing was sent. The rules are in ``github.py``."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from daemon import github
from daemon.dispatch import Attempt, Dispatch
from daemon.errors import UsageError
from daemon.github import Accepted, Ambiguous, Answer, Failed, Redirected, Request, Unreachable
from daemon.pacing import Limits
from daemon.secret import Secret

BODY_MAX = 64 * 1024
"""Bytes read of an answer; GitHub's refusals have a few hundred."""
REDIRECTS_MAX = 3


class Exchange(NamedTuple):
    """One dispatch sent and answered. ``limits`` is None where no answer named any."""

    answer: Answer
    attempt: Attempt
    limits: Limits | None


@dataclass(frozen=True, slots=True)
class _Response:
    """``headers`` have lower-case names; the token is in none of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _nobody_waits() -> None:
    pass


class GitHub:
    """A session with GitHub under one credential, as an async context manager.

    ``clock`` gives aware datetimes. ``timeout`` bounds one dispatch, redirects included, and
    ``connect_timeout`` the way to a connection (name, TCP, TLS). Nothing is sent twice but for
    307 and 308, which say that nothing was done. ``HTTPS_PROXY`` and ``NO_PROXY`` are heeded.

    Raises UsageError for a token or a proxy that can never work.
    """

    def __init__(
        self,
        api_url: str,
        token: Secret,
        clock: Callable[[], datetime],
        *,
        api_version: str = github.API_VERSION,
        timeout: timedelta = timedelta(seconds=30),
        connect_timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        value = token.reveal()
        if not value or not all("!" <= c <= "~" for c in value):
            raise UsageError(
                f"the GitHub token {token} is empty, or holds a space, a line break or another "
                "character that no token has"
            )
        self._api_url = api_url
        self._api_version = api_version
        self._token = value
        self._clock = clock
        self._timeout = timeout.total_seconds()
        self._connect_timeout = connect_timeout.total_seconds()
        self._proxy, self._proxy_headers = _proxy_for(api_url)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_note_connection)
        trace.on_connection_reuseconn.append(_note_connection)
        trace.on_request_chunk_sent.append(_note_sent)
        # Not trust_env: it also reads ~/.netrc, and an entry there for GitHub's host would clash
        # with our own credential. No cookies: every request stands alone.
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout),
            trace_configs=[trace],
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, dispatch: Dispatch, gone: Callable[[], None] = _nobody_waits) -> Exchange:
        """Sends ``dispatch`` once; every fault of the network or of GitHub becomes an Answer.
        ``gone`` is called as soon as the request is written, long before its answer.

        The attempt's number is one more than ``dispatch.attempts``. When cancelled, the fate of
        the request is unknown.
        """
        request = github.dispatch_request(dispatch, self._api_url, self._api_version)
        started_at = self._clock()
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer, response = await self._follow(request, began + self._timeout, gone)
        duration = timedelta(seconds=loop.time() - began)
        headers = response.headers if response else {}
        attempt = Attempt(
            dispatch_id=dispatch.id,
            number=dispatch.attempts + 1,
            started_at=started_at,
            duration=duration,
            outcome=answer.outcome,
            status=response.status if response else None,
            message="" if isinstance(answer, Accepted) else answer.reason,
            request_id=github.one_line(headers.get("x-github-request-id", "")),
        )
        return Exchange(answer, attempt, github.limits(headers, self._clock()))

    async def _follow(
        self, request: Request, deadline: float, gone: Callable[[], None]
    ) -> tuple[Answer, _Response | None]:
        """Sends the request, and again to where 307 and 308 point."""
        url, redirects = request.url, 0
        while True:
            response = await self._post(url, request, deadline, gone)
            if not isinstance(response, _Response):
                return response, None
            answer = github.interpret(
                response.status, response.headers, response.body, url=url, now=self._clock()
            )
            if not isinstance(answer, Redirected):
                return answer, response
            redirects += 1
            if redirects > REDIRECTS_MAX:
                reason = f"GitHub redirects in a circle, the last time to {answer.url}"
                return Failed(reason), response
            url = answer.url

    async def _post(
        self, url: str, request: Request, deadline: float, gone: Callable[[], None]
    ) -> _Response | Ambiguous | Unreachable:
        if self._session is None:
            raise RuntimeError("GitHub is used outside its 'async with' block")
        headers = {
            **request.headers,
            "Authorization": f"Bearer {self._token}",
            "Accept-Encoding": "identity",  # answers are small, and none can be a zip bomb
        }
        progress = SimpleNamespace(connected=False, gone=gone)
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._session.request(
                    request.method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=request.body,
                    allow_redirects=False,  # aiohttp would follow a 301 with a body-less GET
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers,
                    trace_request_ctx=progress,
                )
            try:
                body = await _read(answer.content, deadline)
            finally:
                answer.release()  # which closes the connection if there is more to read
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            trouble = self._redact(_describe(error))
            # The error's class does not tell how far it got; whether we held a connection does.
            if progress.connected:
                return Ambiguous(
                    f"the request was sent, but GitHub's answer was lost ({trouble}): it may have "
                    "acted on it or not"
                )
            return Unreachable(f"GitHub could not be reached at {urlsplit(url).netloc}: {trouble}")
        fields = {name.lower(): self._redact(value) for name, value in answer.headers.items()}
        return _Response(answer.status, fields, body.replace(self._token.encode(), b"<token>"))

    def _redact(self, text: str) -> str:
        """``text`` without the token, which a hostile or debugging server may echo."""
        return text.replace(self._token, "<token>")


async def _note_connection(session: object, context: SimpleNamespace, params: object) -> None:
    context.trace_request_ctx.connected = True


async def _note_sent(session: object, context: SimpleNamespace, params: object) -> None:
    context.trace_request_ctx.gone()


async def _read(content: aiohttp.StreamReader, deadline: float) -> bytes:
    """The start of an answer's body. The status is the answer: a body that stalls or breaks off
    after it takes nothing away from that."""
    body = bytearray()
    try:
        async with asyncio.timeout_at(deadline):
            while len(body) < BODY_MAX and (chunk := await content.read(BODY_MAX - len(body))):
                body += chunk
    except (aiohttp.ClientError, OSError):
        pass
    return bytes(body)


def _describe(error: Exception) -> str:
    """What went wrong on the way, in words. An aiohttp error's ``repr`` holds the request's
    headers, and some of its texts a proxy's password: neither is used."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} does not resolve; check DNS and the network"
        case aiohttp.ClientConnectorCertificateError():
            return (
                f"the TLS certificate is not trusted ({error.certificate_error}); behind a proxy "
                "that inspects TLS, let SSL_CERT_FILE name its root certificate"
            )
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {error.host}:{error.port} does not answer ({error.strerror})"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refused with status {error.status}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed"
        case aiohttp.ClientResponseError():
            return f"not a readable HTTP answer: {github.one_line(error.message)}"
        case TimeoutError():
            return "timed out"
        case OSError():
            return github.one_line(error.strerror or str(error) or type(error).__name__)
        case _:
            return type(error).__name__


def _proxy_for(api_url: str) -> tuple[str | None, Mapping[str, Any] | None]:
    """The proxy that the environment names for GitHub, and its credentials as a header."""
    parts = urlsplit(api_url)
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if not proxy or host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
        return None, None
    split = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if split.scheme not in ("http", "https") or not split.hostname:
        name = f"{parts.scheme}_proxy"
        raise UsageError(f"{name} names a proxy that is not an http:// one; no other is supported")
    address = split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()
    if split.username is None:
        return address, None
    credentials = f"{unquote(split.username)}:{unquote(split.password or '')}".encode()
    return address, {"Proxy-Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
