"""The daemon's GitHub while it is measured: the stand-in, in a process of its own, by what it says
of the dispatches that it received."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.plan import say
from bench.process import BenchError, Server, module, served

SAYS_EVERY = 10.0
"""Seconds between two words of progress."""

TAIL = 500
"""Bytes of its log in which its last line stands."""

COUNT = b'"count": '


@dataclass(frozen=True, slots=True)
class GitHub:
    """A stand-in at work. ``arrivals`` is where it notes in the end when it received what."""

    server: Server
    arrivals: Path

    @property
    def url(self) -> str:
        return self.server.url

    def counts(self) -> list[tuple[float, int]]:
        """How many dispatches had been received at which time, in seconds since 1970."""
        lines = self.server.log.read_bytes().splitlines(keepends=True)
        told = (json.loads(line) for line in lines if COUNT in line and line.endswith(b"\n"))
        return [(line["at"], line["count"]) for line in told]

    def received(self) -> int:
        with self.server.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL))
            *_, last, _ = [b"", *log.read().split(b"\n")]
        told = json.loads(last) if COUNT in last else {"count": 0}
        return int(told["count"])

    def until(self, count: int, deadline: float) -> None:
        """Waits until it has received ``count`` in all. Raises BenchError after ``deadline``
        seconds without it."""
        until = time.monotonic() + deadline
        says = time.monotonic() + SAYS_EVERY
        while (received := self.received()) < count:
            if time.monotonic() > until:
                raise BenchError(f"of {count} dispatches {received} came in {deadline:.0f} s")
            if time.monotonic() > says:
                say(f"  {received:,} of {count:,} dispatches received")
                says += SAYS_EVERY
            time.sleep(0.05)

    def rate(self, first: int, last: int) -> float:
        """Dispatches a second between the ``first`` and the ``last`` that it received."""
        counts = self.counts()
        *_, (began, start) = [told for told in counts if told[1] <= first]
        ended, end = next(told for told in counts if told[1] >= last)
        return (end - start) / (ended - began)


@contextmanager
def github(place: Path) -> Iterator[GitHub]:
    """A GitHub that takes any token and knows no limit. Its arrivals are written when the context
    ends."""
    arrivals = place / "arrivals"
    with served(module("peers.github", str(arrivals)), place / "github.log") as server:
        yield GitHub(server, arrivals)


def arrived(arrivals: Path) -> dict[str, float]:
    """When each delivery's dispatch was received, by the payload's ``delivery``."""
    return dict(json.loads(arrivals.read_text()))
