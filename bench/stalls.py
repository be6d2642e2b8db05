"""How long a server leaves others waiting while it is busy with something else: it is asked for
``/ping`` at fixed times, whatever has become of the requests before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import steadily
from bench.request import Request
from bench.row import Goal, Row

PING = Request("/ping", method="GET")
PINGS_PER_SECOND = 200


@dataclass(slots=True)
class Stalls:
    """The waits of each round: the 99th percentile and the longest, in milliseconds."""

    p99: list[float] = field(default_factory=list)
    longest: list[float] = field(default_factory=list)

    @contextmanager
    def during(self, url: str, place: Path, seconds: float) -> Iterator[None]:
        """Pings while the context runs, for ``seconds`` from when somebody listens at ``url``."""
        with steadily(url, PING, place, PINGS_PER_SECOND, seconds) as answers:
            yield
        waits = sorted((answer.at - answer.due) * 1e3 for answer in answers)
        self.p99.append(waits[len(waits) * 99 // 100])
        self.longest.append(waits[-1])

    def row(self, name: str, goal: Goal | None = None) -> Row:
        what = "p99 wait for the answer to a ping meanwhile, one each 5 ms"
        beside = {"longest": f"{max(self.longest):,.0f} ms"}
        return Row.of(name, what, self.p99, unit="ms", goal=goal, beside=beside)
