"""Entries that rest: who paused them and why, and the dispatches that are held until they are
resumed, some at a time so that no other write waits for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, or_, select

from daemon.dispatch import Hold, State
from daemon.event import Pause
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, chunks, insert
from daemon.store.rows import PAUSE, pause_row

table = schema.pauses
dispatches = schema.dispatches
events = schema.events
buffered = schema.buffered
MOVE = dispatches.update().where(dispatches.c.id == bindparam("key"))

STANDS = table.c.resumed_at.is_(None)

ASKED_FOR = or_(
    events.c.by_hand.is_(True),
    events.c.replay_of.is_not(None),
    dispatches.c.replay_of.is_not(None),
)
"""What somebody asked for by hand goes out all the same."""


LETTING = (
    select(
        dispatches.c.id,
        dispatches.c.entry,
        dispatches.c.created_at,
        dispatches.c.due_at,
        dispatches.c.expires_at,
        dispatches.c.retry_until,
        events.c.kind,
        buffered.c.cron,
    )
    .join(events, events.c.id == dispatches.c.event_id)
    .outerjoin(buffered, buffered.c.event_id == dispatches.c.event_id)
)
"""What has to be known of a dispatch that is let go."""


def read(connection: Connection) -> dict[str, Pause]:
    """Those that stand, by entry."""
    return {row.entry: Pause(*row) for row in connection.execute(select(*PAUSE).where(STANDS))}


def pause(connection: Connection, pauses: Sequence[Pause]) -> list[Pause]:
    """Keeps the pauses of entries that are not paused already; returns those that stand then."""
    if not pauses:
        return []
    rows = [pause_row(pause) | {"resumed_at": None} for pause in pauses]
    run_for_each(connection, _keeping(connection.dialect.name), rows)
    standing = read(connection)
    return [standing[pause.entry] for pause in pauses]


def hold(connection: Connection, limit: int) -> int:
    """Holds up to ``limit`` of the dispatches that wait while their entry is paused; returns how
    many."""
    query = _held_back(dispatches.c.state == State.PENDING)
    return _hold(connection, query.order_by(dispatches.c.id).limit(limit))


def hold_some(connection: Connection, ids: Collection[str]) -> None:
    """Likewise, of these dispatches."""
    for some in chunks(ids):
        waiting = and_(dispatches.c.id.in_(some), dispatches.c.state == State.PENDING)
        _hold(connection, _held_back(waiting))


def holding_back(connection: Connection, ids: Collection[str]) -> dict[str, Pause]:
    """The pauses that keep these dispatches from being sent, by dispatch."""
    return {
        row[0]: Pause(*row[1:])
        for some in chunks(ids)
        for row in connection.execute(_held_back(dispatches.c.id.in_(some)))
    }


def resume(connection: Connection, entries: Collection[str], now: datetime) -> None:
    """Ends the pauses; what they hold is for `release`, also after a restart."""
    for some in chunks(entries):
        connection.execute(
            table.update().where(table.c.entry.in_(some), STANDS).values(resumed_at=now)
        )


def release(connection: Connection, now: datetime, limit: int) -> Counter[str]:
    """Lets up to ``limit`` of the dispatches go that ended pauses hold, oldest first, and forgets
    these once there are no more. Returns how many went, by entry.

    What a delivery may take does not count the pause. A firing is as old as its instant, and too
    old by now it may be.
    """
    rows = connection.execute(
        LETTING.add_columns(table.c.since)
        .join(table, table.c.entry == dispatches.c.entry)
        .where(dispatches.c.state == State.HELD, dispatches.c.held_by == Hold.PAUSE, ~STANDS)
        .order_by(dispatches.c.id)
        .limit(limit)
    ).all()
    if not rows:
        connection.execute(table.delete().where(~STANDS))
        return Counter()
    moves = [freed(row, now - max(row.since, row.created_at)) for row in rows]
    run_for_each(connection, MOVE, moves)
    return Counter(row.entry for row in rows)


def freed(row: Row[Any], held_for: timedelta) -> dict[str, Any]:
    """A row of `LETTING` as it is once nothing holds it any more. What a delivery may take does not
    count the time for which it was held."""
    expires_at, retry_until = row.expires_at, row.retry_until
    if row.kind == "delivery":
        expires_at += held_for
        retry_until = retry_until and retry_until + held_for
    return {
        "key": row.id,
        "state": State.PENDING,
        "held_by": None,
        "reason": "",
        "expires_at": expires_at,
        "retry_until": retry_until,
        # One that waits for the firing before goes on waiting.
        "wake_at": row.due_at if row.cron is None else expires_at,
    }


def _held_back(which: ColumnElement[bool]) -> Select[Any]:
    """Those of the dispatches that a pause keeps from being sent, by id, with that pause."""
    return (
        select(dispatches.c.id, *PAUSE)
        .join(table, table.c.entry == dispatches.c.entry)
        .join(events, events.c.id == dispatches.c.event_id)
        .where(which, STANDS, ASKED_FOR.is_not(True))
    )


def _hold(connection: Connection, query: Select[Any]) -> int:
    held = [
        {
            "key": row[0],
            "state": State.HELD,
            "held_by": Hold.PAUSE,
            "reason": str(Pause(*row[1:])),
            "wake_at": None,
        }
        for row in connection.execute(query)
    ]
    if held:
        run_for_each(connection, MOVE, held)
    return len(held)


def _keeping(dialect: str) -> Upsert:
    statement = insert(dialect, table)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["entry"],
        set_={name: new[name] for name in ("since", "by", "reason", "resumed_at")},
        where=~STANDS,
    )
