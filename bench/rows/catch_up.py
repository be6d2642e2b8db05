"""A daemon that was away for a year: how long it takes to account for what an entry of every minute
owes since, of which only the newest instant fires, and how long others wait meanwhile."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from statistics import median

from bench.home import Home, free_port, github_away
from bench.plan import Plan
from bench.row import Row, at_most
from bench.rows.crons import entry, recorded
from bench.stalls import Stalls

AWAY = timedelta(days=365)
MINUTE = 60.0
PINGED = 2.0
"""Seconds for which the daemon's answers are timed, from the moment at which it listens."""


def catch_up(plan: Plan) -> Iterator[Row]:
    """Each round has a database of its own: what was caught up with once is not owed again."""
    seconds = plan.sized(PINGED, 0.5)
    stalls = Stalls()
    since_command: list[float] = []

    def caught_up() -> float:
        home = Home(plan.directory("catch-up"), crons=[entry(0, "* * * * *")])
        with github_away() as github, ExitStack() as running:
            with home.daemon(github):
                pass
            _set_back(home.database)
            address = f"127.0.0.1:{free_port()}"
            began = time.time()
            with stalls.during(f"http://{address}", home.directory, seconds):
                # It runs until the last ping is answered.
                running.enter_context(home.daemon(github, {"DISPATCHD_LISTEN": address}))
                serving = time.time()
                at = recorded(home.database, began // MINUTE * MINUTE, 1)
        since_command.append(at - began)
        return at - serving

    figures = plan.each_round("catch-up-year", caught_up, "s")
    what = f"{AWAY.days} days of an every-minute entry caught up with, from when it serves"
    beside = {"from the command": f"{median(since_command):.2f} s"}
    yield Row.of("catch-up-year", what, figures, unit="s", goal=at_most(1), beside=beside)
    yield stalls.row("catch-up-year-stall", goal=at_most(50))


def _set_back(database: Path) -> None:
    """As if the daemon had been stopped that long ago."""
    span = AWAY // timedelta(microseconds=1)
    with closing(sqlite3.connect(database)) as store, store:
        store.execute("UPDATE cursors SET cursor = cursor - ?", (span,))
