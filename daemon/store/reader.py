"""Look-ups on a thread and a connection of their own: they hold up neither the event loop nor the
writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from daemon.errors import StoreUnavailable
from daemon.store.engine import Patience, explained

R = TypeVar("R")
P = ParamSpec("P")


class Reader:
    """Runs look-ups one after the other, each in a transaction that sees one state throughout."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._place = place
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dispatchd-reader")
        self._patience = Patience()
        self._closed = False

    async def alone(
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Runs ``work``. Raises StoreUnavailable when the database cannot be read."""
        if self._closed:
            raise StoreUnavailable(f"the store {self._place} is closed")
        call = partial(self._run, lambda connection: work(connection, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def close(self) -> None:
        """Lets the look-ups that were asked for finish, and ends the thread."""
        self._closed = True
        self._patience.end()
        await asyncio.to_thread(self._thread.shutdown)

    def _run(self, work: Callable[[Connection], R]) -> R:
        def attempt() -> R:
            with self._engine.connect() as connection:
                return work(connection)

        try:
            return self._patience.while_locked(attempt)
        except Exception as error:
            raise explained(error, self._place) from error
