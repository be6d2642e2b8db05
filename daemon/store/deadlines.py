"""By when GitHub is to have taken the dispatches of a firing, where its entry has `alert_after`.
Each deadline is looked at once, when it is over; what was not taken by then is an incident."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select

from daemon.dispatch import Dispatch, State
from daemon.durations import written
from daemon.event import Firing
from daemon.incident import Incident, IncidentKind
from daemon.ports import Recording
from daemon.store import incidents, schema
from daemon.store.bulk import run_for_each
from daemon.store.rows import DISPATCH

table = schema.deadlines
dispatches = schema.dispatches
NEW = table.insert()
DONE = table.delete().where(table.c.dispatch_id == bindparam("key"))

WANTED = frozenset({State.CANCELLED, State.SUPERSEDED})


def note(
    connection: Connection, fresh: Iterable[Recording], alert_after: Mapping[str, timedelta]
) -> None:
    """Notes the deadlines of firings that were recorded, of the crons that have such."""
    rows = []
    for event, verdicts in fresh:
        firing = event.cause
        after = alert_after.get(event.source)
        if after is None or not isinstance(firing, Firing):
            continue
        for dispatch in (each for verdict in verdicts for each in verdict.dispatches):
            # What jitter puts off is not late for that; what was late already is.
            put_off = dispatch.due_at > event.at
            wanted_at = dispatch.due_at if put_off else firing.scheduled_at
            rows.append(
                {
                    "dispatch_id": dispatch.id,
                    "at": wanted_at + after,
                    "scheduled_at": firing.scheduled_at,
                    "alert_after": after,
                }
            )
    if rows:
        run_for_each(connection, NEW, rows)


def over(connection: Connection, now: datetime) -> bool:
    """Whether any deadline is."""
    first = select(table.c.dispatch_id).where(table.c.at <= now).limit(1)
    return connection.execute(first).one_or_none() is not None


def look(connection: Connection, now: datetime, limit: int) -> tuple[int, list[Incident]]:
    """Looks at up to ``limit`` deadlines that are over, soonest first. Returns how many there were,
    and the incidents among them that are new."""
    rows = connection.execute(
        select(*table.c, *DISPATCH)
        .outerjoin_from(table, dispatches, dispatches.c.id == table.c.dispatch_id)
        .where(table.c.at <= now)
        .order_by(table.c.at)
        .limit(limit)
    ).all()
    if not rows:
        return 0, []
    connection.execute(DONE, [{"key": row[0]} for row in rows])
    late = []
    for row in rows:
        _, at, scheduled_at, after, *columns = row
        dispatch = Dispatch(*columns)
        if columns[0] is not None and (how := _lateness(dispatch, at)):
            text = (
                f"{dispatch.id} {how}, later than its `alert_after` of {written(after)} allows "
                f"(`dispatchd dispatches {dispatch.id}` shows why)"
            )
            late.append(
                Incident(
                    dispatch.entry, IncidentKind.LATE, scheduled_at, scheduled_at, 1, now, text
                )
            )
    return len(rows), incidents.record(connection, late)


def _lateness(dispatch: Dispatch, deadline: datetime) -> str:
    """How the dispatch missed its deadline, in words; empty where it did not."""
    if dispatch.state is State.ACCEPTED:
        late = dispatch.settled_at is not None and dispatch.settled_at > deadline
        return f"reached GitHub at {dispatch.settled_at:%FT%TZ}" if late else ""
    if dispatch.state in WANTED:
        return ""
    if dispatch.state is State.DEAD:
        return "will not reach GitHub: it is dead"
    return f"has not reached GitHub: it is {dispatch.state}"
