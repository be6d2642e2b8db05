"""The runs that dispatches started, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, select

from daemon.binding import FIRST_LOOK
from daemon.dispatch import Dispatch, RunNamed
from daemon.run import Match, Run
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, chunks, insert
from daemon.store.rows import columns, reading

table = schema.runs
RUN = columns(table, Run)
KNOWN = select(*RUN, table.c.dispatch_id).where(table.c.id.in_(bindparam("ids", expanding=True)))
OF_DISPATCHES = (
    select(*RUN, table.c.dispatch_id)
    .where(table.c.dispatch_id.in_(bindparam("ids", expanding=True)))
    .order_by(table.c.created_at, table.c.id)
)
DUE = (
    select(*RUN)
    .where(table.c.repository == bindparam("repository"), table.c.look_at <= bindparam("now"))
    .order_by(table.c.look_at)
    .limit(bindparam("most"))
)
_run_row = reading([column.name for column in RUN])


def keep(connection: Connection, runs: Sequence[tuple[Run, str, datetime | None]]) -> None:
    """Writes runs, each with the id of its dispatch and when to look at it again, in the place of
    what was known of them."""
    rows = [_run_row(run) | {"dispatch_id": owner, "look_at": at} for run, owner, at in runs]
    if rows:
        run_for_each(connection, _keeping(connection.dialect.name), rows)


def as_named(dispatch: Dispatch, named: RunNamed) -> tuple[Run, str, datetime]:
    """The run that GitHub named when it took the dispatch. More is not known yet: whatever is told
    of it is newer."""
    at = dispatch.settled_at or dispatch.created_at
    run = Run(
        repository=dispatch.repository,
        id=named.id,
        attempt=1,
        workflow=dispatch.workflow,
        name="",
        title="",
        event="workflow_dispatch",
        status="",
        conclusion="",
        branch=dispatch.ref,
        url=named.url,
        created_at=dispatch.sent_at or at,
        updated_at=dispatch.created_at,
    )
    return run, dispatch.id, at + FIRST_LOOK


def known(connection: Connection, runs: Iterable[Run]) -> dict[int, tuple[Run, str]]:
    """Those that are bound already, by number, as they were seen last and with the dispatch. Runs
    are numbered across all repositories of one GitHub; of two GitHubs the address differs."""
    found: dict[int, tuple[Run, str]] = {}
    hosts = {run.id: run for run in runs}
    for some in chunks(hosts):
        for row in connection.execute(KNOWN, {"ids": some}):
            run = _run(row)
            if run.repository.lower() == hosts[run.id].repository.lower():
                found[run.id] = (run, row.dispatch_id)
    return found


def certain(connection: Connection, runs: Iterable[Run]) -> dict[int, str]:
    """Those of which it is certain whose they are, by number, with the dispatch."""
    bound = {id_: owner for id_, (_, owner) in known(connection, runs).items()}
    dispatches = schema.dispatches
    sure: set[str] = set()
    for some in chunks(set(bound.values())):
        rows = connection.execute(
            select(dispatches.c.id).where(
                dispatches.c.id.in_(some), dispatches.c.match != Match.PROBABLE
            )
        )
        sure.update(row.id for row in rows)
    return {id_: owner for id_, owner in bound.items() if owner in sure}


def of_dispatches(connection: Connection, ids: Collection[str]) -> dict[str, list[Run]]:
    """The runs of each of these dispatches, oldest first; empty where there is none."""
    found: dict[str, list[Run]] = {id_: [] for id_ in ids}
    for some in chunks(found):
        for row in connection.execute(OF_DISPATCHES, {"ids": some}):
            found[row.dispatch_id].append(_run(row))
    return found


def due(connection: Connection, repository: str, now: datetime, limit: int) -> list[Run]:
    """Those that go on and are to be looked at by now, the longest overdue first."""
    asked = {"repository": repository, "now": now, "most": limit}
    return [_run(row) for row in connection.execute(DUE, asked)]


def _run(row: Sequence[Any]) -> Run:
    return Run(*row[: len(RUN)])


@cache
def _keeping(dialect: str) -> Upsert:
    statement = insert(dialect, table)
    new = statement.excluded
    told = ("attempt", "workflow", "name", "title", "status", "conclusion", "branch", "url")
    return statement.on_conflict_do_update(
        index_elements=["id", "repository"],
        set_={name: new[name] for name in (*told, "created_at", "updated_at", "look_at")},
    )
