"""What can be looked up. Lists come newest first, which their ids are already sorted by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from daemon.dispatch import UNFINISHED, Attempt, Dispatch, State
from daemon.event import Event, FiringOutcome, FiringRecord, Outcome, Verdict
from daemon.ids import RANDOM_BITS, encode
from daemon.store import schema
from daemon.store.engine import chunks
from daemon.store.rows import (
    ATTEMPT,
    DISPATCH,
    FIRING,
    WAITING,
    dispatches_of,
    event_of,
    firing_of,
)

events_ = schema.events
verdicts_ = schema.verdicts
dispatches_ = schema.dispatches

EVENT = [column for column in events_.c if column.name != "body"]


def event(connection: Connection, event_id: str) -> Event | None:
    row = connection.execute(select(events_).where(events_.c.id == event_id)).one_or_none()
    return None if row is None else event_of(row, row.body)


def events(
    connection: Connection,
    limit: int,
    before: str | None,
    outcome: Outcome | None,
    source: str | None,
) -> list[Event]:
    """Events without their bodies, which can be 25 MiB each."""
    ids = select(events_.c.id).order_by(events_.c.id.desc()).limit(limit)
    if outcome is not None:
        # Walks the index of outcomes, since the events of a rare one lie far apart.
        ids = (
            select(verdicts_.c.event_id)
            .where(verdicts_.c.outcome == outcome)
            .distinct()
            .order_by(verdicts_.c.event_id.desc())
            .limit(limit)
        )
        if before is not None:
            ids = ids.where(verdicts_.c.event_id < before)
        if source is not None:
            ids = ids.join(events_).where(events_.c.source == source)
    else:
        if before is not None:
            ids = ids.where(events_.c.id < before)
        if source is not None:
            ids = ids.where(events_.c.source == source)
    rows = connection.execute(
        select(*EVENT).where(events_.c.id.in_(ids)).order_by(events_.c.id.desc())
    )
    return [event_of(row, b"") for row in rows]


def verdicts(connection: Connection, event_ids: Sequence[str]) -> dict[str, tuple[Verdict, ...]]:
    """Each event's verdicts, in order, with the dispatches owed by them and replays of those."""
    owed: dict[tuple[str, str], list[Dispatch]] = defaultdict(list)
    found: dict[str, list[Verdict]] = {event_id: [] for event_id in event_ids}
    for some in chunks(found):
        rows = connection.execute(
            select(*DISPATCH).where(dispatches_.c.event_id.in_(some)).order_by(dispatches_.c.id)
        )
        for dispatch in dispatches_of(rows):
            owed[dispatch.event_id, dispatch.entry].append(dispatch)
        for row in connection.execute(
            select(verdicts_)
            .where(verdicts_.c.event_id.in_(some))
            .order_by(verdicts_.c.event_id, verdicts_.c.position)
        ):
            found[row.event_id].append(
                Verdict(
                    row.entry,
                    row.outcome,
                    row.reason,
                    tuple(owed[row.event_id, row.entry]),
                    duplicate_of=row.duplicate_of,
                )
            )
    return {event_id: tuple(several) for event_id, several in found.items()}


def dispatch(connection: Connection, dispatch_id: str) -> Dispatch | None:
    rows = connection.execute(select(*DISPATCH).where(dispatches_.c.id == dispatch_id))
    return next(iter(dispatches_of(rows)), None)


def dispatches(
    connection: Connection,
    limit: int,
    before: str | None,
    states: Sequence[State] | None,
    entry: str | None,
    event_id: str | None,
    since: datetime | None,
) -> list[Dispatch]:
    query = select(*DISPATCH).order_by(dispatches_.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(dispatches_.c.id < before)
    if states is not None:
        query = query.where(dispatches_.c.state.in_(states))
    if entry is not None:
        query = query.where(dispatches_.c.entry == entry)
    if event_id is not None:
        query = query.where(dispatches_.c.event_id == event_id)
    if since is not None:
        # Ids carry the time too, and have an index: no younger id belongs to an older dispatch.
        # (A second of slack, since they count in rounded milliseconds.)
        milliseconds = int(since.timestamp() - 1) * 1000
        query = query.where(
            dispatches_.c.id >= "dsp_" + encode(milliseconds << RANDOM_BITS),
            dispatches_.c.created_at >= since,
        )
    return dispatches_of(connection.execute(query))


def attempts(connection: Connection, dispatch_id: str) -> list[Attempt]:
    """Oldest first."""
    table = schema.attempts
    query = select(*ATTEMPT).where(table.c.dispatch_id == dispatch_id).order_by(table.c.number)
    return [Attempt(*row) for row in connection.execute(query)]


def counts(connection: Connection) -> dict[State, int]:
    """How many are in each state that is not final; the final ones would be counted one by one."""
    rows = connection.execute(
        select(dispatches_.c.state, func.count())
        .where(dispatches_.c.state.in_(UNFINISHED))
        .group_by(dispatches_.c.state)
    )
    return dict.fromkeys(UNFINISHED, 0) | {row[0]: row[1] for row in rows}


def firings(
    connection: Connection,
    limit: int,
    cron: str | None,
    outcome: FiringOutcome | None,
    before: datetime | None,
) -> list[FiringRecord]:
    table = schema.firings
    query = select(*FIRING).order_by(table.c.scheduled_at.desc(), table.c.cron).limit(limit)
    if cron is not None:
        query = query.where(table.c.cron == cron)
    if outcome is not None:
        query = query.where(table.c.outcome == outcome)
    if before is not None:
        query = query.where(table.c.scheduled_at < before)
    return [firing_of(row) for row in connection.execute(query)]


def oldest_waiting(connection: Connection) -> datetime | None:
    """When the oldest dispatch was made that waits for its time or a retry."""
    oldest = [
        connection.execute(
            select(dispatches_.c.created_at)
            .where(dispatches_.c.state == state)
            .order_by(dispatches_.c.id)
            .limit(1)
        ).scalar_one_or_none()
        for state in WAITING
    ]
    return min((created_at for created_at in oldest if created_at is not None), default=None)


NEXT_DUE = select(func.min(dispatches_.c.wake_at)).where(
    dispatches_.c.lane == bindparam("lane"),
    dispatches_.c.urgent == bindparam("urgent"),
    dispatches_.c.wake_at.is_not(None),
)


def next_due(connection: Connection, lane: str) -> datetime | None:
    """When the next dispatch of the lane is due, or the next lease ends."""
    ends = (
        connection.execute(NEXT_DUE, {"lane": lane, "urgent": urgent}).scalar_one()
        for urgent in (True, False)
    )
    return min((end for end in ends if end is not None), default=None)


def due_since(connection: Connection, lanes: Sequence[str]) -> datetime | None:
    """The same of several lanes."""
    ends = (next_due(connection, lane) for lane in lanes)
    return min((end for end in ends if end is not None), default=None)
