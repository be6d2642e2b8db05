"""`/readyz` while the database is in trouble: it says so for as long as deliveries are refused."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

from tests.harness import Daemon, Sender, stand_in
from tests.harness.raw_http import ask, request

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
