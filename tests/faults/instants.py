"""The entry that fires every second, and what its bookings say of each second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from daemon.event import FiringRecord
from tests.harness import Entry

SECOND = timedelta(seconds=1)

EVERY_SECOND: Entry = {
    "name": "every-second",
    "schedule": "* * * * * *",
    "dispatch": {
        "event_type": "tick",
        "client_payload": {"at": "{{ firing.scheduled_at }}"},
    },
}


def instants_of(row: FiringRecord) -> list[datetime]:
    """A row stands for one instant, or for all of a backlog that is older than the newest."""
    return seconds_between(row.first or row.scheduled_at, row.scheduled_at)


def seconds_between(first: datetime, last: datetime) -> list[datetime]:
    """Both included."""
    return [first + n * SECOND for n in range(round((last - first) / SECOND) + 1)]


def not_once(rows: Iterable[FiringRecord]) -> list[datetime]:
    """The seconds from the first to the last that are not accounted for, or are twice."""
    times = Counter(instant for row in rows for instant in instants_of(row))
    return [at for at in seconds_between(min(times), max(times)) if times[at] != 1]
