"""The webhook routes: a bounded read, then proof, parsing, verdicts, commit and answer, in the
order of the contract. What is answered 202 is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from aiohttp import web

from daemon.body import parse_body
from daemon.errors import Refused, StoreUnavailable
from daemon.event import Event, Outcome, Verdict
from daemon.facts import Facts, Trouble
from daemon.ids import IdSource
from daemon.judge import Judgement, delivery_of, judge_delivery
from daemon.ports import Record
from daemon.reading import read_body
from daemon.routes import Panel, Routes
from daemon.signatures import Mismatch, Request
from daemon.spec import TriggerSpec
from daemon.web import (
    answered,
    client_ip,
    json_response,
    not_allowed,
    signed_request,
    unavailable,
)

ACKNOWLEDGED = frozenset({Outcome.DISPATCHED, Outcome.HELD, Outcome.ERROR})
"""The verdicts that answer 202: we took the delivery over and owe its sender something."""

HASHED_ON_THE_LOOP = 512 * 1024
"""Bytes of a body whose signature is checked while everybody waits: it takes half a millisecond. A
larger one is checked on a thread, for who sends it may be anybody."""


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
        return await answered(self._receive(request), request, self._facts)

    async def _receive(self, request: web.Request) -> web.Response:
        match = self._routes.match(request.rel_url.raw_path)
        if match is None:
            raise Refused(404, f"no trigger listens on {request.path:.200}")
        panel = match.route.panels.get(request.method)
        if panel is None:
            raise not_allowed(request, ", ".join(match.route.panels))
        body = await read_body(request, panel.max_body)
        signed = signed_request(request, body)
        now = self._clock()
        if len(body) > HASHED_ON_THE_LOOP:
            doubts = await asyncio.to_thread(_doubts, signed, panel, now)
        else:
            doubts = _doubts(signed, panel, now)
        believing = [trigger for trigger in panel.triggers if trigger.name not in doubts]
        if not believing:
            # The sender learns nothing; the operator learns why, trigger by trigger.
            why = "; ".join(f"{name}: {doubt}" for name, doubt in doubts.items())
            raise Refused(401, "Unauthorized", why=why)
        delivery = delivery_of(signed, match, client_ip(request), now)
        event = Event(self._ids.event(now), delivery)
        judged = judge_delivery(
            event,
            delivery,
            parse_body(delivery.headers, delivery.body),
            believing,
            lambda: self._ids.dispatch(now),
        )
        by_name = {judgement.verdict.entry: judgement for judgement in judged}
        judgements = [
            by_name.get(trigger.name) or _unauthorized(trigger.name, doubts[trigger.name])
            for trigger in panel.triggers
        ]
        try:
            verdicts = await self._record(event, [each.verdict for each in judgements])
        except StoreUnavailable as error:
            raise unavailable(error) from None
        return self._answer(event, judgements, verdicts)

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


def _doubts(request: Request, panel: Panel, now: datetime) -> dict[str, Mismatch | str]:
    """Why the sender is not believed, for each trigger that does not believe it. Nothing over a
    trigger's own limit is hashed for it."""
    size = len(request.body)
    doubts: dict[str, Mismatch | str] = {}
    for auth, triggers in panel.by_auth:
        mismatch: Mismatch | None = None
        if any(size <= trigger.max_body for trigger in triggers):
            mismatch = auth.scheme.verify(request, auth.secrets, now)
        for trigger in triggers:
            if size > trigger.max_body:
                limit = f"{trigger.max_body:,}"
                doubts[trigger.name] = (
                    f"not looked at: {size:,} bytes are over its max_body, {limit}"
                )
            elif mismatch is not None:
                doubts[trigger.name] = mismatch
    return doubts


def _unauthorized(name: str, doubt: Mismatch | str) -> Judgement:
    reason = doubt if isinstance(doubt, str) else doubt.reason
    return Judgement(Verdict(name, Outcome.UNAUTHORIZED, reason))
