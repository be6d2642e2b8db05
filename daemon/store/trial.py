"""A write that means nothing, to find out whether the database takes one that does."""

from __future__ import annotations

import os

from sqlalchemy import Connection

from daemon.store import schema
from daemon.store.engine import insert

ROOM = 80 * 1024
"""Bytes that dirty as many pages as the recording of a delivery of 16 KiB does."""


def write(connection: Connection, size: int) -> None:
    """Writes ``size`` bytes over those of the last time; random ones, since SQLite leaves a page
    alone that would not change."""
    statement = insert(connection.dialect.name, schema.trial)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={"filler": statement.excluded.filler}
        ),
        [{"id": 1, "filler": os.urandom(size)}],
    )
