"""The daemon as its users run it: the installed command in a process of its own, on config files
and a database of its own, killed and started again as often as a test likes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from types import TracebackType
from typing import Any, Self

from daemon.store import Store
from tests.environment import inherited

Entry = Mapping[str, Any]

START_DEADLINE = 30.0
END_DEADLINE = 30.0
"""Seconds after which a process that hangs fails its test; a loaded machine needs far fewer."""

LINE_MAX = 1024 * 1024
"""Bytes of one log line that can be read."""

# Long and odd enough to be found wherever they should not be.
GH_TOKEN = "ghp_OnlyForTheAuthorizationHeader0001"
API_KEY = "only-for-the-x-api-key-header-0002"
WEBHOOK_SECRET = "only-for-the-hmac-of-the-body-0003"
SECRETS = (GH_TOKEN, API_KEY, WEBHOOK_SECRET)

DELIVERY = "X-GitHub-Delivery"

PUSH: Entry = {
    "name": "push",
    "path": "/hooks/github",
    "auth": {"scheme": "github", "secret": "env:GH_WEBHOOK_SECRET"},
    "dispatch": {
        "event_type": "push-received",
        "client_payload": {"delivery": "{{ headers['x-github-delivery'] }}"},
    },
}
"""A trigger whose dispatches bear the name of their delivery, so that each can be accounted for."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ended: its exit status, and both of its streams."""

    status: int
    stdout: str
    stderr: str


async def run_command(arguments: Sequence[str], environ: Mapping[str, str]) -> Finished:
    """Runs ``dispatchd`` with ``arguments`` to its end."""
    process = await asyncio.create_subprocess_exec(
        *(_command(), *arguments),
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(END_DEADLINE):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return Finished(process.returncode or 0, stdout.decode(), stderr.decode())


class Daemon:
    """One daemon: its home, and the process that is (or was) running there.

    ``home`` is an empty directory. ``github`` is the URL of its GitHub. ``environ`` overrides
    the environment that the others make up; an empty value counts as unset. Nothing of the
    environment of the tests themselves gets in. As a context manager it is gone in the end.
    """

    def __init__(
        self,
        home: Path,
        github: str,
        *,
        triggers: Sequence[Entry] = (PUSH,),
        crons: Sequence[Entry] = (),
        environ: Mapping[str, str] | None = None,
        keeps: Callable[[str], bool] = lambda line: True,
    ) -> None:
        self.home = home
        self.database = home / "state.sqlite"
        self.url = ""
        self.socket = ""
        """Where admins are served, as a path."""
        self.log: list[str] = []
        """Every line that it wrote, over all its lives, of those that are to be kept."""
        self._keeps = keeps
        self.environ = {
            **inherited(),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "DISPATCHD_CONFIG_DIR": str(home / "config"),
            "DISPATCHD_DATABASE_URL": f"sqlite:///{self.database}",
            "DISPATCHD_LISTEN": "127.0.0.1:0",
            "GH_API_URL": github,
            "GH_TOKEN": GH_TOKEN,
            "GH_OWNER": "acme",
            "GH_REPO": "shop",
            "GH_WRITES_PER_SECOND": "0",
            "GH_WRITE_BURST": "0",
            "GH_WRITES_PER_HOUR": "0",
            "GH_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "API_KEY": API_KEY,
            **(environ or {}),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self._launched = 0
        config = home / "config"
        config.mkdir()
        (config / "TRIGGERS.json").write_text(json.dumps(list(triggers)))
        (config / "CRONS.json").write_text(json.dumps(list(crons)))
        # More comes in here within an hour than any entry would make that has not run away.
        (config / "DAEMON.yaml").write_text("breaker: {max: 1000000, per: 1h}\n")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(f"what the daemon in {self.home} said:", *self.log, sep="\n")
        if self._process is not None:
            await self.kill()

    @property
    def command_path(self) -> str:
        return _command()

    @property
    def pid(self) -> int:
        return self._running.pid

    async def start(self, *options: str) -> None:
        """Starts ``dispatchd run`` and waits until it says that it serves; ``url`` is then where.
        The port is another one after each start."""
        await self.launch(*options)
        await self.served()

    async def launch(self, *options: str) -> None:
        """Starts ``dispatchd run``, and waits for nothing."""
        self._launched = len(self.log)
        self._process = await asyncio.create_subprocess_exec(
            *(_command(), "run", *options),
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_MAX,
        )
        self._reading = asyncio.create_task(self._read(self._process))

    async def served(self) -> None:
        """Waits until what was launched says that it serves; ``url`` is then where."""
        began = self._launched
        async with asyncio.timeout(START_DEADLINE):
            await self.until(lambda: bool(self.said("serving", began)) or self._reading_ended)
        if self._reading_ended:
            lines = "\n".join(self.log[began:])
            raise AssertionError(f"the daemon ended instead of serving:\n{lines}")
        (serving,) = self.said("serving", began)
        self.url, self.socket = serving["addresses"]

    async def kill(self) -> None:
        """SIGKILL: the process has no moment left to do anything."""
        await self._end(SIGKILL)

    async def terminate(self, number: Signals = SIGTERM) -> int:
        """Asks it to stop and waits; returns the exit status."""
        return await self._end(number)

    def signal(self, number: Signals) -> None:
        """Sends it a signal, and waits for nothing."""
        self._running.send_signal(number)

    async def ended(self) -> int:
        """Waits until it has ended by itself, or of a signal; returns the exit status."""
        process = self._running
        async with asyncio.timeout(END_DEADLINE):
            status = await process.wait()
            if self._reading is not None:
                await self._reading
        self._process = self._reading = None
        return status

    def said(self, event: str, since: int = 0) -> list[dict[str, Any]]:
        """The log lines that tell of ``event``, from the line ``since`` on."""
        lines = (json.loads(line) for line in self.log[since:] if line.startswith("{"))
        return [line for line in lines if line.get("event") == event]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until ``condition`` holds; it is asked after every line that the daemon says."""
        while not condition():
            self._heard.clear()
            await self._heard.wait()

    async def command(self, *arguments: str) -> Finished:
        """Runs another ``dispatchd`` command in the same environment."""
        return await run_command(arguments, self.environ)

    @asynccontextmanager
    async def records(self) -> AsyncIterator[Store]:
        """What stands in its database, read beside it or after its end."""
        store = Store.open(
            self.environ["DISPATCHD_DATABASE_URL"],
            owner="",
            now=datetime.now(UTC),
            read_only=True,
        )
        try:
            yield store
        finally:
            await store.close()

    def stored_bytes(self) -> bytes:
        """The database file and those beside it, raw."""
        files = sorted(self.home.glob(f"{self.database.name}*"))
        return b"".join(file.read_bytes() for file in files if file.is_file())  # one is a socket

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the daemon is not running")
        return self._process

    @property
    def _reading_ended(self) -> bool:
        return self._reading is None or self._reading.done()

    async def _end(self, number: Signals) -> int:
        process = self._running
        if process.returncode is None:
            process.send_signal(number)
        return await self.ended()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise RuntimeError("its output is not ours to read")
        try:
            async for line in process.stdout:
                text = line.decode(errors="replace").rstrip("\n")
                if self._keeps(text):
                    self.log.append(text)
                    self._heard.set()
        finally:
            # Whoever waits looks again once this task is done.
            asyncio.get_running_loop().call_soon(self._heard.set)


def _command() -> str:
    """The ``dispatchd`` that belongs to the interpreter that runs the tests."""
    return str(Path(sys.executable).with_name("dispatchd"))
