"""What must hold of the tables of a sound database, beyond what SQLite itself looks after: each
rule as the rows that break it. Where one is broken something may be lost, or sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from daemon.dispatch import UNFINISHED, State
from daemon.event import FiringOutcome, Outcome
from daemon.follow_up import Standing
from daemon.store import schema

AWAKE = tuple(state for state in UNFINISHED if state is not State.HELD)
"""States that the dispatcher comes back to by itself."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``broken`` selects the ids of the rows that break it; ``text`` says of them what is wrong,
    ``remedy`` what to do."""

    broken: Select[tuple[str]]
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Broken:
    """``count`` rows break a rule; ``example`` is the id of one."""

    rule: Rule
    count: int
    example: str


def broken(connection: Connection) -> Sequence[Broken]:
    """The rules that do not hold in a database of the schema of this code."""
    found = []
    for rule in RULES:
        rows = rule.broken.subquery()
        count, example = connection.execute(select(func.count(), func.min(rows.c[0]))).one()
        if count:
            found.append(Broken(rule, int(count), str(example)))
    return found


def _dispatches(where: ColumnElement[bool]) -> Select[tuple[str]]:
    return select(schema.dispatches.c.id).where(where)


_table: Any = schema.dispatches.c
_REPORT = "restore a backup if you have one, and report it with this line"

RULES = (
    Rule(
        # As text: a state that this code does not know could not be read.
        _dispatches(_table.state.not_in([*State])),
        "dispatches are in no state that there is",
        _REPORT,
    ),
    Rule(
        _dispatches(and_(_table.state.in_(AWAKE), _table.wake_at.is_(None))),
        "unfinished dispatches have no time at which they are looked at, so they are never sent",
        "`dispatchd cancel` them, and `dispatchd replay` them",
    ),
    Rule(
        _dispatches(and_(_table.state.not_in(AWAKE), _table.wake_at.is_not(None))),
        "dispatches that are settled or held have a time at which they would be sent",
        _REPORT,
    ),
    Rule(
        _dispatches(
            or_(
                and_(_table.state.in_(UNFINISHED), _table.settled_at.is_not(None)),
                and_(_table.state.not_in(UNFINISHED), _table.settled_at.is_(None)),
            )
        ),
        "dispatches are unfinished and have an end, or are settled and have none",
        _REPORT,
    ),
    Rule(
        _dispatches(and_(_table.state == State.DEAD, _table.reason == "")),
        "dispatches are dead without a reason",
        _REPORT,
    ),
    Rule(
        select(schema.events.c.id).where(
            ~select(schema.verdicts.c.event_id)
            .where(schema.verdicts.c.event_id == schema.events.c.id)
            .exists()
        ),
        "events have no verdict",
        "`dispatchd replay` them",
    ),
    Rule(
        select(schema.verdicts.c.event_id).where(
            schema.verdicts.c.outcome.in_((Outcome.DISPATCHED, Outcome.HELD)),
            ~select(_table.id).where(_table.event_id == schema.verdicts.c.event_id).exists(),
        ),
        "events were dispatched, and owe nothing",
        "`dispatchd replay` them",
    ),
    Rule(
        select(schema.buffered.c.event_id).where(
            ~select(schema.events.c.id)
            .where(schema.events.c.id == schema.buffered.c.event_id)
            .exists()
        ),
        "firings that wait for the one before (`overlap: buffer_one`) are not there",
        _REPORT,
    ),
    Rule(
        select(schema.firings.c.cron).where(
            schema.firings.c.outcome == FiringOutcome.MISSED, schema.firings.c.reason == ""
        ),
        "cron instants were missed without a reason",
        _REPORT,
    ),
    Rule(
        select(schema.follow_ups.c.dispatch_id).where(
            or_(
                and_(
                    schema.follow_ups.c.state == Standing.OWED,
                    schema.follow_ups.c.wake_at.is_(None),
                ),
                and_(
                    schema.follow_ups.c.state != Standing.OWED,
                    schema.follow_ups.c.wake_at.is_not(None),
                ),
            )
        ),
        "follow-ups are owed and never looked at, or settled and looked at",
        _REPORT,
    ),
)
