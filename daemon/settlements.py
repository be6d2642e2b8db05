"""Lets a caller wait until a dispatch has reached a final state."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.dispatch import Dispatch
from daemon.facts import DispatchSettled, Facts


class Settlements:
    """Listens to the facts; begin to ``expect`` before the dispatch is recorded, and none is
    missed."""

    def __init__(self, facts: Facts) -> None:
        self._waiting: dict[str, set[asyncio.Future[Dispatch]]] = defaultdict(set)
        facts.subscribe(self._hear, DispatchSettled)

    @contextmanager
    def expect(self, dispatch_id: str) -> Iterator[asyncio.Future[Dispatch]]:
        """A future of the dispatch as it is when it settles; cancelled when nobody can tell any
        more (``release``)."""
        future: asyncio.Future[Dispatch] = asyncio.get_running_loop().create_future()
        self._waiting[dispatch_id].add(future)
        try:
            yield future
        finally:
            future.cancel()
            self._waiting[dispatch_id].discard(future)
            if not self._waiting[dispatch_id]:
                del self._waiting[dispatch_id]

    def release(self) -> None:
        """The daemon stops: whoever waits is to answer with what is known."""
        for futures in self._waiting.values():
            for future in futures:
                future.cancel()

    def _hear(self, fact: DispatchSettled) -> None:
        for future in self._waiting.get(fact.dispatch.id, ()):
            if not future.done():
                future.set_result(fact.dispatch)
