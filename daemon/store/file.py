"""The file of a SQLite database: created for its owner's eyes only, used by one daemon only, and
watched, since SQLite writes on into a file that was removed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from daemon.errors import StoreError, StoreUnavailable

HINT = "give this user write access there, or set DISPATCHD_DATABASE_URL to another place"


def create(path: Path) -> None:
    """Makes the directory (0700) and an empty file (0600) where there is none: payloads can be
    sensitive. What exists keeps its mode. SQLite gives its side files the mode of the main one.

    Raises:
        StoreError: the place cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"cannot use the database {path}: {error.strerror} ({HINT})") from error


def wal_of(database: Path) -> Path:
    """SQLite's write-ahead log, where the newest commits are. It stays while the file is open."""
    return database.with_name(database.name + "-wal")


def shm_of(database: Path) -> Path:
    """SQLite's index of that log, made anew from it by whoever opens the database first."""
    return database.with_name(database.name + "-shm")


def lock_of(database: Path) -> Path:
    """The file that whoever uses the database holds a lock on."""
    return database.with_name(database.name + ".lock")


class Originals:
    """The files as they were opened. What is written to them once they were removed, or others were
    put in their place, is gone with the process: nothing may be acknowledged then."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._identities = {path: _identity(path) for path in paths}
        self._lost: Path | None = None

    def check(self) -> None:
        """Raises StoreUnavailable where a file is not the one that it was; from then on always,
        since nobody knows what was done to it meanwhile."""
        if self._lost is None:
            for path, identity in self._identities.items():
                if _identity(path) != identity:
                    self._lost = path
        if self._lost is not None:
            raise StoreUnavailable(
                f"the database file {self._lost} was removed or replaced; restart dispatchd"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """What no other file has while somebody holds this one open; None where there is no file."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # it may be there
        raise StoreUnavailable(f"cannot look after {path}: {error.strerror}") from error
    return status.st_dev, status.st_ino


class Lock:
    """The right to use a database file, held from `take` until `release` or the process's end.

    It is a `flock` on a file beside the database, so the system drops it however we die; the pid
    and the time in that file are there only for the message to the second one.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = lock_of(database)
        self._descriptor: int | None = None

    def take(self, now: datetime) -> None:
        """Takes the lock at once or not at all.

        Raises:
            StoreError: another process has it, or the lock file cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot lock {self._path}: {error.strerror} ({HINT})") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 100, 0).decode(errors="replace")
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise StoreError(f"cannot lock {self._path}: {error.strerror}") from error
            pid, _, since = holder.strip().partition(" ")
            who = f"another dispatchd (pid {pid})" if pid else "another dispatchd"
            raise StoreError(
                f"{who} uses {self._database}" + (f" since {since}" if since else "") + "; stop it"
                " first, or set DISPATCHD_DATABASE_URL to a database of this one's own"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {now.astimezone(UTC):%FT%TZ}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Gives the lock back. The file stays: to remove it could take a successor's lock away."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
