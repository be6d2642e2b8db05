"""Cron instants accounted for, each once per (cron, scheduled time), and the cursors that say up
to where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, func, select

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
    settled = [overlaps.settled(_unless_fired(connection, due), given) for due in dues]
    fires = {(due.cron, firing.scheduled_at) for due in settled for firing in due.firings}
    new = _book(connection, settled, given)
    given |= overlaps.waiting
    fresh = [given[instant] for instant in given if instant in new and instant in fires]
    verdicts = record(connection, fresh)
    recorded = [(event, final) for (event, _), final in zip(fresh, verdicts, strict=True)]
    overlaps.write(recorded)
    alerts = {due.cron: due.alert_after for due in dues if due.alert_after is not None}
    if alerts:
        deadlines.note(connection, fresh, alerts)
    _advance(connection, dues)
    return Accounted(
        recorded,
        [
            (due.cron, missed)
            for before, due in zip(dues, settled, strict=True)
            for missed in due.missed
            if missed not in before.missed and missed.wanted
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


def _unless_fired(connection: Connection, due: Due) -> Due:
    """The due without what was missed in its eyes and fired already: by hand, before the clock came
    to account for it."""
    unwanted = [each for each in due.missed if not each.wanted]
    if not unwanted:
        return due
    firings = schema.firings
    one_by_one = [each.last for each in unwanted if each.first == each.last]
    known = {
        row.scheduled_at
        for some in chunks(one_by_one)
        for row in connection.execute(
            select(firings.c.scheduled_at).where(
                firings.c.cron == due.cron,
                firings.c.scheduled_at.in_(some),
                firings.c.outcome == FiringOutcome.FIRED,
            )
        )
    }
    left: list[Missed] = []
    for each in due.missed:
        count = each.count
        if not each.wanted:
            several = each.first != each.last
            count -= fired_within(connection, due.cron, each) if several else each.last in known
        if count > 0:
            left.append(replace(each, count=count))
    gone = sum(each.count for each in due.missed) - sum(each.count for each in left)
    if not gone:
        return due
    incidents = (
        replace(each, count=each.count - gone) if each.kind is IncidentKind.MISSED else each
        for each in due.incidents
    )
    return replace(
        due, missed=tuple(left), incidents=tuple(each for each in incidents if each.count > 0)
    )


def fired_within(connection: Connection, cron: str, span: Missed) -> int:
    """How many instants of the cron are booked as fired from the first to the last of these."""
    firings = schema.firings
    count: int = connection.execute(
        select(func.count())
        .select_from(firings)
        .where(
            firings.c.cron == cron,
            firings.c.scheduled_at.between(span.first, span.last),
            firings.c.outcome == FiringOutcome.FIRED,
        )
    ).scalar_one()
    return count


def _book(
    connection: Connection, dues: Sequence[Due], given: Mapping[Instant, Recording]
) -> set[Instant]:
    """Inserts a row for every instant; returns the fired ones that had none before."""
    fires = [(due.cron, firing.scheduled_at) for due in dues for firing in due.firings]
    rows = [fired(at, given[at][0].id if at in given else None) for at in fires]
    rows += [missed(due.cron, each) for due in dues for each in due.missed]
    if not rows:
        return set()
    firings = schema.firings
    inserted = run_for_each(connection, _booking(connection.dialect.name), rows)
    if inserted == len(rows):
        return {instant for instant in fires if instant in given}
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
        "first": scheduled_at,
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
        "first": missed.first,
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
