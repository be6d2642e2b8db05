"""Coalescing: of a burst of events only the last is dispatched. The dispatches of the last one so
far wait in the outbox, due when the burst will be over; a later event takes their place. So a
restart in the middle of a burst changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from msgspec.structs import replace
from sqlalchemy import Connection, select

from daemon.dispatch import TO_SEND, Dispatch, State
from daemon.event import Burst, Event
from daemon.expressions import rfc3339
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, insert
from daemon.store.rows import DISPATCH, dispatches_of

table = schema.bursts
Key = tuple[str, str]  # an entry, and a key of its own


@dataclass(slots=True)
class _Open:
    """A burst whose last event's ``dispatches`` were not tried yet. ``written`` says that they are
    in the database, and not among those of the same commit."""

    started_at: datetime
    last: Event | None
    dispatches: tuple[Dispatch, ...]
    written: bool


@dataclass(frozen=True, slots=True)
class Place:
    """What joining a burst makes of an event: its dispatches with their new times, and those that
    they go instead of, as they are then. ``in_commit`` are the latter where they are not in the
    database yet."""

    dispatches: tuple[Dispatch, ...]
    superseded: tuple[Dispatch, ...] = ()
    in_commit: bool = False


class Bursts:
    """The bursts that the events of one commit belong to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: dict[Key, _Open | None] = {}

    def join(self, entry: str, burst: Burst, event: Event, dispatches: Sequence[Dispatch]) -> Place:
        """``event`` as the last of its burst so far, which begins with it where none is open.

        An event of which no dispatch could be made joins nothing: better the last build that can be
        sent than none at all."""
        if not any(dispatch.state in TO_SEND for dispatch in dispatches):
            return Place(tuple(dispatches))
        key = (entry, burst.key)
        before = self._open[key] if key in self._open else self._load(key)
        started_at = before.started_at if before else event.at
        # That of an overdue burst is in the past, which keeps its place in the queue: else others
        # would go first, again and again, as long as events come.
        due_at = min(event.at + burst.window, started_at + burst.max_wait)
        why = f"waits until {rfc3339(due_at)} for the end of its burst"
        joined = tuple(
            # One that is held says for what, and waits for the end of its burst after that.
            replace(each, due_at=due_at, reason=why if each.state is State.PENDING else each.reason)
            if each.state in TO_SEND
            else each
            for each in dispatches
        )
        waiting = tuple(each for each in joined if each.state in TO_SEND)
        self._open[key] = _Open(started_at, event, waiting, written=False)
        if before is None:
            return Place(joined)
        superseded = tuple(
            replace(
                dispatch,
                state=State.SUPERSEDED,
                reason=f"{event.id} came in the same burst and is dispatched instead",
                settled_at=event.at,
            )
            for dispatch in before.dispatches
        )
        return Place(joined, superseded, in_commit=not before.written)

    def write(self) -> None:
        """Notes the last event of each burst."""
        rows = [
            {
                "entry": entry,
                "key": key,
                "event_id": burst.last.id,
                "started_at": burst.started_at,
                "at": burst.last.at,
            }
            for (entry, key), burst in self._open.items()
            if burst is not None and burst.last is not None
        ]
        if rows:
            run_for_each(self._connection, _noting(self._connection.dialect.name), rows)

    def _load(self, key: Key) -> _Open | None:
        """The burst, unless its time has come: then its dispatches are on their way, or were."""
        entry, text = key
        row = self._connection.execute(
            select(table.c.event_id, table.c.started_at).where(
                table.c.entry == entry, table.c.key == text
            )
        ).one_or_none()
        if row is None:
            return None
        owed = dispatches_of(
            self._connection.execute(
                select(*DISPATCH).where(
                    schema.dispatches.c.event_id == row.event_id,
                    schema.dispatches.c.entry == entry,
                    schema.dispatches.c.replay_of.is_(None),
                )
            )
        )
        waiting = tuple(each for each in owed if each.state in TO_SEND)
        if not waiting or any(map(_tried, owed)):
            return None
        return _Open(row.started_at, None, waiting, written=True)


def _tried(dispatch: Dispatch) -> bool:
    """Whether it was sent, or may have been: the burst is over then."""
    begun = dispatch.state in (State.SENDING, State.UNSURE, State.ACCEPTED)
    return begun or dispatch.attempts > 0


@cache
def _noting(dialect: str) -> Upsert:
    statement = insert(dialect, table)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["entry", "key"],
        set_={"event_id": new.event_id, "started_at": new.started_at, "at": new.at},
    )
