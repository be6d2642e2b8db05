"""Retention: deletes what is older than it has to be kept, a few rows at a time so that no write
waits for long."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, or_, select, tuple_

from daemon.dispatch import UNFINISHED
from daemon.store import schema


def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Deletes up to ``limit`` rows of each kind that ended before ``before``; returns how many in
    all, 0 when none is left. An event goes with all that hangs on it, and stays while any of its
    dispatches is unfinished, is followed or owes a follow-up, or a sticky key that has not ended
    leads to it: who comes with that key is answered from its dispatch."""
    events, dispatches = schema.events, schema.dispatches
    dedupe, firings = schema.dedupe, schema.firings
    unfinished = select(dispatches.c.id).where(
        dispatches.c.event_id == events.c.id,
        or_(dispatches.c.state.in_(UNFINISHED), dispatches.c.look_at.is_not(None)),
    )
    runs = schema.runs
    followed = (
        select(runs.c.id)
        .join(dispatches, dispatches.c.id == runs.c.dispatch_id)
        .where(dispatches.c.event_id == events.c.id, runs.c.look_at.is_not(None))
    )
    follow_ups = schema.follow_ups
    owing = (
        select(follow_ups.c.dispatch_id)
        .join(dispatches, dispatches.c.id == follow_ups.c.dispatch_id)
        .where(dispatches.c.event_id == events.c.id, follow_ups.c.wake_at.is_not(None))
    )
    promised = select(dedupe.c.key).where(
        dedupe.c.event_id == events.c.id, dedupe.c.sticky, dedupe.c.expires_at >= before
    )
    old_events = (
        select(events.c.id)
        .where(
            events.c.at < before,
            ~unfinished.exists(),
            ~followed.exists(),
            ~owing.exists(),
            ~promised.exists(),
        )
        .order_by(events.c.at)
        .limit(limit)
    )
    old_keys = select(dedupe.c.entry, dedupe.c.key).where(dedupe.c.expires_at < before).limit(limit)
    old_firings = (
        select(firings.c.cron, firings.c.scheduled_at)
        .where(firings.c.scheduled_at < before)
        .limit(limit)
    )
    admissions, bursts = schema.admissions, schema.bursts
    old_admissions = (
        select(admissions.c.event_id)
        .where(admissions.c.at < before)
        .order_by(admissions.c.at)
        .limit(limit)
    )
    old_bursts = (
        select(bursts.c.event_id).where(bursts.c.at < before).order_by(bursts.c.at).limit(limit)
    )
    tallies = schema.tallies
    old_tallies = select(tallies.c.entry, tallies.c.slot).where(tallies.c.at < before).limit(limit)
    incidents = schema.incidents
    old_incidents = (
        select(incidents.c.entry, incidents.c.last, incidents.c.kind)
        .where(incidents.c.at < before)
        .limit(limit)
    )
    return sum(
        connection.execute(statement).rowcount
        for statement in (
            delete(events).where(events.c.id.in_(old_events)),
            delete(dedupe).where(tuple_(dedupe.c.entry, dedupe.c.key).in_(old_keys)),
            delete(firings).where(tuple_(firings.c.cron, firings.c.scheduled_at).in_(old_firings)),
            delete(admissions).where(
                admissions.c.at < before, admissions.c.event_id.in_(old_admissions)
            ),
            delete(bursts).where(bursts.c.at < before, bursts.c.event_id.in_(old_bursts)),
            delete(tallies).where(tuple_(tallies.c.entry, tallies.c.slot).in_(old_tallies)),
            delete(incidents).where(
                tuple_(incidents.c.entry, incidents.c.last, incidents.c.kind).in_(old_incidents)
            ),
        )
    )
