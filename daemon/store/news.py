"""News for the default `notify`: owed in the transaction that records what it is of, so that a kill
loses none, and settled once somebody was told. And what of the daemon is not well, as it was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Connection, bindparam, delete, func, select

from daemon.follow_up import Standing
from daemon.incident import Incident, News
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, insert
from daemon.store.rows import NEWS, news_row

table = schema.news
ailments = schema.ailments

KEPT = timedelta(days=7)
"""How long it is known what was told."""

SETTLE = table.update().where(
    table.c.kind == bindparam("of_kind"),
    table.c.ref == bindparam("of_ref"),
    table.c.settled_at.is_(None),
)


def owe(connection: Connection, given: Iterable[News]) -> None:
    """Writes down what is to be told: once, however often it is given."""
    rows = [{**news_row(each), "state": Standing.OWED} for each in given]
    if rows:
        run_for_each(connection, _owing(connection.dialect.name), rows)


def owe_incidents(connection: Connection, incidents: Iterable[Incident]) -> None:
    owe(connection, (_of_incident(each) for each in incidents))


def owed(connection: Connection, limit: int) -> tuple[int, list[News]]:
    """How much there is to be told, and up to ``limit`` of it, the longest waiting first."""
    waiting = table.c.settled_at.is_(None)
    count = connection.execute(select(func.count()).where(waiting)).scalar_one()
    if not count:
        return 0, []
    query = select(*NEWS).where(waiting).order_by(table.c.at, table.c.kind, table.c.ref)
    return count, [News(*row) for row in connection.execute(query.limit(limit))]


def settle(
    connection: Connection, given: Sequence[News], state: Standing, target: str, now: datetime
) -> None:
    """Keeps what became of these, and forgets what became of others long ago."""
    changed = {"state": state, "target": target, "settled_at": now}
    run_for_each(
        connection,
        SETTLE,
        [{"of_kind": each.kind, "of_ref": each.ref, **changed} for each in given],
    )
    connection.execute(delete(table).where(table.c.settled_at < now - KEPT))


def told(connection: Connection, since: datetime) -> list[tuple[datetime, str]]:
    """When somebody was told of what kinds since then, oldest first."""
    rows = connection.execute(
        select(table.c.settled_at, table.c.kind)
        .where(table.c.settled_at >= since, table.c.state == Standing.NOTIFIED)
        .distinct()
        .order_by(table.c.settled_at, table.c.kind)
    )
    return [(at, kind) for at, kind in rows]


def standing(connection: Connection) -> dict[str, str]:
    """What is not well, in words, by name."""
    rows = connection.execute(select(ailments.c.name, ailments.c.text))
    return {row.name: row.text for row in rows}


def begin(connection: Connection, ailment: News) -> None:
    """Something is not well from now on: one that is known to be so is no news."""
    statement = insert(connection.dialect.name, ailments).on_conflict_do_nothing()
    if connection.execute(statement, _ailing(ailment)).rowcount:
        owe(connection, [ailment])


def end(connection: Connection, ailment: News) -> None:
    """It is well again: news where it was not."""
    gone = connection.execute(delete(ailments).where(ailments.c.name == ailment.kind))
    if gone.rowcount:
        owe(connection, [ailment])


def _ailing(ailment: News) -> dict[str, object]:
    return {"name": ailment.kind, "since": ailment.at, "text": ailment.text}


def _of_incident(incident: Incident) -> News:
    ref = f"{incident.entry} {incident.last.isoformat()}"
    return News(
        incident.kind.value, ref, incident.entry, incident.at, incident.count, incident.text
    )


@cache
def _owing(dialect: str) -> Upsert:
    return insert(dialect, table).on_conflict_do_nothing()
