"""Rate limits: which events were admitted lately, and whether there is room for one more. All of
it is in the database, so that a restart in the middle of a span changes nothing."""

from __future__ import annotations

from bisect import bisect_right, insort
from datetime import datetime

from sqlalchemy import Connection, select

from daemon.event import Event, RateLimit
from daemon.store import schema
from daemon.store.bulk import run_for_each

table = schema.admissions
ADMIT = table.insert()


class Rates:
    """The admissions that matter to the events of one commit, and those that it adds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._times: dict[tuple[str, str], list[datetime]] = {}
        self._admitted: list[dict[str, object]] = []

    def admit(self, entry: str, limit: RateLimit, event: Event) -> datetime | None:
        """None where there is room, and the event takes it; else when there will be some."""
        times = self._of(entry, limit, event.at)
        recent = times[bisect_right(times, event.at - limit.per) :]
        if len(recent) >= limit.max:
            return recent[-limit.max] + limit.per
        insort(times, event.at)
        self._admitted.append(
            {"entry": entry, "key": limit.key, "at": event.at, "event_id": event.id}
        )
        return None

    def write(self) -> None:
        if self._admitted:
            run_for_each(self._connection, ADMIT, self._admitted)

    def _of(self, entry: str, limit: RateLimit, now: datetime) -> list[datetime]:
        """When events were admitted under the key, oldest first. Those that no longer count are
        deleted."""
        found = self._times.get((entry, limit.key))
        if found is None:
            key = (table.c.entry == entry) & (table.c.key == limit.key)
            self._connection.execute(table.delete().where(key, table.c.at <= now - limit.per))
            rows = self._connection.execute(
                select(table.c.at).where(key).order_by(table.c.at.desc()).limit(limit.max)
            )
            found = self._times[entry, limit.key] = sorted(row.at for row in rows)
        return found
