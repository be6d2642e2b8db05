"""Cron instants accounted for, each once per (cron, scheduled time), and the cursors that say up
to where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, select

from daemon.event import Due, Event, Firing, FiringOutcome
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, chunks, insert, pairs
from daemon.store.recording import Recording, record

NEW = schema.cursors.insert()
ADVANCE = schema.cursors.update().where(
    schema.cursors.c.cron == bindparam("key"), schema.cursors.c.cursor < bindparam("to")
)

Instant = tuple[str, datetime]  # a cron, and when it was scheduled

AHEAD = timedelta(seconds=60)
"""How far a cursor may lie in the future: clocks are set back by a little now and then."""


def account(
    connection: Connection, dues: Sequence[Due], recordings: Sequence[Recording]
) -> list[Recording]:
    """Books every instant as fired or missed unless it is booked already, records the events of
    those that were new, and moves the cursors forward. Returns these events.

    Raises:
        ValueError: an event belongs to no firing of the dues.
    """
    given = {_instant(event): (event, verdicts) for event, verdicts in recordings}
    owed = {(due.cron, firing.scheduled_at) for due in dues for firing in due.firings}
    if strangers := given.keys() - owed:
        raise ValueError(f"events of instants that are not due: {sorted(strangers)[:3]}")
    new = _book(connection, dues, given)
    fresh = [given[instant] for instant in given if instant in new]
    verdicts = record(connection, fresh)
    _advance(connection, dues)
    return [(event, final) for (event, _), final in zip(fresh, verdicts, strict=True)]


def sync_cursors(
    connection: Connection, entries: Mapping[str, str], now: datetime
) -> dict[str, datetime]:
    """Makes the cursors those of the entries (name to schedule identity) and returns them. A new
    or re-scheduled entry starts now; what is not named is forgotten."""
    table = schema.cursors
    stored = {row.cron: row for row in connection.execute(select(table))}
    kept = {
        cron: stored[cron].cursor
        for cron, identity in entries.items()
        if cron in stored and stored[cron].identity == identity
    }
    gone = [{"key": cron} for cron in stored if cron not in kept]
    started = [
        {"cron": cron, "identity": identity, "cursor": now}
        for cron, identity in entries.items()
        if cron not in kept
    ]
    if gone:
        connection.execute(table.delete().where(table.c.cron == bindparam("key")), gone)
    if started:
        run_for_each(connection, NEW, started)
    return {cron: kept.get(cron, now) for cron in entries}


def rewind_cursors(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Makes now of every cursor that lies more than `AHEAD` in the future; returns where these
    stood, by cron.

    Such a cursor was set while the clock was wrong (a machine that starts before it knows the
    time), and would silence its cron until the clock comes there. Nothing fires twice by this:
    an instant that is booked stays booked.
    """
    table = schema.cursors
    wrong = table.c.cursor > now + AHEAD
    stood = {row.cron: row.cursor for row in connection.execute(select(table).where(wrong))}
    if stood:
        connection.execute(table.update().where(wrong).values(cursor=now))
    return stood


def _instant(event: Event) -> Instant:
    if not isinstance(event.cause, Firing):
        raise ValueError(f"{event.id} is no firing")
    return event.cause.cron, event.cause.scheduled_at


def _book(
    connection: Connection, dues: Sequence[Due], given: Mapping[Instant, Recording]
) -> set[Instant]:
    """Inserts a row for every instant; returns the fired ones that had none before."""
    rows: dict[Instant, dict[str, Any]] = {}
    for due in dues:
        for firing in due.firings:
            instant = (due.cron, firing.scheduled_at)
            event = given[instant][0].id if instant in given else None
            rows[instant] = _row(instant, FiringOutcome.FIRED, event_id=event)
        for missed in due.missed:
            first = missed.first if missed.first != missed.last else None
            instant = (due.cron, missed.last)
            rows[instant] = _row(instant, FiringOutcome.MISSED, missed.reason, first)
    if not rows:
        return set()
    table = schema.firings
    inserted = run_for_each(connection, _booking(connection.dialect.name), list(rows.values()))
    if inserted.rowcount == len(rows):
        return {instant for instant in rows if instant in given}
    # Some were there. Ours are those that bear the id of our event, unless that is recorded
    # already: then this very call was committed once before and its caller never heard.
    new: set[Instant] = set()
    for some in chunks((scheduled_at, cron) for cron, scheduled_at in given):
        booked = connection.execute(
            select(table.c.cron, table.c.scheduled_at, table.c.event_id)
            .outerjoin(schema.events, schema.events.c.id == table.c.event_id)
            .where(pairs(table.c.scheduled_at, table.c.cron, some))
            .where(schema.events.c.id.is_(None))
        )
        for cron, scheduled_at, event_id in booked:
            if event_id == given[cron, scheduled_at][0].id:
                new.add((cron, scheduled_at))
    return new


@cache
def _booking(dialect: str) -> Upsert:
    return insert(dialect, schema.firings).on_conflict_do_nothing()


def _row(
    instant: Instant,
    outcome: FiringOutcome,
    reason: str = "",
    first: datetime | None = None,
    event_id: str | None = None,
) -> dict[str, Any]:
    cron, scheduled_at = instant
    return {
        "cron": cron,
        "scheduled_at": scheduled_at,
        "first": first,
        "outcome": outcome,
        "reason": reason,
        "event_id": event_id,
    }


def _advance(connection: Connection, dues: Sequence[Due]) -> None:
    """Moves the cursors forward, never back: a clock that was set back re-fires nothing."""
    if dues:
        moves = [{"key": due.cron, "to": due.cursor, "cursor": due.cursor} for due in dues]
        run_for_each(connection, ADVANCE, moves)
