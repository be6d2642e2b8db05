"""How long one waits: for a daemon with a large config to be ready, and for the commands that
people and editors call over and over."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.home import Entry, Home, dispatchd, github_away
from bench.plan import Plan
from bench.process import POLL, BenchError, Server
from bench.row import Row, at_most
from bench.rows import crons
from bench.rows.intake import AUTH

SHIPPED = Path(__file__).parents[2] / "config"
READY_DEADLINE = 30.0


def start(plan: Plan) -> Iterator[Row]:
    """The goal is for the first start, which makes the database; a restart is beside it."""
    entries, triggers = plan.count(10_000, 20), plan.count(1000, 10)
    again: list[float] = []

    def first() -> float:
        home = Home(
            plan.directory("start"),
            crons=[crons.entry(number, daily(number)) for number in range(entries)],
            triggers=[trigger(number) for number in range(triggers)],
        )
        with ready(home) as (_, seconds):
            pass
        with ready(home) as (_, restart):
            again.append(restart)
        return seconds

    figures = plan.each_round("start", first, "s")
    what = f"from the command to ready, with {entries:,} crons and {triggers:,} triggers"
    beside = {"restart": f"{median(again):.2f} s"}
    yield Row.of("start", what, figures, unit="s", goal=at_most(2.5), beside=beside)


def commands(plan: Plan) -> Iterator[Row]:
    home = Home(plan.directory("commands"))
    helping = partial(_took, ("--help",), home.environ)
    yield Row.of(
        "command-help",
        "dispatchd --help",
        plan.each_round("command-help", helping, "ms"),
        unit="ms",
        goal=at_most(250),
    )
    validating = partial(_took, ("validate", str(SHIPPED)), home.environ)
    yield Row.of(
        "command-validate",
        "dispatchd validate of the config that is shipped",
        plan.each_round("command-validate", validating, "ms"),
        unit="ms",
        goal=at_most(500),
    )


def daily(number: int) -> str:
    """A time of the day for an entry, as spread out as people's are."""
    return f"{number % 60} {number // 60 % 24} * * *"


def trigger(number: int) -> Entry:
    """A trigger with a path, a condition and a payload of its own."""
    return {
        "name": f"service-{number}",
        "path": f"/hooks/service-{number}",
        "auth": AUTH,
        "when": f"body.repository.name == 'service-{number}' && body.ref == 'refs/heads/main'",
        "dispatch": {
            "event_type": "service-changed",
            "client_payload": {
                "service": f"service-{number} {{{{ body.repository.full_name }}}}",
                "sha": "{{ body.after }}",
                "pusher": "{{ body.pusher.name }}",
            },
        },
    }


@contextmanager
def ready(home: Home) -> Iterator[tuple[Server, float]]:
    """The daemon, and how many seconds it took from the command until ``/readyz`` said so."""
    began = time.perf_counter()
    with github_away() as github, home.daemon(github) as daemon:
        until = began + READY_DEADLINE
        while not _ready(daemon):
            if time.perf_counter() > until:
                raise BenchError(f"not ready after {READY_DEADLINE:.0f} s:\n{daemon.said()}")
            time.sleep(POLL)
        yield daemon, time.perf_counter() - began


def _ready(daemon: Server) -> bool:
    with closing(HTTPConnection(urlsplit(daemon.url).netloc, timeout=READY_DEADLINE)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK


def _took(arguments: tuple[str, ...], environ: Mapping[str, str]) -> float:
    """Milliseconds that a command takes to its end."""
    began = time.perf_counter()
    done = subprocess.run(
        (dispatchd(), *arguments), env=dict(environ), capture_output=True, check=False
    )
    took = (time.perf_counter() - began) * 1e3
    if done.returncode:
        raise BenchError(f"{done.args!r} failed: {done.stdout.decode()}{done.stderr.decode()}")
    return took
