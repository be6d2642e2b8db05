"""An event loop on which a day passes in minutes: when everybody waits for the time alone, it is
put forward to the next thing that is due. Sockets, threads and disks are the real ones."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar
from unittest.mock import patch

R = TypeVar("R")

START = datetime(2026, 11, 23, tzinfo=UTC)

STUCK = 30.0
"""Seconds of real time for which a thread may work while nothing else happens."""


class _Selector(selectors.DefaultSelector):
    """Waits for real while a thread is at work, and else not at all: what is sent on a loopback
    socket is there at once, so there is nothing to come when there is nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0
        self.at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        if self.at_work or timeout is None:
            found = super().select(STUCK)
            if not found:
                raise RuntimeError("nothing happens any more, and no time is waited for")
            return found
        self.passed += timeout
        return found


class SimulatedTime(asyncio.SelectorEventLoop):
    """Begins at ``START``; `now` and `time` go together, and nobody sets either."""

    def __init__(self) -> None:
        self._selecting = _Selector()
        super().__init__(self._selecting)

    def time(self) -> float:
        return self._selecting.passed

    def now(self) -> datetime:
        return START + timedelta(seconds=self.time())

    def run_in_executor(  # type: ignore[override]  # the result is the same
        self, executor: Any, func: Callable[..., R], *args: Any
    ) -> asyncio.Future[R]:
        self._selecting.at_work += 1
        future: asyncio.Future[R] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object) -> None:
        self._selecting.at_work -= 1


def in_simulated_time(story: Callable[[SimulatedTime], Coroutine[Any, Any, R]]) -> R:
    """Runs it to its end."""
    loop = SimulatedTime()

    class Clock(datetime):
        """What APScheduler takes the time from, beside the loop."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return loop.now().astimezone(tz)

    with (
        patch("apscheduler.schedulers.base.datetime", Clock),
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        return runner.run(story(loop))
