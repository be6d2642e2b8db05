"""A session with GitHub: one dispatch at a time goes out, and comes back as an Answer and an
Attempt, whatever became of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from daemon import github, github_meta
from daemon.client.deadline import deadline as until
from daemon.client.keys import Installation, Key, NoToken, PersonalToken, Reread
from daemon.client.proxy import proxy_for
from daemon.client.resolver import Resolver
from daemon.client.wire import Body, OwnAnswer, read
from daemon.client.wording import describe
from daemon.dispatch import Attempt, Dispatch
from daemon.errors import CredentialError, FetchError
from daemon.github import (
    Accepted,
    Ambiguous,
    Answer,
    Failed,
    Question,
    Redirected,
    Reply,
    Request,
    Unauthorized,
    Unreachable,
)
from daemon.github_app import AppKey
from daemon.github_meta import META_MAX, HookRanges
from daemon.pacing import Limits
from daemon.secret import Secret

BODY_MAX = 64 * 1024
"""Bytes read of an answer; GitHub's refusals have a few hundred."""
BODY_TIMEOUT = 2.0
"""Seconds that an answer's body may take. Its status is there by then, and says all but the
words."""
PROVEN_MAX = 4 * 1024 * 1024
"""Bytes read of an answer to a GitHub App; a page of its deliveries has some 50,000."""
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


def nobody_waits() -> None:
    pass


def _unchanged(secret: Secret) -> Secret:
    return secret


class GitHub:
    """A session with GitHub under one credential, as an async context manager.

    ``clock`` gives aware datetimes. ``timeout`` bounds one dispatch, redirects included, and
    ``connect_timeout`` the way to a connection (name, TCP, TLS). Nothing is sent twice but for
    307, 308 and a token that was replaced meanwhile: there the answer says that nothing was done.
    ``reread`` follows the reference of a secret once more. ``HTTPS_PROXY`` and ``NO_PROXY`` are
    heeded; ``tls`` says whom to trust (None: whom the system does).

    Raises UsageError for a token or a proxy that can never work.
    """

    def __init__(
        self,
        api_url: str,
        key: Secret | AppKey,
        clock: Callable[[], datetime],
        *,
        reread: Reread = _unchanged,
        tls: ssl.SSLContext | None = None,
        api_version: str = github.API_VERSION,
        timeout: timedelta = timedelta(seconds=30),
        connect_timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self._api_url = api_url
        self._api_version = api_version
        self._clock = clock
        self._key: Key = (
            PersonalToken(key, reread)
            if isinstance(key, Secret)
            else Installation(key, api_url, api_version, self._prove, reread, clock)
        )
        self._tls = tls
        self._timeout = timeout.total_seconds()
        self._connect_timeout = connect_timeout.total_seconds()
        self._proxy, self._proxy_headers = proxy_for(api_url)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Not trust_env: it also reads ~/.netrc, and an entry there for GitHub's host would clash
        # with our own credential. No cookies: every request stands alone.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=Resolver(), ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout),
            response_class=OwnAnswer,
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, dispatch: Dispatch, gone: Callable[[], None] = nobody_waits) -> Exchange:
        """Sends ``dispatch`` once; every fault of the network or of GitHub becomes an Answer.
        ``gone`` is called as soon as the request is written, long before its answer.

        The attempt's number is one more than ``dispatch.attempts``. When cancelled, the fate of
        the request is unknown; but where ``gone`` was not called yet, nothing was sent.
        """
        request = github.dispatch_request(dispatch, self._api_url, self._api_version)
        started_at = self._clock()
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer, response = await self._under_token(request, dispatch, began + self._timeout, gone)
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

    async def hook_ranges(self, known: HookRanges | None) -> HookRanges:
        """The networks that webhooks come from, as GitHub tells them now. Redirects are not
        followed. Raises FetchError."""
        request = github_meta.meta_request(self._api_url, known, self._api_version)
        response = await self._ask(request, self._key.known, META_MAX)
        return github_meta.ranges_told(
            response.status,
            response.headers,
            response.body,
            known=known,
            source=self._api_url,
            now=self._clock(),
        )

    @property
    def permissions(self) -> Mapping[str, str] | None:
        """What the token of the last request is good for, ``{"contents": "write", …}``, as GitHub
        says of those of its Apps; None of others."""
        return self._key.permissions

    async def ask(self, repository: str, question: Question) -> Reply:
        """GitHub's answer, whatever its status, under the token for ``repository``; on the same
        host redirects are followed. Raises FetchError where no answer comes, or one that is too
        long, and CredentialError where there is no token to ask with."""
        try:
            token = await self._key.token(repository)
            reply = await self._asked(question, token)
            if reply.status == 401 and await self._key.renewed(token):
                reply = await self._asked(question, await self._key.token(repository))
        except NoToken as error:
            answer = error.answer
            kind = CredentialError if isinstance(answer, Unauthorized | Failed) else FetchError
            raise kind("" if isinstance(answer, Accepted) else answer.reason) from None
        return reply

    async def ask_as_app(self, question: Question) -> Reply:
        """As `ask`, but for redirects: about a GitHub App, which proves itself by its claim. Raises
        FetchError, and CredentialError where the credential is none of an App's."""
        if not isinstance(self._key, Installation):
            raise CredentialError("the credential is a token, and no GitHub App's")
        request = github.question_request(question, self._api_url, self._api_version)
        try:
            status, headers, body = await self._key.proven(request)
        except NoToken as error:
            answer = error.answer
            raise FetchError("" if isinstance(answer, Accepted) else answer.reason) from None
        return self._reply(status, headers, body)

    async def _asked(self, question: Question, token: str) -> Reply:
        request = github.question_request(question, self._api_url, self._api_version)
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._ask(request, token, question.most)
            reply = self._reply(response.status, response.headers, response.body)
            there = github.redirected(reply, request.url)
            if there is None:
                return reply
            request = replace(request, url=there)
        raise FetchError(f"GitHub redirects in a circle, the last time to {request.url}")

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
        now = self._clock()
        return Reply(
            status, headers, body, github.limits(headers, now), github.clock_there(headers, now)
        )

    async def _prove(self, request: Request, claim: str) -> tuple[int, Mapping[str, str], bytes]:
        """Asks under an App's claim. Raises FetchError."""
        response = await self._ask(request, claim, PROVEN_MAX)
        return response.status, response.headers, response.body

    async def _ask(self, request: Request, token: str, most: int) -> _Response:
        """The whole answer. Raises FetchError where none comes, or one of over ``most`` bytes."""
        if self._session is None:
            raise RuntimeError("GitHub is used outside its 'async with' block")
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=_headers(request, token),
                    data=request.body or None,
                    allow_redirects=False,
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers,
                ) as answer,
            ):
                await read(answer.content, body, most + 1)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise FetchError(_unreachable(request.url, error, token)) from None
        if len(body) > most:
            raise FetchError(
                f"the answer to {request.method} {request.url} has more than {most:,} bytes"
            )
        # What is asked for may be a token: only our own is taken out.
        return _response(answer, body, token)

    async def _under_token(
        self, request: Request, dispatch: Dispatch, deadline: float, gone: Callable[[], None]
    ) -> tuple[Answer, _Response | None]:
        """Sends the request, and again where the token was replaced since it was read."""
        try:
            token = await self._key.token(dispatch.repository)
            answer, response = await self._follow(request, token, deadline, gone)
            if response is not None and response.status == 401 and await self._key.renewed(token):
                token = await self._key.token(dispatch.repository)
                answer, response = await self._follow(request, token, deadline, gone)
        except NoToken as error:
            return error.answer, None
        return answer, response

    async def _follow(
        self, request: Request, token: str, deadline: float, gone: Callable[[], None]
    ) -> tuple[Answer, _Response | None]:
        """Sends the request, and again to where 307 and 308 point, or plainer where it must be."""
        url, redirects = request.url, 0
        while True:
            response = await self._post(url, request, token, deadline, gone)
            if not isinstance(response, _Response):
                return response, None
            if response.status == 400 and request.plainer is not None:
                request = request.plainer  # a 400 says that nothing was done
                continue
            answer = github.interpret(
                response.status, response.headers, response.body, url=url, now=self._clock()
            )
            if not isinstance(answer, Redirected):
                return answer, response
            redirects += 1
            if redirects > REDIRECTS_MAX:
                # Each of these answers said that nothing was done, so trying again doubles nothing.
                return Unreachable(
                    f"GitHub redirects in a circle, the last time to {answer.url}"
                ), response
            url = answer.url

    async def _post(
        self, url: str, request: Request, token: str, deadline: float, gone: Callable[[], None]
    ) -> _Response | Ambiguous | Unreachable:
        if self._session is None:
            raise RuntimeError("GitHub is used outside its 'async with' block")
        body = Body(request.body, gone)
        answer: aiohttp.ClientResponse | None = None
        words = bytearray()
        try:
            async with until(deadline) as limit:
                answer = await self._session.request(
                    request.method,
                    URL(url, encoded=True),
                    headers=_headers(request, token),
                    data=body,
                    allow_redirects=False,  # aiohttp would follow a 301 with a body-less GET
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers,
                )
                if not answer.content.at_eof():
                    now = asyncio.get_running_loop().time()
                    limit.reschedule(min(deadline, now + BODY_TIMEOUT))
                    await read(answer.content, words, BODY_MAX)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            # The status is the answer: a body that stalls or breaks off takes nothing from it.
            if answer is None:
                return _nothing_came(url, error, token, sent=body.begun)
        finally:
            if answer is not None:
                answer.release()  # which closes the connection if there is more to read
        return _response(answer, words, token)


def _headers(request: Request, token: str) -> dict[str, str]:
    headers = {**request.headers, "Accept-Encoding": "identity"}  # so that no answer is a zip bomb
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _response(answer: aiohttp.ClientResponse, body: bytearray, token: str) -> _Response:
    fields = {name.lower(): _redacted(value, token) for name, value in answer.headers.items()}
    content = bytes(body).replace(token.encode(), b"<token>") if token else bytes(body)
    return _Response(answer.status, fields, content)


def _nothing_came(url: str, error: Exception, token: str, *, sent: bool) -> Ambiguous | Unreachable:
    if sent:
        return Ambiguous(
            "the request was sent, but GitHub's answer was lost "
            f"({_redacted(describe(error), token)}): it may have acted on it or not"
        )
    return Unreachable(_unreachable(url, error, token))


def _unreachable(url: str, error: Exception, token: str) -> str:
    trouble = _redacted(describe(error), token)
    return f"GitHub could not be reached at {urlsplit(url).netloc}: {trouble}"


def _redacted(text: str, token: str) -> str:
    """``text`` without the token, which a hostile or debugging server may echo."""
    return text.replace(token, "<token>") if token else text
