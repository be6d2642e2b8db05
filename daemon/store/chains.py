"""Which dispatches descend from which: the parents of what is recorded, looked up for all events of
a commit at once, and the whole family of one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, select

from daemon.chain import Descent, Family, Place, RunKey, place
from daemon.dispatch import Dispatch
from daemon.store import schema
from daemon.store.engine import chunks
from daemon.store.rows import DISPATCH, dispatches_of

table = schema.dispatches
bound = schema.runs

CLIMB_MAX = 1000
"""Ancestors that are looked for: nobody lets a chain get this deep."""


def places(connection: Connection, descents: Iterable[Descent]) -> dict[Descent, Place]:
    """Where what descends so stands in its chain. A dispatch is on disk before it is sent, and so
    before anything can come of it: no event of the same commit is the parent of another."""
    asked = set(descents)
    if not asked:
        return {}
    depths: dict[str, int] = {}
    by_run = started_by(connection, {each.run for each in asked if each.run is not None})
    ids = {named for each in asked for named in each.ids}
    ids.update(started for several in by_run.values() for started in several)
    for some in chunks(ids):
        rows = connection.execute(select(table.c.id, table.c.depth).where(table.c.id.in_(some)))
        depths.update((row.id, row.depth) for row in rows)
    return {each: place(each, depths, by_run) for each in asked}


def started_by(connection: Connection, runs: Collection[RunKey]) -> dict[RunKey, list[str]]:
    """The dispatches that are known to have started each of these runs."""
    found: dict[RunKey, list[str]] = {}
    for some in chunks({number for _, number in runs}):
        for row in connection.execute(
            select(bound.c.repository, bound.c.id, bound.c.dispatch_id).where(bound.c.id.in_(some))
        ):
            run = (row.repository.lower(), row.id)
            if run in runs:
                found.setdefault(run, []).append(row.dispatch_id)
    return found


def family(connection: Connection, dispatch_id: str, limit: int) -> Family | None:
    """All that descends from the eldest ancestor of the dispatch that is still known, each followed
    by its descendants. Of a family of more than ``limit`` the generations nearest to that are
    shown, and the line that leads to the dispatch. None: there is no such dispatch."""
    line = _line(connection, dispatch_id)
    if not line:
        return None
    # Of a line that is too long the beginning is left out.
    shown = line[-limit:]
    members = {each.id: each for each in shown}
    generation = [line[0].id]
    seen = set(generation)
    complete = len(line) <= limit
    while generation and complete:
        following: list[str] = []
        for some in chunks(generation):
            room = limit - len(members)
            rows = connection.execute(
                select(*DISPATCH)
                .where(table.c.parent_id.in_(some))
                .order_by(table.c.id)
                # Those of the line are among the members already.
                .limit(room + len(line) + 1)
            )
            for child in dispatches_of(rows):
                if child.id in seen:
                    continue
                if child.id not in members and len(members) >= limit:
                    complete = False
                    continue
                seen.add(child.id)
                members[child.id] = child
                following.append(child.id)
        generation = following
    return Family(tuple(_in_order(shown[0], members.values())), complete)


def _line(connection: Connection, dispatch_id: str) -> list[Dispatch]:
    """The dispatch and its ancestors, the eldest first."""
    line: dict[str, Dispatch] = {}
    wanted: str | None = dispatch_id
    while wanted is not None and wanted not in line and len(line) < CLIMB_MAX:
        rows = connection.execute(select(*DISPATCH).where(table.c.id == wanted))
        found = next(iter(dispatches_of(rows)), None)
        if found is None:
            break
        line[found.id] = found
        wanted = found.parent_id
    return list(reversed(line.values()))


def _in_order(eldest: Dispatch, members: Collection[Dispatch]) -> list[Dispatch]:
    """Each followed by what descends from it; siblings by age."""
    children: dict[str | None, list[Dispatch]] = {}
    for each in sorted(members, key=lambda each: each.id, reverse=True):
        if each.id != eldest.id:
            children.setdefault(each.parent_id, []).append(each)
    ordered: list[Dispatch] = []
    waiting = [eldest]
    while waiting:
        each = waiting.pop()
        ordered.append(each)
        waiting += children.get(each.id, ())
    return ordered
