"""What the daemon was told from outside and must not forget: secrets that senders handed over in
their handshakes, and the networks that GitHub's webhooks come from."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from daemon.github_meta import HookRanges
from daemon.ports import Learned
from daemon.store import schema
from daemon.store.engine import insert

table = schema.learned
fetched = schema.fetched


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


def keep_hook_ranges(connection: Connection, ranges: HookRanges) -> None:
    """Keeps these in place of any before of the same source."""
    statement = insert(connection.dialect.name, fetched)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["url"],
            set_={"content": statement.excluded.content, "at": statement.excluded.at},
        ),
        [
            {
                "url": ranges.source,
                "content": {"cidrs": ranges.cidrs, "etag": ranges.etag},
                "at": ranges.told_at,
            }
        ],
    )


def hook_ranges(connection: Connection, source: str) -> HookRanges | None:
    """Those that were kept last of this source."""
    row = connection.execute(select(fetched).where(fetched.c.url == source)).one_or_none()
    if row is None:
        return None
    return HookRanges(source, tuple(row.content["cidrs"]), row.content["etag"], row.at)
