"""What was acknowledged is there, however the process ended."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from daemon.errors import StoreError
from daemon.store import Store
from tests.store.samples import LEASE, NOW

ROOT = Path(__file__).parents[2]


async def test_every_acknowledged_event_outlives_a_kill(tmp_path: Path) -> None:
    """And its dispatch is still owed. While the process lives, nobody else may write."""
    url = f"sqlite:///{tmp_path}/state.sqlite"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.recorder", url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        lines = [await process.stdout.readline() for _ in range(300)]
        assert all(lines)
        with pytest.raises(StoreError, match=rf"another dispatchd \(pid {process.pid}\) uses"):
            Store.open(url, owner="second", now=NOW)
        onlooker = Store.open(url, owner="onlooker", now=NOW, read_only=True)
        assert await onlooker.event(lines[0].decode().strip()) is not None
        await onlooker.close()
    finally:
        process.send_signal(signal.SIGKILL)
        rest = await process.stdout.read()
        await process.wait()
    # The kill may have cut the last line short.
    acknowledged = b"".join(lines).decode().split() + rest.decode().rpartition("\n")[0].split()
    assert len(acknowledged) >= 300

    store = Store.open(url, owner="next", now=NOW)
    try:
        verdicts = await store.verdicts(acknowledged)
        assert [id_ for id_ in acknowledged if not verdicts[id_]] == []
        owed = {d.event_id for d in (await store.claim(NOW, 1_000_000, LEASE)).dispatches}
        assert set(acknowledged) <= owed
    finally:
        await store.close()
