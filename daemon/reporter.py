"""Tells systemd that the daemon is ready, how it stands, and that it goes; and feeds the watchdog
for as long as each part gives its word that it works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from daemon.dispatch import State
from daemon.errors import DispatchdError, StoreError
from daemon.expressions import rfc3339
from daemon.facts import (
    AttemptMade,
    ConfigRefused,
    ConfigReloaded,
    ConfigReloading,
    Fact,
    Facts,
    Started,
    Stopping,
    Trouble,
)
from daemon.systemd import Notifier

PERIOD = 10.0
"""Seconds between two reports, where the watchdog does not want them sooner."""

SOON = 1.0
"""Seconds after which a dispatch is told of, with all that were made until then."""

Word = Callable[[], Awaitable[object]]
"""Returns once the part has done some work after the call. An error of ours counts as well: a part
that says what is wrong is not stuck, and another start would mend nothing."""


class Reporter:
    """Reports from the start to the end, where systemd listens.

    ``words`` are of the parts, by name; the event loop's is that it runs this. ``counts`` says how
    many dispatches are in each unfinished state. ``watchdog`` is how many seconds systemd waits.
    """

    def __init__(
        self,
        notifier: Notifier,
        words: Mapping[str, Word],
        counts: Callable[[], Awaitable[Mapping[State, int]]],
        *,
        watchdog: float | None,
        facts: Facts,
    ) -> None:
        self._notifier = notifier
        self._words = words
        self._counts = counts
        self._watchdog = watchdog
        # A round may take one period more, for the words: it has to end in time even so.
        self._period = PERIOD if watchdog is None else min(PERIOD, watchdog / 3)
        self._facts = facts
        self._asked: dict[str, asyncio.Task[object]] = {}
        self._silent: set[str] = set()
        self._ready = False
        self._told_ready = False
        self._serving = self._prefix = self._refused = ""
        self._last: AttemptMade | None = None
        self._standing = ""
        self._telling: asyncio.TimerHandle | None = None

    def hear(self, fact: Fact) -> None:
        """Of the facts, those that systemd is to know of."""
        if isinstance(fact, Started):
            self._ready = True
            self._prefix = "SIMULATION: " if fact.simulated else ""
            self._serve(fact.crons, fact.triggers)
        elif isinstance(fact, ConfigReloading):
            self._notifier.tell(
                RELOADING=1,
                MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000,
                STATUS="reading the config anew",
            )
            self._told_ready = False
        elif isinstance(fact, ConfigReloaded):
            self._refused = ""
            self._serve(fact.crons, fact.triggers)
        elif isinstance(fact, ConfigRefused):
            self._refused = "the config on disk was not taken over, see the log"
            self._tell()
        elif isinstance(fact, AttemptMade):
            self._last = fact
            if self._telling is None:
                self._telling = asyncio.get_running_loop().call_later(SOON, self._tell)
        elif isinstance(fact, Stopping):
            self._ready = False
            going = _of(fact.in_flight, "dispatch", "dispatches")
            self._notifier.tell(STOPPING=1, STATUS=f"stopping; {going} in flight")

    def _serve(self, crons: int, triggers: int) -> None:
        self._serving = f"{self._prefix}{_of(crons, 'cron')}, {_of(triggers, 'trigger')}"
        self._tell()

    async def run(self) -> None:
        """Until it is cancelled; at once where nobody listens."""
        if not self._notifier.heard:
            return
        try:
            while True:
                if await self._all_work() and self._watchdog is not None:
                    self._notifier.tell(WATCHDOG=1)
                self._tell()
                await asyncio.sleep(self._period)
        finally:
            for task in self._asked.values():
                task.cancel()

    async def _all_work(self) -> bool:
        """Whether every part gave its word in time. Who has not is not asked twice."""
        words = {**self._words, "reader of the store": self._count}
        for part, word in words.items():
            if part not in self._asked:
                self._asked[part] = asyncio.ensure_future(word())
        await asyncio.wait(self._asked.values(), timeout=self._period)
        for part, task in list(self._asked.items()):
            if not task.done():
                self._miss(part)
                continue
            del self._asked[part]
            if (error := task.exception()) and not isinstance(error, DispatchdError):
                raise error
            if isinstance(error, StoreError):
                self._standing = "the database does not take writes"
            if part in self._silent:
                self._silent.remove(part)
                self._facts.publish(Trouble("watchdog", f"the {part} works again"))
        return not self._asked

    def _miss(self, part: str) -> None:
        if part in self._silent:
            return
        self._silent.add(part)
        text = f"the {part} has not stirred for {self._period:g} s"
        if self._watchdog is not None:
            text += "; until it does the watchdog is not fed, and then systemd starts anew"
        self._facts.publish(Trouble("watchdog", text))

    async def _count(self) -> None:
        counts = await self._counts()
        held = counts.get(State.HELD, 0)
        pending = sum(counts.values()) - held
        self._standing = f"{pending} pending" + (f", {held} held" if held else "")

    def _tell(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if not self._ready:
            return
        stuck = [f"the {part} is stuck" for part in sorted(self._silent)]
        parts = [self._serving, self._refused, *stuck, self._standing, _of_last(self._last)]
        fields = {} if self._told_ready else {"READY": 1}
        told = self._notifier.tell(**fields, STATUS="; ".join(filter(None, parts)))
        self._told_ready = self._told_ready or told


def _of(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _of_last(made: AttemptMade | None) -> str:
    if made is None:
        return "nothing dispatched since the start"
    dispatch, ended = made.dispatch, made.attempt.started_at + made.attempt.duration
    return f"last dispatch of {dispatch.entry} {dispatch.state} at {rfc3339(ended)}"
