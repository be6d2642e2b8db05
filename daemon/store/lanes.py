"""Which credential a dispatch goes out under: its lane. Each has a queue of its own, so that one
which may not write holds up no other, however much it owes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import Connection, select

from daemon.dispatch import UNFINISHED
from daemon.store import schema

table = schema.dispatches

LaneOf: TypeAlias = Callable[[str], str]
"""The lane of a repository."""


def one_for_all(repository: str) -> str:
    """The lane where there is but one."""
    return ""


def lane_of(connection: Connection) -> LaneOf:
    """What the store was opened with says of lanes."""
    found: LaneOf = connection.get_execution_options().get("lane_of", one_for_all)
    return found


def assign(connection: Connection) -> None:
    """Moves what is unfinished to the lanes of today's config."""
    lane = lane_of(connection)
    unfinished = table.c.state.in_(UNFINISHED)
    for row in connection.execute(
        select(table.c.repository, table.c.lane).where(unfinished).distinct()
    ).all():
        if (right := lane(row.repository)) != row.lane:
            connection.execute(
                table.update()
                .where(unfinished, table.c.repository == row.repository, table.c.lane == row.lane)
                .values(lane=right)
            )
