"""Between values and rows: what of an Event, a Dispatch or an Attempt stands in which column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Column, Row, Table

from daemon.cursors import Cursor
from daemon.dispatch import Attempt, Dispatch, State
from daemon.event import Delivery, Event, Firing, FiringRecord, Pause
from daemon.follow_up import FollowUp
from daemon.incident import Incident, News
from daemon.store import schema


def columns(table: Table, value: type[Struct]) -> list[Column[Any]]:
    """The columns that bear the names of the value's fields, in its order: `value(*row)`."""
    return [table.c[name] for name in value.__struct_fields__]


DISPATCH = columns(schema.dispatches, Dispatch)
ATTEMPT = columns(schema.attempts, Attempt)
FIRING = columns(schema.firings, FiringRecord)
CURSOR = columns(schema.cursors, Cursor)
PAUSE = columns(schema.pauses, Pause)
INCIDENT = columns(schema.incidents, Incident)
NEWS = columns(schema.news, News)
FOLLOW_UP = columns(schema.follow_ups, FollowUp)

WAITING = (State.PENDING, State.UNSURE)


def reading(names: list[str]) -> Callable[[Any], dict[str, Any]]:
    """Reads these attributes of a value into a row."""
    values = attrgetter(*names)
    return lambda value: dict(zip(names, values(value), strict=True))


attempt_row = reading([column.name for column in ATTEMPT])
cursor_row = reading([column.name for column in CURSOR])
news_row = reading([column.name for column in NEWS])
incident_row = reading([column.name for column in INCIDENT])
follow_up_row = reading([column.name for column in FOLLOW_UP])
pause_row = reading([column.name for column in PAUSE])


DISPATCH_ROW = (*(column.name for column in DISPATCH), "lane", "wake_at")
_of_dispatch = attrgetter(*DISPATCH_ROW[:-2])


def dispatch_row(dispatch: Dispatch, lane: str) -> tuple[Any, ...]:
    """The columns `DISPATCH_ROW`."""
    return (*_of_dispatch(dispatch), lane, wake_at(dispatch))


def wake_at(dispatch: Dispatch) -> datetime | None:
    """When it is to be claimed, while nobody has it."""
    return dispatch.due_at if dispatch.state in WAITING else None


EVENT_ROW = (
    *("id", "kind", "source", "at", "replay_of", "by"),
    *("method", "path", "headers", "query", "params", "body", "client_ip"),
    *("scheduled_at", "catch_up", "by_hand"),
)


def event_row(event: Event) -> tuple[Any, ...]:
    """The columns `EVENT_ROW`."""
    cause = event.cause
    if isinstance(cause, Delivery):
        return (
            *(event.id, "delivery", cause.route, cause.received_at, event.replay_of, event.by),
            *(cause.method, cause.path, dict(cause.headers), dict(cause.query), dict(cause.params)),
            *(cause.body, cause.client_ip),
            *(None, None, None),
        )
    return (
        *(event.id, "firing", cause.cron, cause.fired_at, event.replay_of, event.by),
        *(None, None, None, None, None, None, None),
        *(cause.scheduled_at, cause.catch_up, cause.by_hand),
    )


def event_of(row: Row[Any], body: bytes) -> Event:
    """The event of a row of `events`; ``body`` comes apart, since lists leave it out."""
    cause: Delivery | Firing
    if row.kind == "delivery":
        cause = Delivery(
            route=row.source,
            method=row.method,
            path=row.path,
            headers=row.headers,
            query=row.query,
            params=row.params,
            body=body,
            client_ip=row.client_ip,
            received_at=row.at,
        )
    else:
        cause = Firing(
            cron=row.source,
            scheduled_at=row.scheduled_at,
            fired_at=row.at,
            catch_up=row.catch_up,
            by_hand=row.by_hand,
        )
    return Event(row.id, cause, row.replay_of, row.by)


def firing_of(row: Row[Any]) -> FiringRecord:
    """A row of the columns `FIRING`."""
    record = FiringRecord(*cast("tuple[Any, ...]", row))
    return record if record.first != record.scheduled_at else replace(record, first=None)


def dispatches_of(rows: Iterable[Sequence[Any]]) -> list[Dispatch]:
    """Rows of the columns `DISPATCH` as dispatches."""
    return [Dispatch(*row) for row in rows]
