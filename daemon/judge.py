"""What each entry makes of an event: verified? the same again? matched? which dispatches?
Pure: the same event under the same config, with the same ids, gets the same verdicts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from daemon.body import fit_text, parse_body
from daemon.chain import Descent
from daemon.cloudevents import cloud_event
from daemon.descent import descent, told_by_github
from daemon.dispatch import Hold, State
from daemon.errors import ExpressionError, Refused
from daemon.event import (
    Burst,
    DedupeKey,
    Delivery,
    Event,
    Firing,
    Outcome,
    Pause,
    RateLimit,
    Verdict,
)
from daemon.expressions import JSON, Bindings, compact
from daemon.render import render
from daemon.repetition import First, burst, dedupe_key, rate_limit
from daemon.routes import Match
from daemon.signatures import Request
from daemon.signatures.credentials import NoScheme
from daemon.spec import CronSpec, ResponseSpec, TriggerSpec
from daemon.spread import jitter

STRANGERS_ROOM = 64 * 1024
STRANGERS_RATIO = 10
"""What a compressed body may come to where nothing proves its sender: so many bytes, and so many
times its own. JSON is compressed to a tenth as a rule."""

NewId = Callable[[], str]

_FIRING_SIZE = 1024
"""Bytes that the names of a cron's expressions hold together, roughly: far too few to matter."""


class Answer(Struct, frozen=True):
    """A trigger's own answer to its sender, rendered."""

    status: int
    body: str
    content_type: str


class Judgement(Struct, frozen=True):
    """One trigger's verdict, with its own answer where it has one and dispatches.
    ``answer_fault`` says why the answer could not be rendered; the verdict stands all the same."""

    verdict: Verdict
    answer: Answer | None = None
    answer_fault: str = ""


def judge_delivery(
    event: Event,
    delivery: Delivery,
    body: JSON,
    triggers: Iterable[TriggerSpec],
    new_id: NewId,
    *,
    by_hand: bool = False,
) -> tuple[Judgement, ...]:
    """Each trigger's word on a verified delivery whose body is parsed.

    What came before only the store can tell, so a verdict carries its de-duplication key, its rate
    limit and its burst, and the store may still make a duplicate of it, or hold it to the limit.
    A replay ``by_hand`` is judged without any of these. It carries as well what the delivery
    descends from.
    """
    base = bindings_of(event, delivery, body)
    first = None if by_hand else First(event.at, request_of(delivery), body, base)
    told = told_by_github(delivery.headers, body)
    return tuple(_judge_trigger(event, first, told, trigger, base, new_id) for trigger in triggers)


def judge_firing(event: Event, firing: Firing, cron: CronSpec, new_id: NewId) -> Verdict:
    """A firing always dispatches. What its jitter puts off waits, from when it was scheduled on: so
    one that is late waits for what is left of that. What is asked for by hand goes at once, or at
    the instant that it is asked for."""
    values = Bindings(
        {
            "event.id": event.id,
            "firing.cron": firing.cron,
            "firing.scheduled_at": firing.scheduled_at,
            "firing.fired_at": firing.fired_at,
            "firing.catch_up": firing.catch_up,
        },
        size=_FIRING_SIZE,
    )
    due_at = event.at
    waits = ""
    if firing.by_hand:
        due_at = max(due_at, firing.scheduled_at)
        waits = "as it was asked for"
    elif cron.jitter and event.replay_of is None:
        put_off = jitter(cron.name, firing.scheduled_at, cron.jitter)
        due_at = max(due_at, firing.scheduled_at + put_off)
        waits = "by its `jitter`"
    dispatches = tuple(
        render(
            spec,
            values,
            dispatch_id=new_id(),
            event=event,
            entry=cron.name,
            due_at=due_at,
            waits=waits,
        )
        for spec in cron.dispatches
    )
    return Verdict(entry=cron.name, outcome=Outcome.DISPATCHED, dispatches=dispatches)


def hold(verdict: Verdict, pause: Pause) -> Verdict:
    """The verdict as it is while its entry is paused: what it owes waits for the resume."""
    if verdict.outcome is not Outcome.DISPATCHED:
        return verdict
    dispatches = tuple(
        replace(each, state=State.HELD, held_by=Hold.PAUSE, reason=str(pause))
        if each.state is State.PENDING
        else each
        for each in verdict.dispatches
    )
    return replace(verdict, outcome=Outcome.HELD, reason=str(pause), dispatches=dispatches)


def bindings_of(event: Event, delivery: Delivery, body: JSON) -> Bindings:
    """The names that a trigger's expressions see, but for ``event.trigger``, which each trigger
    adds. Most triggers do not ask for the CloudEvent: one that is wrong is no name here, and only
    who asks for it hears why."""
    values: dict[str, object] = {
        "body": body,
        "headers": _fit(delivery.headers),
        "query": _fit(delivery.query),
        "method": delivery.method,
        "event.id": event.id,
        "event.received_at": delivery.received_at,
        "event.client_ip": delivery.client_ip,
        **{f"params.{name}": fit_text(value) for name, value in delivery.params.items()},
    }
    unbound: dict[str, str] = {}
    try:
        values["event.cloudevent"] = cloud_event(delivery.headers, body, delivery.body)
    except Refused as refusal:
        unbound["event.cloudevent"] = f"the CloudEvent cannot be read: {refusal.message}"
    # What was compressed is larger than it came.
    size = None if "content-encoding" in delivery.headers else _size(delivery)
    return Bindings(values, size=size, unbound=unbound)


def evaluate_variables(trigger: TriggerSpec, base: Bindings) -> Bindings:
    """The bindings with the trigger's name and its variables, each seeing those before it.
    Raises ExpressionError that begins with the variable's name."""
    bindings = base
    for name, expression in trigger.variables:
        try:
            bindings = bindings.extended({f"variables.{name}": expression.native(bindings)})
        except ExpressionError as error:
            raise error.at(f"variables.{name}") from None
    return bindings


def _judge_trigger(
    event: Event,
    first: First | None,
    told: Descent | None,
    trigger: TriggerSpec,
    base: Bindings,
    new_id: NewId,
) -> Judgement:
    base = base.extended({"event.trigger": trigger.name})
    key: DedupeKey | None = None
    limit: RateLimit | None = None
    together: Burst | None = None
    try:
        if first is not None:
            key = dedupe_key(event, first, trigger, base)
        bindings = evaluate_variables(trigger, base)
        if not _matches(trigger, bindings):
            return Judgement(
                Verdict(trigger.name, Outcome.UNMATCHED, "its `when` is false", dedupe=key)
            )
        if first is not None:
            limit, together = rate_limit(trigger, bindings), burst(trigger, bindings)
        descends = descent(trigger, told, bindings)
    except ExpressionError as error:
        reason = f"{error.message} — in: {error.source}" if error.source else error.message
        return Judgement(Verdict(trigger.name, Outcome.ERROR, reason, dedupe=key))
    dispatches = tuple(
        render(spec, bindings, dispatch_id=new_id(), event=event, entry=trigger.name)
        for spec in trigger.dispatches
    )
    verdict = Verdict(
        trigger.name,
        Outcome.DISPATCHED,
        dispatches=dispatches,
        dedupe=key,
        limit=limit,
        burst=together,
        descent=descends,
    )
    if trigger.response is None:
        return Judgement(verdict)
    dispatch_id = dispatches[0].id if dispatches else ""
    try:
        answer = _answer(trigger.response, bindings.extended({"dispatch_id": dispatch_id}))
    except ExpressionError as error:
        return Judgement(verdict, answer_fault=f"response.body: {error.message}")
    return Judgement(verdict, answer)


def _matches(trigger: TriggerSpec, bindings: Bindings) -> bool:
    try:
        return trigger.when is None or trigger.when.holds(bindings)
    except ExpressionError as error:
        raise error.at("when") from None


def body_of(delivery: Delivery, triggers: Collection[TriggerSpec]) -> JSON:
    """The delivery's body as the triggers see it, which believed its sender. Raises Refused: 400,
    413 for one that is too large once it is decompressed, 415."""
    headers = delivery.headers
    kind = next(filter(None, (trigger.auth.scheme.body_type for trigger in triggers)), "")
    if kind:
        headers = {**headers, "content-type": kind}
    limit = max(trigger.max_body for trigger in triggers)
    if all(trigger.auth.scheme.name == NoScheme.name for trigger in triggers):
        # Anybody sends it: a hundred bytes must not become megabytes that everybody waits for.
        limit = min(limit, STRANGERS_ROOM + STRANGERS_RATIO * len(delivery.body))
    return parse_body(headers, delivery.body, limit)


def delivery_of(request: Request, match: Match, client_ip: str, now: datetime) -> Delivery:
    """The request as it is stored and shown to expressions: without the credentials of any
    trigger that shares its path, whatever that trigger's methods."""
    withheld, withheld_query = match.route.withheld_headers, match.route.withheld_query
    body = request.body
    for scheme in match.route.redacting:
        body = scheme.without_secret(body)
    return Delivery(
        route=match.route.path,
        method=request.method,
        path=request.path,
        headers={k: v for k, v in request.headers.items() if k not in withheld},
        query={k: v for k, v in request.query.items() if k not in withheld_query},
        params=match.params,
        body=body,
        client_ip=client_ip,
        received_at=now,
    )


def request_of(delivery: Delivery) -> Request:
    """A delivery in the form that signature schemes look at."""
    return Request(
        method=delivery.method,
        path=delivery.path,
        headers=delivery.headers,
        query=delivery.query,
        body=delivery.body,
    )


def _answer(spec: ResponseSpec, bindings: Bindings) -> Answer:
    value = spec.body.render(bindings)
    body = value if isinstance(value, str) else compact(value)
    return Answer(spec.status, body, spec.content_type)


def _fit(texts: Mapping[str, str]) -> dict[str, str]:
    together = "".join((*texts, *texts.values()))
    if together.isascii() and "\0" not in together:
        return dict(texts)
    return {fit_text(name): fit_text(text) for name, text in texts.items()}


def _size(delivery: Delivery) -> int:
    """How many bytes there are for expressions to look at."""
    texts = (delivery.headers, delivery.query, delivery.params)
    return len(delivery.body) + sum(
        sum(map(len, text)) + sum(map(len, text.values())) for text in texts if text
    )
