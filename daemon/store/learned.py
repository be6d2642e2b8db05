"""What the daemon was told from outside and must not forget: secrets that senders handed over in
their handshakes, and what it fetched."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from daemon.expressions import JSON
from daemon.ports import Learned
from daemon.store import schema
from daemon.store.engine import insert

table = schema.learned
fetched = schema.fetched


class Fetched(NamedTuple):
    """Something fetched: from where, what, and when."""

    url: str
    content: JSON
    at: datetime


def read(connection: Connection) -> dict[str, Learned]:
    """What is known of each trigger's secret, by trigger."""
    return {
        row.trigger: Learned(row.secret, row.armed_until)
        for row in connection.execute(select(table))
    }


def arm(connection: Connection, trigger: str, until: datetime, *, forget: bool) -> Learned:
    """Has the trigger wait for a secret until then, unless it has one; with ``forget`` the one that
    it has is deleted first. Returns how it stands."""
    if forget:
        connection.execute(table.delete().where(table.c.trigger == trigger))
    statement = insert(connection.dialect.name, table)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["trigger"],
            set_={"armed_until": statement.excluded.armed_until},
            where=table.c.secret.is_(None),
        ),
        [{"trigger": trigger, "armed_until": until}],
    )
    return read(connection)[trigger]


def learn(connection: Connection, trigger: str, secret: str, now: datetime) -> bool:
    """Keeps the secret if the trigger waits for one, and has none; whether it did."""
    return (
        connection.execute(
            table.update()
            .where(
                table.c.trigger == trigger,
                table.c.secret.is_(None),
                table.c.armed_until >= now,
            )
            .values(secret=secret, learned_at=now, armed_until=None)
        ).rowcount
        == 1
    )


def note(connection: Connection, found: Fetched) -> None:
    """Keeps what was fetched, over what was there of the same URL."""
    statement = insert(connection.dialect.name, fetched)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["url"],
            set_={"content": statement.excluded.content, "at": statement.excluded.at},
        ),
        [found._asdict()],
    )


def noted(connection: Connection, url: str) -> Fetched | None:
    """What was fetched from there the last time."""
    row = connection.execute(select(fetched).where(fetched.c.url == url)).one_or_none()
    return None if row is None else Fetched(row.url, row.content, row.at)
