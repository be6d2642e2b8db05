"""Handshakes: who of a path's triggers answers a sender's check of the address, and what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.errors import FetchError, Refused
from daemon.expressions import JSON
from daemon.learning import Learning
from daemon.ports import Fetch
from daemon.proving import Doubts, Prover
from daemon.routes import Panel, Party
from daemon.signatures import Mismatch, Reply, Request
from daemon.spec import TriggerSpec

STRANGERS_EVERY = timedelta(minutes=1)
"""Of the handshakes that anybody may ask for, one in so much time is recorded for each trigger, and
all are answered: a record is a row in the database."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """A handshake, the triggers that answer it, and how; ``recorded`` says whether it is to be."""

    triggers: tuple[TriggerSpec, ...]
    reply: Reply
    recorded: bool = True


class Greeter:
    """Asks the schemes of a path whether a request is a handshake of theirs."""

    def __init__(self, prover: Prover, learning: Learning, fetch: Fetch) -> None:
        self._prover = prover
        self._learning = learning
        self._fetch = fetch
        self._recorded: dict[str, datetime] = {}

    def opening(self, panel: Panel, request: Request, now: datetime) -> Greeting | Doubts:
        """For a request that proves nothing yet; or why there is no reply, by trigger: nothing of
        them where it is no handshake."""
        doubts: Doubts = {}
        for party, handshake in panel.greeted_unproven:
            answer = handshake.opening(request, party.auth.verify_tokens)
            if isinstance(answer, Mismatch):
                doubts |= {trigger.name: answer for trigger in party.triggers}
                continue
            if answer is None:
                continue
            name = party.triggers[0].name
            if answer.learns is not None:
                if unwanted := self._unwanted(party, now):
                    doubts[name] = unwanted
                    continue
                return Greeting(party.triggers, answer)
            known = handshake.takes_token or self._is_news(name, now)
            return Greeting(party.triggers, answer, recorded=known)
        return doubts

    async def proven(
        self, panel: Panel, request: Request, body: JSON, doubts: Doubts
    ) -> Greeting | None:
        """For a request that all but those with ``doubts`` believe. What has to be fetched for it
        is fetched. Raises Refused: 400 for a handshake that cannot be answered, 503 where it needs
        something that cannot be fetched now."""
        for party, handshake in panel.greeted_proven:
            triggers = party.without(doubts).triggers if doubts else party.triggers
            if not triggers:
                continue
            name = triggers[0].name
            answer = handshake.proven(request, body, self._prover.secrets(party))
            if isinstance(answer, Mismatch):
                raise Refused(400, "this handshake cannot be answered", why=f"{name}: {answer}")
            if answer is None:
                continue
            if answer.fetches:
                try:
                    await self._fetch(answer.fetches)
                except FetchError as error:
                    raise Refused(
                        503,
                        "this could not be confirmed; send it again",
                        why=f"{name}: {error}",
                        headers={"Retry-After": "60"},
                    ) from None
            return Greeting(triggers, answer)
        return None

    async def learn(self, greeting: Greeting, now: datetime) -> None:
        """Keeps the secret that was handed over, if one was. Raises Refused (401) where another
        one was faster, StoreUnavailable."""
        secret = greeting.reply.learns
        if secret is None:
            return
        name = greeting.triggers[0].name
        if not await self._learning.learn(name, secret, now):
            raise Refused(401, "Unauthorized", why=f"{name}: another secret came just before")

    def _unwanted(self, party: Party, now: datetime) -> str:
        """Why the sender's secret is not taken; empty where it is."""
        name = party.triggers[0].name
        if party.auth.secrets:
            why = "its `secret` is set in the config"
        elif self._learning.of(name).secret is not None:
            why = f"it has one; `dispatchd arm {name} --forget` makes room for another"
        elif not self._learning.awaits(name, now):
            why = f"`dispatchd arm {name}` lets it take one for ten minutes"
        else:
            return ""
        return f"it takes no secret from its sender now: {why}"

    def _is_news(self, name: str, now: datetime) -> bool:
        last = self._recorded.get(name)
        if last is not None and timedelta() <= now - last < STRANGERS_EVERY:
            return False
        self._recorded[name] = now
        return True
