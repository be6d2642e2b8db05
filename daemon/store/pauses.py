"""Entries that rest: who paused them and why, and the dispatches that are held until they are
resumed, some at a time so that no other write waits for long."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, literal, select

from daemon.dispatch import State
from daemon.event import Pause
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import chunks, insert
from daemon.store.rows import PAUSE

table = schema.pauses
dispatches = schema.dispatches
events = schema.events
buffered = schema.buffered
FREE = dispatches.update().where(dispatches.c.id == bindparam("key"))


def read(connection: Connection) -> dict[str, Pause]:
    return {row.entry: Pause(*row) for row in connection.execute(select(*PAUSE))}


def among(connection: Connection, entries: Collection[str]) -> dict[str, Pause]:
    """The pauses of these entries."""
    found: dict[str, Pause] = {}
    for some in chunks(entries):
        rows = connection.execute(select(*PAUSE).where(table.c.entry.in_(some)))
        found.update((row.entry, Pause(*row)) for row in rows)
    return found


def pause(connection: Connection, pause: Pause) -> Pause:
    """Keeps the pause, unless there is one already; returns the one that stands."""
    connection.execute(
        insert(connection.dialect.name, table).on_conflict_do_nothing(),
        [{column.name: getattr(pause, column.name) for column in PAUSE}],
    )
    row = connection.execute(select(*PAUSE).where(table.c.entry == pause.entry)).one()
    return Pause(*row)


def hold(connection: Connection, pause: Pause, limit: int) -> int:
    """Holds up to ``limit`` of the entry's dispatches that wait; returns how many."""
    some = (
        select(dispatches.c.id)
        .where(dispatches.c.entry == pause.entry, dispatches.c.state == State.PENDING)
        .order_by(dispatches.c.id)
        .limit(limit)
    )
    return connection.execute(
        dispatches.update()
        .where(dispatches.c.id.in_(some))
        .values(state=State.HELD, reason=str(pause), wake_at=None)
    ).rowcount


def hold_some(connection: Connection, ids: Collection[str]) -> None:
    """Holds those of these dispatches that wait while their entry is paused."""
    reason = select(
        literal("paused by ") + table.c.by + literal(", while it was about to be sent")
    ).where(table.c.entry == dispatches.c.entry)
    connection.execute(
        dispatches.update()
        .where(
            dispatches.c.id.in_(ids),
            dispatches.c.state == State.PENDING,
            dispatches.c.entry.in_(select(table.c.entry)),
        )
        .values(state=State.HELD, reason=reason.scalar_subquery(), wake_at=None)
    )


def release(connection: Connection, entry: str, now: datetime, limit: int) -> int:
    """Lets up to ``limit`` of the entry's held dispatches go, oldest first; returns how many.

    A delivery was not to be sent meanwhile: the time that it may take begins anew. A firing is as
    old as its instant, and too old by now it may be.
    """
    rows = connection.execute(
        select(
            dispatches.c.id,
            dispatches.c.created_at,
            dispatches.c.due_at,
            dispatches.c.expires_at,
            events.c.kind,
            buffered.c.cron,
        )
        .join(events, events.c.id == dispatches.c.event_id)
        .outerjoin(buffered, buffered.c.event_id == dispatches.c.event_id)
        .where(dispatches.c.entry == entry, dispatches.c.state == State.HELD)
        .order_by(dispatches.c.id)
        .limit(limit)
    ).all()
    freed = []
    for row in rows:
        expires_at = row.expires_at
        if row.kind == "delivery":
            expires_at = now + (row.expires_at - row.created_at)
        freed.append(
            {
                "key": row.id,
                "state": State.PENDING,
                "reason": "",
                "expires_at": expires_at,
                # One that waits for the firing before goes on waiting.
                "wake_at": row.due_at if row.cron is None else expires_at,
            }
        )
    if freed:
        run_for_each(connection, FREE, freed)
    return len(freed)


def unpause(connection: Connection, entry: str) -> None:
    connection.execute(table.delete().where(table.c.entry == entry))


def holding(connection: Connection) -> list[str]:
    """The entries of which dispatches are held."""
    query = select(dispatches.c.entry).where(dispatches.c.state == State.HELD).distinct()
    return [row.entry for row in connection.execute(query)]
