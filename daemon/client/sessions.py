"""A session with GitHub for each credential; every dispatch goes out under that of its
repository."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Self

from daemon.client.keys import Reread
from daemon.client.session import Exchange, GitHub, nobody_waits
from daemon.client.trust import trusting
from daemon.dispatch import Attempt, Dispatch
from daemon.errors import FetchError
from daemon.github import Failed, Question, Reply
from daemon.spec import Credential, Settings


class Sessions:
    """They are open for as long as the context lasts. ``reread`` follows a secret's reference once
    more. Raises UsageError for a token or a proxy that can never work."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime], reread: Reread) -> None:
        self._settings = settings
        self._clock = clock
        tls = trusting(settings.ca_file)
        self._sessions = {
            credential.name: GitHub(
                credential.api_url,
                credential.key,
                clock,
                reread=reread,
                tls=tls,
                api_version=settings.api_version,
            )
            for credential in settings.all_credentials
        }
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for session in self._sessions.values():
            await self._stack.enter_async_context(session)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def main(self) -> GitHub:
        """The one for what concerns no repository: of `gh_token`, or else of the first credential
        at the same API."""
        credentials: Iterable[Credential] = self._settings.all_credentials
        here = [each for each in credentials if each.api_url == self._settings.gh_api_url]
        return self._sessions[(here or list(credentials))[0].name]

    def under(self, credential: str) -> GitHub:
        """The one of the credential of that name."""
        return self._sessions[credential]

    async def ask(self, repository: str, question: Question) -> Reply:
        """As `GitHub.ask`, under the credential of the repository."""
        credential = self._settings.credential_for(repository)
        if credential is None:
            raise FetchError(_nobody_for(repository))
        return await self._sessions[credential.name].ask(repository, question)

    async def ask_as_app(self, credential: str, question: Question) -> Reply:
        """As `GitHub.ask_as_app`, under the credential of that name."""
        return await self._sessions[credential].ask_as_app(question)

    async def send(self, dispatch: Dispatch, gone: Callable[[], None] = nobody_waits) -> Exchange:
        """As `GitHub.send`; refuses a dispatch to a repository that no credential is for."""
        credential = self._settings.credential_for(dispatch.repository)
        if credential is not None:
            return await self._sessions[credential.name].send(dispatch, gone)
        refusal = Failed(_nobody_for(dispatch.repository))
        attempt = Attempt(
            dispatch_id=dispatch.id,
            number=dispatch.attempts + 1,
            started_at=self._clock(),
            duration=timedelta(),
            outcome=refusal.outcome,
            message=refusal.reason,
        )
        return Exchange(refusal, attempt, None)


def _nobody_for(repository: str) -> str:
    return (
        f"no credential is for {repository}: add its owner to `credentials` in DAEMON.yaml, or set "
        "GH_TOKEN"
    )
