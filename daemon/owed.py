"""What entries owe when they are due, divided into what one transaction takes. Pure: ``now`` is an
argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from daemon.agenda import Entry
from daemon.catching_up import judge_backlog
from daemon.event import Due, Firing, Missed, Paused
from daemon.incident import IncidentKind
from daemon.schedule import Backlog, Schedule

FIRINGS = 200
"""As many firings are judged and recorded at a time, so that the event loop has a moment in
between."""

ROWS = 2000
"""As many instants, fired or missed, are recorded in one transaction."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What the first ``entries`` of some owe, in portions that are recorded one by one; and these
    entries as they stand once that is done."""

    entries: int
    portions: list[list[Due]]
    moved: list[Entry]


def work_out(entries: Sequence[Entry], began: datetime, paused: Paused) -> Owed:
    """Looks at as many entries as make a transaction together, or at one that makes several. One
    that is not due yet is looked at as of its instant."""
    dues: list[tuple[Due, Schedule]] = []
    moved: list[Entry] = []
    looked_at = rows = 0
    for entry in entries:
        now = max(began, entry.due_at)
        cron, schedule = entry.cron, entry.cron.schedule
        due_at = schedule.next_after(entry.due_at)
        if due_at is None or due_at > now:  # nearly always, and the cheapest to find
            backlog = Backlog((entry.due_at,))
        else:
            backlog = schedule.due_between(entry.cursor, now, cron.catch_up_limit)
            due_at = schedule.next_after(now)
        due = judge_backlog(cron, backlog, now, paused(cron.name))
        dues.append((due, schedule))
        if due_at is not None:
            moved.append(Entry(cron, due.cursor, due_at))
        looked_at += 1
        rows += len(due.firings) + len(due.missed)
        if rows >= ROWS:
            break
    return Owed(looked_at, list(_portions(dues)), moved)


def _portions(dues: Iterable[tuple[Due, Schedule]]) -> Iterator[list[Due]]:
    """The dues in transactions of bounded size."""
    portion: list[Due] = []
    firings = rows = 0
    for due in (part for each in dues for part in _parts(*each)):
        if portion and (firings + len(due.firings) > FIRINGS or rows + len(due.missed) > ROWS):
            yield portion
            portion, firings, rows = [], 0, 0
        portion.append(due)
        firings += len(due.firings)
        rows += len(due.firings) + len(due.missed)
    if portion:
        yield portion


def _parts(due: Due, schedule: Schedule) -> Iterator[Due]:
    """A due of many instants as several, oldest first; each moves the cursor as far as it goes."""
    if len(due.firings) <= FIRINGS and len(due.missed) <= ROWS:
        yield due
        return
    steps: list[Firing | Missed] = [*due.firings, *due.missed]
    steps.sort(key=_end)
    for start in range(0, len(steps), FIRINGS):
        some = steps[start : start + FIRINGS]
        last = start + FIRINGS >= len(steps)
        firings = tuple(each for each in some if isinstance(each, Firing))
        fired = {firing.scheduled_at for firing in firings}
        cursor = due.cursor if last else _end(some[-1])
        yield replace(
            due,
            cursor=cursor,
            offset=schedule.utc_offset(cursor),
            firings=firings,
            missed=tuple(each for each in some if isinstance(each, Missed)),
            incidents=tuple(
                each
                for each in due.incidents
                if (last if each.kind is IncidentKind.MISSED else each.last in fired)
            ),
        )


def _end(step: Firing | Missed) -> datetime:
    return step.scheduled_at if isinstance(step, Firing) else step.last
