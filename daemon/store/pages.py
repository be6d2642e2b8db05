"""The pages of the database: how many there are, and how those that hold nothing are given back to
the disk. To count them reads two numbers of the file's first page."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from daemon.space import Space
from daemon.store.file import wal_of

INCREMENTAL = 2
"""What `PRAGMA auto_vacuum` calls a file that can give pages back while it is used."""


def space(connection: Connection, path: Path | None) -> Space:
    """How much room the database takes, and its disk has."""
    page, pages, free, vacuum = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
    )
    counted = Space(pages * page, free * page, page, shrinks=vacuum == INCREMENTAL)
    if path is None:
        return counted
    try:
        disk = os.statvfs(path.parent)
    except OSError:  # it was taken away: the next write says so
        return counted
    return replace(
        counted,
        log=_size_of(wal_of(path)),
        disk_free=disk.f_bavail * disk.f_frsize,
        disk_size=disk.f_blocks * disk.f_frsize,
    )


def shrink(connection: Connection, most: int) -> int:
    """Cuts up to ``most`` free pages off the file, whose place pages from its end take; returns how
    many: 0 where the file is not made for that."""
    before = _free(connection)
    # One at a time: Python's driver stops after the first page, whatever number it is given.
    for _ in range(min(most, before)):
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return before - _free(connection)


def _free(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
