"""What one trigger makes of one request, by the same rules as the daemon, with all that led there:
the values of its variables and the parts of its condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from daemon.body import media_type_of
from daemon.dispatch import Dispatch
from daemon.errors import ExpressionError, Refused
from daemon.event import Delivery, Event, Outcome
from daemon.expressions import JSON, Expression
from daemon.expressions.parts import Part, take_apart
from daemon.judge import Answer, bindings_of, body_of, judge_delivery
from daemon.signatures import Mismatch, Reply, Request
from daemon.spec import TriggerSpec

NewId = Callable[[], str]

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_NO_FIELDS = ("Applying SELECT to non-message type", "does not fit the types of its values: _?._")
"""The engine's words where a field of null is asked for."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable's ``value`` in the engine's Python form; or why it has none, and of which
    expression that is said."""

    name: str
    value: Any = None
    error: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Tryout:
    """What would become of a request whose sender is believed.

    ``outcome`` is None where it is refused before it is judged, with ``status``. ``answer`` is the
    trigger's own, or that to a handshake. ``dedupe_keys`` are what tells it from other deliveries,
    ``parents`` what it says that it descends from.
    ``variables`` end with the first that fails; ``condition`` is None where there is no ``when``,
    or a variable failed. ``notes`` say for people what may be behind a reason.
    """

    outcome: Outcome | None
    reason: str
    status: int = 0
    dispatches: tuple[Dispatch, ...] = ()
    answer: Answer | None = None
    dedupe_keys: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    condition: Part | None = None
    notes: tuple[str, ...] = ()

    @property
    def faults(self) -> list[str]:
        """Why dispatches of it are dead."""
        return [each.reason for each in self.dispatches if each.reason]

    @property
    def word(self) -> str:
        return self.outcome.value if self.outcome else "refused"


def opened(trigger: TriggerSpec, request: Request) -> Tryout | None:
    """Whether the request is a handshake that its sender need not prove; None where it is none."""
    handshake = trigger.auth.scheme.handshake
    if handshake is None or request.method not in handshake.methods:
        return None
    reply = handshake.opening(request, trigger.auth.verify_tokens)
    if isinstance(reply, Mismatch):
        return _refused(401, str(reply))
    return _greeted(reply) if reply else None


def tried(
    trigger: TriggerSpec, event: Event, delivery: Delivery, request: Request, new_id: NewId
) -> Tryout:
    """``event`` is that of ``delivery``, which is ``request`` without the credentials."""
    if len(delivery.body) > trigger.max_body:
        return _refused(413, f"the body is over max_body, {trigger.max_body:,} bytes")
    if delivery.method not in trigger.methods:
        return _refused(405, f"{delivery.method} is not among its methods")
    try:
        body = body_of(delivery, [trigger])
        if handshake := trigger.auth.scheme.handshake:
            reply = handshake.proven(request, body, trigger.auth.secrets)
            if isinstance(reply, Mismatch):
                return _refused(400, str(reply))
            if reply is not None:
                return _greeted(reply)
        (judgement,) = judge_delivery(event, delivery, body, [trigger], new_id)
    except Refused as refusal:
        return _refused(refusal.status, refusal.message)
    variables, condition = _looked_into(trigger, event, delivery, body)
    verdict = judgement.verdict
    found = Tryout(
        outcome=verdict.outcome,
        reason=verdict.reason or judgement.answer_fault,
        dispatches=verdict.dispatches,
        answer=judgement.answer,
        dedupe_keys=verdict.dedupe.keys if verdict.dedupe else (),
        parents=verdict.descent.words if verdict.descent else (),
        variables=variables,
        condition=condition,
    )
    reasons = "\n".join((found.reason, *found.faults))
    notes = tuple(_notes(trigger, event, delivery, body, reasons))
    if verdict.descent and verdict.descent.remark:
        notes += (verdict.descent.remark,)
    return replace(found, notes=notes)


def _greeted(reply: Reply) -> Tryout:
    # The secret itself is in the reply's headers, if anywhere, and these are not shown.
    reason = "hands over a secret, which is taken only while the trigger is armed"
    return Tryout(
        Outcome.HANDSHAKE,
        reason if reply.learns else "",
        answer=Answer(reply.status, reply.body or "", reply.content_type),
    )


def _refused(status: int, why: str) -> Tryout:
    return Tryout(None, f"{status}: {why}", status)


def _notes(
    trigger: TriggerSpec, event: Event, delivery: Delivery, body: JSON, reasons: str
) -> Iterator[str]:
    """What the engine's words for a failure leave out."""
    content_type = delivery.headers.get("content-type", "")
    if "there is no key" in reasons and media_type_of(content_type) in _FORMS:
        yield "the body was read as a form, by its content type"
    if any(words in reasons for words in _NO_FIELDS) and any(map(_asks_for_it, _all(trigger))):
        values = bindings_of(event, delivery, body).values
        if values.get("event.cloudevent", "") is None:
            sent = f"content type is {content_type}" if content_type else "it has no content type"
            yield f"event.cloudevent is null: this is no CloudEvent ({sent})"


def _all(trigger: TriggerSpec) -> Iterator[Expression]:
    """The trigger's expressions, but for those that other deliveries have a say in."""
    yield from (expression for _, expression in trigger.variables)
    if trigger.when:
        yield trigger.when.expression
    for dispatch in trigger.dispatches:
        templates = (template for _, template in dispatch.client_payload.templates())
        for template in (dispatch.event_type, *templates):
            yield from (part for part in template.parts if isinstance(part, Expression))


def _asks_for_it(expression: Expression) -> bool:
    return "event.cloudevent" in expression.reach.names


def _looked_into(
    trigger: TriggerSpec, event: Event, delivery: Delivery, body: JSON
) -> tuple[tuple[Variable, ...], Part | None]:
    """The values of the variables, and the parts of the condition."""
    bindings = bindings_of(event, delivery, body).extended({"event.trigger": trigger.name})
    variables: list[Variable] = []
    for name, expression in trigger.variables:
        try:
            value = expression.native(bindings)
            bindings = bindings.extended({f"variables.{name}": value})
        except ExpressionError as error:
            variables.append(Variable(name, error=error.message, source=expression.source))
            return tuple(variables), None
        variables.append(Variable(name, value))
    return tuple(variables), take_apart(trigger.when, bindings) if trigger.when else None
