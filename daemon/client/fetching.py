"""Fetches what a sender's request points to: a certificate, or the address by which a subscription
is confirmed. The scheme has judged the URL before; here its answer is bounded."""

from __future__ import annotations

from typing import Self

import aiohttp
from yarl import URL

from daemon.client.proxy import proxy_for
from daemon.client.resolver import Resolver
from daemon.client.wire import read
from daemon.client.wording import describe
from daemon.errors import FetchError

FETCHED_MAX = 64 * 1024
FETCHED_WITHIN = 5.0
"""Bytes and seconds: a sender waits meanwhile, and anybody may have named the URL."""


class Fetcher:
    """A client without credentials, as an async context manager. ``HTTPS_PROXY`` and ``NO_PROXY``
    are heeded."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=Resolver(), limit=4),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=FETCHED_WITHIN),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, url: str) -> bytes:
        """What is there. Raises FetchError for any other answer than 200, for more than
        `FETCHED_MAX` bytes, and for what keeps an answer from coming."""
        if self._session is None:
            raise RuntimeError("Fetcher is used outside its 'async with' block")
        host = URL(url).host
        proxy, proxy_headers = proxy_for(url)
        try:
            async with self._session.get(
                URL(url, encoded=True),
                headers={"Accept-Encoding": "identity"},
                allow_redirects=False,  # to where nobody has judged
                proxy=proxy,
                proxy_headers=proxy_headers,
            ) as answer:
                if answer.status != 200:
                    raise FetchError(f"{host} answered {answer.status}")
                content = bytearray()
                await read(answer.content, content, FETCHED_MAX + 1)
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError(f"{host} could not be asked: {describe(error)}") from None
        if not 0 < len(content) <= FETCHED_MAX:
            raise FetchError(f"{host} answered more than {FETCHED_MAX:,} bytes, or nothing")
        return bytes(content)
