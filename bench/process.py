"""Servers under measurement, each a real process: started, awaited until they serve, stopped."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

START_DEADLINE = 60.0
STOP_DEADLINE = 60.0
POLL = 0.002
"""Seconds between two looks at a log; it bounds how exactly a start can be timed."""

LOG_SHOWN = 1000
"""Bytes of a log that an error shows: the file goes away with the run."""

SERVING = re.compile(rb'"event": ?"serving"')


class BenchError(Exception):
    """A measurement could not be made, or what was measured did not do its work."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves at ``url`` and writes its output to ``log``."""

    url: str
    pid: int
    log: Path

    def said(self) -> str:
        """The end of its log."""
        return _end(self.log)

    def busy(self) -> float:
        """Seconds of CPU that it has used, all threads together."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Bytes of memory that it has resident now."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def served(
    arguments: Sequence[str],
    log: Path,
    environ: Mapping[str, str] | None = None,
    url: str | None = None,
) -> Iterator[Server]:
    """Starts a server and waits until it serves: at ``url`` where that is known before, else at the
    first of the ``addresses`` that it names in a JSON line with the event ``serving``. In the end
    it gets SIGTERM. Raises BenchError where it does not start.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            env=None if environ is None else dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Server(_address(process, log, url), process.pid, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of the bench in this interpreter."""
    return (sys.executable, "-m", f"bench.{name}", *arguments)


def announce(url: str) -> None:
    """Says that a server of the bench serves, in the daemon's own words."""
    print(json.dumps({"event": "serving", "addresses": [url]}), flush=True)


def _address(process: subprocess.Popen[bytes], log: Path, url: str | None) -> str:
    until = time.monotonic() + START_DEADLINE
    while time.monotonic() < until:
        address = _told(log) if url is None else _open(url)
        if address is not None:
            return address
        if process.poll() is not None:
            raise BenchError(f"{process.args!r} ended instead of serving:\n{_end(log)}")
        time.sleep(POLL)
    raise BenchError(f"{process.args!r} does not serve after {START_DEADLINE:.0f} s:\n{_end(log)}")


def _end(log: Path) -> str:
    return log.read_bytes()[-LOG_SHOWN:].decode(errors="replace")


def _told(log: Path) -> str | None:
    """The address in the log, once it stands there."""
    for line in log.read_bytes().splitlines(keepends=True):
        if line.startswith(b"{") and line.endswith(b"\n") and SERVING.search(line):
            return str(json.loads(line)["addresses"][0])
    return None


def _open(url: str) -> str | None:
    """The URL, once somebody listens there."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port)).close()
    except ConnectionRefusedError:
        return None
    return url
