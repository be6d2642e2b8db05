"""The same ten thousand as plain jobs of APScheduler, which keep nothing and dispatch nothing: what
the rows of the crons stand beside. A job is late by the time from its instant until it runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from statistics import median

from bench.plan import Plan
from bench.process import module, served
from bench.row import Row
from bench.rows.crons import AFTER, AHEAD, EVERY, next_instant
from bench.rows.memory import MB
from bench.stalls import Stalls

GRACE = 3600
"""Seconds that a job may be late and still run. By itself APScheduler allows one."""

OVER = 8.0
"""Seconds after an instant by which all of its jobs have run, or never will."""


class Jobs:
    """Plain jobs, each time in a new process with ``options``, and what was seen of them."""

    def __init__(self, plan: Plan, *options: str) -> None:
        self._plan = plan
        self.count, self._every = plan.count(10_000, 100), plan.count(EVERY, 2)
        self._options = (f"--count={self.count}", f"--every={self._every}", *options)
        self.starts: list[float] = []
        self.resident: list[float] = []
        self.stalls = Stalls()

    def late(self) -> list[float]:
        """How late those were that ran, of one instant, in milliseconds and in order."""
        place = self._plan.directory("apscheduler")
        ahead, after = self._plan.sized(AHEAD, 0.5), self._plan.sized(AFTER, 0.5)
        over = self._plan.sized(OVER, 1)
        command = module("peers.jobs", str(place / "ran"), *self._options)
        began = time.perf_counter()
        with served(command, place / "log") as jobs:
            self.starts.append(time.perf_counter() - began)
            self.resident.append(jobs.resident() / MB)
            instant = next_instant(time.time() + ahead + 0.5, self._every)
            time.sleep(instant - ahead - time.time())
            with self.stalls.during(jobs.url, place, ahead + after):
                pass
            time.sleep(max(0.0, instant + over - time.time()))
        ran: list[float] = json.loads((place / "ran").read_text())
        return sorted((at - instant) * 1e3 for at in ran if instant <= at < instant + self._every)


def apscheduler(plan: Plan) -> Iterator[Row]:
    patient, plain = Jobs(plan, f"--grace={GRACE}"), Jobs(plan)
    last: list[float] = []
    ran: list[int] = []

    def p99() -> float:
        late = patient.late()
        last.append(late[-1])
        ran.append(len(late))
        return late[len(late) * 99 // 100]

    figures = plan.each_round("apscheduler", p99, "ms")
    what = f"p99 lateness of {patient.count:,} plain jobs due in the same second, none too late"
    beside = {
        "last": f"{median(last):,.0f} ms",
        "ran": f"{min(ran):,}",
        "ran by default": f"{len(plain.late()):,}",
    }
    yield Row.of("apscheduler", what, figures, unit="ms", beside=beside)
    yield patient.stalls.row("apscheduler-stall")
    what = "resident when they are scheduled"
    yield Row.of("apscheduler-memory", what, patient.resident, unit="MB")
    what = "from the command until they are scheduled"
    yield Row.of("apscheduler-start", what, patient.starts, unit="s")
