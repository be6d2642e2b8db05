"""Cron instants accounted for, each once per (cron, scheduled time), and the cursors that say up
to where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, select

from daemon.cursors import Cursor, TakenUp
from daemon.event import Due, Event, Firing, FiringOutcome, Missed
from daemon.incident import Incident, IncidentKind
from daemon.ports import Accounted, Recording
from daemon.store import deadlines, incidents, schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, chunks, insert, pairs
from daemon.store.overlaps import Instant, Overlaps
from daemon.store.recording import record
from daemon.store.rows import CURSOR, cursor_row

table = schema.cursors
NEW = table.insert()
ADVANCE = table.update().where(table.c.cron == bindparam("key"), table.c.cursor < bindparam("to"))


def account(
    connection: Connection, dues: Sequence[Due], recordings: Sequence[Recording]
) -> Accounted:
    """Books every instant as fired or missed unless it is booked already, records the events of
    those that were new, and moves the cursors forward. What overlaps becomes missed, or waits.

    Raises:
        ValueError: an event belongs to no firing of the dues.
    """
    given = {instant_of(event): (event, verdicts) for event, verdicts in recordings}
    owed = {(due.cron, firing.scheduled_at) for due in dues for firing in due.firings}
    if strangers := given.keys() - owed:
        raise ValueError(f"events of instants that are not due: {sorted(strangers)[:3]}")
    overlaps = Overlaps(connection)
    settled = [overlaps.settled(due, given) for due in dues]
    fires = {(due.cron, firing.scheduled_at) for due in settled for firing in due.firings}
    new = _book(connection, settled, given)
    given |= overlaps.waiting
    fresh = [given[instant] for instant in given if instant in new and instant in fires]
    verdicts = record(connection, fresh)
    overlaps.write({event.id for event, _ in fresh})
    alerts = {due.cron: due.alert_after for due in dues if due.alert_after is not None}
    if alerts:
        deadlines.note(connection, fresh, alerts)
    _advance(connection, dues)
    return Accounted(
        [(event, final) for (event, _), final in zip(fresh, verdicts, strict=True)],
        [
            (due.cron, missed)
            for before, due in zip(dues, settled, strict=True)
            for missed in due.missed[len(before.missed) :]
        ],
        incidents.record(
            connection,
            [
                incident
                for due in settled
                for incident in due.incidents
                if incident.kind is IncidentKind.MISSED or (due.cron, incident.last) in fires
            ],
        ),
    )


def cursors(connection: Connection) -> dict[str, Cursor]:
    """Those that there are, by cron."""
    return {row.cron: Cursor(*row) for row in connection.execute(select(*CURSOR))}


def take_up(connection: Connection, taken: TakenUp) -> list[Incident]:
    """Writes the cursors that were begun, forgets those that ended, and books as missed what both
    left. Returns the incidents that are new."""
    gone = [{"key": cron} for cron in (*taken.ended, *(begun.cron for begun in taken.begun))]
    if gone:
        connection.execute(table.delete().where(table.c.cron == bindparam("key")), gone)
    if taken.begun:
        run_for_each(connection, NEW, [cursor_row(begun) for begun in taken.begun])
    _book(connection, taken.left, {})
    return incidents.record(connection, [each for due in taken.left for each in due.incidents])


def instant_of(event: Event) -> Instant:
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
            rows[instant] = fired(instant, given[instant][0].id if instant in given else None)
        for each in due.missed:
            rows[due.cron, each.last] = missed(due.cron, each)
    if not rows:
        return set()
    firings = schema.firings
    inserted = run_for_each(connection, _booking(connection.dialect.name), list(rows.values()))
    if inserted.rowcount == len(rows):
        return {instant for instant in rows if instant in given}
    # Some were there. Ours are those that bear the id of our event, unless that is recorded
    # already: then this very call was committed once before and its caller never heard.
    new: set[Instant] = set()
    for some in chunks((scheduled_at, cron) for cron, scheduled_at in given):
        booked = connection.execute(
            select(firings.c.cron, firings.c.scheduled_at, firings.c.event_id)
            .outerjoin(schema.events, schema.events.c.id == firings.c.event_id)
            .where(pairs(firings.c.scheduled_at, firings.c.cron, some))
            .where(schema.events.c.id.is_(None))
        )
        for cron, scheduled_at, event_id in booked:
            if event_id == given[cron, scheduled_at][0].id:
                new.add((cron, scheduled_at))
    return new


@cache
def _booking(dialect: str) -> Upsert:
    return insert(dialect, schema.firings).on_conflict_do_nothing()


def fired(instant: Instant, event_id: str | None, reason: str = "") -> dict[str, Any]:
    """The row of an instant that fired."""
    cron, scheduled_at = instant
    return {
        "cron": cron,
        "scheduled_at": scheduled_at,
        "first": None,
        "count": 1,
        "outcome": FiringOutcome.FIRED,
        "reason": reason,
        "event_id": event_id,
    }


def missed(cron: str, missed: Missed) -> dict[str, Any]:
    """The row of instants that did not fire."""
    return {
        "cron": cron,
        "scheduled_at": missed.last,
        "first": missed.first if missed.first != missed.last else None,
        "count": missed.count,
        "outcome": FiringOutcome.MISSED,
        "reason": missed.reason,
        "event_id": None,
    }


def _advance(connection: Connection, dues: Sequence[Due]) -> None:
    """Moves the cursors forward, never back: a clock that was set back re-fires nothing."""
    if dues:
        moves = [
            {"key": due.cron, "to": due.cursor, "cursor": due.cursor, "offset": due.offset}
            for due in dues
        ]
        run_for_each(connection, ADVANCE, moves)
