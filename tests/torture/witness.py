"""The witness of what GitHub received: the stand-in of ``tests/torture/github.py`` in a process of
its own, so that no load starves it, and what it tells."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp

from tests.environment import inherited
from tests.harness.reckoning import Reception
from tests.torture import github

DEADLINE = 30.0
"""Seconds for what takes a moment."""


class Witness:
    """The process. ``heard`` is called with every request that was taken, in their order, and
    ``refused`` with the reason of every one that GitHub would not have taken."""

    def __init__(self, heard: Callable[[Reception], None], refused: Callable[[str], None]) -> None:
        self.url = ""
        self._heard = heard
        self._refused = refused
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._marks: dict[int, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", github.__name__),
            cwd=github.ROOT,
            env=inherited(),
            stdin=asyncio.subprocess.PIPE,  # its end is the end of the process
            stdout=asyncio.subprocess.PIPE,
        )
        lines = self._process.stdout
        if lines is None:
            raise RuntimeError("its output is not ours to read")
        async with asyncio.timeout(DEADLINE):
            self.url = (await lines.readline()).decode().strip()
        self._reading = asyncio.create_task(self._read(lines))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def told(self) -> None:
        """Waits until everything has been heard that was taken up to now."""
        number = len(self._marks)
        mark = self._marks[number] = asyncio.Event()
        async with asyncio.timeout(DEADLINE), aiohttp.ClientSession() as session:
            async with session.post(f"{self.url}/mark/{number}") as answer:
                answer.raise_for_status()
            await mark.wait()

    async def _read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            match json.loads(line):
                case [float(seconds), int(life), str(dispatch_id), str(subject)]:
                    at = datetime.fromtimestamp(seconds, UTC)
                    self._heard(Reception(at, life, dispatch_id, subject))
                case int(mark):
                    self._marks[mark].set()
                case other:
                    self._refused(str(other))
