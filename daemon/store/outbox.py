"""The outbox: dispatches on their way from owed to a final state. Every step follows the table of
states, and whoever claims one has it alone for as long as its lease."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import chain
from operator import attrgetter

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, literal_column, select

from daemon.binding import FIRST_LOOK
from daemon.dispatch import TRANSITIONS, Attempt, Dispatch, Hold, Settlement, State
from daemon.errors import StoreError
from daemon.event import Pause
from daemon.pacing import Spent
from daemon.ports import Claim
from daemon.run import Match
from daemon.store import budgets, followups, pauses, runs, schema
from daemon.store.bulk import insert_all, rows_of, run_for_each, run_with
from daemon.store.engine import chunks
from daemon.store.lanes import lane_of
from daemon.store.overlaps import set_free
from daemon.store.rows import (
    DISPATCH,
    DISPATCH_ROW,
    WAITING,
    attempt_row,
    dispatch_row,
    dispatches_of,
    wake_at,
)

table = schema.dispatches
DISPATCHES = table.insert()
ATTEMPTS = schema.attempts.insert()
DUE = (
    select(*DISPATCH)
    .where(
        table.c.lane == bindparam("lane"),
        table.c.urgent == bindparam("urgent"),
        table.c.wake_at <= bindparam("now"),
    )
    .order_by(table.c.wake_at, table.c.id)
    .limit(bindparam("most"))
    .offset(literal_column("0"))  # SQLAlchemy adds a parameter of its own for SQLite, else
    .with_for_update(skip_locked=True)
)
FOUND = (
    select(*DISPATCH, table.c.claimed_from)
    .where(table.c.id.in_(bindparam("ids", expanding=True)))
    .with_for_update()
)
update = table.update().where(table.c.id == bindparam("key"))  # sets what its parameters name
CLAIMED = ("key", "state", "wake_at", "lease_owner", "claimed_from", "sent_at")
CHANGING = (
    *("state", "reason", "attempts", "due_at", "retry_until", "settled_at"),
    *("run_id", "run_url", "sent_at", "match", "diagnosis"),
)
SAVED = ("key", *CHANGING, "held_by", "look_at", "wake_at", "lease_owner", "claimed_from")
_changing = attrgetter("id", *CHANGING)


class Settling(Struct, frozen=True):
    """What an attempt (None: there was none) came to, ``at`` that time, and what its ``lane`` has
    ``spent`` by then, where that is to be kept."""

    dispatch_id: str
    attempt: Attempt | None
    settlement: Settlement
    at: datetime
    lane: str = ""
    spent: Spent | None = None


def add(connection: Connection, groups: Sequence[Sequence[Dispatch]]) -> list[None]:
    """Writes further dispatches of events that are there already."""
    dispatches = list(chain.from_iterable(groups))
    if dispatches:
        lane = cache(lane_of(connection))  # of few repositories, most of the time
        rows = [dispatch_row(each, lane(each.repository)) for each in dispatches]
        insert_all(connection, DISPATCHES, DISPATCH_ROW, rows)
        followups.owe_dead(connection, dispatches)
    return [None] * len(groups)


def claim(
    connection: Connection,
    now: datetime,
    limit: int,
    lease: timedelta,
    owner: str,
    held: Collection[str],
    lane: str,
    urgent_first: bool,
) -> Claim:
    """Takes what is due in the lane, oldest first: what waits for its time, and what another
    claimed and then left until its lease ran out. What is too old to be sent is settled as dead
    instead. What is urgent goes before all else, or after it.

    Leases of those that are ``held``, by id, begin anew where they ran out, and that is all: their
    requests are on their way, and only the answers say what becomes of them.
    """
    due: list[Dispatch] = []
    for urgent in (urgent_first, not urgent_first):  # two walks along the index, and no sorting
        if len(due) < limit:
            asked = {"lane": lane, "urgent": urgent, "now": now, "most": limit - len(due)}
            due += dispatches_of(rows_of(connection, DUE, asked))
    claimed: list[Dispatch] = []
    expired: list[Dispatch] = []
    renewed: list[Dispatch] = []
    found: dict[str, State] = {}
    for dispatch in due:
        if dispatch.state is State.SENDING and dispatch.id in held:
            renewed.append(dispatch)
            continue
        # Whose lease ran out may have been sent before its holder went away.
        lost = dispatch.state is State.SENDING
        found[dispatch.id] = State.UNSURE if lost else dispatch.state
        if dispatch.expires_at <= now:
            reason = _too_old(dispatch, found[dispatch.id])
            dead = replace(dispatch, state=State.DEAD, reason=reason, settled_at=now)
            expired.append(dead)
        else:
            claimed.append(replace(dispatch, state=State.SENDING))
    save(connection, expired)
    if renewed:
        leases = [{"key": dispatch.id, "wake_at": now + lease} for dispatch in renewed]
        run_for_each(connection, update, leases)
    if claimed:
        rows = []
        for dispatch in claimed:
            before = found[dispatch.id]
            # Of one that may have been sent it is looked for what was sent then.
            sent_at = (before is State.UNSURE and dispatch.sent_at) or now
            rows.append((dispatch.id, State.SENDING, now + lease, owner, before, sent_at))
        run_with(connection, update, CLAIMED, rows)
    unsure = frozenset(each.id for each in claimed if found[each.id] is State.UNSURE)
    return Claim(tuple(claimed), tuple(expired), unsure)


def settle(connection: Connection, settlings: Sequence[Settling]) -> list[Dispatch]:
    """Records the attempts and moves the dispatches; returns these as they stand then.

    What was unsure before an attempt does not become sure by one that failed, and keeps saying
    why: it is unsure where it would be pending, and accepted with its reason. Without an attempt it
    was found out what had become of it.

    Raises:
        StoreError: there is no such dispatch, or the table of states has no such step.
    """
    found: dict[str, tuple[Dispatch, State | None]] = {}
    for some in chunks({settling.dispatch_id for settling in settlings}):
        for *row, claimed_from in rows_of(connection, FOUND, {"ids": some}):
            dispatch = Dispatch(*row)
            found[dispatch.id] = dispatch, claimed_from
    settled: dict[str, Dispatch] = {}
    again = [each.dispatch_id for each in settlings if each.settlement.state is State.PENDING]
    paused = pauses.holding_back(connection, again)
    for settling in settlings:
        if settling.dispatch_id not in found:
            raise StoreError(f"there is no dispatch {settling.dispatch_id}")
        dispatch, claimed_from = found[settling.dispatch_id]
        # One that is settled twice at once fails by the table of states, as it would one by one.
        dispatch = settled.get(dispatch.id, dispatch)
        settled[dispatch.id] = _settled(dispatch, claimed_from, settling, paused)
    if attempts := [attempt_row(each.attempt) for each in settlings if each.attempt is not None]:
        run_for_each(connection, ATTEMPTS, attempts)
    save(connection, settled.values())
    named = [(settled[each.dispatch_id], each.settlement.run) for each in settlings]
    runs.keep(connection, [runs.as_named(dispatch, run) for dispatch, run in named if run])
    budgets.keep(connection, {each.lane: each.spent for each in settlings if each.spent})
    return [settled[settling.dispatch_id] for settling in settlings]


def _settled(
    dispatch: Dispatch,
    claimed_from: State | None,
    settling: Settling,
    paused: Mapping[str, Pause],
) -> Dispatch:
    attempt, settlement = settling.attempt, settling.settlement
    state, reason, run = settlement.state, settlement.reason, settlement.run
    if state not in TRANSITIONS[dispatch.state]:
        raise StoreError(f"{dispatch.id} is {dispatch.state} and cannot become {state}")
    tried = attempt is not None
    if tried and claimed_from is State.UNSURE and state in (State.PENDING, State.ACCEPTED):
        state = State.UNSURE if state is State.PENDING else state
        reason = dispatch.reason or reason
    held_by = Hold.UNSURE if state is State.HELD else None
    if state is State.PENDING and (pause := paused.get(dispatch.id)):
        state, held_by, reason = State.HELD, Hold.PAUSE, f"{pause}; before: {reason}"
    waits = settlement.state in WAITING
    match = dispatch.match
    if state is State.ACCEPTED and match is Match.UNTRACKED and dispatch.expect_within is not None:
        match = Match.VERIFIED if run else Match.WAITING
    return replace(
        dispatch,
        state=state,
        reason=reason,
        held_by=held_by,
        attempts=dispatch.attempts if attempt is None else attempt.number,
        due_at=settlement.due_at or (settling.at if waits else dispatch.due_at),
        retry_until=settlement.retry_until or dispatch.retry_until,
        settled_at=settling.at if settlement.state.final else None,
        run_id=run.id if run else dispatch.run_id,
        run_url=run.url if run else dispatch.run_url,
        sent_at=settlement.sent_at or dispatch.sent_at,
        match=match,
        diagnosis=settlement.diagnosis,
    )


def give_back(connection: Connection, ids: Iterable[str], now: datetime) -> None:
    """Puts claimed dispatches back as they were found: nothing went out. Passes over others."""
    for some in chunks(ids):
        connection.execute(
            table.update()
            .where(table.c.id.in_(some), table.c.state == State.SENDING)
            .values(
                state=table.c.claimed_from,
                due_at=now,
                wake_at=now,
                lease_owner=None,
                claimed_from=None,
            )
        )
        pauses.hold_some(connection, some)


def reclaim(connection: Connection, now: datetime) -> int:
    """Makes every claimed dispatch unsure, whoever claimed it; returns how many there were."""
    return connection.execute(
        table.update()
        .where(table.c.state == State.SENDING)
        .values(
            state=State.UNSURE,
            reason="the daemon ended before GitHub's answer was recorded",
            due_at=now,
            wake_at=now,
            lease_owner=None,
            claimed_from=None,
        )
    ).rowcount


def cancel(
    connection: Connection, ids: Sequence[str], now: datetime, reason: str
) -> list[tuple[str, State | None]]:
    """Cancels those that may be; returns each id with the state it is in now, None: unknown."""
    found = _locked(connection, ids)
    cancelled = {
        dispatch.id: replace(dispatch, state=State.CANCELLED, reason=reason, settled_at=now)
        for dispatch in found.values()
        if State.CANCELLED in TRANSITIONS[dispatch.state]
    }
    save(connection, cancelled.values())
    now_there = found | cancelled
    return [(id_, now_there[id_].state if id_ in now_there else None) for id_ in ids]


def save(connection: Connection, dispatches: Collection[Dispatch]) -> None:
    """Writes what can change of dispatches that nobody holds a lease on (any more), lets go
    what waited for their end, and notes what follows on it."""
    rows = [
        (
            *_changing(each),
            each.held_by if each.state is State.HELD else None,
            _first_look(each),
            wake_at(each),
            *(None, None),  # nobody holds it
        )
        for each in dispatches
    ]
    if rows:
        run_with(connection, update, SAVED, rows)
    ended = {
        dispatch.event_id: dispatch.settled_at for dispatch in dispatches if dispatch.settled_at
    }
    if ended:
        set_free(connection, ended, max(ended.values()))
        followups.owe_dead(connection, dispatches)


def _first_look(dispatch: Dispatch) -> datetime | None:
    """When its run is looked for, which has just been accepted."""
    if dispatch.settled_at is None or dispatch.match is not Match.WAITING:
        return None
    return dispatch.settled_at + FIRST_LOOK


def _locked(connection: Connection, ids: Iterable[str]) -> dict[str, Dispatch]:
    """The dispatches by id, with nobody else between this reading and the writing."""
    return {
        dispatch.id: dispatch
        for some in chunks(ids)
        for dispatch in dispatches_of(
            connection.execute(select(*DISPATCH).where(table.c.id.in_(some)).with_for_update())
        )
    }


def _too_old(dispatch: Dispatch, found: State) -> str:
    sent = "; an earlier request may have reached GitHub" if found is State.UNSURE else ""
    until = f"{dispatch.expires_at:%FT%TZ}"
    return f"older than send_within allows: it had to be sent before {until}{sent}"
