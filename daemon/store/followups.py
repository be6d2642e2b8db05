"""Follow-ups: owed in the same transaction in which something went wrong, so that none is lost, and
settled in the one that records what was done about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select

from daemon.dispatch import Dispatch, State
from daemon.event import Event, Firing, Outcome, Verdict
from daemon.follow_up import (
    Cause,
    Follows,
    FollowUp,
    Owing,
    Standing,
    nobody,
    told_of_the_rest,
)
from daemon.github import one_line
from daemon.incident import DEAD, NO_RUN, News
from daemon.ports import OwedFollowUp
from daemon.store import incidents, news, pauses, schema
from daemon.store.bulk import insert_all, run_for_each
from daemon.store.engine import Upsert, chunks, insert
from daemon.store.guarding import Guarding
from daemon.store.lanes import lane_of
from daemon.store.rows import (
    DISPATCH,
    DISPATCH_ROW,
    FOLLOW_UP,
    dispatch_row,
    event_of,
    follow_up_row,
)
from daemon.store.wishes import follows

table = schema.follow_ups
dispatches = schema.dispatches
events = schema.events

FAR = timedelta(hours=2)
"""Nothing waits for so long: what is to be looked at later than that waits because the clock was
set, and is due."""

EVENT = [column for column in events.c if column.name != "body"]  # which can be 25 MiB

TOLD = (
    dispatches.c.id,
    dispatches.c.entry,
    dispatches.c.repository,
    dispatches.c.event_type,
    dispatches.c.workflow,
    dispatches.c.reason,
    dispatches.c.diagnosis,
)
"""Of a dispatch, what news tell."""

NEWS_MAX = 300
"""Characters."""

NEW = dispatches.insert()
CHANGE = table.update().where(
    table.c.dispatch_id == bindparam("of"),
    table.c.cause == bindparam("by"),
    table.c.run_id == bindparam("run"),
    table.c.run_attempt == bindparam("number"),
    table.c.wake_at.is_not(None),
)


def owe(connection: Connection, owings: Sequence[Owing]) -> int:
    """Writes down what is owed by now, as far as the entries of the dispatches want it: once for
    each dispatch, cause and attempt of a run, however often it is told. Returns how many were new.
    """
    wanted = follows(connection)
    if wanted is nobody or not owings:
        return 0
    found: dict[str, Any] = {}
    for some in chunks({owing.dispatch_id for owing in owings}):
        rows = connection.execute(select(*TOLD).where(dispatches.c.id.in_(some)))
        found.update((row.id, row) for row in rows)
    entries: dict[str, str] = {each: row.entry for each, row in found.items()}
    known = [owing for owing in owings if owing.dispatch_id in entries]
    if told_of_the_rest(wanted):
        news.owe(
            connection,
            [
                _news(owing, found[owing.dispatch_id])
                for owing in known
                if _is_news(wanted, entries[owing.dispatch_id], owing.cause)
            ],
        )
    return _write(
        connection,
        [
            _owed(owing, entries[owing.dispatch_id])
            for owing in known
            if wanted(entries[owing.dispatch_id], owing.cause)
        ],
    )


def owe_dead(connection: Connection, settled: Iterable[Dispatch]) -> None:
    """Likewise for those of the dispatches that are dead."""
    dead = [dispatch for dispatch in settled if dispatch.state is State.DEAD]
    if not dead:  # nearly always
        return
    wanted = follows(connection)
    owed = [
        _owed(Owing(each.id, Cause.DEAD, each.settled_at or each.created_at), each.entry)
        for each in dead
        if wanted(each.entry, Cause.DEAD)
    ]
    _write(connection, owed)
    if told_of_the_rest(wanted):
        at = ((each, each.settled_at or each.created_at) for each in dead)
        news.owe(
            connection,
            [
                _news(Owing(each.id, Cause.DEAD, when), each)
                for each, when in at
                if _is_news(wanted, each.entry, Cause.DEAD)
            ],
        )


def owed(connection: Connection, now: datetime, limit: int) -> list[OwedFollowUp]:
    """Up to ``limit`` that are due, the longest waiting first, each with its dispatch as it stands
    and its event, without the body."""
    rows = connection.execute(
        select(*FOLLOW_UP, *DISPATCH)
        .join_from(table, dispatches, dispatches.c.id == table.c.dispatch_id)
        .where(
            table.c.wake_at.is_not(None),
            or_(table.c.wake_at <= now, table.c.wake_at > now + FAR),
        )
        .order_by(table.c.wake_at)
        .limit(limit)
    ).all()
    found = [(FollowUp(*row[: len(FOLLOW_UP)]), Dispatch(*row[len(FOLLOW_UP) :])) for row in rows]
    causes = _events(connection, {dispatch.event_id for _, dispatch in found})
    return [
        OwedFollowUp(follow_up, dispatch, causes[dispatch.event_id])
        for follow_up, dispatch in found
    ]


def hasten(connection: Connection, now: datetime) -> None:
    """Makes all that is owed due: for a start, after which nobody is in the middle of one, and the
    config may have been mended."""
    connection.execute(table.update().where(table.c.wake_at > now).values(wake_at=now))


def change(connection: Connection, changed: Sequence[FollowUp]) -> None:
    """Writes how these stand now, but for those that are settled already."""
    if changed:
        run_for_each(connection, CHANGE, [_changes(each) for each in changed])


def dispatch(connection: Connection, settled: FollowUp, made: Dispatch) -> Verdict | None:
    """Settles the follow-up and records the dispatch that it comes to, which owes none in turn
    where it is dead from the start. What may have run away is held, as what events owe is. Returns
    what became of it; None, and nothing is done, where the follow-up is settled already."""
    if not run_for_each(connection, CHANGE, [_changes(settled)]):
        return None
    # It counts now, and for itself, also where somebody asked for the event by hand long ago.
    event = Event(made.event_id, Firing(made.entry, made.created_at, made.created_at))
    verdict = Verdict(made.entry, Outcome.DISPATCHED, dispatches=(made,))
    guarding = Guarding(connection, [(event, (verdict,))])
    verdict = guarding.watched(event, verdict)
    guarding.write()
    incidents.record(connection, verdict.incidents)
    lane = lane_of(connection)
    rows = [dispatch_row(each, lane(each.repository)) for each in verdict.dispatches]
    insert_all(connection, NEW, DISPATCH_ROW, rows)
    pauses.hold_some(connection, [made.id])
    return verdict


def told(connection: Connection, target: str, since: datetime) -> list[datetime]:
    """When notices went to the target since then, each once however many it told of."""
    rows = connection.execute(
        select(table.c.settled_at)
        .where(
            table.c.settled_at >= since,
            table.c.target == target,
            table.c.state == Standing.NOTIFIED,
        )
        .distinct()
        .order_by(table.c.settled_at)
    )
    return [at for (at,) in rows]


def of_dispatch(connection: Connection, dispatch_id: str) -> list[FollowUp]:
    """Those of one dispatch, oldest first."""
    rows = connection.execute(
        select(*FOLLOW_UP)
        .where(table.c.dispatch_id == dispatch_id)
        .order_by(table.c.at, table.c.cause, table.c.run_id, table.c.run_attempt)
    )
    return [FollowUp(*row) for row in rows]


def _events(connection: Connection, ids: Collection[str]) -> dict[str, Event]:
    return {
        row.id: event_of(row, b"")
        for some in chunks(ids)
        for row in connection.execute(select(*EVENT).where(events.c.id.in_(some)))
    }


def _is_news(wanted: Follows, entry: str, cause: Cause) -> bool:
    """Whether the default `notify` is told of it: its entry wants nothing done. A run that failed
    is the workflow's business."""
    return cause is not Cause.FAILED and not wanted(entry, cause)


def _news(owing: Owing, dispatch: Dispatch | Row[Any]) -> News:
    what = dispatch.event_type or dispatch.workflow
    sent = f"{what} to {dispatch.repository}" if what and dispatch.repository else what or "it"
    if owing.cause is Cause.DEAD:
        kind, text = DEAD, f"{sent} was not sent: {owing.why or dispatch.reason}"
    else:
        why = owing.why or dispatch.diagnosis
        kind, text = NO_RUN, f"GitHub took {sent}, and no run followed" + (why and f": {why}")
    text = f"{one_line(text, NEWS_MAX)} ({dispatch.id})"
    return News(kind, dispatch.id, dispatch.entry, owing.at, 1, text)


def _owed(owing: Owing, entry: str) -> FollowUp:
    run = owing.run
    return FollowUp(
        dispatch_id=owing.dispatch_id,
        cause=owing.cause,
        run_id=run.id,
        run_attempt=run.attempt,
        entry=entry,
        at=owing.at,
        why=owing.why,
        run_name=run.name,
        run_conclusion=run.conclusion,
        run_url=run.url,
        state=Standing.OWED,
        attempts=0,
        wake_at=owing.at,
        settled_at=None,
        reason="",
        target="",
        made=None,
    )


def _write(connection: Connection, rows: Sequence[FollowUp]) -> int:
    if not rows:
        return 0
    statement = _owing(connection.dialect.name)
    return sum(run_for_each(connection, statement, [follow_up_row(each)]) for each in rows)


@cache
def _owing(dialect: str) -> Upsert:
    return insert(dialect, table).on_conflict_do_nothing()


def _changes(follow_up: FollowUp) -> dict[str, object]:
    return {
        "of": follow_up.dispatch_id,
        "by": follow_up.cause,
        "run": follow_up.run_id,
        "number": follow_up.run_attempt,
        "state": follow_up.state,
        "attempts": follow_up.attempts,
        "wake_at": follow_up.wake_at,
        "settled_at": follow_up.settled_at,
        "reason": follow_up.reason,
        "target": follow_up.target,
        "made": follow_up.made,
    }
