"""Where the token of a request comes from: a personal one, read anew where it was replaced, or the
token of a GitHub App's installation, fetched anew before its hour is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from daemon.errors import FetchError, UsageError
from daemon.github import Answer, Request, Unauthorized, Unreachable, token_fault
from daemon.github_app import (
    AppKey,
    InstallationToken,
    claim,
    installation_request,
    installation_told,
    private_key_fault,
    skew,
    token_request,
    token_told,
)
from daemon.secret import Secret

Reread = Callable[[Secret], Secret]
"""Follows a secret's reference once more; gives the same secret where that leads nowhere."""

Ask = Callable[[Request, str], Awaitable[tuple[int, Mapping[str, str], bytes]]]
"""Sends a request under a credential; status, headers and body of the answer. Raises FetchError."""


Told = TypeVar("Told", int, InstallationToken)
Read = Callable[[int, Mapping[str, str], bytes], Told | Answer]


class NoToken(Exception):
    """There is no token to send anything with: what that means for the dispatch. Not an error of
    `errors`, since it does not leave the client."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.outcome)
        self.answer = answer


class Key(Protocol):
    """Gives tokens for one credential."""

    @property
    def known(self) -> str:
        """The token of the last request, or nothing."""
        ...

    @property
    def permissions(self) -> Mapping[str, str] | None:
        """What the token of the last request is good for; None where nobody said so."""
        ...

    async def token(self, repository: str) -> str:
        """The token for a request about the repository. Raises NoToken."""
        ...

    async def renewed(self, refused: str) -> bool:
        """Whether there is, or can be, another token than the one that was refused."""
        ...


class PersonalToken:
    """A token that stands somewhere. Once it is refused, it is looked at anew before each request:
    it may have been replaced. Raises UsageError for one that can never work."""

    def __init__(self, secret: Secret, reread: Reread) -> None:
        if fault := token_fault(secret.reveal()):
            raise UsageError(f"the GitHub token {secret} {fault}")
        self._secret = secret
        self._reread = reread
        self._refused = ""

    @property
    def known(self) -> str:
        return self._secret.reveal()

    @property
    def permissions(self) -> Mapping[str, str] | None:
        return None

    async def token(self, repository: str) -> str:
        if self._refused == self.known:
            await self._look_again()
        return self.known

    async def renewed(self, refused: str) -> bool:
        if refused == self.known:
            self._refused = refused
            await self._look_again()
        return self.known != refused

    async def _look_again(self) -> None:
        found = await asyncio.to_thread(self._reread, self._secret)
        if not token_fault(found.reveal()):
            self._secret = found


class Installation:
    """The token of a GitHub App's installation. It is fetched once for all who wait for it."""

    def __init__(
        self,
        app: AppKey,
        api_url: str,
        api_version: str,
        ask: Ask,
        reread: Reread,
        clock: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._private_key = app.private_key
        self._api_url = api_url
        self._api_version = api_version
        self._ask = ask
        self._reread = reread
        self._clock = clock
        self._skew = timedelta()
        self._installation = app.installation_id
        self._token: InstallationToken | None = None
        self._fetching: asyncio.Task[InstallationToken] | None = None

    @property
    def known(self) -> str:
        return self._token.value if self._token else ""

    @property
    def permissions(self) -> Mapping[str, str] | None:
        return self._token.permissions if self._token else None

    async def token(self, repository: str) -> str:
        now = self._clock()
        if self._token is not None and self._token.fresh(now):
            return self._token.value
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(repository))
            self._fetching.add_done_callback(self._fetched)
        try:
            # Shielded: the one who waits may be broken off, and the others still want it.
            return (await asyncio.shield(self._fetching)).value
        except NoToken:
            if self._token is not None and now < self._token.expires_at:
                return self._token.value  # which lives a few minutes more
            raise

    async def proven(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        """The answer to a request about the App itself, which is made under its claim. Raises
        NoToken where none comes."""
        answer = await self._answered(request)
        if answer[0] == 401 and await self._mended(answer[1]):
            answer = await self._answered(request)
        return answer

    async def renewed(self, refused: str) -> bool:
        """Forgets the token; the next is asked for in its place. One that came after the refused
        one is not."""
        if refused == self.known:
            self._token = None
        return True

    def _fetched(self, task: asyncio.Task[InstallationToken]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # everybody who waited may have been broken off

    async def _fetch(self, repository: str) -> InstallationToken:
        if self._installation is None:
            request = installation_request(self._api_url, repository, self._api_version)
            self._installation = await self._told(
                request,
                lambda *answer: installation_told(
                    *answer, repository=repository, now=self._clock()
                ),
            )
        request = token_request(self._api_url, self._installation, self._api_version)
        try:
            self._token = await self._told(
                request, lambda *answer: token_told(*answer, now=self._clock())
            )
        except NoToken:
            self._installation = self._app.installation_id  # it may have been installed anew
            raise
        return self._token

    async def _told(self, request: Request, read: Read[Told]) -> Told:
        """What ``read`` takes from the answer. A claim that is refused is made anew, once, with
        what may have been wrong about it: the key was replaced, or our clock is off. Raises
        NoToken."""
        answer = await self._answered(request)
        told = read(*answer)
        if isinstance(told, Unauthorized) and await self._mended(answer[1]):
            told = read(*await self._answered(request))
        if isinstance(told, int | InstallationToken):
            return told
        raise NoToken(told)

    async def _answered(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        now = self._clock() + self._skew
        try:
            proof = await asyncio.to_thread(claim, self._app.app_id, self._private_key, now)
            return await self._ask(request, proof)
        except FetchError as error:
            raise NoToken(Unreachable(str(error))) from None

    async def _mended(self, headers: Mapping[str, str]) -> bool:
        key, off = self._private_key, self._skew
        found = await asyncio.to_thread(self._reread, key)
        if not private_key_fault(found.reveal()):
            self._private_key = found
        self._skew = skew(headers, self._clock())
        return self._private_key != key or self._skew != off
