"""Hears facts and writes them down, as far as their level and the pace of their kind allow."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

from daemon.facts import Fact, Stopping
from daemon.journal.opening import Log
from daemon.journal.pace import Pace
from daemon.journal.telling import lines_of
from daemon.log_line import Line, LogLevel

SUMMED_UP_EVERY = 60.0
"""Seconds after which it is told how many lines were kept back."""


class Journal:
    """Subscribes to the facts. Lines may come from any thread; ``elapsed`` gives seconds of a clock
    that nobody sets."""

    def __init__(
        self,
        log: Log,
        level: LogLevel = LogLevel.INFO,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._level = level
        self._elapsed = elapsed
        self._pace = Pace()
        self._sum_up_at: float | None = None
        self._lock = threading.RLock()

    def hear(self, fact: Fact) -> None:
        for line in lines_of(fact):
            self.tell(line)
        if isinstance(fact, Stopping):
            self.sum_up()

    def tell(self, line: Line) -> None:
        """Writes the line, unless it is below the level, or one too many of its kind."""
        if line.level < self._level:
            return
        with self._lock:
            if self._sum_up_at is not None and self._elapsed() >= self._sum_up_at:
                self.sum_up()
            if not line.kinds or self._pace.allows(line.event, line.kinds, self._elapsed()):
                self._put(line)
            elif self._sum_up_at is None:
                self._sum_up_at = self._elapsed() + SUMMED_UP_EVERY
                with contextlib.suppress(RuntimeError):  # no loop here: another line sums up
                    loop = asyncio.get_running_loop()
                    loop.call_later(SUMMED_UP_EVERY, self.sum_up)

    def sum_up(self) -> None:
        """Tells how many lines were kept back, where any were."""
        with self._lock:
            self._sum_up_at = None
            now = self._elapsed()
            for event, kept in self._pace.summaries().items():
                self._put(
                    Line(
                        "lines kept back",
                        LogLevel.WARNING,
                        {
                            "of": event,
                            "count": kept.count,
                            "seconds": round(now - kept.since),
                            "most": kept.most,
                        },
                    )
                )

    def _put(self, line: Line) -> None:
        """A log that cannot be written (a full disk, a closed pipe) must not stop the work: what
        the line tells is in the store."""
        with contextlib.suppress(OSError, ValueError):
            self._log.put(line)
