"""The disk that the daemon's database is on, so that it can be filled and emptied again: a file
system of its own, or a library that refuses its writes where nobody may mount one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.faults.library import Faults, compiled

MEGABYTE = 1024 * 1024
BLOCK = 4096


class Disk(Protocol):
    """``home`` is a directory there, and ``environ`` what a process needs that is to be on it."""

    @property
    def home(self) -> Path: ...

    @property
    def environ(self) -> dict[str, str]: ...

    def full(self) -> AbstractContextManager[None]:
        """Not a byte more has room there, until the end of the context."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """A file system in a file of the real disk."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def full(self) -> Iterator[None]:
        ballast = self.home / "ballast"
        try:
            _fill(ballast)
            yield
        finally:
            ballast.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Refusing:
    """A directory to which every write of the daemon fails meanwhile, as on a full disk."""

    faults: Faults

    @property
    def home(self) -> Path:
        return self.faults.home

    @property
    def environ(self) -> dict[str, str]:
        return self.faults.environ

    def full(self) -> AbstractContextManager[None]:
        return self.faults.failing_writes(errno.ENOSPC)


@contextmanager
def disk_in(directory: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of that size: what is not written there takes no room in ``directory``."""
    home = directory / "disk"
    home.mkdir()
    if not _mounted(directory / "disk.img", home, megabytes):
        with Faults(compiled(directory), directory) as faults:
            yield Refusing(faults)
        return
    try:
        yield Mounted(home)
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)
        (directory / "disk.img").unlink()


def _mounted(image: Path, home: Path, megabytes: int) -> bool:
    """Whether a file system could be made and mounted: root may, though not in every container."""
    if os.geteuid() or shutil.which("mkfs.ext4") is None:
        return False
    with image.open("wb") as file:
        file.truncate(megabytes * MEGABYTE)
    for command in (
        ["mkfs.ext4", "-q", "-F", "-m", "0", str(image)],
        ["mount", "-o", "loop", str(image), str(home)],
    ):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            image.unlink()
            return False
    return True


def _fill(ballast: Path) -> None:
    """Takes all the room that there is, in ever smaller pieces."""
    with ballast.open("wb", buffering=0) as file:
        piece, size = 1024 * MEGABYTE, 0
        while piece >= BLOCK:
            try:
                os.posix_fallocate(file.fileno(), size, piece)
                size += piece
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                piece //= 2
        file.seek(size)
        with suppress(OSError):
            while True:
                file.write(bytes(BLOCK))
