"""A disk that is full, read-only, slow or broken, a database that is locked or damaged, and power
cuts, under the daemon as a process: nothing is acknowledged that is not kept, and all goes on by
itself once the disk does."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
)
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from daemon.dispatch import State
from daemon.simulator import Fault, FaultKind, Simulator
from daemon.store.engine import PATIENCE
from daemon.store.store import RECENT
from tests.faults import Faults
from tests.faults.fixtures import faults, library
from tests.harness import API_KEY, DELIVERY, Daemon, Sender, run_command, signature, stand_in
from tests.harness.raw_http import ask, request

pytestmark = pytest.mark.no_cover

__all__ = ["faults", "library"]

DEADLINE = 40.0

NOT_READY = {
    "status": "not ready",
    "reasons": ["the database does not take writes; the daemon's log says why"],
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A daemon at work, between a sender and a GitHub."""

    github: Simulator
    daemon: Daemon
    sender: Sender

    async def push(self, name: str) -> int | None:
        return await self.sender.push(self.daemon.url, name)

    async def assert_refuses(self, why: str) -> None:
        """It takes nothing in, says so to all who ask, and why in the log; and it is alive."""
        body = b'{"after": "refused"}'
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            DELIVERY: "refused",
            "X-Hub-Signature-256": signature(body),
        }
        answer = await ask(self.daemon.url, request("POST", "/hooks/github", headers, body))
        ready = await ask(self.daemon.url, request("GET", "/readyz"))
        ping = await ask(self.daemon.url, request("GET", "/ping"))
        assert answer is not None
        assert ready is not None
        assert ping is not None
        self.sender.answers["refused"] = answer.status
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        # A disk that is full is told beside that.
        told = ready.json()
        assert (ready.status, told | {"reasons": told["reasons"][:1]}) == (503, NOT_READY)
        assert ping.status == 200
        assert [line for line in self.daemon.said("trouble") if why in line["message"]]

    async def assert_recovers(self, faults: Faults) -> None:
        """It takes in again, is ready again, and all that was acknowledged arrives, once."""
        faults.pass_over(timedelta(seconds=RECENT))  # for so long a failure speaks against it
        assert await self.push("after") == 202
        ready = await ask(self.daemon.url, request("GET", "/readyz"))
        assert ready is not None
        assert ready.status == 200
        await self.sender.until_received(self.github)
        assert await self.daemon.terminate() == 0
        assert self.sender.balance(self.github.received).even
        async with self.daemon.records() as store:
            assert {each.state for each in await store.dispatches(1000)} == {State.ACCEPTED}


@asynccontextmanager
async def at_work(faults: Faults) -> AsyncIterator[Scene]:
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, environ=faults.environ) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        yield Scene(github, daemon, sender)


# No room, no writing


@contextmanager
def small_disk(home: Path) -> Iterator[None]:
    """``home`` on a file system of its own, of one MiB."""
    mounting = ["mount", *TMPFS, str(home)]
    if os.geteuid() or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


TMPFS = ("-t", "tmpfs", "-o", "size=1m", "tmpfs")


@contextmanager
def filled(faults: Faults) -> Iterator[None]:
    """No byte of it is left."""
    filler = faults.home / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    yield
    filler.unlink()


def full(faults: Faults) -> AbstractContextManager[None]:
    return faults.failing_writes(errno.ENOSPC)


def read_only(faults: Faults) -> AbstractContextManager[None]:
    """As the kernel makes a file system that it found a fault in."""
    return faults.failing_writes(errno.EROFS)


@pytest.mark.parametrize(
    ("fails", "why"),
    [
        (filled, "disk is full (free some space"),
        (full, "disk is full (free some space"),
        (read_only, "disk I/O error (look at its disk"),
    ],
)
async def test_a_disk_that_takes_no_writes_loses_nothing_and_is_waited_for(
    faults: Faults, fails: Callable[[Faults], AbstractContextManager[None]], why: str
) -> None:
    """Deliveries are refused while it lasts; what GitHub answers meanwhile is kept in memory until
    it can be stored, and nothing is sent a second time."""
    with ExitStack() as stack:
        if fails is filled:
            stack.enter_context(small_disk(faults.home))
        async with at_work(faults) as scene:
            scene.github.inject(Fault(FaultKind.STALL))
            assert await scene.push("in-flight") == 202
            await scene.github.until(lambda: scene.github.stalled == 1)
            with fails(faults):
                names = (f"meanwhile-{number}" for number in range(100))
                while await scene.push(next(names)) == 202:
                    pass  # there was room in what the log has already
                await scene.assert_refuses(why)
                scene.github.release()
                await scene.daemon.until(lambda: "not settled" in "\n".join(scene.daemon.log))
            await scene.assert_recovers(faults)


def of_the_disk(daemon: Daemon) -> list[str]:
    return [line["message"] for line in daemon.said("trouble") if line["part"] == "disk"]


async def test_a_disk_that_gets_full_is_told_while_everything_still_works(faults: Faults) -> None:
    """In the log, by `/readyz`, in the status and in the metrics."""
    with small_disk(faults.home):
        (faults.home / "others").write_bytes(bytes(500 * 1024))
        async with at_work(faults) as scene:
            daemon = scene.daemon
            assert await scene.push("before") == 202
            await scene.sender.until_received(scene.github)
            await daemon.until(
                lambda: any(each["part"] == "disk" for each in daemon.said("trouble"))
            )
            (told,) = (each for each in daemon.said("trouble") if each["part"] == "disk")
            assert (
                "of the 256 KiB that should be free; once it is full, nothing is" in told["message"]
            )
            ready = await ask(daemon.url, request("GET", "/readyz"))
            assert ready is not None
            assert (ready.status, ready.json()["status"]) == (200, "degraded")
            assert "the database's disk has" in ready.json()["reasons"][0]
            status = (await daemon.command("status")).stdout
            assert "not well" in status
            assert "its disk has" in status
            metrics = await ask(daemon.url, request("GET", "/metrics", {"x-api-key": API_KEY}))
            assert metrics is not None
            assert "dispatchd_disk_reserve_bytes 262144.0" in metrics.body.decode()
            assert await daemon.terminate() == 0


# Locked


A_MOMENT = 0.3
"""Seconds; a delivery that nobody holds up takes a hundredth of it."""


async def test_a_database_that_another_program_locks_is_waited_for_and_then_refused(
    faults: Faults,
) -> None:
    """For a moment nobody notices; for longer than the patience, senders are told to come again,
    and nothing else is held up."""
    async with at_work(faults) as scene:
        with closing(sqlite3.connect(faults.home / "state.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waits = asyncio.create_task(scene.push("for a moment"))
            await asyncio.wait([waits], timeout=A_MOMENT)
            assert not waits.done()
            other.execute("ROLLBACK")
            assert await waits == 202

            other.execute("BEGIN IMMEDIATE")
            waits = asyncio.create_task(scene.push("too long"))
            while not waits.done():
                ping = await ask(scene.daemon.url, request("GET", "/ping"))
                assert ping is not None
                faults.pass_over(timedelta(seconds=PATIENCE / 10))
            assert await waits == 503
            refuses = asyncio.create_task(
                scene.assert_refuses("database is locked (another program holds it")
            )
            while not refuses.done():
                faults.pass_over(timedelta(seconds=PATIENCE))
                await asyncio.wait([refuses], timeout=0.05)
            await refuses
            other.execute("ROLLBACK")
        await scene.assert_recovers(faults)


# Damaged


def without_log(path: Path) -> int:
    """All of it in the one file, as a stop leaves it; the size of that."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def nothing_but_garbage(path: Path) -> None:
    path.write_bytes(os.urandom(without_log(path)))


def a_bad_page(path: Path) -> None:
    middle = without_log(path) // 2 // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(middle)
        file.write(os.urandom(4096))


def cut_off(path: Path) -> None:
    os.truncate(path, without_log(path) - 100)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def garbage_for_its_log(path: Path) -> None:
    log_of(path).write_bytes(os.urandom(log_of(path).stat().st_size))


def garbage_in_its_log(path: Path) -> None:
    """Behind it stands nearly all that was acknowledged."""
    with log_of(path).open("r+b") as file:
        file.seek(log_of(path).stat().st_size // 4)
        file.write(os.urandom(64))


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


DAMAGES = (
    nothing_but_garbage,
    a_bad_page,
    cut_off,
    emptied,
    garbage_for_its_log,
    garbage_in_its_log,
)


async def test_a_damaged_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    """Exit 2, as for whatever a person has to mend; and both files are there for that."""
    home = made_at(tmp_path / "home")
    async with asyncio.timeout(DEADLINE), stand_in() as github, Daemon(home, github.url) as daemon:
        await daemon.start()
        async with Sender() as sender:
            await sender.push_all(daemon.url, map(str, range(30)))
            await sender.until_received(github)
        await daemon.kill()
        await asyncio.gather(
            *(
                assert_refused_and_left(daemon, damage, made_at(tmp_path / damage.__name__))
                for damage in DAMAGES
            )
        )


async def assert_refused_and_left(
    daemon: Daemon, damage: Callable[[Path], None], copies: Path
) -> None:
    database = copies / daemon.database.name
    for file in (daemon.database, log_of(daemon.database)):
        shutil.copy(file, copies)
    damage(database)
    before = content_of(database)
    environ = daemon.environ | {"DISPATCHD_DATABASE_URL": f"sqlite:///{database}"}
    ended = await run_command(["run"], environ)
    assert ended.status == 2, damage.__name__
    assert str(database) in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr
    assert content_of(database) == before, damage.__name__


def made_at(path: Path) -> Path:
    path.mkdir()
    return path


def content_of(database: Path) -> list[bytes]:
    """Of the database and its log, where that holds anything."""
    log = log_of(database)
    return [database.read_bytes(), log.read_bytes() if log.exists() else b""]


async def test_damage_that_shows_at_work_is_told_and_nothing_is_taken_on_it(
    faults: Faults,
) -> None:
    async with at_work(faults) as scene:
        await scene.push("before")
        await scene.sender.until_received(scene.github)
        assert await scene.daemon.terminate() == 0
        await scene.daemon.start()
        overwrite_all_but_the_schema(scene.daemon.database)
        assert await scene.push("after") == 503
        await scene.assert_refuses("database disk image is malformed (restore it from a backup")
        await scene.daemon.kill()
        ended = await scene.daemon.command("run")
        assert (ended.status, "malformed" in ended.stderr) == (2, True), ended.stderr


def overwrite_all_but_the_schema(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * (database.stat().st_size - 3 * 4096))


# Slow


async def test_a_slow_disk_holds_up_nobody_who_does_not_write(faults: Faults) -> None:
    """Every sync takes 200 ms. Those who write wait for it together, so that 64 senders get far
    more than five deliveries a second in; the others are served within 100 ms."""
    names = [f"delivery-{number}" for number in range(3 * SENDERS)]
    async with at_work(faults) as scene, aiohttp.ClientSession() as session:
        with faults.slow_syncs(timedelta(seconds=0.2)):
            began = time.monotonic()
            sending = asyncio.create_task(
                scene.sender.push_all(scene.daemon.url, names, at_once=SENDERS)
            )
            waits = [wait async for wait in bystanders(session, scene.daemon.url, sending)]
            await sending
            took = time.monotonic() - began
        assert scene.sender.acknowledged == names
        assert len(names) / took > 25
        assert len(waits) > 100
        assert sorted(waits)[len(waits) * 99 // 100] < 0.1
        await scene.sender.until_received(scene.github)
        assert await scene.daemon.terminate() == 0
        assert scene.sender.balance(scene.github.received).even


SENDERS = 64


async def bystanders(
    session: aiohttp.ClientSession, url: str, until: asyncio.Task[None]
) -> AsyncIterator[float]:
    """The seconds that each answer took, of requests that write nothing."""
    asked = (("GET", "/ping", 200), ("POST", "/hooks/github", 401), ("POST", "/nowhere", 404))
    while not until.done():
        for method, path, status in asked:
            began = time.monotonic()
            async with session.request(method, url + path, data=b"") as answer:
                assert answer.status == status
            yield time.monotonic() - began
        await asyncio.sleep(0.005)


# Broken, and without power


async def test_a_sync_that_fails_acknowledges_nothing(faults: Faults, tmp_path: Path) -> None:
    """The kernel forgets what it could not write, and says so once. What came before is there
    after a power cut, and what comes after as well."""
    platter = made_at(tmp_path / "platter")
    faults.keep_platter(platter)
    async with at_work(faults) as scene:
        assert await scene.push("before") == 202
        await scene.sender.until_received(scene.github)
        await scene.daemon.until(lambda: bool(scene.daemon.said("dispatch accepted")))
        faults.fail_syncs(1)
        await scene.assert_refuses("disk I/O error (look at its disk")
        assert not faults.syncs_to_fail
        # GitHub takes nothing until the power is back: only the disk can know of it, and no
        # acceptance is lost in the cut, which would rightly be sent again.
        scene.github.inject(Fault(FaultKind.STATUS, times=None))
        assert await scene.push("next") == 202
        await cut_power(scene.daemon, platter)
        scene.github.clear()
        await scene.daemon.start()
        await scene.assert_recovers(faults)


@pytest.mark.parametrize("early", [0.0, 0.3])
async def test_what_was_acknowledged_is_there_after_power_cuts(
    faults: Faults, tmp_path: Path, chance: random.Random, early: float
) -> None:
    """At any moment under load. All that is left is what was synced, and perhaps (``early``) some
    of what was not: a disk keeps its own order."""
    platter = made_at(tmp_path / "platter")
    faults.keep_platter(platter, early=early)
    async with at_work(faults) as scene:
        for life in range(2):
            names = [f"delivery-{life}-{number}" for number in range(1000)]
            sending = asyncio.create_task(
                scene.sender.push_all(scene.daemon.url, names, at_once=16)
            )
            await asyncio.sleep(chance.uniform(0.2, 0.7))
            await cut_power(scene.daemon, platter)
            await sending
            await scene.daemon.start()
        assert len(scene.sender.acknowledged) > 50
        await scene.sender.until_received(scene.github)
        assert await scene.daemon.terminate() == 0
        balance = scene.sender.balance(scene.github.received)
        assert not balance.lost
        assert not balance.unasked
        with closing(sqlite3.connect(scene.daemon.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def cut_power(daemon: Daemon, platter: Path) -> None:
    """The daemon is gone, and its database is what stands on the platter."""
    await daemon.kill()
    replace(daemon.home, platter)


def replace(home: Path, platter: Path) -> None:
    for file in home.glob("state.sqlite*"):
        file.unlink()
    for file in platter.iterdir():
        shutil.copy(file, home)
