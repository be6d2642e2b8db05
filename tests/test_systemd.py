"""What passes between systemd and the daemon: messages, the watchdog's time, sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self

import pytest

from daemon.errors import UsageError
from daemon.systemd import Notifier, inherited_sockets, watchdog_seconds
from tests.harness import Daemon, Sender, stand_in

DEADLINE = 40.0


class Told:
    """systemd's end of the line: every message that came."""

    def __init__(self, address: str) -> None:
        self.messages: list[str] = []
        self._came = asyncio.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(address)

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        self.messages.append(self._socket.recv(65536).decode())
        self._came.set()

    async def until(self, text: str, since: int = 0) -> str:
        """The first message with ``text`` of those from ``since`` on."""
        while True:
            for message in self.messages[since:]:
                if text in message:
                    return message
            self._came.clear()
            await self._came.wait()


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
async def test_what_is_told_arrives_at_either_kind_of_address(
    tmp_path: Path, abstract: bool
) -> None:
    name = f"dispatchd-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    async with asyncio.timeout(DEADLINE), Told(f"\0{name}" if abstract else name) as told:
        notifier = Notifier({"NOTIFY_SOCKET": f"@{name}" if abstract else name})
        assert notifier.heard
        assert notifier.tell(READY=1, STATUS="2 crons")
        assert await told.until("READY") == "READY=1\nSTATUS=2 crons"


async def test_no_text_can_add_a_field_of_its_own(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    async with asyncio.timeout(DEADLINE), Told(address) as told:
        Notifier({"NOTIFY_SOCKET": address}).tell(STATUS="a\nMAINPID=1\r\x1b[2J \ud800")
        assert await told.until("STATUS") == "STATUS=a MAINPID=1  [2J  "


def test_where_nobody_listens_nothing_is_told(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        notifier = Notifier(environ)
        assert not notifier.heard
        assert not notifier.tell(READY=1)
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert gone.heard
    assert not gone.tell(READY=1)


def test_a_systemd_that_does_not_read_holds_nothing_up(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(address)
        notifier = Notifier({"NOTIFY_SOCKET": address})
        assert any(not notifier.tell(STATUS="x") for _ in range(100_000))


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_watches_the_process_that_it_names(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_seconds(environ) == seconds


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_sockets_that_were_meant_for_another_process_are_left_alone() -> None:
    assert inherited_sockets({}) == []
    assert inherited_sockets({"LISTEN_FDS": "1"}) == []
    assert inherited_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "1"}) == []
    assert inherited_sockets({"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())}) == []


@pytest.mark.parametrize("kind", ["closed", "a file", "a socket that does not listen"])
def test_what_nobody_can_connect_to_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """Handed over at another number than systemd's, which is taken here."""
    if kind == "a file":
        number = os.open(tmp_path, os.O_RDONLY)
    else:
        number = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
    if kind == "closed":
        os.close(number)
    monkeypatch.setattr("daemon.systemd.FIRST_SOCKET", number)
    with pytest.raises(UsageError, match=rf"the socket {number} that .*(cannot|no connections)"):
        inherited_sockets({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})


@asynccontextmanager
async def activated(daemon: Daemon, door: socket.socket) -> AsyncIterator[None]:
    """The daemon is started as systemd would: its socket is open, and at number 3."""
    launch = 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" run 3<&0 0</dev/null'
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", launch, daemon.command_path), env=daemon.environ, stdin=door.fileno()
    )
    try:
        yield
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_sender_who_comes_while_the_daemon_is_restarted_waits_and_is_served(
    tmp_path: Path,
) -> None:
    """The socket stays open between two daemons, and who connected then is let in by the next."""
    notify = str(tmp_path / "notify")
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url, environ={"NOTIFY_SOCKET": notify}) as daemon,
        Told(notify) as told,
        Sender() as sender,
    ):
        with listening() as door:
            url = f"http://127.0.0.1:{door.getsockname()[1]}"
            async with activated(daemon, door):
                await told.until("READY=1")
                assert await sender.push(url, "first") == 202
            await told.until("STOPPING=1")
            waiting = asyncio.create_task(sender.push(url, "between"))
            await asyncio.sleep(0)
            so_far = len(told.messages)
            async with activated(daemon, door):
                assert await waiting == 202
                await told.until("READY=1", so_far)
                await github.until(lambda: len(github.received) == 2)
                message = await told.until("last dispatch of push accepted", so_far)
            assert "STATUS=0 crons, 1 trigger; " in message
        assert sender.balance(github.received).even


async def test_at_the_signal_for_a_reload_the_same_process_takes_the_config_over(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        daemon.signal(signal.SIGHUP)
        await daemon.until(lambda: bool(daemon.said("config reloaded")))
        assert await sender.push(daemon.url, "afterwards") == 202
        assert await daemon.terminate() == 0
