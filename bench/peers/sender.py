"""An open loop: requests leave at their time, whatever has become of those before, as events do.

python -m bench.peers.sender PORT FILE PREFIX OUTPUT --rate 200 --count 2000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import deque
from pathlib import Path

from bench.peers.wire import Copies, Wire, connected

CONNECTIONS = 64
LAST_ANSWERS = 30.0
"""Seconds that the answers may take once all is sent."""


class Sender:
    """Hands each request to a connection that is free; while none is, it waits for one, and its
    answer is late by as much. All times are the wall clock's, which the processes share."""

    def __init__(self, copies: Copies, count: int) -> None:
        self._copies = copies
        self._count = count
        self._free: list[Wire] = []
        self._waiting: deque[float] = deque()
        self._sent: dict[Wire, tuple[str, float]] = {}
        self.answers: list[tuple[str, float, float, int]] = []
        """Id, when it was due, when it was answered, status."""
        self.done = asyncio.Event()

    def send(self, due: float) -> None:
        self._waiting.append(due)
        self._hand_out()

    def answered(self, wire: Wire, status: int) -> None:
        if wire in self._sent:  # else it was closed while it had nothing to do
            id_, due = self._sent.pop(wire)
            self.answers.append((id_, due, time.time(), status))
            if len(self.answers) == self._count:
                self.done.set()
        if status:
            self.take(wire)

    def take(self, wire: Wire) -> None:
        self._free.append(wire)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and self._waiting:
            wire, due = self._free.pop(), self._waiting.popleft()
            id_, raw = self._copies.next()
            self._sent[wire] = (id_, due)
            wire.ask(raw, due)


async def send(port: int, sender: Sender, rate: float, count: int) -> None:
    """Sends ``count`` requests, ``rate`` a second, and waits for their answers. Raises TimeoutError
    where some do not come."""
    wires = [await connected(port, sender.answered) for _ in range(CONNECTIONS)]
    for wire in wires:
        sender.take(wire)
    began = time.time()
    for number in range(count):
        due = began + number / rate
        if (wait := due - time.time()) > 0:
            await asyncio.sleep(wait)
        sender.send(due)
    async with asyncio.timeout(LAST_ANSWERS):
        await sender.done.wait()
    for wire in wires:
        wire.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("prefix")
    parser.add_argument("output", type=Path)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--count", type=int, required=True)
    given = parser.parse_args()
    sender = Sender(Copies(given.file, given.prefix), given.count)
    asyncio.run(send(given.port, sender, given.rate, given.count))
    given.output.write_text(json.dumps(sender.answers))


if __name__ == "__main__":
    main()
