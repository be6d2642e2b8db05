"""Asks GitHub what ``dispatchd doctor`` wants to know of each credential: within a bounded time,
all at once, and nothing that could start anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.checkup import Finding, access, listening
from daemon.checkup.access import Answer, Rights, Used
from daemon.checkup.finding import fail, ok, warn
from daemon.checkup.listening import Sent
from daemon.client import GitHub, Sessions, proxy_for
from daemon.errors import CredentialError, FetchError
from daemon.github import Reply
from daemon.github_app import AppKey
from daemon.github_workflows import (
    READ_ACTIONS,
    WRITE_ACTIONS,
    WRITE_CONTENTS,
    RepositoryTold,
    repository_question,
    repository_told,
    workflows_question,
)
from daemon.preflight import Preflight
from daemon.spec import Config, Credential

FIRST_ANSWER = 15.0
"""Seconds for the first answer under a credential."""
ALL_ANSWERS = 30.0
"""Seconds for all that is asked under it after that."""
AT_ONCE = 4
"""Repositories that are asked about at a time under one credential."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Probe:
    """What is asked with: a ``session`` under one ``credential``, as of ``clock()``; ``used`` is
    what the daemon says of it, if one runs."""

    credential: Credential
    session: GitHub
    clock: Clock
    used: Used | None

    async def findings(self, sent: Mapping[str, Sequence[Sent]]) -> list[Finding]:
        """Of the credential, and of what is ``sent`` under it, by repository. Repositories to which
        nothing is sent stand there with none."""
        first = next(iter(sent), "")
        app = self.credential.key
        if isinstance(app, AppKey) and not first and app.installation_id is None:
            text = "no repository is known that this GitHub App writes to, so it was not tried out"
            return [warn("token", self.credential.name, text, "name one in an entry")]
        try:
            async with asyncio.timeout(FIRST_ANSWER):
                answer = await self._first(first)
        except TimeoutError:
            silent = f"{self.credential.api_url} did not answer within {FIRST_ANSWER:g} s"
            return [access.unreached(self.credential, silent)]
        except CredentialError as error:
            return [access.refused(self.credential, str(error))]
        except FetchError as error:
            return [access.unreached(self.credential, str(error))]
        now = self.clock()
        found = [
            access.reached(self.credential, answer, proxy_for(self.credential.api_url).url or ""),
            access.token(self.credential, answer, now),
            access.clock(self.credential, answer),
            access.rate(self.credential, answer, self.used),
        ]
        if answer.reply.status == 401:
            return found
        return found + await self._each(sent, access.scopes(answer.reply))

    async def _first(self, repository: str) -> Answer:
        asked_at = self.clock()
        reply = await self.session.ask(repository, access.limits_question())
        return Answer(reply, asked_at, self.clock())

    async def _each(
        self, sent: Mapping[str, Sequence[Sent]], scopes: frozenset[str] | None
    ) -> list[Finding]:
        room = asyncio.Semaphore(AT_ONCE)
        until = asyncio.get_running_loop().time() + ALL_ANSWERS

        async def one(repository: str) -> list[Finding]:
            try:
                async with asyncio.timeout_at(until), room:
                    return await self._repository(repository, sent[repository], scopes)
            except TimeoutError:
                text = f"GitHub did not answer all questions within {ALL_ANSWERS:g} s"
                return [fail("repository", repository, text, "run this again later")]

        return [each for found in await asyncio.gather(*map(one, sent)) for each in found]

    async def _repository(
        self, repository: str, sent: Sequence[Sent], scopes: frozenset[str] | None
    ) -> list[Finding]:
        ask = self.session.ask
        try:
            reply = await ask(repository, repository_question(repository))
            told = repository_told(reply, self.clock())
        except FetchError as error:
            return [fail("repository", repository, str(error).rstrip("."))]
        found = [_named(repository, told)]
        if not sent:
            return found
        wanted = frozenset[str]().union(*(each.rights for each in sent))
        scoped = Rights(told, scopes, self.session.permissions, {})
        probes = await self._probed(repository, sent, writes=access.to_be_probed(scoped))
        rights = replace(scoped, probes=probes)
        found += access.rights(repository, wanted, rights, self.clock())
        if READ_ACTIONS not in probes or probes[READ_ACTIONS].status != 200:
            return found
        try:
            listeners = await Preflight(ask).listeners(repository, self.clock())
        except FetchError as error:
            text = f"the workflows cannot be looked up: {error}".rstrip(".")
            return [*found, fail("listener", repository, text)]
        found += [each for one in sent for each in listening.heard(one, listeners)]
        return found + await self._refless(repository, sent)

    async def _refless(self, repository: str, sent: Sequence[Sent]) -> list[Finding]:
        """A failure for each branch or tag that a workflow is to be started on and that is not
        there."""
        found = []
        for ref in sorted(frozenset[str]().union(*(each.refs for each in sent))):
            try:
                asked = access.ref_questions(repository, ref)
                replies = [await self.session.ask(repository, each) for each in asked]
            except FetchError:
                continue
            if all(reply.status == 404 for reply in replies):
                text = f"there is no branch or tag {ref!r}, and GitHub answers 422 to a start on it"
                found.append(fail("ref", repository, text, "mend the entry's `ref`"))
        return found

    async def _probed(
        self, repository: str, sent: Sequence[Sent], *, writes: bool
    ) -> dict[str, Reply]:
        """What GitHub answers to a look at its workflows, and with ``writes`` to dispatches that it
        has to refuse, by the right that each needs."""
        questions = {READ_ACTIONS: workflows_question(repository, 1)}
        for one in sent if writes else ():
            if one.workflow:
                questions[WRITE_ACTIONS] = access.start_probe(repository, one.workflow)
            else:
                questions[WRITE_CONTENTS] = access.dispatch_probe(repository)
        found = {}
        for right, question in questions.items():
            try:
                found[right] = await self.session.ask(repository, question)
            except FetchError:
                continue  # which leaves it untold
        return found


async def asked(
    config: Config, sessions: Sessions, clock: Clock, used: Mapping[str, Used]
) -> list[Finding]:
    """What GitHub says of every credential and of all that is sent under it."""
    settings = config.settings
    by_credential: dict[str, dict[str, list[Sent]]] = {
        each.name: {} for each in settings.all_credentials
    }
    sent = listening.sent(config)
    names = {each.lower(): each for each in sorted(settings.repositories)}
    names |= {each.repository.lower(): each.repository for each in sent}
    found: list[Finding] = []
    for key, repository in sorted(names.items()):
        credential = settings.credential_for(repository)
        mine = [each for each in sent if each.repository.lower() == key]
        if credential is not None:
            by_credential[credential.name][repository] = mine
        elif mine:
            text = "no credential is for it"
            remedy = "add its owner to `credentials` in DAEMON.yaml, or set GH_TOKEN"
            found.append(fail("repository", repository, text, remedy))
    probes = [
        Probe(each, sessions.under(each.name), clock, used.get(each.name)).findings(
            by_credential[each.name]
        )
        for each in settings.all_credentials
    ]
    return found + [each for one in await asyncio.gather(*probes) for each in one]


def _named(repository: str, told: RepositoryTold) -> Finding:
    if told.archived:
        text = "is archived: it takes no dispatch"
        return fail("repository", repository, text, "unarchive it, or disable the entries")
    if told.full_name.lower() != repository.lower():
        text = f"is called {told.full_name} now; GitHub still redirects"
        return warn("repository", repository, text, "write the new name into the config")
    return ok("repository", repository, f"can be seen; its default branch is {told.default_branch}")
