"""The way of an event as spans of one trace: the event, its dispatches, their attempts, the runs.
Ids follow from ours, so that nothing of it need be remembered. Pure: the time is an argument."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal

from daemon.dispatch import Dispatch, State
from daemon.event import Delivery, Event
from daemon.facts import AttemptMade, DispatchSettled, EventRecorded, RunNotFound, RunSeen

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

Traced = EventRecorded | AttemptMade | DispatchSettled | RunSeen | RunNotFound
"""The facts that spans are made of."""


@dataclass(frozen=True, slots=True)
class Context:
    """The trace that an event belongs to. ``parent`` is the span of who sent it, 0 where it began
    here; what is not ``sampled`` is not wanted by who began it."""

    trace_id: int
    parent: int = 0
    sampled: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took its time. ``parent`` is a span's id, 0 for none; ``error`` says what went
    wrong, where something did."""

    context: Context
    id: int
    parent: int
    name: str
    kind: Literal["server", "client", "internal"]
    began: datetime
    ended: datetime
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    error: str = ""


def context_of(event: Event) -> Context:
    """By its sender's ``traceparent`` (https://www.w3.org/TR/trace-context/), else a trace of its
    own."""
    cause = event.cause
    given = cause.headers.get("traceparent", "") if isinstance(cause, Delivery) else ""
    found = _TRACEPARENT.fullmatch(given.strip())
    if found is not None:
        version, trace_id, parent, flags, more = found.groups()
        known = version != "ff" and not (version == "00" and more)
        if known and int(trace_id, 16) and int(parent, 16):
            return Context(int(trace_id, 16), int(parent, 16), bool(int(flags, 16) & 1))
    return context_by_id(event.id)


def context_by_id(event_id: str) -> Context:
    """The trace of an event of which no more is known than its id."""
    return Context(_number(event_id, 16))


def event_id_of(fact: Traced) -> str:
    return fact.event.id if isinstance(fact, EventRecorded) else fact.dispatch.event_id


def spans(fact: Traced, context: Context, now: datetime) -> Iterator[Span]:
    """Those that have ended with the fact, which is of ``now``."""
    match fact:
        case EventRecorded(event=event):
            yield _of_event(fact, event, context, now)
        case DispatchSettled(dispatch=dispatch):
            yield _of_dispatch(dispatch, context, now)
        case AttemptMade(dispatch=dispatch, attempt=attempt):
            accepted = dispatch.state is State.ACCEPTED
            status = {} if attempt.status is None else {"http.response.status_code": attempt.status}
            yield Span(
                context,
                _number(f"{attempt.dispatch_id}/{attempt.number}"),
                _number(dispatch.id),
                "POST dispatches",
                "client",
                attempt.started_at,
                attempt.started_at + attempt.duration,
                {
                    "dispatchd.attempt": attempt.number,
                    "dispatchd.outcome": attempt.outcome,
                    **status,
                },
                "" if accepted else attempt.message or attempt.outcome,
            )
        case RunSeen(dispatch=dispatch, run=run, before=before):
            if not run.ended or (before and before.ended and before.attempt == run.attempt):
                return
            yield Span(
                context,
                _number(f"{run.repository}/{run.id}/{run.attempt}"),
                _number(dispatch.id),
                f"run {run.workflow or run.name}",
                "internal",
                run.created_at,
                max(run.created_at, run.updated_at),
                {
                    "dispatchd.match": dispatch.match.value,
                    "dispatchd.run.url": run.url,
                    "dispatchd.run.conclusion": run.conclusion,
                    "dispatchd.run.attempt": run.attempt,
                },
                run.conclusion if run.failed else "",
            )
        case RunNotFound(dispatch=dispatch):
            yield Span(
                context,
                _number(f"{dispatch.id}/run"),
                _number(dispatch.id),
                f"run {dispatch.match}",
                "internal",
                dispatch.sent_at or dispatch.created_at,
                now,
                {"dispatchd.match": dispatch.match.value},
                dispatch.diagnosis,
            )


def _of_event(fact: EventRecorded, event: Event, context: Context, now: datetime) -> Span:
    failed = [each.reason for each in fact.verdicts if each.outcome == "error"]
    more = {"dispatchd.replay_of": event.replay_of} if event.replay_of else {}
    delivered = isinstance(event.cause, Delivery)
    return Span(
        context,
        _number(event.id),
        context.parent,
        f"{event.cause.method} {event.source}"
        if isinstance(event.cause, Delivery)
        else event.source,
        "server" if delivered else "internal",
        event.at,
        max(event.at, now),
        {
            "dispatchd.event": event.id,
            "dispatchd.verdicts": ", ".join(f"{v.entry}: {v.outcome}" for v in fact.verdicts),
            **more,
        },
        "; ".join(failed),
    )


def _of_dispatch(dispatch: Dispatch, context: Context, now: datetime) -> Span:
    more = {"dispatchd.parent": dispatch.parent_id} if dispatch.parent_id else {}
    return Span(
        context,
        _number(dispatch.id),
        _number(dispatch.event_id),
        f"dispatch {dispatch.event_type or dispatch.workflow}",
        "internal",
        dispatch.created_at,
        max(dispatch.created_at, dispatch.settled_at or now),
        {
            "dispatchd.dispatch": dispatch.id,
            "dispatchd.entry": dispatch.entry,
            "dispatchd.repository": dispatch.repository,
            "dispatchd.state": dispatch.state.value,
            "dispatchd.attempts": dispatch.attempts,
            **more,
        },
        dispatch.reason if dispatch.state is State.DEAD else "",
    )


def _number(text: str, size: int = 8) -> int:
    """An id of so many bytes, which is never 0."""
    return int.from_bytes(sha256(text.encode()).digest()[:size]) or 1
