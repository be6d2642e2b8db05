"""What the daemon's database says of its work, read beside the daemon or after its death, and
without any of the daemon's own code for that but the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, func, select
from sqlalchemy.pool import NullPool

from daemon.dispatch import State
from daemon.store import schema
from tests.harness.reckoning import Booking, instant_name

R = TypeVar("R")
BUSY = 10.0
"""Seconds to wait for the lock of one who has just been killed, or is just starting."""


class Records:
    """The database file, opened for reading at each question. The questions block: ask them on a
    thread where something else goes on."""

    def __init__(self, database: Path) -> None:
        uri = f"file:{database}?mode=ro"
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(uri, uri=True, timeout=BUSY),
            poolclass=NullPool,
        )

    def sending(self) -> list[str]:
        """The dispatches that are being sent."""
        table = schema.dispatches
        query = select(table.c.id).where(table.c.state == State.SENDING)
        return self._ask(lambda connection: [row.id for row in connection.execute(query)])

    def owes(self, until: datetime) -> bool:
        """Whether a dispatch that was made up to then is unfinished."""
        table = schema.dispatches
        query = select(table.c.id).where(table.c.wake_at.is_not(None), table.c.created_at <= until)
        return self._ask(lambda connection: connection.execute(query.limit(1)).first() is not None)

    def events(self) -> set[str]:
        """The ids of all that came in."""
        query = select(schema.events.c.id)
        return self._ask(lambda connection: set(connection.execute(query).scalars()))

    def accounted_until(self, crons: Collection[str]) -> datetime | None:
        """The oldest of these crons' cursors: all their instants up to it are booked."""
        table = schema.cursors
        query = select(func.min(table.c.cursor)).where(table.c.cron.in_(crons))

        def read(connection: Connection) -> datetime | None:
            oldest: datetime | None = connection.execute(query).scalar_one()
            return oldest

        return self._ask(read)

    def bookings(self, after: datetime, until: datetime, step: timedelta) -> dict[str, Booking]:
        """What became of the instants between the two, the second included. A booking that stands
        for several gives one for each ``step``."""
        table = schema.firings
        query = select(table).where(table.c.scheduled_at > after, table.c.scheduled_at <= until)

        def read(connection: Connection) -> dict[str, Booking]:
            found = {}
            for row in connection.execute(query):
                booking = Booking(row.outcome, row.reason)
                at = row.first or row.scheduled_at
                while at <= row.scheduled_at:
                    found[instant_name(row.cron, at)] = booking
                    at += step
            return found

        return self._ask(read)

    def integrity(self) -> str:
        """SQLite's own check of the whole file: ``ok``, or what is damaged."""
        return self._ask(lambda connection: _pragma(connection, "integrity_check"))

    def _ask(self, question: Callable[[Connection], R]) -> R:
        with self._engine.connect() as connection:
            return question(connection)


def _pragma(connection: Connection, name: str) -> str:
    rows: list[Any] = list(connection.exec_driver_sql(f"PRAGMA {name}"))
    return "; ".join(str(row[0]) for row in rows)
