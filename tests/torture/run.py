"""One run: the daemon is killed and started again on the same database, under load all the while,
and its books are settled now and then."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from signal import SIGKILL, SIGTERM

from tests.harness import PUSH, Daemon, Entry, reserved_port, wall_clock
from tests.harness.reckoning import Finding, Reckoning, Wrong
from tests.harness.records import Records
from tests.torture.books import Books, Stuck
from tests.torture.github import token_of
from tests.torture.load import Load
from tests.torture.outcome import Outcome
from tests.torture.witness import Witness

PATIENCE = 60.0
"""Seconds that the daemon may take to work off what it owes, where the run waits for that."""

BACKLOG_MAX = 500
"""Deliveries that may wait to be sent at the end of a life. Where the machine is too slow for the
load, the sender is held back until they are sent: an ever longer queue would be no other test."""

YOUNG = 0.25
"""Seconds for which a life that serves counts as young."""

STOPPING = 0.1
"""Seconds after SIGTERM within which SIGKILL follows. Some lives are over by then."""


class Phase(StrEnum):
    """What the daemon was doing when it was killed."""

    STARTING = "starting"  # it had not said yet that it serves
    YOUNG = "just started"
    WORKING = "at work"
    STOPPING = "stopping"  # it had been asked to, by SIGTERM


PHASES = {Phase.STARTING: 0.15, Phase.YOUNG: 0.2, Phase.WORKING: 0.6, Phase.STOPPING: 0.05}


@dataclass(frozen=True, slots=True)
class Plan:
    """How often to kill, under how many deliveries a second and entries that fire every second;
    after how many lives to settle the books; and how many seconds a life serves at most."""

    kills: int
    seed: int
    rate: float = 200.0
    crons: int = 50
    settle_every: int = 20
    oldest: float = 2.0


TRIGGER: Entry = {
    **PUSH,
    "dispatch": {
        "event_type": "push",
        "client_payload": {"subject": "{{ headers['x-github-delivery'] }}"},
        # A thousand runs begin in a few seconds: no look would reach back to those of a kill.
        "expect_run": False,
        "on_ambiguous": "resend",
    },
}


def every_second(name: str) -> Entry:
    subject = "{{ firing.cron }} {{ firing.scheduled_at }}"
    dispatch = {
        "event_type": "tick",
        "client_payload": {"subject": subject},
        "expect_run": False,
        "on_ambiguous": "resend",
    }
    return {"name": name, "schedule": "* * * * * *", "dispatch": dispatch}


class Torture:
    """A run in the empty directory ``home``. ``progress`` is called after each kill."""

    def __init__(self, plan: Plan, home: Path, progress: Callable[[Outcome], None]) -> None:
        self._plan = plan
        self._home = home
        self._progress = progress
        self._chance = random.Random(plan.seed)  # noqa: S311 - it guards nothing
        self._crons = [f"tick-{number:02}" for number in range(plan.crons)]
        self._reckoning = Reckoning(self._crons)
        self._stack = AsyncExitStack()
        self._began = time.monotonic()
        self._kills = Counter[Phase]()
        self._restarts: list[float] = []
        self._held = 0.0
        self._life = 0

    async def run(self) -> Outcome:
        """Does as planned, and says what came of it."""
        async with self._stack as stack:
            self._began = time.monotonic()
            port = stack.enter_context(reserved_port())
            self._witness = await stack.enter_async_context(
                Witness(self._reckoning.received, lambda why: self._find("GitHub refused", why))
            )
            self._daemon = await stack.enter_async_context(self._prepared(port))
            self._records = Records(self._daemon.database)
            self._load = await stack.enter_async_context(
                Load(
                    f"http://127.0.0.1:{port}",
                    self._plan.rate,
                    random.Random(self._plan.seed),  # noqa: S311
                    sent=self._reckoning.sent,
                    acknowledged=lambda name, _: self._reckoning.acknowledged(name),
                )
            )
            self._books = Books(
                self._reckoning,
                self._records,
                self._witness,
                self._load,
                self._crons,
                PATIENCE,
                self._find,
            )
            try:
                while self._kills.total() < self._plan.kills:
                    await self._live_and_die()
                    self._progress(self.outcome)
                await self._live_and_stop()
            except Stuck:
                pass
        return self.outcome

    @property
    def outcome(self) -> Outcome:
        """As far as it has come."""
        return Outcome(
            seconds=time.monotonic() - self._began,
            kills={str(phase): self._kills[phase] for phase in Phase},
            restarts=tuple(self._restarts),
            held=self._held,
            deliveries=self._load.deliveries,
            answers=dict(self._load.answers),
            database=self._daemon.database.stat().st_size,
            tally=replace(self._reckoning.tally),
            findings=tuple(self._reckoning.findings),
        )

    def _prepared(self, port: int) -> Daemon:
        daemon = Daemon(
            self._home,
            self._witness.url,
            triggers=[TRIGGER],
            crons=[every_second(name) for name in self._crons],
            environ={"DISPATCHD_LISTEN": f"127.0.0.1:{port}"},
        )
        for name in [name for name in daemon.environ if name.startswith("COVERAGE_")]:
            del daemon.environ[name]  # who is killed reports nothing, and would only be slow
        return daemon

    # One life

    async def _live_and_die(self) -> None:
        settles = (self._life + 1) % self._plan.settle_every == 0
        phase = self._some_phase() if self._life and not settles else Phase.WORKING
        limit = self._chance.uniform(0, self._usual_start) if phase is Phase.STARTING else None
        if not await self._serves_within(limit):
            await self._kill(Phase.STARTING)
            return
        if self._life == 1:
            self._load.start()
        self._load.redeliver()
        if phase is Phase.YOUNG:
            await asyncio.sleep(self._chance.uniform(0, YOUNG))
        elif phase is not Phase.STARTING:
            await asyncio.sleep(self._chance.uniform(YOUNG, self._plan.oldest))
        if settles:
            await self._books.settle()
        if self._reckoning.backlog > BACKLOG_MAX:
            await self._hold_back()
        if phase is Phase.STOPPING:
            self._daemon.signal(SIGTERM)
            await asyncio.sleep(self._chance.uniform(0, STOPPING))
        await self._kill(Phase.YOUNG if phase is Phase.STARTING else phase)

    async def _hold_back(self) -> None:
        began = time.monotonic()
        await self._load.stop()
        await self._books.until(lambda: not self._reckoning.backlog, "deliveries wait in it")
        self._load.start()
        self._held += time.monotonic() - began

    async def _live_and_stop(self) -> None:
        await self._serves_within(None)
        self._load.redeliver()
        await self._load.stop()
        await self._books.settle()
        if status := await self._daemon.terminate():
            self._find("the last life", f"ended with the exit status {status} after SIGTERM")
        self._read_log()
        if (said := await asyncio.to_thread(self._records.integrity)) != "ok":
            self._find("the database", f"is damaged: {said}")

    async def _serves_within(self, seconds: float | None) -> bool:
        """Launches the next life; whether it serves before ``seconds`` are over."""
        self._life += 1
        self._daemon.environ["GH_TOKEN"] = token_of(self._life)
        began = time.monotonic()
        await self._daemon.launch()
        try:
            async with asyncio.timeout(seconds):
                await self._daemon.served()
        except TimeoutError:
            if seconds is None:
                self._find("a life", "did not serve in time")
                raise Stuck from None
            return False
        except AssertionError as error:
            self._find("a life", str(error))
            raise Stuck from None
        self._restarts.append(time.monotonic() - began)
        self._reckoning.serves(wall_clock())
        return True

    async def _kill(self, phase: Phase) -> None:
        at = wall_clock()
        status = await self._daemon.terminate(SIGKILL)
        sending = await asyncio.to_thread(self._records.sending)
        if status == 0 and phase is Phase.STOPPING:
            sending = []  # it ended in order, before the kill: that explains nothing
        elif status == -SIGKILL:
            self._kills[phase] += 1
        else:
            self._find("a life", f"ended by itself with the exit status {status}")
            raise Stuck
        self._reckoning.ended(at, self._life, sending)
        self._read_log()

    def _some_phase(self) -> Phase:
        (phase,) = self._chance.choices(list(PHASES), list(PHASES.values()))
        return phase

    @property
    def _usual_start(self) -> float:
        return sorted(self._restarts)[len(self._restarts) // 2]

    # The books

    def _read_log(self) -> None:
        """What a life said, which is then forgotten: complaints are findings."""
        log = self._daemon.log
        for number, line in enumerate(log):
            if '"trouble"' in line:
                self._find(f"life {self._life}", line)
            elif line.startswith("Traceback"):
                self._find(f"life {self._life}", "\n".join(log[number : number + 30]))
        log.clear()

    def _find(self, subject: str, why: str) -> None:
        self._reckoning.findings.append(Finding(Wrong.TROUBLE, subject, why))
