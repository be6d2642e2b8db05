"""Firings that a person asked for, of instants that were missed or never owed: booked as fired, so
that no instant is dispatched twice without anybody having wanted that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, and_, or_, select

from daemon.event import FiringOutcome, FiringRecord, Missed
from daemon.ports import Recording
from daemon.schedule import Schedule
from daemon.store import schema
from daemon.store.accounting import fired, fired_within, instant_of, missed
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, insert
from daemon.store.recording import record
from daemon.store.rows import FIRING, firing_of

table = schema.firings


def booked(
    connection: Connection, cron: str, first: datetime, last: datetime
) -> list[FiringRecord]:
    """What is booked of the cron from ``first`` to ``last``, oldest first; also records of several
    instants of which some lie there."""
    within = table.c.scheduled_at.between(first, last)
    across = and_(table.c.scheduled_at > last, table.c.first <= last)
    rows = connection.execute(
        select(*FIRING)
        .where(table.c.cron == cron, or_(within, across))
        .order_by(table.c.scheduled_at)
    )
    return [firing_of(row) for row in rows]


def make_up(
    connection: Connection, cron: str, schedule: Schedule, recordings: Sequence[Recording]
) -> list[Recording]:
    """Records firings of one cron, of successive instants of its schedule, oldest first, unless
    they fired before; and books them as fired. Returns those that were recorded."""
    given = {instant_of(event)[1]: (event, verdicts) for event, verdicts in recordings}
    first, last = min(given), max(given)
    rows = booked(connection, cron, first, last)
    for row in rows:
        # It stands for these too. What it stands for beside them goes on being missed.
        parts = _parts(connection, row, schedule, first, last) if row.first else None
        if parts is None:
            continue
        connection.execute(
            table.delete().where(
                table.c.cron == cron,
                table.c.scheduled_at == row.scheduled_at,
                table.c.first == row.first,
            )
        )
        if parts:
            run_for_each(connection, table.insert(), [missed(cron, part) for part in parts])
    before = {row.scheduled_at: row for row in rows if row.first is None}
    new = {
        at: recording
        for at, recording in given.items()
        if at not in before or before[at].outcome is not FiringOutcome.FIRED
    }
    if not new:
        return []
    booking = [
        fired((cron, at), event.id, _reason(before.get(at))) for at, (event, _) in new.items()
    ]
    run_for_each(connection, _booking(connection.dialect.name), booking)
    verdicts = record(connection, list(new.values()))
    return [(event, final) for (event, _), final in zip(new.values(), verdicts, strict=True)]


def _parts(
    connection: Connection, row: FiringRecord, schedule: Schedule, first: datetime, last: datetime
) -> list[Missed] | None:
    """What is left of the instants that ``row`` stands for, without those from ``first`` to
    ``last``; None where these are no instants of today's schedule."""

    def missing(begin: datetime, end: datetime) -> Missed:
        span = Missed(begin, end, row.reason, schedule.count(begin, end))
        return replace(span, count=span.count - fired_within(connection, row.cron, span))

    begin, end = row.first or row.scheduled_at, row.scheduled_at
    if missing(begin, end).count != row.count:
        return None
    earlier, later = schedule.last_before(first), schedule.next_after(last)
    spans = [
        missing(left, right)
        for left, right in ((begin, earlier), (later, end))
        if left is not None and right is not None and left <= right
    ]
    return [span for span in spans if span.count]


def _reason(row: FiringRecord | None) -> str:
    return f"asked for by hand; it was missed: {row.reason}" if row else "asked for by hand"


@cache
def _booking(dialect: str) -> Upsert:
    statement = insert(dialect, table)
    columns: dict[str, Any] = {
        name: statement.excluded[name] for name in ("outcome", "reason", "event_id")
    }
    return statement.on_conflict_do_update(
        index_elements=["cron", "scheduled_at", "first"], set_=columns
    )
