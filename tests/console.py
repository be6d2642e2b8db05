"""A reader at a terminal: types the commands of a document's console examples into a shell, with
the real ``dispatchd`` on its PATH, and compares what is printed with what the document shows."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.environment import inherited
from tests.examples import Example

DEADLINE = 60.0
"""Seconds after which a command, or a wait for the daemon, fails its test."""

PROMPT = "$ "


@dataclass(frozen=True, slots=True)
class Step:
    """One command of an example, and what the document shows below it (empty: not shown)."""

    command: str
    shown: str
    line: int


def steps(example: Example) -> list[Step]:
    """Commands stand behind a ``$``; one that ends in a backslash goes on in the next line.
    Raises ValueError for output without a command."""
    found: list[Step] = []
    lines = example.text.splitlines()
    index = 0
    while index < len(lines):
        line = example.line + index
        if not lines[index].startswith(PROMPT):
            raise ValueError(f"line {line}: a console example begins with a command: {PROMPT}…")
        command = [lines[index].removeprefix(PROMPT)]
        while command[-1].endswith("\\"):
            index += 1
            command.append(lines[index])
        shown: list[str] = []
        index += 1
        while index < len(lines) and not lines[index].startswith(PROMPT):
            shown.append(lines[index])
            index += 1
        found.append(Step("\n".join(command), "\n".join(shown), line))
    return found


def agrees(shown: str, printed: str) -> bool:
    """Whether a reader would say that it is the same: spaces and empty lines do not count, and
    ``…`` stands for anything within its line, or, alone on a line, for any lines."""
    pattern = ""
    for line in filter(None, map(_squeezed, shown.splitlines())):
        if line == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(map(re.escape, line.split("…"))) + r"\n"
    lines = filter(None, map(_squeezed, printed.splitlines()))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def _squeezed(line: str) -> str:
    return " ".join(line.split())


class Terminal:
    """A shell in ``directory``. What one command exports the next one sees. ``environ`` is all
    that the shell has; ``replaced`` gives for texts of the document those of this test, such as
    the address that is listened on."""

    def __init__(
        self, directory: Path, environ: Mapping[str, str], replaced: Mapping[str, str]
    ) -> None:
        self._directory = directory
        self._replaced = dict(replaced)
        self._exported = directory / ".exported"
        self._exported.touch()
        commands = directory / ".venv" / "bin"
        commands.mkdir(parents=True)
        (commands / "dispatchd").symlink_to(Path(sys.executable).with_name("dispatchd"))
        (commands / "python3").symlink_to(sys.executable)
        curl = shlex.join([sys.executable, str(Path(__file__).with_name("curl.py"))])
        (commands / "curl").write_text(f'#!/bin/sh\nexec {curl} "$@"\n')
        (commands / "curl").chmod(0o755)
        self._environ = inherited() | {
            "PATH": f"{commands}:/usr/bin:/bin",
            "HOME": str(directory),
            **environ,
        }
        self._daemon: asyncio.subprocess.Process | None = None
        self.log: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._daemon is not None and self._daemon.returncode is None:
            self._daemon.kill()
            await self._daemon.communicate()

    async def type(self, step: Step) -> str:
        """Runs the command, which must succeed and print what the document shows; returns what it
        printed. Raises AssertionError with both."""
        process = await self._spawn(
            f"{self._in_this_test(step.command)}\n"
            f'status=$?; export -p > "{self._exported}"; exit $status'
        )
        async with asyncio.timeout(DEADLINE):
            printed = (await process.communicate())[0].decode()
        place = f"line {step.line}: $ {step.command}"
        assert process.returncode == 0, f"{place}\nexited with {process.returncode}:\n{printed}"
        if step.shown:
            shown = self._in_this_test(step.shown)
            assert agrees(shown, printed), f"{place}\nprinted:\n{printed}\nnot:\n{shown}"
        return printed

    async def leave_running(self, step: Step) -> None:
        """Starts a daemon, which serves on while other commands are typed."""
        self._daemon = await self._spawn(f"exec {self._in_this_test(step.command)}")
        await self.until("serving")

    async def until(self, event: str) -> None:
        """Waits for a new line of the daemon's log that tells of ``event``."""
        assert self._daemon is not None
        assert self._daemon.stdout is not None
        async with asyncio.timeout(DEADLINE):
            while line := (await self._daemon.stdout.readline()).decode():
                self.log.append(line)
                if f'"event":"{event}"' in line:
                    return
        raise AssertionError(f"the daemon ended before {event!r}:\n{''.join(self.log)}")

    async def stop(self) -> int:
        """SIGTERM to the daemon; its exit status."""
        assert self._daemon is not None
        self._daemon.terminate()
        async with asyncio.timeout(DEADLINE):
            await self._daemon.communicate()
            return await self._daemon.wait()

    def exported(self, name: str) -> str:
        """The value that the commands so far gave a variable. Raises KeyError."""
        for line in self._exported.read_text().splitlines():
            words = shlex.split(line)
            if words[-1].startswith(f"{name}="):
                return words[-1].removeprefix(f"{name}=")
        raise KeyError(name)

    async def _spawn(self, script: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            f'. "{self._exported}"\n{script}',
            cwd=self._directory,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    def _in_this_test(self, text: str) -> str:
        for documented, actual in self._replaced.items():
            text = text.replace(documented, actual)
        return text
