"""The load on a server, always made by other processes: as much as 64 connections carry, a given
number, or so many a second."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from pathlib import Path
from urllib.parse import urlsplit

from bench import peers
from bench.process import BenchError, module
from bench.request import MARK, SIGNATURE, Prepared, Request, signatures_of

CONNECTIONS = 64

SIGNED_PER_SECOND = 50_000
"""Copies of a request that are signed before a closed loop of one second: more than any server here
answers. To sign them costs about a fiftieth of that second."""

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

    def load(
        self,
        url: str,
        request: Request,
        place: Path,
        seconds: float,
        status: int = HTTPStatus.ACCEPTED,
    ) -> Served:
        """Loads ``url``. Raises BenchError where any answer had another status."""
        if self.wrk is not None:
            seconds = max(1, round(seconds))  # it knows no parts of one
        copies = ceil(SIGNED_PER_SECOND * seconds)
        with ExitStack() as stack:

            def prepared() -> Prepared:
                return stack.enter_context(request.prepared(place, copies))

            if self.wrk is None:
                each = f"--connections={CONNECTIONS // self.processes}"
                options = (each, f"--status={status}", f"--seconds={seconds}")
                loaders = [_loader(url, prepared(), *options) for _ in range(self.processes)]
                return _loaded(loaders, url, status)
            load = (self.wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT))
            target = (f"{url}{request.path}", "--")
            return _loaded([(*load, *target, *_for_wrk(prepared(), status))], url, status)


def send_all(
    url: str, request: Request, place: Path, count: int, status: int = HTTPStatus.ACCEPTED
) -> Served:
    """Sends ``count`` requests as fast as they are answered. Raises BenchError where any answer had
    another status."""
    options = (f"--connections={min(CONNECTIONS, count)}", f"--status={status}", f"--count={count}")
    with request.prepared(place, count) as prepared:
        return _loaded([_loader(url, prepared, *options)], url, status)


@contextmanager
def steadily(
    url: str, request: Request, place: Path, rate: float, seconds: float
) -> Iterator[list[Answer]]:
    """Sends ``rate`` requests a second while the context runs, for ``seconds`` in all. In the end
    the list holds the answers, by the time at which they came."""
    count = round(rate * seconds)
    with request.prepared(place, count) as prepared:
        output = prepared.file.with_suffix(".answers")
        arguments = (_port(url), str(prepared.file), prepared.prefix, str(output))
        options = (f"--rate={rate}", f"--count={count}")
        command = module("peers.sender", *arguments, *options)
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


def _loader(url: str, prepared: Prepared, *options: str) -> tuple[str, ...]:
    return module("peers.loader", _port(url), str(prepared.file), prepared.prefix, *options)


def _for_wrk(prepared: Prepared, status: int) -> tuple[str, ...]:
    """The arguments of its script."""
    files = (str(prepared.file), str(signatures_of(prepared.file)))
    return (*files, MARK, SIGNATURE, prepared.prefix, str(status))


def _loaded(commands: Sequence[Sequence[str]], url: str, status: int) -> Served:
    loaders = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    outputs = [loader.communicate()[0].decode() for loader in loaders]
    results = []
    for loader, output in zip(loaders, outputs, strict=True):
        found = [line for line in output.splitlines() if line.startswith("{")]
        if loader.returncode or not found:
            raise BenchError(f"{loader.args!r} failed: {output}")
        results.append(json.loads(found[-1]))
    if any(result["unsigned"] for result in results):
        raise BenchError(f"{url} is faster than copies are signed: raise SIGNED_PER_SECOND")
    if failed := sum(result["failed"] for result in results):
        raise BenchError(f"{failed} requests to {url} were not answered {status}")
    return Served(
        answered=sum(result["answered"] for result in results),
        seconds=max(result["seconds"] for result in results),
        p50=max(result["p50"] for result in results),
        p99=max(result["p99"] for result in results),
    )


def _port(url: str) -> str:
    return str(urlsplit(url).port)
