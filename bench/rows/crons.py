"""Ten thousand cron entries due in the same second: how late they are recorded, and how long the
daemon leaves others waiting meanwhile.

A firing counts as recorded when it is committed with its dispatch, as another process sees it: from
then on the dispatcher may claim it, though not before its instant. Its lateness is the time from
the instant until then, and nothing for one that was recorded ahead.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from math import ceil
from pathlib import Path
from statistics import median

from bench.home import Entry, Home, github_away
from bench.plan import Plan
from bench.process import BenchError
from bench.row import Row, at_most
from bench.stalls import Stalls

EVERY = 20
"""Seconds between two instants. All entries fall on the same ones."""

LOOKS_EVERY = 0.0005
"""Seconds between two looks at the database; it bounds how exactly a commit can be timed."""

RECORDED_WITHIN = 12.0
"""Seconds after which what is not recorded fails the measurement."""

AHEAD = 8.0
AFTER = 2.0
"""Seconds before and after an instant for which the daemon's answers are timed."""


def crons(plan: Plan) -> Iterator[Row]:
    count, every = plan.count(10_000, 100), plan.count(EVERY, 2)
    place = plan.directory("crons")
    home = Home(place, crons=[entry(number, f"*/{every} * * * * *") for number in range(count)])
    ahead, after = plan.sized(AHEAD, 0.5), plan.sized(AFTER, 0.5)
    stalls = Stalls()
    offsets: list[float] = []

    with github_away() as github, home.daemon(github) as daemon:

        def p99() -> float:
            instant = next_instant(time.time() + ahead + 0.5, every)
            time.sleep(instant - ahead - time.time())
            with stalls.during(daemon.url, place, ahead + after):
                at = recorded(home.database, instant, count * 99 // 100)
            offsets.append(at - instant)
            return max(0.0, at - instant) * 1e3

        figures = plan.each_round("crons", p99, "ms")
    what = f"p99 lateness of {count:,} entries due in the same second, recorded"
    beside = {"recorded at": f"{median(offsets):+.2f} s"}
    yield Row.of("crons", what, figures, unit="ms", goal=at_most(100), beside=beside)
    yield stalls.row("crons-stall", goal=at_most(50))


def entry(number: int, schedule: str) -> Entry:
    """A cron entry whose payload is its own."""
    return {
        "name": f"job-{number}",
        "schedule": schedule,
        "dispatch": {
            "event_type": "wat-factory",
            "client_payload": {
                "job_id": "{{ dispatch_id }}",
                "job_description": f"Job {number}, due at {{{{ firing.scheduled_at }}}}",
            },
        },
    }


def next_instant(after: float, every: int) -> float:
    """The first at which the entries are due, not before ``after``."""
    return float(ceil(after / every) * every)


def recorded(database: Path, instant: float, count: int) -> float:
    """When ``count`` firings of ``instant`` or a later one were committed, in seconds since 1970.
    Raises BenchError where that takes too long."""
    version = None
    until = max(instant, time.time()) + RECORDED_WITHIN
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        while time.time() < until:
            (now_there,) = reader.execute("PRAGMA data_version").fetchone()
            if now_there != version:
                at, version = time.time(), now_there
                if _fired(reader, instant) >= count:
                    return at
            time.sleep(LOOKS_EVERY)
    raise BenchError(f"fewer than {count} firings were recorded within {RECORDED_WITHIN:.0f} s")


def _fired(reader: sqlite3.Connection, instant: float) -> int:
    query = "SELECT count(*) FROM firings WHERE scheduled_at >= ? AND event_id IS NOT NULL"
    (fired,) = reader.execute(query, (round(instant * 1_000_000),)).fetchone()
    return int(fired)
