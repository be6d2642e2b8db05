"""A session with GitHub for each credential; every dispatch goes out under that of its
repository."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from daemon.client.keys import Reread
from daemon.client.session import Exchange, GitHub, nobody_waits
from daemon.client.trust import trusting
from daemon.dispatch import Attempt, Dispatch
from daemon.errors import FetchError
from daemon.github import Failed, Question, Reply
from daemon.spec import Credential, Settings

RETIRED_AFTER = 90.0
"""Seconds for which a session that is not used any more stays open: longer than any request takes,
redirects and all."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The sessions for some settings, open: to be adopted, or else closed again. ``begun`` are
    those that were not open before."""

    settings: Settings
    sessions: Mapping[str, GitHub]
    begun: Sequence[GitHub]

    async def close(self) -> None:
        for session in self.begun:
            await session.__aexit__()


class Sessions:
    """They are open for as long as the context lasts. ``reread`` follows a secret's reference once
    more. Entering raises UsageError for a token or a proxy that can never work."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime], reread: Reread) -> None:
        self._settings = settings
        self._clock = clock
        self._reread = reread
        self._sessions: Mapping[str, GitHub] = {}
        self._retiring: dict[asyncio.Task[None], GitHub] = {}

    async def __aenter__(self) -> Self:
        self._sessions = (await self.prepare(self._settings)).sessions
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._retiring:
            task.cancel()
        for session in (*self._sessions.values(), *self._retiring.values()):
            await session.__aexit__()

    async def prepare(self, settings: Settings) -> Prepared:
        """Opens what the credentials of ``settings`` want beyond what is open. Raises UsageError
        for a token or a proxy that can never work, and nothing is open that was not before."""
        before = {credential.name: credential for credential in self._settings.all_credentials}
        tls = trusting(settings.ca_file)
        sessions: dict[str, GitHub] = {}
        begun = []
        for credential in settings.all_credentials:
            name = credential.name
            unchanged = before.get(name) == credential and settings.api_version == (
                self._settings.api_version
            )
            if unchanged and name in self._sessions:
                sessions[name] = self._sessions[name]
                continue
            sessions[name] = GitHub(
                credential.api_url,
                credential.key,
                self._clock,
                reread=self._reread,
                tls=tls,
                api_version=settings.api_version,
            )
            begun.append(sessions[name])
        for session in begun:
            await session.__aenter__()
        return Prepared(settings, sessions, begun)

    def adopt(self, prepared: Prepared) -> None:
        """From now on these are used. What is on its way under another one gets its answer."""
        kept = set(prepared.sessions.values())
        retired = [each for each in self._sessions.values() if each not in kept]
        self._settings, self._sessions = prepared.settings, prepared.sessions
        for session in retired:
            task = asyncio.create_task(self._retire(session))
            self._retiring[task] = session
            task.add_done_callback(self._retiring.pop)

    async def _retire(self, session: GitHub) -> None:
        await asyncio.sleep(RETIRED_AFTER)
        await session.__aexit__()

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
        session = self._sessions.get(credential)
        if session is None:
            raise FetchError(f"there is no credential {credential} any more")
        return await session.ask_as_app(question)

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
