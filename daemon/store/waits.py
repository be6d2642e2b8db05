"""The times of what is unfinished, when the wall clock was set: a step of it is no time that
passed, and must neither end a wait nor lengthen one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, bindparam, select, type_coerce

from daemon.binding import LAST_LOOK
from daemon.clockwatch import Step
from daemon.cursors import AHEAD
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.outbox import update

table = schema.dispatches
attempts = schema.attempts
TIMES = (
    table.c.created_at,
    table.c.due_at,
    table.c.wake_at,
    table.c.expires_at,
    table.c.retry_until,
    table.c.sent_at,
)
LAST = (attempts.c.dispatch_id == table.c.id) & (attempts.c.number == table.c.attempts)

NOTED = (
    (schema.admissions, (schema.admissions.c.at,)),
    (schema.bursts, (schema.bursts.c.at, schema.bursts.c.started_at)),
    (schema.tallies, (schema.tallies.c.at,)),
)
"""What else is told by times: what counts towards rate limits and breakers, and when a burst has to
end."""

COMMITTED_WITHIN = timedelta(seconds=10)
"""How long after the time that it was given a write may come to pass: others go first, and another
program may hold the lock."""

MOVE_LAST = attempts.update().where(
    attempts.c.dispatch_id == bindparam("key"), attempts.c.number == bindparam("last")
)


def follow_clock(connection: Connection, now: datetime, step: Step) -> None:
    """Moves all times of what is unfinished by as much as the clock was set: what was due stays
    due, and what waits, or may be sent for a while, does so for as long as it would have.

    What was made since ``now - step.within`` may have been made after the step: it is left alone.
    """
    perhaps_after = table.c.created_at.between(now - step.within, now + COMMITTED_WITHIN)
    unfinished = table.c.wake_at.is_not(None) & ~perhaps_after
    connection.execute(
        attempts.update()
        .where(attempts.c.dispatch_id.in_(select(table.c.id).where(unfinished)))
        .values(started_at=_moved(attempts.c.started_at, step.by))
    )
    connection.execute(
        table.update()
        .where(unfinished)
        .values({column: _moved(column, step.by) for column in TIMES})
    )
    for looks in (table, schema.runs):
        connection.execute(
            looks.update()
            .where(looks.c.look_at.is_not(None))
            .values(look_at=_moved(looks.c.look_at, step.by))
        )
    deadlines = schema.deadlines
    connection.execute(deadlines.update().values(at=_moved(deadlines.c.at, step.by)))
    for other, times in NOTED:
        connection.execute(
            other.update()
            .where(~other.c.at.between(now - step.within, now + COMMITTED_WITHIN))
            .values({column: _moved(column, step.by) for column in times})
        )


def rewind(connection: Connection, now: datetime) -> int:
    """Has what began to wait more than `AHEAD` in the future wait from now on, for as long as it
    would have; returns how many there were. The clock was wrong then (a machine that starts before
    it knows the time), or is now. What counts towards rate limits and breakers from then is
    forgotten."""
    rows = connection.execute(
        select(table.c.id, table.c.attempts, attempts.c.started_at, *TIMES)
        .outerjoin_from(table, attempts, LAST)
        .where(table.c.wake_at > now + AHEAD)
    )
    moves: list[dict[str, Any]] = []
    tried: list[dict[str, Any]] = []
    for row in rows:
        began = row.started_at or row.created_at
        if began <= now + AHEAD:
            continue
        by = now - began
        times = {column.name: getattr(row, column.name) for column in TIMES}
        moves.append({"key": row.id} | {name: at and at + by for name, at in times.items()})
        if row.started_at is not None:
            tried.append({"key": row.id, "last": row.attempts, "started_at": now})
    for other, _ in NOTED:
        connection.execute(other.delete().where(other.c.at > now + AHEAD))
    connection.execute(
        table.update()
        .where(table.c.look_at > now + LAST_LOOK)
        .values(look_at=now, sent_at=now, settled_at=now)
    )
    connection.execute(
        schema.runs.update().where(schema.runs.c.look_at > now + LAST_LOOK).values(look_at=now)
    )
    if moves:
        run_for_each(connection, update, moves)
    if tried:
        run_for_each(connection, MOVE_LAST, tried)
    return len(moves)


def _moved(column: Column[Any], by: timedelta) -> ColumnElement[Any]:
    return type_coerce(column, BigInteger) + by // schema.MICROSECOND
