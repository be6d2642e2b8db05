"""Tells somebody: one POST to a webhook of theirs, or Apprise for whom that does not reach. What
keeps a notice from arriving comes back in words that hold nothing of the URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Self

import aiohttp
from yarl import URL

from daemon.client.keys import Reread
from daemon.client.proxy import proxy_for
from daemon.client.resolver import Resolver
from daemon.client.through_apprise import tell_through_apprise
from daemon.client.trust import trusting
from daemon.client.wire import read
from daemon.client.wording import describe
from daemon.errors import UsageError
from daemon.github import one_line, retry_after
from daemon.notice import HEADERS, Notice, NotTold, body, without_secrets
from daemon.secret import Secret

TOLD_WITHIN = 15.0
"""Seconds for a request and its answer."""

QUOTED = 120
"""Characters of an answer that are told further."""


class Teller:
    """A client without credentials of its own, as an async context manager. ``HTTPS_PROXY`` and
    ``NO_PROXY`` are heeded, and certificates of ``ca_file`` believed. ``reread`` follows the
    reference to a URL once more, so that a new one counts at once."""

    def __init__(self, ca_file: str, clock: Callable[[], datetime], reread: Reread) -> None:
        self._tls = trusting(ca_file)
        self._clock = clock
        self._reread = reread
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(resolver=Resolver(), limit=8)
        if self._tls is not None:
            connector = aiohttp.TCPConnector(resolver=Resolver(), limit=8, ssl=self._tls)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TOLD_WITHIN),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def tell(self, where: Secret, notice: Notice) -> None:
        """Raises NotTold."""
        url = self._reread(where).reveal().strip()
        if url.startswith(("http://", "https://")):
            await self._request("POST", url, HEADERS, body(notice))
        else:
            await tell_through_apprise(url, notice)

    async def call(self, where: Secret) -> None:
        """A GET, which says all by being made. Raises NotTold."""
        await self._request("GET", self._reread(where).reveal().strip(), {}, None)

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None
    ) -> None:
        if self._session is None:
            raise RuntimeError("Teller is used outside its 'async with' block")
        words = bytearray()
        try:
            proxy, proxy_headers = proxy_for(url)
            async with self._session.request(
                method,
                URL(url, encoded=True),
                data=data,
                headers={**headers, "Accept-Encoding": "identity", "User-Agent": "dispatchd"},
                allow_redirects=False,  # the body would go to whom nobody has named
                proxy=proxy,
                proxy_headers=proxy_headers,
            ) as answer:
                await read(answer.content, words, 4 * QUOTED)
        except ValueError:  # of aiohttp, of yarl, or of a name that cannot be looked up
            raise NotTold("what it leads to is no URL") from None
        except (aiohttp.ClientError, OSError, UsageError) as error:
            reason = str(error) if isinstance(error, UsageError) else describe(error)
            raise NotTold(reason) from None
        if 200 <= answer.status < 300:
            return
        fields = {name.lower(): value for name, value in answer.headers.items()}
        said = without_secrets(one_line(words.decode(errors="replace"), QUOTED), url)
        if 300 <= answer.status < 400:
            said = "it points elsewhere, and notices follow no redirects: name where it leads to"
        raise NotTold(
            f"answered {answer.status}" + (f": {said}" if said else ""),
            retry_after(fields, self._clock()),
        )
