"""The agenda: which cron entries are to be looked at next, and when. Pure: ``now`` is an
argument."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.spec import CronSpec

FEW = 20
"""Up to this many entries are worked out on the event loop; more (or a backlog) in a thread."""

BATCH = 200
"""As many entries are taken at a time, so that the event loop has a moment in between."""

LEAD_EACH = timedelta(microseconds=500)
LEAD_MAX = timedelta(seconds=10)
"""Where more than `FEW` entries are due at one instant they are recorded ahead of it, this long for
each of them, so that all are on disk in time. Their dispatches fall due at the instant itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cron entry on the agenda: accounted for up to ``cursor``, and next due at ``due_at``."""

    cron: CronSpec
    cursor: datetime
    due_at: datetime


class Agenda:
    """The entries that will fire again, soonest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str, Entry]] = []
        self._crowd: Counter[datetime] = Counter()

    def put(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            heapq.heappush(self._heap, (entry.due_at, entry.cron.name, entry))
            self._crowd[entry.due_at] += 1

    def take(self, now: datetime) -> list[Entry]:
        """Removes and returns the entries that are to be recorded now, soonest first: those that
        are due, or some of a crowd that soon will be."""
        begin = self.record_at
        if begin is None or now < begin:
            return []
        taken: list[Entry] = []
        until = max(now, self._heap[0][0])
        while self._heap and self._heap[0][0] <= until and len(taken) < BATCH:
            due_at, _, entry = heapq.heappop(self._heap)
            taken.append(entry)
            self._crowd[due_at] -= 1
            if not self._crowd[due_at]:
                del self._crowd[due_at]
        return taken

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them, in no order."""
        return tuple(entry for _, _, entry in self._heap)

    @property
    def record_at(self) -> datetime | None:
        """When to begin to record the soonest instant; None: there is none. It comes nearer to the
        instant as the crowd is worked off."""
        if not self._heap:
            return None
        due_at = self._heap[0][0]
        crowd = self._crowd[due_at]
        return due_at - min(crowd * LEAD_EACH, LEAD_MAX) if crowd > FEW else due_at


def entries_at(
    crons: Sequence[CronSpec],
    cursors: Mapping[str, datetime],
    now: datetime,
    standing: Sequence[Entry] = (),
) -> list[Entry]:
    """The entries that fire again, each from its cursor on; one without starts at ``now``.
    One of those that are ``standing``, with the same schedule, says when it is due next."""
    entries = []
    before = {entry.cron.name: entry for entry in standing}
    for cron in crons:
        cursor = cursors.get(cron.name, now)
        known = before.get(cron.name)
        if (
            known is not None
            and known.cursor == cursor
            and known.cron.schedule.identity == cron.schedule.identity
        ):
            due_at: datetime | None = known.due_at
        else:
            due_at = cron.schedule.next_after(cursor)
        if due_at is not None:
            entries.append(Entry(cron, cursor, due_at))
    return entries


def next_instants(crons: Sequence[CronSpec], after: datetime, n: int) -> dict[str, list[datetime]]:
    """For each entry, by name, its first ``n`` instants after ``after``, in UTC."""
    upcoming: dict[str, list[datetime]] = {}
    for cron in crons:
        instants = upcoming[cron.name] = []
        instant = cron.schedule.next_after(after)
        while instant is not None and len(instants) < n:
            instants.append(instant)
            instant = cron.schedule.next_after(instant)
    return upcoming
