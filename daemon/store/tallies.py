"""What each entry made lately, counted in slices of time, a row of the database for each: so that
an entry which runs away is held, also after a restart in the middle of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select

from daemon.chain import Breaker
from daemon.store import schema
from daemon.store.bulk import rows_of, run_for_each
from daemon.store.engine import Upsert, chunks, insert

table = schema.tallies

SLICES = 60
"""Of the breaker's span. What is counted reaches back a slice more, at most: an entry never makes
more than its breaker says within any such span."""

RING = 64
"""Rows that an entry has at most. Each is for one slice, and later for another, when the span has
passed: so nothing needs to be deleted, and an entry that makes little writes one row for it."""

SUMS = (
    select(table.c.entry, *(func.sum(table.c[name]) for name in ("made", "held", "deep")))
    .where(table.c.at > bindparam("since"))
    .group_by(table.c.entry)
)
OF_ONE = SUMS.where(table.c.entry == bindparam("entry"))
OF_SEVERAL = SUMS.where(table.c.entry.in_(bindparam("entries", expanding=True)))


@dataclass(slots=True)
class Tally:
    """How many dispatches an entry made within the span of its breaker; of these, how many this
    held, and how many were too deep in a chain."""

    made: int = 0
    held: int = 0
    deep: int = 0


class Tallies:
    """What the ``entries`` of one commit made before it (up to ``now``), and what it adds."""

    def __init__(
        self, connection: Connection, breaker: Breaker, entries: Iterable[str], now: datetime
    ) -> None:
        self._connection = connection
        self._slice = max(breaker.per // SLICES, schema.MICROSECOND)
        self._reach = breaker.per + self._slice
        self._now = now
        self._sums: dict[str, Tally] = {}
        self._added: dict[tuple[str, int], Tally] = {}
        since = now - self._reach
        for some in chunks(entries):
            if len(some) == 1:  # as nearly always, and much quicker
                found = rows_of(connection, OF_ONE, {"since": since, "entry": some[0]})
            else:
                found = connection.execute(OF_SEVERAL, {"since": since, "entries": some}).all()
            for entry, *sums in found:
                self._sums[entry] = Tally(*map(int, sums))

    def of(self, entry: str) -> Tally:
        """Up to now, with what this commit added so far."""
        tally = self._sums.get(entry)
        if tally is None:
            tally = self._sums[entry] = Tally()
        return tally

    def add(self, entry: str, at: datetime, *, made: int, held: int = 0, deep: int = 0) -> None:
        """``made`` is negative where others than these are not sent after all."""
        key = (entry, (at - schema.EPOCH) // self._slice)
        added = self._added.get(key)
        if added is None:
            added = self._added[key] = Tally()
        for tally in (self.of(entry), added):
            tally.made += made
            tally.held += held
            tally.deep += deep

    def write(self) -> None:
        rows = [
            {
                "entry": entry,
                "slot": slice_ % RING,
                "at": schema.EPOCH + slice_ * self._slice,
                "made": tally.made,
                "held": tally.held,
                "deep": tally.deep,
                "since": self._now - self._reach,
            }
            for (entry, slice_), tally in self._added.items()
            if tally.made or tally.held or tally.deep
        ]
        if rows:
            run_for_each(self._connection, _adding(self._connection.dialect.name), rows)


@cache
def _adding(dialect: str) -> Upsert:
    statement = insert(dialect, table)
    new = statement.excluded
    # A clock that was set, or another span, can have put a slice that still counts there.
    counts = table.c.at > bindparam("since", type_=schema.Instant())
    sums: dict[str, Any] = {
        name: case((counts, table.c[name] + new[name]), else_=new[name])
        for name in ("made", "held", "deep")
    }
    at = case((counts & (table.c.at > new.at), table.c.at), else_=new.at)
    return statement.on_conflict_do_update(index_elements=["entry", "slot"], set_=sums | {"at": at})
