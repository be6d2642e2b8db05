"""Which runs belong to which dispatch, and when each is to be looked for next. What ends the last
run of an event lets go what waited for it, and what went wrong is owed a follow-up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, func, select, union_all

from daemon.binding import Judgement, may_be, named, next_look_at_run
from daemon.dispatch import Dispatch, State
from daemon.follow_up import Cause, EndedRun, Owing
from daemon.ports import Overdue, Pending, Sighting
from daemon.run import FOUND, Match, Run, summary
from daemon.store import followups, runs, schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import chunks
from daemon.store.outbox import save
from daemon.store.overlaps import set_free
from daemon.store.rows import DISPATCH, dispatches_of

table = schema.dispatches
LOOKED = table.update().where(table.c.id == bindparam("key"))
FOLLOWED = schema.runs.update().where(
    schema.runs.c.id == bindparam("run"), schema.runs.c.repository == bindparam("of")
)
_SENT = (
    select(table.c.sent_at)
    .where(table.c.repository == bindparam("repository"), table.c.look_at <= bindparam("now"))
    .order_by(table.c.look_at)
    .limit(bindparam("most"))
    .subquery()
)
LONGEST_SENT = select(func.min(_SENT.c.sent_at))
BEGUN = (
    select(schema.runs.c.id, schema.runs.c.created_at)
    .where(
        schema.runs.c.repository == bindparam("repository"),
        schema.runs.c.look_at <= bindparam("now"),
    )
    .order_by(schema.runs.c.look_at)
    .limit(bindparam("most"))
)
AGENDA = union_all(
    *(
        select(each.c.repository, func.min(each.c.look_at).label("at"))
        .where(each.c.look_at.is_not(None))
        .group_by(each.c.repository)
        for each in (table, schema.runs)
    )
)
WAITING_FOR_RUNS = (
    select(table.c.look_at, *DISPATCH)
    .where(table.c.repository == bindparam("repository"), table.c.look_at.is_not(None))
    .order_by(table.c.look_at, table.c.id)
    .limit(bindparam("most"))
)
THESE = select(*DISPATCH).where(table.c.id.in_(bindparam("ids", expanding=True))).with_for_update()
NEWS = Mapping[Dispatch, Sequence[tuple[Run, Run | None]]]
"""Runs by their dispatch, each with what was known of it before."""

_PASSED_ON = frozenset({State.UNSURE, State.HELD, State.PENDING})
"""What a run that was seen makes accepted: GitHub did act on the request."""


def agenda(connection: Connection) -> dict[str, datetime]:
    """When runs are to be looked for next, by repository."""
    found: dict[str, datetime] = {}
    for repository, at in connection.execute(AGENDA):
        found[repository] = min(at, found.get(repository, at))
    return found


def overdue(connection: Connection, repository: str, now: datetime, limit: int) -> Overdue:
    """What of the repository is to be looked for or at by now, those first that are due for
    longest; without what else is known of it, since this is asked often."""
    asked = {"repository": repository, "now": now, "most": limit}
    sent_at = connection.execute(LONGEST_SENT, asked).scalar()
    begun = connection.execute(BEGUN, asked)
    return Overdue(sent_at, {row.id: row.created_at for row in begun})


def waiting(connection: Connection, repository: str, limit: int) -> list[Pending]:
    """Dispatches to the repository whose runs are looked for, those first that are due."""
    rows = connection.execute(WAITING_FOR_RUNS, {"repository": repository, "most": limit}).all()
    found = dispatches_of(row[1:] for row in rows)
    return [Pending(each, row.look_at) for each, row in zip(found, rows, strict=True)]


def see(connection: Connection, seen: Sequence[Run], now: datetime) -> list[Sighting]:
    """Takes note of runs as GitHub tells them: binds those that show a dispatch's id, and moves
    those that are bound. Returns what is new."""
    before = runs.known(connection, seen)
    ids = {run.id: before[run.id][1] if run.id in before else named(run) for run in seen}
    owners = _dispatches(connection, {id_ for id_ in ids.values() if id_})
    news: dict[Dispatch, list[tuple[Run, Run | None]]] = defaultdict(list)
    for run in seen:
        owner = owners.get(ids[run.id])
        last = before[run.id][0] if run.id in before else None
        if owner is None or (last is None and not may_be(run, owner)):
            continue
        if last is None or last.precedes(run):
            # By the name that we call it by, whatever it is called now.
            news[owner].append((replace(run, repository=owner.repository), last))
    return _bind(connection, news, Match.VERIFIED, now)


def judge(
    connection: Connection, judgements: Sequence[Judgement], now: datetime
) -> tuple[list[Dispatch], list[Sighting]]:
    """Writes down what a look came to, but for dispatches of which a run was bound meanwhile, and
    binds no run twice. Returns the dispatches whose match is another now, and the runs that were
    bound."""
    found = _dispatches(connection, [each.dispatch_id for each in judgements])
    taken = set(runs.known(connection, [run for each in judgements for run in each.runs]))
    changed: list[Dispatch] = []
    bound: dict[Dispatch, list[tuple[Run, Run | None]]] = {}
    rows: list[dict[str, Any]] = []
    for judgement in judgements:
        before = found.get(judgement.dispatch_id)
        if before is None or before.match in FOUND:
            continue
        after = replace(before, match=judgement.match, diagnosis=judgement.diagnosis)
        free = [run for run in judgement.runs if run.id not in taken]
        if judgement.runs and not free:
            continue  # they were bound meanwhile: the next look says what that leaves
        if free:
            taken.update(run.id for run in free)
            bound[after] = [(run, None) for run in free]
            continue
        if after.match is not before.match:
            changed.append(after)
        rows.append(_looked(after, judgement.look_at))
    if rows:
        run_for_each(connection, LOOKED, rows)
    sightings = _bind(connection, bound, Match.PROBABLE, now)
    missing = [each for each in changed if each.match is Match.MISSING]
    followups.owe(
        connection, [Owing(each.id, Cause.MISSING, now, why=each.diagnosis) for each in missing]
    )
    over = {each.event_id for each in changed if each.match is not Match.WAITING}
    set_free(connection, over, now)
    return changed, sightings


def postpone(
    connection: Connection, looks: Sequence[tuple[Run, datetime | None]], now: datetime
) -> None:
    """Has runs looked at again then (None: not any more), and lets go what waited for the end of
    those that are not."""
    rows = [{"run": run.id, "of": run.repository, "look_at": at} for run, at in looks]
    run_for_each(connection, FOLLOWED, rows)
    given_up = [run for run, at in looks if at is None]
    owners = _dispatches(
        connection, {owner for _, owner in runs.known(connection, given_up).values()}
    )
    set_free(connection, {each.event_id for each in owners.values()}, now)


def _bind(connection: Connection, news: NEWS, match: Match, now: datetime) -> list[Sighting]:
    if not news:
        return []
    runs.keep(
        connection,
        [
            (run, dispatch.id, next_look_at_run(run, now))
            for dispatch, each in news.items()
            for run, _ in each
        ],
    )
    all_runs = runs.of_dispatches(connection, [dispatch.id for dispatch in news])
    sightings: list[Sighting] = []
    rows: list[dict[str, Any]] = []
    looked: list[dict[str, Any]] = []
    acted_on: list[Dispatch] = []
    for dispatch, each in news.items():
        after = _with_runs(dispatch, all_runs[dispatch.id], match)
        settled = dispatch.state in _PASSED_ON
        if settled:
            after = replace(after, state=State.ACCEPTED, reason="", settled_at=now)
            if after.match is Match.UNTRACKED and after.expect_within is not None:
                after = replace(after, match=Match.WAITING)  # it was another workflow's run
            acted_on.append(after)
        seen = {"key": after.id, "run_id": after.run_id, "run_url": after.run_url}
        rows.append(seen | {"run_outcome": after.run_outcome})
        if after.match in FOUND:
            looked.append(_looked(after, None))
        for place, (run, known) in enumerate(each):
            sightings.append(Sighting(after, run, known, settled and not place))
    save(connection, acted_on)
    run_for_each(connection, LOOKED, rows)
    if looked:
        run_for_each(connection, LOOKED, looked)
    failed = [each for each in sightings if each.run.failed]
    followups.owe(connection, [_owing(each, now) for each in failed])
    set_free(connection, {dispatch.event_id for dispatch in news}, now)
    return sightings


def _owing(sighting: Sighting, now: datetime) -> Owing:
    run = sighting.run
    ended = EndedRun(run.id, run.attempt, run.name or run.workflow, run.conclusion, run.url)
    return Owing(sighting.dispatch.id, Cause.FAILED, now, ended)


def _with_runs(dispatch: Dispatch, mine: Sequence[Run], match: Match) -> Dispatch:
    """The dispatch as its runs leave it. One of another workflow than the expected does not make
    it found."""
    expected = [run for run in mine if dispatch.expect_workflow in ("", run.workflow)]
    shown = (expected or mine)[0]
    found = bool(expected) and dispatch.match not in FOUND
    return replace(
        dispatch,
        match=match if found else dispatch.match,
        diagnosis=dispatch.diagnosis if match is Match.PROBABLE or not expected else "",
        run_id=shown.id,
        run_url=shown.url,
        run_outcome=summary(mine),
    )


def _looked(dispatch: Dispatch, look_at: datetime | None) -> dict[str, Any]:
    return {
        "key": dispatch.id,
        "match": dispatch.match,
        "diagnosis": dispatch.diagnosis,
        "look_at": look_at,
    }


def _dispatches(connection: Connection, ids: Collection[str]) -> dict[str, Dispatch]:
    return {
        each.id: each
        for some in chunks(ids)
        for each in dispatches_of(connection.execute(THESE, {"ids": some}))
    }
