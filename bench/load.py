"""The load on a server, always made by other processes: as much as 64 connections carry, a given
number, or so many a second."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench import peers
from bench.process import BenchError, module
from bench.request import MARK, Request

CONNECTIONS = 64
SCRIPT = Path(peers.__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Served:
    """What a server made of a load: how many requests it answered in how many seconds, and how long
    that took for each, in milliseconds."""

    answered: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request of an open loop. Times are seconds since 1970."""

    id: str
    due: float
    at: float
    status: int


@dataclass(frozen=True, slots=True)
class Generator:
    """Makes the closed loops: with ``wrk``, else with ``processes`` of our own, since one of wrk
    saturates any server here and one of ours may not."""

    wrk: str | None
    processes: int = 1

    @classmethod
    def found(cls, *, own: bool) -> Generator:
        """The best that there is; ``own`` has it ours in any case."""
        wrk = None if own else shutil.which("wrk")
        return cls(wrk) if wrk else cls(None, max(1, min(4, (os.cpu_count() or 1) - 1)))

    def __str__(self) -> str:
        name = "wrk" if self.wrk else f"our own ({self.processes} × bench.peers.loader)"
        return f"{name}, {CONNECTIONS} connections"

    def load(self, url: str, request: Request, place: Path, seconds: float) -> Served:
        """Loads ``url``. Raises BenchError where any answer was another than 202."""
        file = request.written(place)
        if self.wrk is None:
            each = CONNECTIONS // self.processes
            options = (f"--connections={each}", f"--seconds={seconds}")
            return _loaded([_loader(url, file, *options) for _ in range(self.processes)], url)
        whole = f"-d{max(1, round(seconds))}s"  # wrk knows no parts of a second
        script = ("-s", str(SCRIPT), f"{url}{request.path}", "--", str(file), MARK, _prefix())
        return _loaded([(self.wrk, "-t1", f"-c{CONNECTIONS}", whole, *script)], url)


def send_all(url: str, request: Request, place: Path, count: int) -> Served:
    """Sends ``count`` requests as fast as they are answered. Raises BenchError where any answer was
    another than 202."""
    options = (f"--connections={min(CONNECTIONS, count)}", f"--count={count}")
    return _loaded([_loader(url, request.written(place), *options)], url)


@contextmanager
def steadily(
    url: str, request: Request, place: Path, rate: float, seconds: float
) -> Iterator[list[Answer]]:
    """Sends ``rate`` requests a second while the context runs, for ``seconds`` in all. In the end
    the list holds the answers, by the time at which they came."""
    file = request.written(place)
    output = file.with_suffix(".answers")
    options = (f"--rate={rate}", f"--seconds={seconds}")
    command = module("peers.sender", _port(url), str(file), _prefix(), str(output), *options)
    sender = subprocess.Popen(command)
    answers: list[Answer] = []
    try:
        yield answers
        if sender.wait():
            raise BenchError(f"{command!r} failed")
        answers.extend(Answer(*answer) for answer in json.loads(output.read_text()))
    finally:
        sender.kill()
        sender.wait()


def _loader(url: str, file: Path, *options: str) -> tuple[str, ...]:
    return module("peers.loader", _port(url), str(file), _prefix(), *options)


def _loaded(commands: Sequence[Sequence[str]], url: str) -> Served:
    loaders = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    outputs = [loader.communicate()[0].decode() for loader in loaders]
    results = []
    for loader, output in zip(loaders, outputs, strict=True):
        found = [line for line in output.splitlines() if line.startswith("{")]
        if loader.returncode or not found:
            raise BenchError(f"{loader.args!r} failed: {output}")
        results.append(json.loads(found[-1]))
    if failed := sum(result["failed"] for result in results):
        raise BenchError(f"{failed} requests to {url} were not answered 202")
    return Served(
        answered=sum(result["answered"] for result in results),
        seconds=max(result["seconds"] for result in results),
        p50=max(result["p50"] for result in results),
        p99=max(result["p99"] for result in results),
    )


def _port(url: str) -> str:
    return str(urlsplit(url).port)


def _prefix() -> str:
    """The beginning of a UUID, which GitHub's ids are; the loads add twelve digits."""
    return str(uuid.uuid4())[:24]
