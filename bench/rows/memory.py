"""Memory: what the daemon has resident after a hundred thousand deliveries, all of them dispatched,
and whether it still grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import linear_regression

from bench.github import github
from bench.home import UNPACED, Home
from bench.load import send_all
from bench.plan import Plan, say
from bench.row import Row, at_most
from bench.rows.end_to_end import DRAIN_DEADLINE, NAMED
from bench.rows.intake import push_request

MB = 1_000_000

FLAT = 2.0
"""MB by which the second half may grow: what an allocator's mood makes of a run."""


def memory(plan: Plan) -> Iterator[Row]:
    """One run, however many rounds: it takes minutes, and its samples are rounds enough."""
    count, each = plan.count(20, 4), plan.count(5000, 20)
    place = plan.directory("memory")
    home = Home(place, triggers=(NAMED,))
    request = push_request()
    samples: list[float] = []
    with github(place) as stand_in, home.daemon(stand_in.url, UNPACED) as daemon:
        fresh = daemon.resident() / MB
        for number in range(1, count + 1):
            send_all(daemon.url, request, place, each)
            stand_in.until(number * each, DRAIN_DEADLINE)
            samples.append(daemon.resident() / MB)
            say(f"memory: {number * each:,} of {count * each:,} deliveries: {samples[-1]:.1f} MB")
    what = f"resident after {count * each:,} deliveries, all dispatched"
    beside = {"at the start": f"{fresh:.1f} MB", "at half": f"{samples[count // 2 - 1]:.1f} MB"}
    last = samples[-1:]
    yield Row.of("memory", what, last, unit="MB", goal=at_most(110), beside=beside)
    second_half = samples[count // 2 :]
    what = "growth over the second half, by a line through the samples"
    yield Row.of("memory-growth", what, [growth(second_half)], unit="MB", goal=at_most(FLAT))


def growth(samples: Sequence[float]) -> float:
    """How much higher the line through the samples is at the last than at the first."""
    slope, _ = linear_regression(range(len(samples)), samples)
    return slope * (len(samples) - 1)
