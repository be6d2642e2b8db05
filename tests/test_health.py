"""`/readyz` while the database is in trouble: it says so for as long as deliveries are refused. And
what else is not well; whether the heartbeat is called."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon import health as limits
from daemon import heartbeat
from daemon.errors import StoreUnavailable
from daemon.facts import AttemptMade, Fact, Facts, Trouble
from daemon.health import Health
from daemon.heartbeat import Heartbeat
from daemon.in_force import InForce
from daemon.lane import Lane
from daemon.notice import NotTold
from daemon.pacing import Budget
from daemon.ports import Condition, Loaded
from daemon.secret import Secret
from daemon.space import Space
from tests.follow_ups import receiving
from tests.harness import Daemon, Sender, reserved_port, stand_in
from tests.harness.raw_http import ask, request
from tests.inprocess import serving
from tests.specs import config, trigger_entry

DEADLINE = 30.0

NOT_READY = {
    "status": "not ready",
    "reasons": ["the database does not take writes; the daemon's log says why"],
}


async def test_without_its_database_file_the_daemon_is_not_ready_and_takes_nothing(
    tmp_path: Path,
) -> None:
    """SQLite would write on into the removed file, and the next start would find nothing of it."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        assert await sender.push(daemon.url, "before") == 202
        daemon.database.unlink()
        assert await sender.push(daemon.url, "after") == 503
        assert await readiness(daemon) == (503, NOT_READY)
        told = "\n".join(daemon.log)
        assert f"{daemon.database} was removed or replaced; restart dispatchd" in told
        assert await daemon.terminate() == 0


async def test_a_daemon_whose_disk_is_full_is_not_ready(tmp_path: Path) -> None:
    """Though there is room left for a page, which a recording does not fit into."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        assert await sender.push(daemon.url, "before") == 202
        await daemon.until(lambda: bool(daemon.said("dispatch accepted")))
        written = daemon.database.with_name("state.sqlite-wal").stat().st_size
        limits = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (written + 8192, limits[1]))
        assert await sender.push(daemon.url, "while full") == 503
        assert await readiness(daemon) == (503, NOT_READY)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, limits)
        assert await sender.push(daemon.url, "after") == 202
        assert await daemon.terminate() == 0


async def readiness(daemon: Daemon) -> tuple[int, object]:
    answer = await ask(daemon.url, request("GET", "/readyz"))
    assert answer is not None
    return answer.status, answer.json()


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Looked:
    """A daemon's health, by the little that it looks at."""

    now: datetime = NOON
    behind: timedelta = timedelta()
    due: datetime | None = None
    writable: bool = True
    disk_free: int = 10**9
    lane: Lane = field(default_factory=lambda: Lane("GH_TOKEN", Budget(1, 10, 500)))
    pings: int = 0
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        records: Any = self
        self.health = Health(
            InForce(config()),
            records,
            {self.lane.name: self.lane},
            behind=lambda: self.behind,
            reloaded=lambda: Loaded(2, self.faults, "/etc/dispatchd/CRONS.json:3:9"),
            pauses={},
            clock=lambda: self.now,
            facts=Facts(),
            simulated=False,
        )

    async def ping(self) -> None:
        self.pings += 1
        if not self.writable:
            raise StoreUnavailable("disk full")

    async def due_since(self, lanes: list[str]) -> datetime | None:
        assert lanes == ["GH_TOKEN"]
        return self.due

    async def space(self) -> Space:
        return Space(0, 0, 4096, disk_free=self.disk_free, disk_size=10**9)

    async def reasons(self, **passed: float) -> list[str]:
        self.now += timedelta(**passed)
        condition = await self.health.condition()
        assert condition.ready is self.writable
        return list(condition.reasons)


async def test_what_is_not_well_is_told_and_that_deliveries_are_taken_all_the_same() -> None:
    daemon = Looked()
    assert await daemon.reasons() == []
    daemon.behind = timedelta(seconds=40)
    told = ["no cron instant was looked for in 40 s; the log says why"]
    assert await daemon.reasons(seconds=1) == told
    daemon.behind = timedelta(seconds=5)
    daemon.lane.refuse(daemon.now, "bad token of acme/secret-project")
    told = ["GitHub does not take a credential; `dispatchd status` says which"]
    assert await daemon.reasons(seconds=1) == told
    daemon.lane.taken()
    daemon.faults = ("/etc/dispatchd/CRONS.json:3:9: crons[0].schedule: the secret is out",)
    told = [
        "the config on disk was not taken over (see /etc/dispatchd/CRONS.json:3:9); the one before "
        "it is in force, and `dispatchd status` says more"
    ]
    assert await daemon.reasons(seconds=1) == told
    daemon.faults = ()
    assert await daemon.reasons(seconds=1) == []


async def test_github_is_away_only_when_that_lasts() -> None:
    daemon = Looked()
    daemon.lane.outage.unreachable(daemon.now)
    assert await daemon.reasons(seconds=50) == []
    daemon.lane.outage.unreachable(daemon.now)
    assert await daemon.reasons(seconds=130) == ["GitHub has not been reached for 3 min"]
    daemon.lane.outage.reached()
    assert await daemon.reasons(seconds=1) == []


async def test_a_queue_is_overdue_by_what_is_due_and_not_by_what_waits_for_its_time() -> None:
    daemon = Looked()
    daemon.due = NOON + timedelta(hours=1)
    assert await daemon.reasons(minutes=30) == []
    (told,) = await daemon.reasons(minutes=50)
    assert told.startswith("dispatches have been due for 20 min")


async def test_a_disk_that_gets_full_is_told_before_it_is_and_also_then() -> None:
    looked = Looked(disk_free=30 * 2**20)
    (reason,) = await looked.reasons()
    assert reason == (
        "the database's disk has 30 MiB left, of the 64 MiB that should be free; once it is full, "
        "nothing is taken in"
    )
    looked.writable, looked.disk_free = False, 0
    unwritable, full = await looked.reasons(seconds=1)
    assert unwritable == NOT_READY["reasons"][0]
    assert "has 0 B left" in full


async def test_who_asks_often_does_not_have_the_disk_written_every_time() -> None:
    daemon = Looked(writable=False)
    for _ in range(10):
        assert len(await daemon.reasons(milliseconds=90)) == 1
    assert daemon.pings == 1
    await daemon.reasons(seconds=1)
    assert daemon.pings == 2


async def test_while_github_is_away_a_proxy_is_not_told_to_keep_deliveries_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GITHUB_AWAY", timedelta())
    monkeypatch.setattr(limits, "FRESH", timedelta())
    with reserved_port() as port:  # until the end, so that nobody else comes to answer there
        environ = {"GH_API_URL": f"http://127.0.0.1:{port}"}
        async with serving(tmp_path, triggers=[trigger_entry()], environ=environ) as daemon:
            assert (await daemon.call("POST", "/hook", json={}, key=None))[0] == 202
            await daemon.until(lambda fact: isinstance(fact, AttemptMade))
            status, answer = await daemon.call("GET", "/readyz", key=None)
            reasons = answer.pop("reasons")
            assert (status, answer) == (200, {"status": "degraded"})
            assert reasons[0].startswith("GitHub has not been reached for ")
            _, shown = await daemon.call("GET", "/api/v1/status")
            assert (shown["ready"], len(shown["reasons"])) == (True, 1)


# The heartbeat


async def test_the_heartbeat_is_called_every_minute_while_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.01)
    async with receiving() as somebody:
        settings = {"heartbeat_url": f"{somebody.url}/ping/1234"}
        async with serving(tmp_path, settings=settings) as daemon:
            await somebody.until(lambda: len(somebody.paths) > 2)
        assert set(somebody.paths) == {"/ping/1234"}
        assert not any(isinstance(fact, Trouble) for fact in daemon.seen)


async def test_a_heart_that_does_not_beat_is_told_once_and_without_its_url() -> None:
    facts, heard = Facts(), list[Fact]()
    facts.subscribe(heard.append)
    condition, answers = Condition(), [NotTold("answered 500"), NotTold("answered 500"), None]
    called = []

    async def call(url: Secret) -> None:
        called.append(url.reveal())
        if (answer := answers.pop(0)) is not None:
            raise answer

    async def look() -> Condition:
        return condition

    url: Secret | None = Secret("https://hc.example.com/1", "env:BEAT")
    beating = Heartbeat(lambda: url, call, look, facts)
    for _ in range(3):
        await beating.beat()
    condition = Condition(True, ("GitHub has not been reached for 3 min",))
    await beating.beat()
    await beating.beat()
    assert called == ["https://hc.example.com/1"] * 3
    assert heard == [
        Trouble("heartbeat", f"`heartbeat_url` {text}")
        for text in (
            "was called in vain: answered 500",
            "is called again",
            "is not called, since GitHub has not been reached for 3 min",
        )
    ]
