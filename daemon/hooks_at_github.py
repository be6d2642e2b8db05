"""GitHub's webhooks as they are there now: lists them and what they delivered, page by page, sets
them up, and has deliveries made once more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from daemon.errors import CredentialError, FetchError
from daemon.github import (
    Failed,
    Question,
    Reply,
    Throttled,
    Unauthorized,
    interpret,
    refusal,
)
from daemon.github_hooks import (
    APP,
    PING,
    Hook,
    HookDelivery,
    create_question,
    delete_question,
    deliveries_question,
    deliveries_told,
    following,
    hook_told,
    hooks_question,
    hooks_told,
    ping_question,
    redeliver_question,
    update_question,
)
from daemon.retry import UNTIMED
from daemon.secret import Secret

Ask = Callable[[str, Question], Awaitable[Reply]]
"""Asks GitHub under the credential for a repository or an organisation, or, by the credential's
name, as the GitHub App that it is. Raises FetchError."""

PING_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 6.0)
"""Seconds between two looks at what became of a ping: GitHub waits 10 s for its answer."""

HOOK_PAGES_MAX = 10
DELIVERY_PAGES_MAX = 300
"""Pages of a list that are read: of deliveries 30,000."""


class NotNow(FetchError):
    """A rate limit: GitHub did nothing. ``until`` is None where it named no time."""

    def __init__(self, why: str, until: datetime | None) -> None:
        super().__init__(why)
        self.until = until


class Denied(FetchError):
    """GitHub refuses, and would refuse again: the text says how to mend it."""


class HooksAtGithub:
    """Raises Denied for what GitHub refuses, NotNow for a rate limit, and FetchError for what may
    work later on."""

    def __init__(
        self,
        ask: Ask,
        ask_as_app: Ask,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ask = ask
        self._ask_as_app = ask_as_app
        self._clock = clock
        self._sleep = sleep

    async def of(self, place: str) -> list[Hook]:
        """The hooks of a repository (``owner/name``) or an organisation, or that of an App."""
        found: list[Hook] = []
        page = ""
        for _ in range(HOOK_PAGES_MAX):
            reply = await self._asked(place, hooks_question(place, page), 200)
            found += hooks_told(place, reply)
            page = following(reply, "page")
            if not page:
                break
        return found

    async def deliveries(self, hook: Hook, since: datetime) -> tuple[list[HookDelivery], bool]:
        """What the hook delivered, back to ``since``; and whether that is all of it."""
        found: list[HookDelivery] = []
        cursor = ""
        for _ in range(DELIVERY_PAGES_MAX):
            reply = await self._asked(hook.place, deliveries_question(hook, cursor), 200)
            told = deliveries_told(reply)
            found += told
            cursor = following(reply, "cursor")
            if not cursor or (told and min(each.at for each in told) < since):
                return found, True
        return found, False

    async def create(self, place: str, url: str, secret: Secret, events: Collection[str]) -> Hook:
        question = create_question(place, url, secret, events)
        return hook_told(place, await self._asked(place, question, 201))

    async def update(self, hook: Hook, secret: Secret, events: Collection[str]) -> Hook:
        question = update_question(hook, secret, events)
        return hook_told(hook.place, await self._asked(hook.place, question, 200))

    async def delete(self, hook: Hook) -> None:
        await self._asked(hook.place, delete_question(hook), 204)

    async def ping(self, hook: Hook) -> HookDelivery | None:
        """Has it sent a ping; what became of that, or None where GitHub does not tell in time."""
        before = {each.id for each in await self._newest(hook)}
        await self._asked(hook.place, ping_question(hook), 204)
        for pause in PING_PAUSES:
            await self._sleep(pause)
            for each in await self._newest(hook):
                if each.event == PING and each.id not in before:
                    return each
        return None

    async def _newest(self, hook: Hook) -> list[HookDelivery]:
        reply = await self._asked(hook.place, deliveries_question(hook), 200)
        return deliveries_told(reply)

    async def redeliver(self, hook: Hook, delivery: HookDelivery) -> None:
        await self._asked(hook.place, redeliver_question(hook, delivery.id), 202)

    async def _asked(self, place: str, question: Question, expected: int) -> Reply:
        app = place.startswith(APP)
        try:
            reply = (
                await self._ask_as_app(place.removeprefix(APP), question)
                if app
                else await self._ask(place, question)
            )
        except CredentialError as error:
            raise Denied(f"{place}: {error}") from None
        if reply.status == expected:
            return reply
        now = self._clock()
        means = interpret(reply.status, reply.headers, reply.body, url=question.path, now=now)
        why = refusal(reply, question.path, now)
        if isinstance(means, Throttled):
            raise NotNow(f"{place}: {why}", means.until)
        if app and isinstance(means, Failed | Unauthorized):
            raise Denied(
                f"GitHub answered {reply.status} to the GitHub App of `credentials`, "
                f"{place.removeprefix(APP)}: it has no webhook, or `app_id` and `private_key` do "
                "not belong together"
            )
        if isinstance(means, Failed | Unauthorized):
            raise Denied(f"{place}: {why}")
        raise FetchError(f"{place}: {why}")


def until_of(error: NotNow, now: datetime) -> datetime:
    """When to ask again: a minute on, where GitHub names no time."""
    return error.until or now + UNTIMED
