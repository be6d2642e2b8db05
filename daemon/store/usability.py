"""Whether a database could be used, found out without using it: nothing is created or written (but
for the files that SQLite lays beside it to read), and whoever uses it now is not disturbed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import stat
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from daemon.checkup.surroundings import Database
from daemon.errors import StoreError
from daemon.store.engine import file_of, parse, place
from daemon.store.file import HINT, lock_of, wal_of
from daemon.store.soundness import examine
from daemon.store.store import Store


async def inspected(url: str, now: datetime) -> Database:
    """How it stands with the database at ``url``."""
    try:
        parsed = parse(url)
    except StoreError as error:
        return Database("DISPATCHD_DATABASE_URL", fault=str(error))
    where, path = place(parsed), file_of(parsed)
    if path is None:
        return Database(where, lasting=False)
    try:
        found = await asyncio.to_thread(_seen, where, path)
        if found.fault or found.held_by or not found.exists:
            return found
        if await asyncio.to_thread(_is_empty, path):
            return found
        await asyncio.to_thread(examine, path)
        store = await asyncio.to_thread(Store.open, url, owner="", now=now, read_only=True)
        await store.close()
    except OSError as error:
        return Database(where, fault=f"cannot be looked at: {error.strerror} ({HINT})")
    except StoreError as error:
        # Whoever began to use it meanwhile wrote to what was read.
        held_by = await asyncio.to_thread(holder, path)
        return replace(found, held_by=held_by, fault="" if held_by else str(error))
    return found


def _seen(where: str, path: Path) -> Database:
    """Its place. Raises OSError."""
    room = _room(path.parent)
    if not path.exists():
        return Database(where, exists=False, fault=_uncreatable(path), room=room)
    return Database(
        where,
        held_by=holder(path),
        fault=_unwritable(path),
        room=room,
        open_to_all=bool(path.stat().st_mode & stat.S_IROTH),
    )


def holder(path: Path) -> str:
    """Who uses the database of this file now, or nothing. The lock is shared with for a moment and
    never taken."""
    try:
        descriptor = os.open(lock_of(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 100, 0).decode(errors="replace").partition(" ")[0]
        return f"another dispatchd (pid {pid})" if pid.isdigit() else "another dispatchd"
    finally:
        os.close(descriptor)
    return ""


def _is_empty(path: Path) -> bool:
    """Whether a database is still to be made of it, as `dispatchd run` does."""
    return path.stat().st_size == 0 and not wal_of(path).exists()


def _unwritable(path: Path) -> str:
    for each in (path, path.parent):
        if not os.access(each, os.R_OK | os.W_OK):
            return f"{each} cannot be written by this user ({HINT})"
    return ""


def _uncreatable(path: Path) -> str:
    there = next(each for each in path.parents if each.exists())
    if not there.is_dir():
        return f"{there} is no directory ({HINT})"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"it is not there, and {there} cannot be written by this user ({HINT})"
    return ""


def _room(directory: Path) -> int | None:
    there = next((each for each in (directory, *directory.parents) if each.exists()), None)
    return shutil.disk_usage(there).free if there else None
