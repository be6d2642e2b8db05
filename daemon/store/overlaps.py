"""Overlap: what becomes of a firing while the one before it is unfinished. Where it is to wait, its
dispatches are in the outbox and nobody looks at them until the last of those before has ended; the
transaction that ends it sets them free, so that no restart in between loses them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, exists, or_, select

from daemon.dispatch import State
from daemon.event import Due, Firing, Missed, Overlap
from daemon.ports import Recording
from daemon.run import Match
from daemon.store import schema
from daemon.store.bulk import rows_of, run_for_each
from daemon.store.engine import Upsert, chunks, insert

RECENT = 10
"""How many firings before are looked at. More than one are unfinished only where people asked for
them by hand."""

Instant = tuple[str, datetime]  # a cron, and when it was scheduled

events = schema.events
dispatches = schema.dispatches
buffered = schema.buffered

UNFINISHED = or_(
    dispatches.c.settled_at.is_(None),
    dispatches.c.match == Match.WAITING,
    exists().where(
        schema.runs.c.dispatch_id == dispatches.c.id, schema.runs.c.look_at.is_not(None)
    ),
)
"""Not taken by GitHub yet, or its run was not seen yet or goes on."""

WAITS = dispatches.update().where(dispatches.c.id == bindparam("key"))
BEHIND = select(buffered.c.cron, buffered.c.event_id, buffered.c.behind).where(
    buffered.c.behind.in_(bindparam("ended", expanding=True))
)


class Overlaps:
    """Judges the firings of one commit, each of which comes before the next."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.waiting: dict[Instant, Recording] = {}
        """What has to wait, as it is to be recorded."""
        self._rows: list[dict[str, Any]] = []

    def settled(self, due: Due, given: Mapping[Instant, Recording]) -> Due:
        """The due with those of its firings missed that overlap."""
        if due.overlap is Overlap.ALLOW or not due.firings:
            return due
        unfinished = self._unfinished(due.cron, due.firings[0].scheduled_at)
        waits = self._waits(due.cron) if due.overlap is Overlap.BUFFER_ONE else None
        kept: list[Firing] = []
        missed: list[Missed] = []
        for firing in due.firings:
            at = firing.scheduled_at
            event, verdicts = given[due.cron, at]
            if unfinished is None or unfinished[0] == event.id:  # or this is a repeated call
                kept.append(firing)
                owed = [each for verdict in verdicts for each in verdict.dispatches]
                pending = next((each for each in owed if not each.state.final), None)
                if pending is not None:
                    unfinished = (event.id, f"{pending.id} of the firing before is {pending.state}")
                continue
            behind, why = unfinished
            if due.overlap is Overlap.BUFFER_ONE and waits is None:
                kept.append(firing)
                waits = event.id
                self._wait(due.cron, at, (event, verdicts), behind)
            elif waits not in (None, event.id):
                reason = f"{why}, and {waits} waits for its end already (`overlap: buffer_one`)"
                missed.append(Missed(at, at, reason, wanted=True))
            else:
                missed.append(Missed(at, at, f"{why} (`overlap: skip`)", wanted=True))
        return replace(due, firings=tuple(kept), missed=(*due.missed, *missed))

    def write(self, recorded: Sequence[Recording]) -> None:
        """Has those wait that were ``recorded``, as they stand then: what is held besides waits
        for its release first."""
        ids = {event.id for event, _ in recorded}
        rows = [row for row in self._rows if row["event_id"] in ids]
        if rows:
            run_for_each(self._connection, _noting(self._connection.dialect.name), rows)
        waiting = {event.id for event, _ in self.waiting.values()}
        waits = [
            # Whoever claims it then finds that it is too old.
            {"key": dispatch.id, "wake_at": dispatch.expires_at}
            for event, verdicts in recorded
            if event.id in waiting
            for verdict in verdicts
            for dispatch in verdict.dispatches
            if dispatch.state is State.PENDING
        ]
        if waits:
            run_for_each(self._connection, WAITS, waits)

    def _wait(self, cron: str, at: datetime, recording: Recording, behind: str) -> None:
        event, verdicts = recording
        why = f"waits for the end of {behind} by its `overlap`"
        self.waiting[cron, at] = (
            event,
            tuple(
                replace(
                    verdict,
                    dispatches=tuple(
                        replace(each, reason=why) if each.state is State.PENDING else each
                        for each in verdict.dispatches
                    ),
                )
                for verdict in verdicts
            ),
        )
        self._rows.append({"cron": cron, "event_id": event.id, "behind": behind})

    def _unfinished(self, cron: str, until: datetime) -> tuple[str, str] | None:
        """The last event before ``until`` of which a dispatch is unfinished, and which that is, in
        words. One that was asked for by hand for later is not before."""
        before = (
            select(events.c.id)
            .where(events.c.source == cron, events.c.scheduled_at <= until)
            .order_by(events.c.id.desc())
            .limit(RECENT)
        )
        row = self._connection.execute(
            select(dispatches.c.event_id, dispatches.c.id, dispatches.c.state, dispatches.c.run_url)
            .where(dispatches.c.event_id.in_(before), UNFINISHED)
            .order_by(dispatches.c.event_id.desc(), dispatches.c.id)
            .limit(1)
        ).one_or_none()
        if row is None:
            return None
        goes_on = f"the run {row.run_url} of the firing before goes on"
        looked_for = f"the run of {row.id}, of the firing before, is not seen yet"
        unsettled = f"{row.id} of the firing before is {row.state}"
        accepted = row.state is State.ACCEPTED
        why = (goes_on if row.run_url else looked_for) if accepted else unsettled
        return row.event_id, why

    def _waits(self, cron: str) -> str | None:
        """The event of the cron that waits already."""
        waits: str | None = self._connection.execute(
            select(buffered.c.event_id)
            .join(dispatches, dispatches.c.event_id == buffered.c.event_id)
            .where(buffered.c.cron == cron, dispatches.c.settled_at.is_(None))
            .limit(1)
        ).scalar_one_or_none()
        return waits


def set_free(connection: Connection, ended: Collection[str], now: datetime) -> None:
    """Lets go what waits for one of these events, of which a dispatch or a run has ended, unless
    another of the same event is unfinished."""
    for some in chunks(ended):
        for cron, event_id, behind in rows_of(connection, BEHIND, {"ended": some}):
            unfinished = connection.execute(
                select(dispatches.c.id).where(dispatches.c.event_id == behind, UNFINISHED).limit(1)
            ).one_or_none()
            if unfinished is None:
                connection.execute(
                    dispatches.update()
                    .where(dispatches.c.event_id == event_id, dispatches.c.state == State.PENDING)
                    .values(due_at=now, wake_at=now, reason="")
                )
                connection.execute(buffered.delete().where(buffered.c.cron == cron))


@cache
def _noting(dialect: str) -> Upsert:
    statement = insert(dialect, buffered)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["cron"], set_={"event_id": new.event_id, "behind": new.behind}
    )
