"""Incidents, each recorded once, and how many there ever were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, select

from daemon.follow_up import told_of_the_rest
from daemon.incident import Incident, IncidentKind
from daemon.store import news, schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, chunks, insert, pairs
from daemon.store.rows import INCIDENT, incident_row
from daemon.store.wishes import follows

table = schema.incidents
counts = schema.incident_counts
NEW = table.insert()

Key = tuple[str, datetime, IncidentKind]  # an entry, its last instant, and what was wrong


def record(connection: Connection, incidents: Iterable[Incident]) -> list[Incident]:
    """Records those that are new, and counts their instants; returns them."""
    given = {_key(incident): incident for incident in incidents}
    if not given:
        return []
    known: set[Key] = set()
    for some in chunks((each.last, each.entry) for each in given.values()):
        rows = connection.execute(
            select(table.c.entry, table.c.last, table.c.kind).where(
                pairs(table.c.last, table.c.entry, some)
            )
        )
        known.update((row.entry, row.last, row.kind) for row in rows)
    new = [incident for key, incident in given.items() if key not in known]
    if new:
        run_for_each(connection, NEW, [incident_row(each) for each in new])
        total: Counter[tuple[str, IncidentKind]] = Counter()
        for each in new:
            total[each.entry, each.kind] += each.count
        run_for_each(
            connection,
            _counting(connection.dialect.name),
            [{"entry": e, "kind": kind, "count": n} for (e, kind), n in total.items()],
        )
        if told_of_the_rest(follows(connection)):
            news.owe_incidents(connection, new)
    return new


def incidents(
    connection: Connection, limit: int, entry: str | None, before: datetime | None
) -> list[Incident]:
    """Newest first."""
    query = select(*INCIDENT).order_by(table.c.at.desc(), table.c.entry, table.c.last.desc())
    if entry is not None:
        query = query.where(table.c.entry == entry)
    if before is not None:
        query = query.where(table.c.at < before)
    return [Incident(*row) for row in connection.execute(query.limit(limit))]


def totals(connection: Connection) -> dict[tuple[str, IncidentKind], int]:
    """How many instants there ever were in incidents, by entry and kind."""
    return {(row.entry, row.kind): row[2] for row in connection.execute(select(*counts.c))}


def _key(incident: Incident) -> Key:
    return incident.entry, incident.last, incident.kind


@cache
def _counting(dialect: str) -> Upsert:
    statement = insert(dialect, counts)
    return statement.on_conflict_do_update(
        index_elements=["entry", "kind"],
        set_={"count": counts.c.count + statement.excluded.count},
    )
