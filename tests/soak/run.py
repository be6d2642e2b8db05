"""One run: the daemon under load on a disk of its own, reloaded every few seconds, killed every
minute and started again at once; and once, amid that, the disk is full."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGHUP, SIGKILL

import aiohttp

from tests.harness import Daemon, reserved_port, wall_clock
from tests.harness.reckoning import Finding, Reckoning, Wrong
from tests.harness.records import Records
from tests.soak.configs import Configs
from tests.soak.disk import Disk, disk_in
from tests.soak.gauge import EDGE, Life, sampled
from tests.soak.outcome import Outcome
from tests.torture.books import POLL, Books, Stuck
from tests.torture.github import token_of
from tests.torture.load import Load
from tests.torture.witness import Witness

PATIENCE = 120.0
"""Seconds that the daemon may take to work off what it owes, where the run waits for that."""

BACKLOG_MAX = 5000
"""Deliveries that may wait to be sent. Where the machine is too slow for the load, the sender is
held back until they are sent, and the rate that was achieved is told."""

SAMPLE = 1.0
"""Seconds between two looks at what the daemon holds, and whether the sender is to be held back."""

RELOADED_WITHIN = 10.0
"""Seconds in which a config is in force, or was refused."""

BROKEN = 1.0
"""Seconds after which a broken config has done what harm it does."""

RECOVERED_WITHIN = 30.0
"""Seconds in which deliveries are taken again once the disk has room."""

REFUSED = ("config fault", "config refused")
"""What the log says of a broken config."""

LAST = 30.0
"""Seconds under load of the last life, at most."""

FILES_MAX = 2
SOCKETS_MAX = 24
"""Descriptors that may be more at the end of a life: SQLite keeps some files open as it likes, and
connections to GitHub stay open for a while."""

LONG = 60.0
SEVERAL = 4
"""Lives of so many seconds, and so many of them: of fewer, or shorter ones, memory says little."""

GROWTH_MAX = 1.0
SLOPE_MAX = 5.0
"""Megabytes a minute: from life to life, and within them once their caches are full."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``rate`` is of deliveries a second; the others are in seconds. The disk is full for ``full``
    seconds in the middle of the run, and has ``megabytes``."""

    seconds: float
    rate: float = 500.0
    crons: int = 5
    reload_every: float = 5.0
    kill_every: float = 60.0
    full: float = 10.0
    megabytes: int = 4096
    seed: int = 0


class Soak:
    """A run in the empty directory ``home``. ``progress`` is called every second or so."""

    def __init__(self, plan: Plan, home: Path, progress: Callable[[Outcome], None]) -> None:
        self._plan = plan
        self._home = home
        self._progress = progress
        self._crons = [f"tick-{number:02}" for number in range(plan.crons)]
        self._reckoning = Reckoning(self._crons)
        self._events: set[str] = set()
        self._marker = ""
        """Of the config that should be in force."""
        self._full = False
        """The disk is full just now."""
        self._filled = False
        """The disk was full in this life: it has reason to complain."""
        self._told = Counter[str]()
        self._reloads = Counter[str]()
        self._lives: list[Life] = []
        self._recovered: float | None = None
        self._held = 0.0
        self._loaded = 0.0
        self._load_began: float | None = None
        self._at_rest: Life | None = None

    async def run(self) -> Outcome:
        """Does as planned, and says what came of it."""
        async with AsyncExitStack() as stack:
            self._began = time.monotonic()
            disk: Disk = stack.enter_context(disk_in(self._home, self._plan.megabytes))
            port = stack.enter_context(reserved_port())
            self._disk = disk
            self._witness = await stack.enter_async_context(
                Witness(self._reckoning.received, lambda why: self._find("GitHub refused", why))
            )
            self._daemon = await stack.enter_async_context(self._prepared(disk, port))
            self._records = Records(self._daemon.database)
            self._session = await stack.enter_async_context(aiohttp.ClientSession())
            self._senders = await stack.enter_async_context(AsyncExitStack())
            self._load = await self._senders.enter_async_context(
                Load(
                    f"http://127.0.0.1:{port}",
                    self._plan.rate,
                    random.Random(self._plan.seed),  # noqa: S311 - it guards nothing
                    sent=self._reckoning.sent,
                    acknowledged=self._acknowledged,
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
                await self._live_and_die_on()
                await self._live_and_stop()
            except Stuck:
                pass
            return self.outcome

    @property
    def outcome(self) -> Outcome:
        """As far as it has come."""
        loaded = self._loaded
        if self._load_began is not None:
            loaded += time.monotonic() - self._load_began
        return Outcome(
            seconds=time.monotonic() - self._began,
            loaded=loaded,
            held=self._held,
            disk=type(self._disk).__name__,
            deliveries=self._load.deliveries,
            answers=dict(self._load.answers),
            answer_seconds=self._load.seconds,
            backlog=self._reckoning.backlog,
            reloads=dict(self._reloads),
            recovered=self._recovered,
            told=dict(self._told),
            lives=tuple(self._lives),
            at_rest=self._at_rest,
            tally=replace(self._reckoning.tally),
            findings=tuple(self._reckoning.findings),
        )

    def _prepared(self, disk: Disk, port: int) -> Daemon:
        config = self._home / "config"
        config.mkdir()
        self._configs = Configs(config, self._crons)
        daemon = Daemon(
            disk.home,
            self._witness.url,
            environ={
                "DISPATCHD_LISTEN": f"127.0.0.1:{port}",
                "DISPATCHD_CONFIG_DIR": str(config),
                **disk.environ,
            },
            # All else it says of each delivery, three times.
            keeps=lambda line: '"level":"info"' not in line or '"serving"' in line,
        )
        for name in [name for name in daemon.environ if name.startswith("COVERAGE_")]:
            del daemon.environ[name]  # who is killed reports nothing, and would only be slow
        return daemon

    def _acknowledged(self, name: str, told: bytes) -> None:
        self._reckoning.acknowledged(name)
        self._events.add(json.loads(told)["event_id"])

    # Lives

    async def _live_and_die_on(self) -> None:
        """Until the time is over. The disk is filled in the life that the middle falls into."""
        plan = self._plan
        lives = max(1, round(plan.seconds / plan.kill_every))
        for number in range(lives):
            await self._serves()
            if number == 0:
                self._start_load()
            self._load.redeliver()
            await self._live(time.monotonic() + plan.kill_every, fills=number == lives // 2)
            await self._kill()

    async def _live(self, end: float, *, fills: bool) -> None:
        """Under load until ``end`` by the monotonic clock, and until all that was begun is done."""
        half = (end - time.monotonic()) / 2
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            begun = [tasks.create_task(self._reload_until(end))]
            begun.append(tasks.create_task(self._fill_after(half) if fills else self._settle(half)))
            await asyncio.wait(begun)
            await asyncio.sleep(max(0.0, end - time.monotonic()))
            watching.cancel()

    async def _live_and_stop(self) -> None:
        """The last life is not killed: its load ends, it works off what is owed, and is held
        against what it was at first."""
        await self._serves()
        self._load.redeliver()
        await self._live(time.monotonic() + min(self._plan.kill_every / 2, LAST), fills=False)
        await self._stop_load()
        await self._settle(0)
        await self._senders.aclose()
        await self._session.close()
        await self._rest()
        if status := await self._daemon.terminate():
            self._find("the last life", f"ended with the exit status {status} after SIGTERM")
        self._read_log()
        stored = await asyncio.to_thread(self._records.events)
        for event_id in sorted(self._events - stored):
            self._find(event_id, "acknowledged, and not in the database", Wrong.LOST)
        if (said := await asyncio.to_thread(self._records.integrity)) != "ok":
            self._find("the database", f"is damaged: {said}")
        self._compare_lives()

    async def _rest(self) -> None:
        """Without load."""
        last = self._lives.pop()  # it is not one like the others, from here on
        self._at_rest = Life(last.number, last.began, last.samples[:EDGE])
        for _ in range(EDGE):
            await asyncio.sleep(SAMPLE)
            if (sample := sampled(self._daemon.pid, self._age(last))) is not None:
                self._at_rest.samples.append(sample)

    async def _serves(self) -> None:
        """Launches the next life."""
        number = len(self._lives) + 1
        self._daemon.environ["GH_TOKEN"] = token_of(number)
        self._configs.write()  # a broken one would keep it from starting, as it should
        self._marker = self._configs.marker
        await self._daemon.launch()
        try:
            await self._daemon.served()
        except (AssertionError, TimeoutError) as error:
            self._find("a life", str(error) or "did not serve in time")
            raise Stuck from None
        self._lives.append(Life(number, time.monotonic() - self._began))
        self._reckoning.serves(wall_clock())
        self._sample()

    async def _kill(self) -> None:
        at = wall_clock()
        status = await self._daemon.terminate(SIGKILL)
        sending = await asyncio.to_thread(self._records.sending)
        if status != -SIGKILL:
            self._find("a life", f"ended by itself with the exit status {status}")
            raise Stuck
        self._reckoning.ended(at, len(self._lives), sending)
        self._read_log()

    # What is done to it

    async def _reload_until(self, end: float) -> None:
        """The last one early enough to be looked at before the kill."""
        while True:
            due = time.monotonic() + self._plan.reload_every
            if due + RELOADED_WITHIN / 2 > end:
                return
            await asyncio.sleep(self._plan.reload_every)
            before, full = self._marker, self._full
            good = self._configs.change()
            if good:
                self._marker = self._configs.marker
            self._daemon.signal(SIGHUP)
            if not good:
                await asyncio.sleep(BROKEN)
            if await self._in_force():
                self._reloads["good" if good else "broken"] += 1
            elif good and (full or self._full):
                # What a config changes is recorded: one that cannot be is refused.
                self._marker = before
                self._reloads["refused by the full disk"] += 1
            else:
                what = self._configs.kind if good else "the one before a broken one"
                self._find(f"config {self._configs.serial} ({what})", "is not in force in time")

    async def _in_force(self) -> bool:
        """Whether the config is that should be, or is soon: its marker takes POST alone."""
        end = time.monotonic() + RELOADED_WITHIN
        while time.monotonic() < end:
            async with self._session.get(self._daemon.url + self._marker) as answer:
                if answer.status == 405:
                    return True
            await asyncio.sleep(POLL)
        return False

    async def _fill_after(self, seconds: float) -> None:
        """The disk is full for a while: what comes in then is refused, and taken again by itself
        when it has room."""
        await asyncio.sleep(seconds)
        refused = self._load.answers["503"]
        self._filled = True
        end = time.monotonic() + self._plan.full
        with self._disk.full(), self._fullness():
            # What it had written ahead it can still use, for a while.
            while time.monotonic() < end or self._load.answers["503"] == refused:
                await asyncio.sleep(POLL)
                if time.monotonic() > end + PATIENCE:
                    self._find("the full disk", "nothing was refused")
                    break
        freed = time.monotonic()
        taken = self._load.answers["202"]
        while self._load.answers["202"] <= taken:
            if time.monotonic() > freed + RECOVERED_WITHIN:
                self._find("the disk", f"had room for {RECOVERED_WITHIN:.0f} s and took nothing")
                raise Stuck
            await asyncio.sleep(POLL)
        self._recovered = time.monotonic() - freed

    @contextmanager
    def _fullness(self) -> Iterator[None]:
        self._full = True
        yield
        self._full = False

    async def _watch(self) -> None:
        """Samples what the daemon holds, and keeps the backlog within bounds."""
        while True:
            await asyncio.sleep(SAMPLE)
            self._sample()
            self._progress(self.outcome)
            if self._reckoning.backlog > BACKLOG_MAX:
                await self._hold_back()

    async def _hold_back(self) -> None:
        began = time.monotonic()
        await self._stop_load()
        try:
            await self._books.until(lambda: not self._reckoning.backlog, "deliveries wait in it")
        finally:  # where this life ends before that, the next one has load again
            self._start_load()
            self._held += time.monotonic() - began

    def _sample(self) -> None:
        life = self._lives[-1]
        if (sample := sampled(self._daemon.pid, self._age(life))) is not None:
            life.samples.append(sample)

    def _age(self, life: Life) -> float:
        return time.monotonic() - self._began - life.began

    def _start_load(self) -> None:
        self._load_began = time.monotonic()
        self._load.start()

    async def _stop_load(self) -> None:
        await self._load.stop()
        if self._load_began is not None:
            self._loaded += time.monotonic() - self._load_began
        self._load_began = None

    # The books

    async def _settle(self, seconds: float) -> None:
        """After so long, settles all that is over by then."""
        await asyncio.sleep(seconds)
        await self._books.settle()

    def _read_log(self) -> None:
        """What a life said: complaints are findings, but for those that it was given reason for."""
        log = self._daemon.log
        for number, line in enumerate(log):
            if line.startswith("Traceback"):
                self._find("a life", "\n".join(log[number : number + 30]))
            elif '"level":"error"' in line or '"trouble"' in line:
                self._hear_complaint(line)
        log.clear()
        self._filled = False

    def _hear_complaint(self, line: str) -> None:
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") in REFUSED:
            self._told["the config"] += 1
        elif self._filled:
            self._told["the full disk"] += 1
        else:
            self._find(f"life {len(self._lives)}", line)

    def _compare_lives(self) -> None:
        for life in (*self._lives, *([self._at_rest] if self._at_rest else ())):
            if life.files_at_last > life.files_at_first + FILES_MAX:
                more = f"{life.files_at_first} files at first, {life.files_at_last} at last"
                self._find(f"descriptors of life {life.number}", more)
        if rest := self._at_rest:
            before, after = self._lives[0].samples[0].sockets, rest.samples[-1].sockets
            if after > before + SOCKETS_MAX:
                self._find("descriptors", f"{before} sockets before the load, {after} after it")
        if self._plan.kill_every < LONG or len(self._lives) < SEVERAL:
            return
        outcome = self.outcome
        if outcome.growth > GROWTH_MAX:
            self._find("memory", f"grows by {outcome.growth:.2f} MB a minute from life to life")
        if outcome.slope > SLOPE_MAX:
            self._find("memory", f"grows by {outcome.slope:.2f} MB a minute within a life")

    def _find(self, subject: str, why: str, wrong: Wrong = Wrong.TROUBLE) -> None:
        self._reckoning.findings.append(Finding(wrong, subject, why))
