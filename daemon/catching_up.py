"""What becomes of the instants that a cron entry owes: which fire, which are missed and why, and
which of these somebody has to hear of. Pure: ``now`` is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from daemon.durations import written
from daemon.event import Due, Firing, Missed, Pause
from daemon.expressions import rfc3339
from daemon.incident import Incident, IncidentKind
from daemon.schedule import Backlog
from daemon.spec import CatchUp, CronSpec

ON_TIME = timedelta(seconds=60)
"""An instant no later than this fires as if nothing had happened; a later one is caught up with."""

BACKFILL_MAX = 1000
"""Instants that one backfill by hand takes: GitHub is written to once a second."""


def judge_backlog(
    cron: CronSpec, backlog: Backlog, now: datetime, pause: Pause | None = None
) -> Due:
    """Says of every instant owed whether it fires or is missed, and why.

    What is later than ``max_lateness`` is missed in any case. Of the rest, what is on time fires;
    of what is late ``catch_up`` fires all, none, or the newest, and that only where nothing newer
    fires anyway. While the entry is paused nothing does.
    """
    fires = dict.fromkeys(_firing(cron, backlog.instants, now))
    firings = tuple(
        Firing(cron.name, instant, now, catch_up=now - instant > ON_TIME) for instant in fires
    )
    missed = []
    if backlog.omitted is not None:
        left = backlog.omitted
        reason = f"older than the {cron.catch_up_limit} newest instants that were owed"
        missed.append(Missed(left.first, left.last, reason, left.count))
    missed += [
        Missed(instant, instant, _why_not(cron, instant, now))
        for instant in backlog.instants
        if instant not in fires
    ]
    due = Due(
        cron.name,
        now,
        firings,
        tuple(missed),
        cron.overlap,
        offset=cron.schedule.utc_offset(now),
        alert_after=cron.alert_after,
    )
    if pause is not None:
        due = at_rest(due, pause)
    return replace(due, incidents=tuple(_incidents(cron, due, now)))


def at_rest(due: Due, pause: Pause) -> Due:
    """What becomes of it while its entry is paused: nothing fires, and that is wanted. What was
    missed before the pause began was missed for its own reason."""
    missed = [
        replace(each, reason=str(pause), wanted=True) if each.first >= pause.since else each
        for each in due.missed
    ]
    missed += [
        Missed(firing.scheduled_at, firing.scheduled_at, str(pause), wanted=True)
        for firing in due.firings
    ]
    return replace(due, firings=(), missed=tuple(sorted(missed, key=lambda each: each.last)))


def _firing(cron: CronSpec, instants: Iterable[datetime], now: datetime) -> list[datetime]:
    may = [instant for instant in instants if not _too_late(cron, instant, now)]
    on_time = [instant for instant in may if now - instant <= ON_TIME]
    match cron.catch_up:
        case CatchUp.ALL:
            return may
        case CatchUp.LATEST:
            return on_time or may[-1:]
        case CatchUp.SKIP:
            return on_time


def _too_late(cron: CronSpec, instant: datetime, now: datetime) -> bool:
    return cron.max_lateness is not None and now - instant > cron.max_lateness


def _why_not(cron: CronSpec, instant: datetime, now: datetime) -> str:
    if cron.max_lateness is not None and _too_late(cron, instant, now):
        return f"more than {written(cron.max_lateness)} late, the most that `max_lateness` allows"
    which = "none" if cron.catch_up is CatchUp.SKIP else "only the newest"
    return (
        f"more than {ON_TIME.total_seconds():.0f} s late, and `catch_up: {cron.catch_up}` fires "
        f"{which}"
    )


def _incidents(cron: CronSpec, due: Due, now: datetime) -> Iterator[Incident]:
    unwanted = [each for each in due.missed if not each.wanted]
    if unwanted:
        yield missed_incident(cron.name, unwanted, now, _remedy(cron.name, unwanted))
    for firing in due.firings:
        late = now - firing.scheduled_at
        if cron.alert_after is not None and late > cron.alert_after:
            at = firing.scheduled_at
            text = (
                f"fired {late.total_seconds():.0f} s late, later than its `alert_after` of "
                f"{written(cron.alert_after)}"
            )
            yield Incident(cron.name, IncidentKind.LATE, at, at, 1, now, text)


def _remedy(entry: str, missed: Sequence[Missed]) -> str:
    if sum(each.count for each in missed) > BACKFILL_MAX:
        return f"`dispatchd fire {entry}` fires it once now, `dispatchd backfill` some of them"
    since, until = rfc3339(missed[0].first), rfc3339(missed[-1].last)
    return f"`dispatchd backfill {entry} --from {since} --to {until}` fires them now"


def missed_incident(entry: str, missed: Sequence[Missed], now: datetime, remedy: str) -> Incident:
    """One incident for all that an entry missed at a time, with the way to make up for it."""
    reasons = "; ".join(dict.fromkeys(each.reason for each in missed))
    return Incident(
        entry,
        IncidentKind.MISSED,
        missed[0].first,
        missed[-1].last,
        sum(each.count for each in missed),
        now,
        f"{reasons} ({remedy})",
    )
