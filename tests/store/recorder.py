"""A process that records deliveries without end and prints the id of each that was acknowledged:
`python -m tests.store.recorder URL`. It is there to be killed."""

from __future__ import annotations

import asyncio
import itertools
import sys
from datetime import UTC, datetime

from daemon.store import Store
from tests.store.samples import delivered, dispatched


async def main(url: str) -> None:
    store = Store.open(url, owner="recorder", now=datetime.now(UTC))
    numbers = itertools.count()

    async def record_on() -> None:
        for number in numbers:
            event = delivered(number)
            await store.record(event, [dispatched(number, event)])
            print(event.id, flush=True)

    await asyncio.gather(*(record_on() for _ in range(8)))


asyncio.run(main(sys.argv[1]))
