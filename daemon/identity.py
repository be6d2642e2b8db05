"""From a schedule's identity, which is stored with its cursor, back to the schedule: so that what
an entry owed can be told when the config no longer says it."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.bounds import BETWEEN, NOTHING, Bounded
from daemon.cron import parse
from daemon.durations import duration
from daemon.errors import ScheduleError
from daemon.exclusion import Exclusion, exclusion, parse_exclusion
from daemon.intervals import Interval, OneTime
from daemon.schedule import Schedule


def revived(identity: str) -> Schedule | None:
    """The schedule whose `identity` that is; None for one that another release wrote, or whose
    time zone there is no more."""
    try:
        return _revived(identity)
    except (ScheduleError, ValueError, LookupError):
        return None


def _revived(identity: str) -> Schedule:
    form, *bounds = identity.split(BETWEEN)
    start_at = end_at = None
    excluded, zone = NOTHING, ""
    for bound in bounds:
        kind, _, rest = bound.partition(" ")
        if kind == "from":
            start_at = datetime.fromisoformat(rest)
        elif kind == "until":
            end_at = datetime.fromisoformat(rest)
        elif kind == "without":
            items, _, zone = rest.rpartition(" in ")
            excluded = _excluded(items)
        else:
            raise ValueError(f"{kind!r} is no bound")
    inner = _inner(form, zone or "UTC")
    return Bounded(inner, start_at, end_at, excluded) if bounds else inner


def _inner(form: str, zone: str) -> Schedule:
    kind, _, rest = form.partition(" ")
    if kind == "every":
        every, _, offset = rest.partition(" offset ")
        return Interval(duration(every), duration(offset) if offset else timedelta(), zone)
    if kind == "at":
        return OneTime(datetime.fromisoformat(rest), zone)
    fields, _, zone = form.rpartition(" ")
    return parse(fields, zone)


def _excluded(items: str) -> Exclusion:
    return exclusion(parse_exclusion(item, "") for item in items.split(", "))
