"""What the commands rely on in the daemon's answers. Another version of dispatchd, or something
that only looks like it, may answer otherwise: that is told, and nothing falls over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Shape: TypeAlias = "type | Sequence[Shape] | Mapping[str, Shape]"
"""A type; or ``[shape]``, an array of such; or an object that has at least these keys."""

_DISPATCH: Shape = {
    "id": str, "created_at": str, "entry": str, "repository": str, "event_type": str,
    "state": str, "attempts": int, "reason": object, "event_id": str, "replay_of": object,
}  # fmt: skip
_EVENT: Shape = {
    "id": str, "at": str, "source": str, "verdicts": [{"entry": str, "outcome": str}],
    "replay_of": object,
}  # fmt: skip

_HOOK: Mapping[str, Shape] = {
    "place": str, "id": int, "url": str, "triggers": [str], "events": [str], "active": bool,
    "last": str,
}  # fmt: skip

ARMED: Shape = {"path": str, "armed_until": str}
AWAITED: Shape = {
    "id": str, "repository": str, "state": str, "reason": object, "match": str,
    "diagnosis": object, "run_outcome": object, "tries": [{"status": object}],
    "runs": [
        {
            "id": int, "url": object, "workflow": str, "title": str, "attempt": int,
            "status": str, "conclusion": object,
        }
    ],
}  # fmt: skip
BRANCH: Shape = {"name": str, "found": bool, "sha": object}
CANCELLED: Shape = {}
DISPATCH: Shape = {"id": str, "event_id": str, "client_payload": str}
FAMILY: Shape = {
    "root": str, "complete": bool,
    "dispatches": [
        {
            "id": str, "parent_id": object, "depth": int, "entry": str, "event_type": str,
            "state": str, "created_at": str, "reason": object,
        }
    ],
}  # fmt: skip
DISPATCHES: Shape = {"dispatches": [_DISPATCH]}
EVENT: Shape = {"id": str}
EVENTS: Shape = {"events": [_EVENT]}
EVENT_IN_FULL: Shape = {"dispatches": [{"id": str, "state": str}]}
BACKFILLED: Shape = {"instants": [{"scheduled_at": str, "outcome": str, "event_id": object}]}
FIRED: Shape = {"event_id": str, "dispatches": [str]}
FIRINGS: Shape = {
    "firings": [
        {
            "cron": str, "scheduled_at": str, "outcome": str, "reason": str, "event_id": object,
            "first": object, "count": int,
        }
    ]
}  # fmt: skip
HOOK: Shape = _HOOK
HOOK_MADE: Shape = {**_HOOK, "done": str, "warnings": [str]}
HOOK_TESTED: Shape = {**_HOOK, "arrived": object, "status": str}
HOOKS: Shape = {"hooks": [_HOOK], "errors": [{"place": str, "reason": str}]}
INCIDENTS: Shape = {
    "incidents": [
        {
            "entry": str, "kind": str, "first": str, "last": str, "count": int, "at": str,
            "text": str,
        }
    ]
}  # fmt: skip
JUDGED: Shape = {
    "event_id": str, "dispatches": [str],
    "verdicts": [{"entry": str, "outcome": str, "reason": object}],
}  # fmt: skip
PAUSED: Shape = {"paused": [{"entry": str, "already": bool, "by": str, "since": str}]}
RECOVERY: Shape = {
    "finished": bool, "dry_run": bool, "missed": int, "asked": int,
    "hooks": [
        {
            "place": str, "url": str, "since": str, "looked_at": int, "whole": bool, "left": int,
            "asked": int, "here": int, "refused": {},
            "missed": [{"guid": str, "event": str, "action": str, "at": str, "status": str}],
        }
    ],
    "errors": [{"place": str, "reason": str}],
}  # fmt: skip
REFUSED: Shape = {
    "refused": [
        {
            "first": str, "last": str, "count": int, "status": int, "method": str, "path": str,
            "client_ip": str, "reason": str,
        }
    ]
}  # fmt: skip
RESUMED: Shape = {"resumed": [{"entry": str, "released": int}]}
RELEASED: Shape = {"id": str, "state": str}
RELOADED: Shape = {
    "generation": int, "warnings": [str], "changes": [str], "rerouted": [{}], "looked_at": int,
}  # fmt: skip
RELEASED_ENTRY: Shape = {"entry": str, "released": int, "paused": int}
REPLAYED: Shape = {"dispatches": [str]}
SECRET: Shape = {"secret": str}
SENT: Shape = {"dispatch_id": str}
STATUS: Shape = {
    "dispatches": {},
    "triggers": [{"name": str, "path": str, "enabled": bool}],
    "crons": [{"name": str, "enabled": bool, "next": object}],
    "pauses": [{"entry": str, "since": str, "by": str, "reason": str}],
    "incidents": [{"entry": str, "kind": str, "instants": int}],
}


def misfit(value: object, shape: Shape, place: str = "the answer") -> str:
    """Where ``value`` is not of the shape, in words; empty where it is."""
    if isinstance(shape, type):
        kind = type(value).__name__
        return "" if isinstance(value, shape) else f"{place} is {kind}, not {shape.__name__}"
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return f"{place} is no object"
        for key, inner in shape.items():
            if key not in value:
                return f"{place} has no {key!r}"
            if found := misfit(value[key], inner, key):
                return found
        return ""
    if not isinstance(value, list):
        return f"{place} is no array"
    (inner,) = shape
    return next(filter(None, (misfit(each, inner, f"one of {place}") for each in value)), "")
