"""Dispatches that are let go by hand: what holds them stands no longer in their way, but a pause of
their entry does."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, or_, select

from daemon.dispatch import Hold, State
from daemon.event import Pause
from daemon.ports import LetGo
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import chunks
from daemon.store.pauses import ASKED_FOR, LETTING, STANDS, freed
from daemon.store.rows import DISPATCH, PAUSE, dispatches_of

table = schema.dispatches
pauses = schema.pauses
MOVE = table.update().where(table.c.id == bindparam("key"))

NO_PAUSE = or_(table.c.held_by.is_(None), table.c.held_by != Hold.PAUSE)


def let_go(connection: Connection, ids: Collection[str], now: datetime) -> list[LetGo]:
    """Lets those go that something else than a pause holds. Returns each id that is known with the
    dispatch as it was found, and the pause that holds it from now on."""
    results: dict[str, LetGo] = {}
    for some in chunks(dict.fromkeys(ids)):
        rows = connection.execute(
            select(*DISPATCH).where(table.c.id.in_(some)).with_for_update()
        ).all()
        found = {each.id: each for each in dispatches_of(rows)}
        held = [
            each.id
            for each in found.values()
            if each.state is State.HELD and each.held_by is not Hold.PAUSE
        ]
        paused = _move(connection, table.c.id.in_(held), now) if held else {}
        results |= {key: LetGo(each, paused.get(key)) for key, each in found.items()}
    return [results[each] for each in dict.fromkeys(ids) if each in results]


def let_go_of(
    connection: Connection, entry: str, now: datetime, limit: int
) -> tuple[list[str], list[str]]:
    """Likewise up to ``limit`` dispatches of an entry, the oldest first. Returns the ids of those
    that go, and of those that a pause holds from now on; none of either when there is none left."""
    # Little is held, and an entry may have made very much: this keeps SQLite from walking that.
    of_entry = table.c.entry.concat("") == entry
    which = and_(of_entry, table.c.state == State.HELD, NO_PAUSE)
    ids = connection.execute(
        select(table.c.id).where(which).order_by(table.c.id).limit(limit).with_for_update()
    ).scalars()
    found = list(ids)
    paused: dict[str, Pause] = {}
    for some in chunks(found):
        paused |= _move(connection, table.c.id.in_(some), now)
    return [each for each in found if each not in paused], list(paused)


def _move(connection: Connection, which: ColumnElement[bool], now: datetime) -> dict[str, Pause]:
    """Lets these go, unless their entry is paused; returns the pauses that hold some of them."""
    rows = connection.execute(LETTING.add_columns(ASKED_FOR.label("asked_for")).where(which)).all()
    moves: list[dict[str, Any]] = []
    standing = {row.entry: row for row in connection.execute(select(*PAUSE).where(STANDS))}
    paused: dict[str, Pause] = {}
    for row in rows:
        pause = standing.get(row.entry)
        if pause is None or row.asked_for:
            moves.append(freed(row, now - row.created_at))
            continue
        paused[row.id] = Pause(*pause)
        # The resume counts from when the pause began.
        moves.append(_kept(row, paused[row.id], max(pause.since - row.created_at, timedelta())))
    if moves:
        run_for_each(connection, MOVE, moves)
    return paused


def _kept(row: Row[Any], pause: Pause, waited: timedelta) -> dict[str, Any]:
    """The row as it is once nothing but the pause holds it."""
    return freed(row, waited) | {
        "state": State.HELD,
        "held_by": Hold.PAUSE,
        "reason": str(pause),
        "wake_at": None,
    }
