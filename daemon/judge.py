"""What each entry makes of an event: verified? the same again? matched? which dispatches?
Pure: the same event under the same config, with the same ids, gets the same verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.body import fit_text
from daemon.errors import ExpressionError
from daemon.event import DedupeKey, Delivery, Event, Firing, Outcome, Verdict
from daemon.expressions import JSON, Bindings, as_text, compact
from daemon.render import render
from daemon.routes import Match
from daemon.signatures import Request
from daemon.spec import CronSpec, ResponseSpec, TriggerSpec

NewId = Callable[[], str]

_FIRING_SIZE = 1024
"""Bytes that the names of a cron's expressions hold together, roughly: far too few to matter."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A trigger's own answer to its sender, rendered."""

    status: int
    body: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Judgement:
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
    dedupe: bool = True,
) -> tuple[Judgement, ...]:
    """Each trigger's word on a verified delivery whose body is parsed.

    Whether a key was seen before only the store can tell, so a verdict carries its
    de-duplication key and the store may still turn it into a duplicate. A replay is judged
    without (``dedupe=False``).
    """
    base = Bindings(delivery_values(event, delivery, body), size=_size(delivery))
    request = request_of(delivery) if dedupe else None
    return tuple(_judge_trigger(event, request, trigger, base, new_id) for trigger in triggers)


def judge_firing(event: Event, firing: Firing, cron: CronSpec, new_id: NewId) -> Verdict:
    """A firing always dispatches."""
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
    dispatches = tuple(
        render(spec, values, dispatch_id=new_id(), event=event, entry=cron.name)
        for spec in cron.dispatches
    )
    return Verdict(entry=cron.name, outcome=Outcome.DISPATCHED, dispatches=dispatches)


def delivery_values(event: Event, delivery: Delivery, body: JSON) -> dict[str, object]:
    """The names that a trigger's expressions see; ``event.trigger`` is added for each trigger."""
    return {
        "body": body,
        "headers": _fit(delivery.headers),
        "query": _fit(delivery.query),
        "method": delivery.method,
        "event.id": event.id,
        "event.received_at": delivery.received_at,
        "event.client_ip": delivery.client_ip,
        **{f"params.{name}": fit_text(value) for name, value in delivery.params.items()},
    }


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
    event: Event, request: Request | None, trigger: TriggerSpec, base: Bindings, new_id: NewId
) -> Judgement:
    base = base.extended({"event.trigger": trigger.name})
    key: DedupeKey | None = None
    try:
        if request is not None:
            key = _dedupe_key(event, request, trigger, base)
        bindings = evaluate_variables(trigger, base)
        if not _matches(trigger, bindings):
            return Judgement(
                Verdict(trigger.name, Outcome.UNMATCHED, "its `when` is false", dedupe=key)
            )
    except ExpressionError as error:
        reason = f"{error.message} — in: {error.source}" if error.source else error.message
        return Judgement(Verdict(trigger.name, Outcome.ERROR, reason, dedupe=key))
    dispatches = tuple(
        render(spec, bindings, dispatch_id=new_id(), event=event, entry=trigger.name)
        for spec in trigger.dispatches
    )
    verdict = Verdict(trigger.name, Outcome.DISPATCHED, dispatches=dispatches, dedupe=key)
    if trigger.response is None:
        return Judgement(verdict)
    first = dispatches[0].id if dispatches else ""
    try:
        answer = _answer(trigger.response, bindings.extended({"dispatch_id": first}))
    except ExpressionError as error:
        return Judgement(verdict, answer_fault=f"response.body: {error.message}")
    return Judgement(verdict, answer)


def _matches(trigger: TriggerSpec, bindings: Bindings) -> bool:
    try:
        return trigger.when is None or trigger.when.holds(bindings)
    except ExpressionError as error:
        raise error.at("when") from None


def _dedupe_key(
    event: Event, request: Request, trigger: TriggerSpec, base: Bindings
) -> DedupeKey | None:
    rule = trigger.dedupe
    if rule is None:
        return None
    if rule.key is None:
        key: JSON = trigger.auth.scheme.delivery_id(request, None)
    else:
        try:
            key = rule.key.evaluate(base)
        except ExpressionError as error:
            raise error.at("dedupe.key") from None
    if key is None or key == "":
        return None
    # A header's bytes need not be UTF-8, and other ones must stay another key.
    text = as_text(key).encode(errors="backslashreplace").decode()
    return DedupeKey(key=text, expires_at=event.at + rule.window)


def delivery_of(request: Request, match: Match, client_ip: str, now: datetime) -> Delivery:
    """The request as it is stored and shown to expressions: without the credentials of any
    trigger that shares its path, whatever that trigger's methods."""
    withheld, withheld_query = match.route.withheld_headers, match.route.withheld_query
    return Delivery(
        route=match.route.path,
        method=request.method,
        path=request.path,
        headers={k: v for k, v in request.headers.items() if k not in withheld},
        query={k: v for k, v in request.query.items() if k not in withheld_query},
        params=match.params,
        body=request.body,
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
