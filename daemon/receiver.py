"""The webhook routes: a bounded read, then proof, parsing, verdicts, commit and answer, in the
order of the contract. What is answered 202 is on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime

from aiohttp import web

from daemon.body import parse_body
from daemon.errors import Refused, StoreUnavailable
from daemon.event import Delivery, Event, Outcome, Verdict
from daemon.facts import Facts, RequestRefused, Trouble
from daemon.ids import IdSource
from daemon.judge import Judgement, authenticate, judge_delivery
from daemon.routes import Match, Routes
from daemon.signatures import Mismatch, Request
from daemon.spec import Auth, TriggerSpec
from daemon.web import client_ip, json_response, read_body, refused, signed_request, unavailable

Record = Callable[[Event, Sequence[Verdict]], Awaitable[tuple[Verdict, ...]]]

ALWAYS_WITHHELD = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
"""Headers that carry credentials whatever the scheme (the last is our own API's): neither stored
nor shown to expressions."""

ACKNOWLEDGED = frozenset({Outcome.DISPATCHED, Outcome.HELD, Outcome.ERROR})
"""The verdicts that answer 202: we took the delivery over and owe its sender something."""


class Receiver:
    """Answers every request to a path of TRIGGERS.json."""

    def __init__(
        self,
        triggers: Sequence[TriggerSpec],
        record: Record,
        *,
        ids: IdSource,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._routes = Routes(trigger for trigger in triggers if trigger.enabled)
        self._record = record
        self._ids = ids
        self._clock = clock
        self._facts = facts

    async def handle(self, request: web.Request) -> web.Response:
        """The aiohttp handler of whatever no other route of the daemon takes."""
        try:
            return await self._receive(request)
        except Refused as refusal:
            self._facts.publish(
                RequestRefused(
                    request.method, request.path, client_ip(request), refusal.status, refusal.why
                )
            )
            return refused(refusal)

    async def _receive(self, request: web.Request) -> web.Response:
        match = self._routes.match(request.rel_url.raw_path)
        if match is None:
            raise Refused(404, f"no trigger listens on {request.path:.200}")
        concerned = [t for t in match.route.triggers if request.method in t.methods]
        if not concerned:
            allowed = ", ".join(sorted(match.route.methods))
            raise Refused(
                405, f"{request.method} is not allowed here; allowed: {allowed}",
                headers={"Allow": allowed},
            )  # fmt: skip
        body = await read_body(request, match.route.max_body)
        signed = signed_request(request, body)
        now = self._clock()
        proofs = authenticate(signed, (trigger.auth for trigger in concerned), now)
        if all(proofs.values()):
            # The sender learns nothing; the operator learns why, trigger by trigger.
            why = "; ".join(f"{trigger.name}: {proofs[trigger.auth]}" for trigger in concerned)
            raise Refused(401, "Unauthorized", why=why)
        delivery = _delivery(request, match, signed, proofs, now)
        event = Event(self._ids.event(now), delivery)
        judgements = self._judge(event, delivery, concerned, proofs)
        try:
            verdicts = await self._record(event, [each.verdict for each in judgements])
        except StoreUnavailable as error:
            raise unavailable(error) from None
        return self._answer(event, judgements, verdicts)

    def _judge(
        self,
        event: Event,
        delivery: Delivery,
        triggers: Sequence[TriggerSpec],
        proofs: Mapping[Auth, Mismatch | None],
    ) -> tuple[Judgement, ...]:
        body = parse_body(delivery.headers, delivery.body)
        size = len(delivery.body)
        turned_away = {
            trigger.name: _turned_away(trigger, size, proofs[trigger.auth]) for trigger in triggers
        }
        judged = judge_delivery(
            event,
            delivery,
            body,
            [trigger for trigger in triggers if turned_away[trigger.name] is None],
            lambda: self._ids.dispatch(event.at),
        )
        by_name = {each.verdict.entry: each for each in judged}
        return tuple(
            by_name[name] if verdict is None else Judgement(verdict)
            for name, verdict in turned_away.items()
        )

    def _answer(
        self, event: Event, judgements: Sequence[Judgement], verdicts: Sequence[Verdict]
    ) -> web.Response:
        for judgement, verdict in zip(judgements, verdicts, strict=True):
            if verdict.outcome is not Outcome.DISPATCHED:
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
        answer: dict[str, object] = {
            "event_id": event.id,
            "matched": [verdict.entry for verdict in taken],
            "dispatches": [each.id for verdict in verdicts for each in verdict.dispatches],
        }
        first = next((v.duplicate_of for v in verdicts if v.duplicate_of), None)
        if first and not taken:
            answer["duplicate_of"] = first
        return json_response(202 if taken else 200, answer)


def _turned_away(trigger: TriggerSpec, size: int, mismatch: Mismatch | None) -> Verdict | None:
    """The verdict of a trigger that does not get to see the body, beside others that do."""
    if mismatch is not None:
        return Verdict(trigger.name, Outcome.UNAUTHORIZED, mismatch.reason)
    if size > trigger.max_body:
        reason = f"the body of {size:,} bytes is over its max_body of {trigger.max_body:,}"
        return Verdict(trigger.name, Outcome.ERROR, reason)
    return None


def _delivery(
    request: web.Request, match: Match, signed: Request, auths: Iterable[Auth], now: datetime
) -> Delivery:
    schemes = [auth.scheme for auth in auths]
    withheld = ALWAYS_WITHHELD.union(*(scheme.credential_headers for scheme in schemes))
    withheld_query = frozenset[str]().union(*(scheme.credential_query for scheme in schemes))
    return Delivery(
        route=match.route.path,
        method=signed.method,
        path=signed.path,
        headers={k: v for k, v in signed.headers.items() if k not in withheld},
        query={k: v for k, v in signed.query.items() if k not in withheld_query},
        params=match.params,
        body=signed.body,
        client_ip=client_ip(request),
        received_at=now,
    )
