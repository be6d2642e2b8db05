"""Recorded values as the JSON that the API answers and ``--json`` prints: stable names, instants
as RFC 3339, durations in seconds."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime

from daemon.chain import Family
from daemon.dispatch import Attempt, Dispatch
from daemon.event import Delivery, Event, FiringRecord, Pause, Verdict
from daemon.expressions import JSON, rfc3339
from daemon.follow_up import FollowUp
from daemon.incident import Incident
from daemon.refusals import Refusal
from daemon.run import Run
from daemon.space import Space

FAMILY_MAX = 1000
"""Dispatches of one chain that are shown."""


def event_view(event: Event, verdicts: Sequence[Verdict]) -> dict[str, JSON]:
    """One event with its verdicts; without headers and body."""
    cause = event.cause
    view: dict[str, JSON] = {
        "id": event.id,
        "kind": "delivery" if isinstance(cause, Delivery) else "firing",
        "source": event.source,
        "at": rfc3339(event.at),
        "replay_of": event.replay_of,
        "by": event.by or None,
        "verdicts": [verdict_view(verdict) for verdict in verdicts],
    }
    if isinstance(cause, Delivery):
        view |= {"method": cause.method, "path": cause.path, "client_ip": cause.client_ip}
    else:
        view |= {
            "scheduled_at": rfc3339(cause.scheduled_at),
            "catch_up": cause.catch_up,
            "by_hand": cause.by_hand,
        }
    return view


def event_details(event: Event, verdicts: Sequence[Verdict]) -> dict[str, JSON]:
    """The same with what was received. A body that is no UTF-8 is shown with U+FFFD in it, and
    whole under ``body_base64``."""
    view = event_view(event, verdicts)
    if isinstance(event.cause, Delivery):
        body = event.cause.body
        text = body.decode(errors="replace")
        view |= {
            "headers": dict(event.cause.headers),
            "query": dict(event.cause.query),
            "params": dict(event.cause.params),
            "body": text,
        }
        if text.encode() != body:
            view["body_base64"] = base64.b64encode(body).decode("ascii")
    return view


def verdict_view(verdict: Verdict) -> JSON:
    return {
        "entry": verdict.entry,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "duplicate_of": verdict.duplicate_of,
    }


def recorded_view(event: Event, verdicts: Sequence[Verdict]) -> dict[str, JSON]:
    """What a call of the API made of an event that it asked for."""
    return {
        "event_id": event.id,
        "verdicts": [verdict_view(verdict) for verdict in verdicts],
        "dispatches": [each.id for verdict in verdicts for each in verdict.dispatches],
    }


def dispatch_view(dispatch: Dispatch) -> dict[str, JSON]:
    """One dispatch as it stands; without its payload."""
    return {
        "id": dispatch.id,
        "event_id": dispatch.event_id,
        "entry": dispatch.entry,
        "repository": dispatch.repository,
        "event_type": dispatch.event_type,
        "workflow": dispatch.workflow or None,
        "ref": dispatch.ref or None,
        "state": dispatch.state.value,
        "reason": dispatch.reason,
        "attempts": dispatch.attempts,
        "created_at": rfc3339(dispatch.created_at),
        "due_at": rfc3339(dispatch.due_at),
        "expires_at": rfc3339(dispatch.expires_at),
        "settled_at": _instant(dispatch.settled_at),
        "replay_of": dispatch.replay_of,
        "run_id": dispatch.run_id,
        "run_url": dispatch.run_url or None,
        "parent_id": dispatch.parent_id,
        "depth": dispatch.depth,
        "held_by": dispatch.held_by.value if dispatch.held_by else None,
        "match": dispatch.match.value,
        "diagnosis": dispatch.diagnosis,
        "run_outcome": dispatch.run_outcome or None,
    }


def dispatch_details(
    dispatch: Dispatch,
    attempts: Sequence[Attempt],
    runs: Sequence[Run],
    follow_ups: Sequence[FollowUp],
) -> dict[str, JSON]:
    """The same with the payload or the inputs (JSON text, as it goes out), every attempt, every run
    that was seen, and every follow-up."""
    by_name = bool(dispatch.workflow)
    return dispatch_view(dispatch) | {
        "client_payload": "" if by_name else dispatch.client_payload,
        "inputs": dispatch.client_payload if by_name else None,
        "tries": [attempt_view(attempt) for attempt in attempts],
        "runs": [run_view(run) for run in runs],
        "follow_ups": [follow_up_view(each) for each in follow_ups],
    }


def run_view(run: Run) -> JSON:
    return {
        "id": run.id,
        "url": run.url or None,
        "workflow": run.workflow,
        "title": run.title,
        "attempt": run.attempt,
        "status": run.status,
        "conclusion": run.conclusion or None,
        "created_at": rfc3339(run.created_at),
        "updated_at": rfc3339(run.updated_at),
    }


def family_view(family: Family) -> dict[str, JSON]:
    """Dispatches that descend from one another, each followed by its descendants. ``complete`` is
    false where there are more than are shown."""
    return {
        "root": family.members[0].id,
        "dispatches": [dispatch_view(each) for each in family.members],
        "complete": family.complete,
    }


def pause_view(pause: Pause) -> dict[str, JSON]:
    return {"since": rfc3339(pause.since), "by": pause.by, "reason": pause.reason}


def firing_view(record: FiringRecord) -> dict[str, JSON]:
    """A cron instant as accounted for; of several at once ``first`` is the earliest."""
    return {
        "cron": record.cron,
        "scheduled_at": rfc3339(record.scheduled_at),
        "outcome": record.outcome.value,
        "reason": record.reason,
        "event_id": record.event_id,
        "first": _instant(record.first),
        "count": record.count,
    }


def incident_view(incident: Incident) -> dict[str, JSON]:
    return {
        "entry": incident.entry,
        "kind": incident.kind.value,
        "first": rfc3339(incident.first),
        "last": rfc3339(incident.last),
        "count": incident.count,
        "at": rfc3339(incident.at),
        "text": incident.text,
    }


def refusal_view(refusal: Refusal) -> dict[str, JSON]:
    request = refusal.request
    return {
        "first": rfc3339(refusal.first),
        "last": rfc3339(refusal.last),
        "count": refusal.count,
        "status": request.status,
        "method": request.method,
        "path": request.path,
        "client_ip": request.client_ip,
        "reason": request.reason,
    }


def attempt_view(attempt: Attempt) -> JSON:
    return {
        "number": attempt.number,
        "started_at": rfc3339(attempt.started_at),
        "seconds": round(attempt.duration.total_seconds(), 3),
        "outcome": attempt.outcome,
        "status": attempt.status,
        "message": attempt.message,
        "request_id": attempt.request_id,
    }


def follow_up_view(follow_up: FollowUp) -> JSON:
    """What was owed after the dispatch went wrong; ``target`` is how the config names the URL."""
    return {
        "cause": follow_up.cause.value,
        "state": follow_up.state.value,
        "at": rfc3339(follow_up.at),
        "attempts": follow_up.attempts,
        "next_try": _instant(follow_up.wake_at),
        "settled_at": _instant(follow_up.settled_at),
        "reason": follow_up.reason,
        "target": follow_up.target or None,
        "dispatch_id": follow_up.made,
        "run_id": follow_up.run_id or None,
        "run_attempt": follow_up.run_attempt or None,
        "run_url": follow_up.run_url or None,
        "conclusion": follow_up.run_conclusion or None,
    }


def _instant(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant else None


def space_view(space: Space) -> dict[str, JSON]:
    """In bytes; those of a disk are null where there is none."""
    return {
        "database": space.file,
        "unused": space.free,
        "log": space.log,
        "disk_free": space.disk_free,
        "disk_reserve": space.reserve if space.disk_size else None,
    }
