"""A closed loop: every connection sends its next request when it has its answer. It stands in for
wrk where there is none, and sends a given number, which wrk cannot.

    python -m bench.peers.loader PORT FILE PREFIX --connections 64 --status 202 --seconds 5
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path

from bench.peers.wire import Copies, Wire, connected


class Loop:
    """Sends ``copies`` until it is stopped or ``left`` have gone, and notes how long the answers
    took. One with another status than ``expected`` has failed. ``done`` is set when the last of
    them was answered."""

    def __init__(self, copies: Copies, left: float, expected: int) -> None:
        self._copies = copies
        self._left = left
        self._expected = expected
        self._under_way = 0
        self.failed = 0
        self.unsigned = 0
        self.waits: list[float] = []
        self.done = asyncio.Event()

    def stop(self) -> None:
        self._left = 0

    def begin(self, wire: Wire) -> None:
        if self._left > 0 and self._copies.used_up:
            self.unsigned += 1
            self.stop()
        if self._left > 0:
            self._left -= 1
            self._under_way += 1
            wire.ask(self._copies.next()[1], time.perf_counter())

    def answered(self, wire: Wire, status: int) -> None:
        self._under_way -= 1
        if status == self._expected:
            self.waits.append(time.perf_counter() - wire.asked_at)
        else:
            self.failed += 1
        if status:
            self.begin(wire)
        if not self._under_way:
            self.done.set()


async def load(port: int, loop: Loop, connections: int, seconds: float | None) -> float:
    """Loads the server for ``seconds``, or until all is sent; returns how long it took."""
    wires = [await connected(port, loop.answered) for _ in range(connections)]
    began = time.perf_counter()
    for wire in wires:
        loop.begin(wire)
    if seconds is None:
        await loop.done.wait()
    else:
        await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    loop.stop()
    for wire in wires:
        wire.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("prefix")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--status", type=int, required=True)
    limit = parser.add_mutually_exclusive_group(required=True)
    limit.add_argument("--seconds", type=float)
    limit.add_argument("--count", type=int, default=float("inf"))
    given = parser.parse_args()
    loop = Loop(Copies(given.file, given.prefix), given.count, given.status)
    seconds = asyncio.run(load(given.port, loop, given.connections, given.seconds))
    waits = sorted(loop.waits) or [0.0]
    result = {
        "answered": len(loop.waits),
        "seconds": seconds,
        "failed": loop.failed,
        "unsigned": loop.unsigned,
        "p50": waits[len(waits) // 2] * 1e3,
        "p99": waits[len(waits) * 99 // 100] * 1e3,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
