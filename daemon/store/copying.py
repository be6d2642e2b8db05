"""Whole copies of a database file: a backup while it is used, and one without unused pages that
takes its place. A copy has its name only once it is complete, synced and found sound."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from daemon.errors import DispatchdError, StoreError, UsageError
from daemon.sizes import shown
from daemon.store.checking import Report, check
from daemon.store.engine import PATIENCE, words
from daemon.store.file import HINT, lock_of, shm_of, wal_of
from daemon.store.soundness import examine

PAGES = 256
"""That are copied at a time: 1 MiB, as a rule."""

Progress = Callable[[int, int], None]
"""Is told how many pages are done, and of how many."""


def backup(source: Path, target: Path, *, replace: bool, progress: Progress) -> Report:
    """Copies the database as it is now, whoever writes to it meanwhile, to ``target``, for its
    owner alone. What was committed later is not in the copy. Returns what was found in the copy.

    Raises:
        UsageError: ``target`` is there already (unless it may be replaced), or is the database.
        StoreError: the source cannot be read, or is none.
        DispatchdError: the copy could not be made, or is damaged; then it is not kept.
    """
    target = target.absolute()
    _refuse(source, target, replace=replace)
    size = sum(each.stat().st_size for each in (source, wal_of(source)) if each.exists())
    with _becoming(target, size, replace=replace) as partial:
        try:
            _copy(source, partial, progress)
        except sqlite3.Error as error:
            raise DispatchdError(f"no backup was made of {source}: {words(error)}") from error
        report = check(partial, quick=False)
        if damage := _damage_in(report):
            raise DispatchdError(f"the copy is damaged, and not kept: {damage}")
    return report


def compact(database: Path, progress: Callable[[], None]) -> None:
    """Replaces the database by a copy without unused pages, which can give such back from then on.
    Nobody else may use it: the caller holds its `Lock`. A kill at any moment leaves one of the two.

    Raises DispatchdError where that cannot be, and StoreError where somebody reads it.
    """
    examine(database)
    before = database.stat()
    with _becoming(database, before.st_size, replace=True) as partial:
        try:
            with closing(_opened(database, "rw")) as connection:
                connection.set_progress_handler(lambda: progress(), 100_000)
                # Its log must be gone before another file takes its name.
                (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
                if mode != "delete":
                    raise StoreError(f"another program reads {database}; `fuser` tells which")
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("VACUUM INTO ?", (str(partial),))
        except sqlite3.Error as error:
            raise DispatchdError(f"{database} stays as it was: {words(error)}") from error
        report = check(partial, quick=True)
        if damage := _damage_in(report):
            raise DispatchdError(f"{database} is damaged, and stays as it was: {damage}")
        partial.chmod(before.st_mode & 0o777)
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(partial, before.st_uid, before.st_gid)


def _damage_in(report: Report) -> str:
    return "; ".join(str(each) for each in report.problems if each.damaged)


def _refuse(source: Path, target: Path, *, replace: bool) -> None:
    if target.is_dir():
        raise UsageError(f"{target} is a directory: name a file in it")
    own = (source, wal_of(source), shm_of(source), lock_of(source), _socket_of(source))
    for each in own:
        if target.resolve() == each.resolve() or (
            target.exists() and each.exists() and target.samefile(each)
        ):
            raise UsageError(f"{target} belongs to the database itself: name another file")
    if target.exists() and not replace:
        raise UsageError(f"{target} is there already; name a new file, or use --force")


def _socket_of(source: Path) -> Path:
    return source.with_name(f"{source.name}.sock")


@contextmanager
def _becoming(target: Path, size: int, *, replace: bool) -> Iterator[Path]:
    """A file beside ``target`` that becomes it where all goes well, at once and for good; what a
    killed one left is written over. Raises DispatchdError and UsageError."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(partial, flags, 0o600)
    except OSError as error:
        raise UsageError(f"cannot write {partial}: {error.strerror} ({HINT})") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another dispatchd writes {partial} already") from None
        try:
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
            free = shutil.disk_usage(partial.parent).free
            if free < size:
                raise DispatchdError(
                    f"{target.parent} has {shown(free)} left, and {shown(size)} are needed there"
                )
            yield partial
            os.fsync(descriptor)
            _name(partial, target, replace=replace)
        except BaseException:
            for each in (partial, wal_of(partial), _journal_of(partial)):
                each.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DispatchdError(f"cannot write {target}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _name(partial: Path, target: Path, *, replace: bool) -> None:
    if replace:
        partial.replace(target)
    else:
        try:
            os.link(partial, target)  # which replaces nothing that came meanwhile
        except FileExistsError:
            raise UsageError(f"{target} is there already; name a new file") from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
                raise
            partial.replace(target)  # a file system without links
        else:
            partial.unlink()
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _copy(source: Path, partial: Path, progress: Progress) -> None:
    with closing(_opened(source, "ro")) as origin, closing(_opened(partial, "rw")) as copy:
        # One state for all steps: else each commit of somebody else would begin the copy anew.
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        origin.backup(
            copy, pages=PAGES, progress=lambda _, left, total: progress(total - left, total)
        )
        origin.execute("ROLLBACK")
        # One file that holds all, without a log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)


def _journal_of(path: Path) -> Path:
    return path.with_name(path.name + "-journal")
