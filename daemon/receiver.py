"""The webhook routes: address, a bounded read, proof, handshake, parsing, verdicts, commit and
answer, in the order of the contract. What is answered 202 is on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from aiohttp import web
from msgspec.structs import replace

from daemon.addresses import Networks
from daemon.errors import Refused, StoreUnavailable
from daemon.event import Delivery, Event, Outcome, Paused, Verdict
from daemon.facts import Facts, Trouble
from daemon.greeting import Greeter, Greeting
from daemon.ids import IdSource
from daemon.judge import Judgement, body_of, delivery_of, hold, judge_delivery
from daemon.learning import Learning
from daemon.ports import Fetch, Record
from daemon.proving import Doubts, Prover
from daemon.reading import read_body
from daemon.routes import Match, Panel, Routes
from daemon.signatures import Acknowledgement, Mismatch, Request
from daemon.spec import TriggerSpec
from daemon.web import (
    answered,
    client_ip,
    json_bytes,
    not_allowed,
    signed_request,
    unavailable,
    url_of,
)

WANTED = (Outcome.DISPATCHED, Outcome.HELD)
"""The verdicts whose trigger may answer in its own words."""

ACKNOWLEDGED = (*WANTED, Outcome.ERROR)
"""Those that answer 202: we took the delivery over and owe its sender something."""

VERIFIED = (Outcome.UNMATCHED, Outcome.DUPLICATE)
"""Those that answer 200 where none of the former is there: there is nothing to do."""


class Receiver:
    """Answers every request to a path of TRIGGERS.json. ``hook_ranges`` gives GitHub's addresses
    as far as they are known."""

    def __init__(
        self,
        triggers: Sequence[TriggerSpec],
        record: Record,
        *,
        learning: Learning,
        fetch: Fetch,
        hook_ranges: Callable[[], Networks | None],
        paused: Paused,
        public_url: str,
        ids: IdSource,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._routes = Routes(trigger for trigger in triggers if trigger.enabled)
        self._record = record
        self._prover = Prover(learning, fetch)
        self._greeter = Greeter(self._prover, learning, fetch)
        self._hook_ranges = hook_ranges
        self._paused = paused
        self._public_url = public_url
        self._ids = ids
        self._clock = clock
        self._facts = facts

    async def handle(self, request: web.Request) -> web.Response:
        """The aiohttp handler of whatever no other route of the daemon takes."""
        return await answered(self._receive(request), request, self._facts)

    async def _receive(self, request: web.Request) -> web.Response:
        match = self._routes.match(request.rel_url.raw_path)
        if match is None:
            raise Refused(404, f"no trigger listens on {request.path:.200}")
        panel = match.route.panels.get(request.method)
        if panel is None:
            raise _not_allowed(request, match)
        address = client_ip(request)
        turned_away = self._turned_away(panel, address) if panel.guarded else {}
        admitted = panel.without(turned_away) if turned_away else panel
        if admitted.empty:
            raise Refused(403, "Forbidden", why=_why(turned_away))
        body = await read_body(request, admitted.max_body)
        url = url_of(request, self._public_url) if admitted.signs_url else ""
        signed = signed_request(request, body, url)
        now = self._clock()
        unanswered: Doubts = {}
        if admitted.greeted_unproven:
            found = self._greeter.opening(admitted, signed, now)
            if isinstance(found, Greeting):
                # Its query may hold a token, its body a secret.
                bare = replace(signed, query={}, body=b"")
                event = self._event(delivery_of(bare, match, address, now))
                return await self._greet(event, found)
            unanswered = found
        if not admitted.triggers and not unanswered:
            raise _not_allowed(request, match)
        doubts = await self._prover.doubts(signed, admitted, now)
        if turned_away or unanswered:
            # What could not be answered as a handshake may still be believed as a delivery.
            judging = {trigger.name for trigger in admitted.triggers}
            told = {k: why for k, why in unanswered.items() if k in doubts or k not in judging}
            doubts = turned_away | doubts | told
        believing: Sequence[TriggerSpec] = admitted.triggers
        if doubts:
            believing = [trigger for trigger in believing if trigger.name not in doubts]
            if not believing:
                # The sender learns nothing; the operator learns why, trigger by trigger.
                raise Refused(401, "Unauthorized", why=_why(doubts))
        delivery = delivery_of(signed, match, address, now)
        return await self._believe(delivery, signed, panel, admitted, believing, doubts)

    async def _believe(
        self,
        delivery: Delivery,
        request: Request,
        panel: Panel,
        admitted: Panel,
        believing: Sequence[TriggerSpec],
        doubts: Doubts,
    ) -> web.Response:
        """What comes of a request that all of ``panel`` but those with ``doubts`` believe."""
        event = self._event(delivery)
        body = body_of(delivery, believing)
        if admitted.greeted_proven:
            greeting = await self._greeter.proven(admitted, request, body, doubts)
            if greeting is not None:
                return await self._greet(event, greeting)
        judgements: Sequence[Judgement] = judge_delivery(
            event, delivery, body, believing, lambda: self._ids.dispatch(delivery.received_at)
        )
        del body  # several times as large as it came, and others come while this is committed
        if doubts:
            judged = {each.verdict.entry: each for each in judgements}
            judgements = [
                judged.get(trigger.name) or _unauthorized(trigger.name, doubts)
                for trigger in panel.triggers
            ]
        # From here on to the commit nobody else has a turn: no pause can come in between.
        verdicts = await self._recorded(event, [self._held(each.verdict) for each in judgements])
        return self._answer(event, panel, judgements, verdicts)

    def _held(self, verdict: Verdict) -> Verdict:
        """The verdict as its entry's pause leaves it, where it is paused."""
        pause = self._paused(verdict.entry)
        return hold(verdict, pause) if pause else verdict

    def _event(self, delivery: Delivery) -> Event:
        return Event(self._ids.event(delivery.received_at), delivery)

    def _turned_away(self, panel: Panel, address: str) -> Doubts:
        """The triggers that take nothing from this address, and why."""
        known = self._hook_ranges()
        return {
            trigger.name: reason
            for trigger in panel.everyone
            if trigger.allow_from and (reason := trigger.allow_from.objection(address, known))
        }

    async def _recorded(self, event: Event, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        try:
            return await self._record(event, verdicts)
        except StoreUnavailable as error:
            raise unavailable(error) from None

    async def _greet(self, event: Event, greeting: Greeting) -> web.Response:
        """Records the handshake, and only then answers it."""
        reply = greeting.reply
        if greeting.recorded:
            await self._recorded(
                event, [Verdict(each.name, Outcome.HANDSHAKE) for each in greeting.triggers]
            )
        try:
            await self._greeter.learn(greeting, event.at)
        except StoreUnavailable as error:
            raise unavailable(error) from None
        if reply.body is not None:
            body, kind = reply.body.encode(), reply.content_type
        else:
            body, kind = _usual(event, [], []), _JSON
        return web.Response(
            status=reply.status, body=body, headers={"Content-Type": kind, **reply.headers}
        )

    def _answer(
        self,
        event: Event,
        panel: Panel,
        judgements: Sequence[Judgement],
        verdicts: Sequence[Verdict],
    ) -> web.Response:
        for judgement, verdict in zip(judgements, verdicts, strict=True):
            if verdict.outcome not in WANTED:
                continue
            if judgement.answer_fault:
                self._facts.publish(Trouble(f"trigger {verdict.entry}", judgement.answer_fault))
            if judgement.answer is not None:
                return web.Response(
                    status=judgement.answer.status,
                    body=judgement.answer.body.encode(),
                    headers={"Content-Type": judgement.answer.content_type},
                )
        taken = [verdict for verdict in verdicts if verdict.outcome in ACKNOWLEDGED]
        if not taken and not any(verdict.outcome in VERIFIED for verdict in verdicts):
            raise _too_many(verdicts, event.at)
        return _acknowledged(event, taken, verdicts, _acknowledgement(panel, verdicts))


_JSON = "application/json; charset=utf-8"


def _acknowledged(
    event: Event,
    taken: Sequence[Verdict],
    verdicts: Sequence[Verdict],
    manner: Acknowledgement,
) -> web.Response:
    """The answer to what was verified, in the manner that its sender understands."""
    status = manner.status if taken or manner.status != 202 else 200
    if manner.body is not None:
        return web.Response(
            status=status,
            body=manner.body.encode(),
            headers={"Content-Type": manner.content_type} if manner.body else {},
        )
    return web.Response(
        status=status, body=_usual(event, taken, verdicts), headers={"Content-Type": _JSON}
    )


def _usual(event: Event, taken: Sequence[Verdict], verdicts: Sequence[Verdict]) -> bytes:
    """The daemon's own answer, as JSON."""
    answer: dict[str, object] = {
        "event_id": event.id,
        "matched": [verdict.entry for verdict in taken],
        "dispatches": [each.id for verdict in verdicts for each in verdict.dispatches],
    }
    if not taken and (first := next((v.duplicate_of for v in verdicts if v.duplicate_of), None)):
        answer["duplicate_of"] = first
    return json_bytes(answer)


def _acknowledgement(panel: Panel, verdicts: Sequence[Verdict]) -> Acknowledgement:
    """What the sender takes for success: as the first trigger that believes it says."""
    first = next(
        trigger
        for trigger, verdict in zip(panel.triggers, verdicts, strict=True)
        if verdict.outcome is not Outcome.UNAUTHORIZED
    )
    return first.auth.scheme.acknowledgement


def _too_many(verdicts: Sequence[Verdict], now: datetime) -> Refused:
    """The refusal of what is above the rate limit of all who believe it."""
    waits = [verdict.retry_at - now for verdict in verdicts if verdict.retry_at is not None]
    seconds = max(1, math.ceil(min(waits).total_seconds())) if waits else 1
    why = "; ".join(f"{each.entry}: {each.reason}" for each in verdicts if each.retry_at)
    return Refused(
        429,
        f"above the rate limit; try again in {seconds} s",
        why=why,
        headers={"Retry-After": str(seconds)},
    )


def _not_allowed(request: web.Request, match: Match) -> Refused:
    return not_allowed(request, ", ".join(match.route.methods))


def _why(doubts: Doubts) -> str:
    return "; ".join(f"{name}: {_told(name, doubt)}" for name, doubt in doubts.items())


def _told(name: str, doubt: Mismatch | str) -> str:
    """The doubt for the log. What it is for cannot always be told in the time that a stranger's
    request is worth."""
    if isinstance(doubt, str) or doubt.hint:
        return str(doubt)
    return f"{doubt} (with its body and headers `dispatchd test {name}` finds out why)"


def _unauthorized(name: str, doubts: Doubts) -> Judgement:
    doubt = doubts[name]
    reason = doubt if isinstance(doubt, str) else doubt.reason
    return Judgement(Verdict(name, Outcome.UNAUTHORIZED, reason))
