"""Retention: finds what need not be kept any longer, and deletes it a few rows at a time. To find
it takes no lock, so that no write waits for that; to delete it asks once more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, or_, select, tuple_

from daemon.dispatch import UNFINISHED
from daemon.ports import Horizons
from daemon.store import schema
from daemon.store.engine import chunks

Mark = tuple[datetime, str]
"""When an event came, and its id: its place among all."""


def finished(
    connection: Connection,
    before: datetime,
    keys_since: datetime,
    after: Mark | None,
    limit: int,
) -> list[Mark]:
    """Up to ``limit`` events that came before ``before`` and owe nothing, oldest first, from the
    place ``after`` on. Sticky keys that end before ``keys_since`` count no longer."""
    events = schema.events
    query = (
        select(events.c.at, events.c.id)
        .where(events.c.at < before, *_owing_nothing(keys_since))
        .order_by(events.c.at, events.c.id)
        .limit(limit)
    )
    if after is not None:
        at, id_ = after
        later = or_(events.c.at > at, events.c.id > id_)
        query = query.where(events.c.at >= at, later)
    return [(row.at, row.id) for row in connection.execute(query)]


def remove(connection: Connection, ids: Collection[str], keys_since: datetime) -> int:
    """Deletes those of these events that still owe nothing, each with all that hangs on it; returns
    how many."""
    events = schema.events
    return sum(
        connection.execute(
            delete(events).where(events.c.id.in_(some), *_owing_nothing(keys_since))
        ).rowcount
        for some in chunks(ids)
    )


def _owing_nothing(keys_since: datetime) -> list[ColumnElement[bool]]:
    """That nothing of an event is unfinished, is followed or owes a follow-up, and no sticky key
    that still counts leads to it: who comes with that key is answered from its dispatch."""
    events, dispatches, dedupe = schema.events, schema.dispatches, schema.dedupe
    runs, follow_ups = schema.runs, schema.follow_ups
    unfinished = select(dispatches.c.id).where(
        dispatches.c.event_id == events.c.id,
        or_(dispatches.c.state.in_(UNFINISHED), dispatches.c.look_at.is_not(None)),
    )
    followed = (
        select(runs.c.id)
        .join(dispatches, dispatches.c.id == runs.c.dispatch_id)
        .where(dispatches.c.event_id == events.c.id, runs.c.look_at.is_not(None))
    )
    owing = (
        select(follow_ups.c.dispatch_id)
        .join(dispatches, dispatches.c.id == follow_ups.c.dispatch_id)
        .where(dispatches.c.event_id == events.c.id, follow_ups.c.wake_at.is_not(None))
    )
    promised = select(dedupe.c.key).where(
        dedupe.c.event_id == events.c.id, dedupe.c.sticky, dedupe.c.expires_at >= keys_since
    )
    return [~each.exists() for each in (unfinished, followed, owing, promised)]


def expire(connection: Connection, horizons: Horizons, limit: int) -> int:
    """Deletes up to ``limit`` rows of each kind that hangs on no event and is past its horizon;
    returns how many in all."""
    dedupe, firings, tallies = schema.dedupe, schema.firings, schema.tallies
    admissions, bursts, incidents = schema.admissions, schema.bursts, schema.incidents
    old_keys = (
        select(dedupe.c.entry, dedupe.c.key).where(dedupe.c.expires_at < horizons.keys).limit(limit)
    )
    old_firings = (
        select(firings.c.cron, firings.c.scheduled_at, firings.c.first)
        .where(firings.c.scheduled_at < horizons.history)
        .limit(limit)
    )
    old_admissions = (
        select(admissions.c.entry, admissions.c.key, admissions.c.at, admissions.c.event_id)
        .where(admissions.c.at < horizons.windows)
        .limit(limit)
    )
    old_bursts = (
        select(bursts.c.entry, bursts.c.key).where(bursts.c.at < horizons.windows).limit(limit)
    )
    old_tallies = (
        select(tallies.c.entry, tallies.c.slot).where(tallies.c.at < horizons.history).limit(limit)
    )
    old_incidents = (
        select(incidents.c.entry, incidents.c.last, incidents.c.kind)
        .where(incidents.c.at < horizons.history)
        .limit(limit)
    )
    return sum(
        connection.execute(delete(table).where(tuple_(*columns).in_(old))).rowcount
        for table, columns, old in (
            (dedupe, (dedupe.c.entry, dedupe.c.key), old_keys),
            (firings, (firings.c.cron, firings.c.scheduled_at, firings.c.first), old_firings),
            (
                admissions,
                (admissions.c.entry, admissions.c.key, admissions.c.at, admissions.c.event_id),
                old_admissions,
            ),
            (bursts, (bursts.c.entry, bursts.c.key), old_bursts),
            (tallies, (tallies.c.entry, tallies.c.slot), old_tallies),
            (incidents, (incidents.c.entry, incidents.c.last, incidents.c.kind), old_incidents),
        )
    )
