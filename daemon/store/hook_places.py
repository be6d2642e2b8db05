"""Where webhooks of ours are set up on GitHub, and up to when their deliveries were looked
through."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from daemon.store import schema
from daemon.store.engine import chunks, insert

fetched = schema.fetched
events = schema.events

KEY = "hooks of "
"""What their rows' keys begin with: no URL does."""


def read(connection: Connection) -> dict[str, datetime | None]:
    """The places (``owner/name``, or an organisation), with that instant; None where they were
    never looked through."""
    rows = connection.execute(select(fetched).where(fetched.c.url.startswith(KEY)))
    return {row.content["place"]: row.at if row.at > schema.EPOCH else None for row in rows}


def keep(connection: Connection, place: str, through: datetime | None) -> None:
    """Remembers the place; with ``through``, that all is looked through up to then."""
    statement = insert(connection.dialect.name, fetched)
    row = {
        "url": KEY + place.lower(),
        "content": {"place": place},
        "at": through or schema.EPOCH,
    }
    if through is None:
        connection.execute(statement.on_conflict_do_nothing(index_elements=["url"]), [row])
        return
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["url"], set_={"content": new.content, "at": new.at}
        ),
        [row],
    )


def forget(connection: Connection, place: str) -> None:
    connection.execute(fetched.delete().where(fetched.c.url == KEY + place.lower()))


def delivered(
    connection: Connection,
    guids: Collection[str],
    routes: Collection[str],
    spans: Sequence[tuple[datetime, datetime]],
) -> set[str]:
    """Those of the sender's ids (``x-github-delivery``) that came in by these routes in one of the
    spans, whose ends are included."""
    missing, wanted = set(guids), set(guids)
    for first, last in spans:
        for some in chunks(routes):
            statement = select(events.c.headers).where(
                events.c.source.in_(some),
                events.c.at.between(first, last),
                events.c.kind == "delivery",
            )
            for (headers,) in connection.execute(statement.execution_options(yield_per=500)):
                missing.discard((headers or {}).get("x-github-delivery"))
            if not missing:
                return wanted
    return wanted - missing
