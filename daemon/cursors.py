"""Where schedules are taken up again at a start: an entry goes on from its cursor, unless it is
new, its schedule is another one, or the clock was wrong when the cursor was set. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct

from daemon.catching_up import missed_incident
from daemon.event import Due, Missed
from daemon.expressions import rfc3339
from daemon.identity import revived
from daemon.schedule import Schedule
from daemon.spec import CronSpec

AHEAD = timedelta(seconds=60)
"""How far a cursor may lie in the future: clocks are set back by a little now and then."""


class Cursor(Struct, frozen=True):
    """Up to where a cron entry is accounted for, by the schedule of that identity, while the clock
    on the wall was ``offset`` ahead of UTC (None: as the database of an older release has it)."""

    cron: str
    identity: str
    cursor: datetime
    offset: timedelta | None = None


@dataclass(slots=True)
class TakenUp:
    """``cursors`` says, by entry, from where to go on. ``begun`` are those that were set anew and
    ``ended`` the entries that have none any more; ``left`` is what these two still owed, which is
    missed. ``remarks`` are for the log."""

    cursors: dict[str, datetime] = field(default_factory=dict)
    begun: list[Cursor] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    left: list[Due] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def take_up(
    crons: Iterable[CronSpec],
    standing: Mapping[str, Cursor],
    now: datetime,
    paused: Collection[str] = (),
) -> TakenUp:
    """Goes through the enabled entries and the cursors that there are, by entry. What is left of
    ``paused`` ones nobody misses."""
    taken = TakenUp()
    moved: dict[str, list[str]] = {}
    enabled = {cron.name: cron for cron in crons if cron.enabled}
    for name, cron in enabled.items():
        schedule, cursor = cron.schedule, standing.get(name)
        if cursor is None or cursor.identity != schedule.identity:
            _begin(taken, cron, now)
            if cursor is not None:
                _leave(taken, cursor, now, schedule, wanted=name in paused)
        elif cursor.cursor > now + AHEAD:
            # It was set while the clock was wrong (a machine that starts before it knows the time),
            # and would silence the entry until the clock comes there. Nothing fires twice by this:
            # an instant that is booked stays booked.
            _begin(taken, cron, now)
            taken.remarks.append(
                f"{name} was accounted for up to {rfc3339(cursor.cursor)}, which is still to come: "
                "the clock was wrong then; it is scheduled from now on"
            )
        else:
            at = cursor.cursor
            if cursor.offset is not None and cursor.offset != schedule.utc_offset(at):
                at = schedule.taken_up(at, cursor.offset)
                moved.setdefault(schedule.timezone, []).append(name)
            taken.cursors[name] = at
    for name, cursor in standing.items():
        if name not in enabled:
            taken.ended.append(name)
            _leave(taken, cursor, now, None, wanted=True)
    taken.remarks += [
        f"the time zone data tell another time for {zone} than when {_some(names)} was last looked "
        "at; what has a fixed time goes on from what the clock on the wall showed then"
        for zone, names in moved.items()
    ]
    return taken


def _begin(taken: TakenUp, cron: CronSpec, now: datetime) -> None:
    taken.cursors[cron.name] = now
    taken.begun.append(
        Cursor(cron.name, cron.schedule.identity, now, cron.schedule.utc_offset(now))
    )


def _leave(
    taken: TakenUp, cursor: Cursor, now: datetime, instead: Schedule | None, *, wanted: bool
) -> None:
    """Notes what the entry still owed by the schedule that it had."""
    old = revived(cursor.identity)
    owed = old.due_between(cursor.cursor, now, 0).omitted if old else None
    if owed is None:
        return
    if instead is None:
        reason = "not in the config any more under this name, or disabled"
    else:
        reason = f"its schedule was changed from `{cursor.identity}` to `{instead.identity}`"
    missed = Missed(owed.first, owed.last, reason, owed.count, wanted=wanted)
    remedy = f"`dispatchd fire {cursor.cron} --at {rfc3339(missed.last)}` fires one of them now"
    incidents = () if missed.wanted else (missed_incident(cursor.cron, [missed], now, remedy),)
    taken.left.append(Due(cursor.cron, now, missed=(missed,), incidents=incidents))


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
