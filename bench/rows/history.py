"""What a year leaves behind must not slow the work down: intake and claims on a database with a
million rows, against an empty one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bench.github import github
from bench.home import UNPACED, Home, github_away
from bench.load import send_all
from bench.past import owe, remember
from bench.plan import Plan
from bench.process import Server
from bench.row import Row, at_most
from bench.rows.end_to_end import DRAIN_DEADLINE, NAMED, middle
from bench.rows.intake import push_request
from bench.turns import in_turns

DELIVERIES = 250_000
ROWS_EACH = 4
"""An event, a verdict, a dispatch and an attempt."""

GOAL = at_most(1.3)


def history(plan: Plan) -> Iterator[Row]:
    """Both rows share the database, which takes a while to write. The claims come first, since
    intake leaves work behind."""
    full = Home(plan.directory("full"), triggers=(NAMED,))
    empty = Home(plan.directory("empty"), triggers=(NAMED,))
    deliveries = plan.count(DELIVERIES, 500)
    remember(full, deliveries)
    rows = deliveries * ROWS_EACH
    yield _claims(plan, full, empty, rows)
    yield _intake(plan, full, empty, rows)


def _claims(plan: Plan, full: Home, empty: Home, rows: int) -> Row:
    name = "history-claims"
    owed = plan.count(4000, 100)

    def drained(home: Home) -> float:
        place = plan.directory(name)
        owe(home, owed)
        with github(place) as stand_in:
            with home.daemon(stand_in.url, UNPACED):
                stand_in.until(owed, DRAIN_DEADLINE)
            return stand_in.rate(*middle(owed))

    what = f"cost of a dispatch (claim, send, settle) with {rows:,} rows of history, against none"
    return _cost(plan, name, what, partial(drained, full), partial(drained, empty))


def _intake(plan: Plan, full: Home, empty: Home, rows: int) -> Row:
    name = "history-intake"
    place = plan.directory(name)
    request, seconds = push_request(), plan.sized(5, 0.2)

    def rate(daemon: Server) -> float:
        return plan.generator.load(daemon.url, request, place, seconds).rate

    what = f"cost of intake with {rows:,} rows of history, against none"
    with github_away() as url, full.daemon(url) as old, empty.daemon(url) as new:
        for daemon in (old, new):
            send_all(daemon.url, request, place, plan.count(2000, 50))  # to warm up
        return _cost(plan, name, what, partial(rate, old), partial(rate, new))


def _cost(
    plan: Plan, name: str, what: str, full: Callable[[], float], empty: Callable[[], float]
) -> Row:
    """The cost on the full one by the cost on the empty one: the rates the other way round."""
    turns = in_turns(plan, name, empty, full)
    return Row.of(name, what, turns.ratios, goal=GOAL, beside=turns.beside("empty", "full"))
