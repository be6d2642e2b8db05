"""End to end: how many dispatches a second reach the stand-in for GitHub, and how long one takes
from its 202."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.github import GitHub, arrived, github
from bench.home import UNPACED, Entry, Home
from bench.load import Answer, steadily
from bench.past import owe
from bench.plan import Plan
from bench.process import BenchError
from bench.row import Row, at_least, at_most
from bench.rows.intake import PUSH, push_request

DRAIN_DEADLINE = 300.0

NAMED: Entry = {
    **PUSH,
    "dispatch": {
        "event_type": "push-received",
        "client_payload": {
            "delivery": "{{ headers['x-github-delivery'] }}",
            "repository": "{{ body.repository.full_name }}",
            "sha": "{{ body.after }}",
        },
    },
}
"""A trigger whose dispatches bear the name of their delivery."""

LIVE_RATE = 1000
LATENCY_RATE = 200


def backlog(plan: Plan) -> Iterator[Row]:
    name = "dispatch-backlog"
    owed = plan.count(8000, 100)

    def drained() -> float:
        place = plan.directory(name)
        with github(place) as stand_in:
            home = Home(place, triggers=(NAMED,))
            owe(home, owed)
            with home.daemon(stand_in.url, UNPACED):
                stand_in.until(owed, DRAIN_DEADLINE)
            return stand_in.rate(*middle(owed))

    figures = plan.each_round(name, drained, "dispatches a second")
    what = f"sent from a backlog of {owed:,}, pacing off"
    yield Row.of(name, what, figures, unit="/s", goal=at_least(800))


def live(plan: Plan) -> Iterator[Row]:
    name = "dispatch-live"
    seconds = plan.sized(10, 0.5)

    def kept_up() -> float:
        stand_in, answers = sent(plan, name, LIVE_RATE, seconds)
        return stand_in.rate(*middle(len(answers)))

    figures = plan.each_round(name, kept_up, "dispatches a second")
    what = f"sent while {LIVE_RATE:,} deliveries a second come in, pacing off"
    yield Row.of(name, what, figures, unit="/s", goal=at_least(800))


def latency(plan: Plan) -> Iterator[Row]:
    name = "dispatch-latency"
    seconds = plan.sized(20, 0.5)
    medians: list[float] = []

    def p99() -> float:
        stand_in, answers = sent(plan, name, LATENCY_RATE, seconds)
        received = arrived(stand_in.arrivals)
        if refused := [answer.status for answer in answers if answer.status != 202]:
            raise BenchError(f"{len(refused)} deliveries were answered {refused[0]}")
        waits = sorted(received[answer.id] - answer.at for answer in answers)
        medians.append(waits[len(waits) // 2] * 1e3)
        return waits[len(waits) * 99 // 100] * 1e3

    figures = plan.each_round(name, p99, "ms")
    what = f"p99 from the 202 to GitHub's receipt, at {LATENCY_RATE} deliveries a second"
    beside = {"p50": f"{median(medians):.1f} ms"}
    yield Row.of(name, what, figures, unit="ms", goal=at_most(250), beside=beside)


def sent(plan: Plan, name: str, rate: int, seconds: float) -> tuple[GitHub, list[Answer]]:
    """What came of ``rate`` pushes a second, once all were dispatched and all is over: GitHub's
    side of it, and the sender's."""
    place = plan.directory(name)
    with github(place) as stand_in:
        home = Home(place, triggers=(NAMED,))
        with home.daemon(stand_in.url, UNPACED) as daemon:
            with steadily(daemon.url, push_request(), place, rate, seconds) as answers:
                pass
            stand_in.until(len(answers), DRAIN_DEADLINE)
    return stand_in, answers


def middle(count: int) -> tuple[int, int]:
    """Between which dispatches of ``count`` a rate is taken: the start and the end are no steady
    work."""
    return count // 10, count - count // 10
