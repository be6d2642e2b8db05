"""What each fact is in the log: its lines, none or several. docs/logs.md lists them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from daemon.addresses import household
from daemon.dispatch import Dispatch, State
from daemon.event import FiringOutcome, Outcome
from daemon.expressions import rfc3339
from daemon.facts import (
    AttemptMade,
    CertificateRenewed,
    ConfigChanging,
    ConfigRefused,
    ConfigReloaded,
    ConfigReloading,
    DispatchAdded,
    DispatchesReleased,
    DispatchLookedInto,
    DispatchSettled,
    EntryPaused,
    EntryResumed,
    EventRecorded,
    Fact,
    FiringAccounted,
    FollowUpSettled,
    IncidentNoticed,
    MissedLookedFor,
    NewsTold,
    RequestRefused,
    RunNotFound,
    RunSeen,
    Started,
    Stopping,
    Trouble,
    WellnessChanged,
)
from daemon.follow_up import Standing
from daemon.journal.plain import TEXT_MAX, short
from daemon.log_line import Line, LogLevel, Value

IDS_TOLD = 20
"""Ids that one line names; who wants more of them asks the store."""

FAULTS_TOLD = 50
"""Faults of one config that are told one by one; `dispatchd validate` tells all."""

PATH_MAX = 200
"""Characters of a path: strangers choose it."""

REFUSALS = frozenset({Outcome.LIMITED, Outcome.UNAUTHORIZED})
"""Verdicts after which nothing is acknowledged, where they are the only ones."""

RUN_STATUSES = frozenset({"requested", "waiting", "pending", "queued", "in_progress", "completed"})
"""What GitHub says of a run; another word is told as a field, since it comes from outside."""

DEBUG, INFO, WARNING, ERROR = LogLevel


def lines_of(fact: Fact) -> Iterable[Line]:
    """The lines that tell of it."""
    tell = _OFTEN.get(type(fact), _rarer)
    return tell(fact)


def config_warning(text: str) -> Line:
    """The line of something doubtful in the config."""
    return Line("config warning", WARNING, {"message": short(text, 2 * TEXT_MAX)})


def _rarer(fact: Fact) -> Iterator[Line]:
    match fact:
        case Started():
            fields: dict[str, Value] = {
                "addresses": list(fact.addresses),
                "crons": fact.crons,
                "triggers": fact.triggers,
                "database": fact.database,
            }
            if fact.simulated:
                fields["simulation"] = "nothing reaches GitHub"
            yield Line("serving", INFO, fields)
        case ConfigReloading():
            yield Line("config reloading", INFO, {"reason": short(fact.why)})
        case ConfigChanging(changes=changes):
            for change in changes:
                yield Line("config change", INFO, {"message": short(change)})
        case ConfigReloaded():
            fields = {"generation": fact.generation}
            yield Line(
                "config reloaded", INFO, fields | {"crons": fact.crons, "triggers": fact.triggers}
            )
            yield from map(config_warning, fact.warnings[:FAULTS_TOLD])
        case ConfigRefused(reasons=reasons):
            for reason in reasons[:FAULTS_TOLD]:
                yield Line("config fault", ERROR, {"message": short(reason, 2 * TEXT_MAX)})
            yield Line(
                "config refused", ERROR, {"generation": fact.generation, "count": len(reasons)}
            )
        case Stopping():
            yield Line("stopping", INFO, {"in_flight": fact.in_flight})
        case CertificateRenewed():
            yield Line("certificate renewed", INFO, {"file": fact.file, "ends": rfc3339(fact.ends)})
        case DispatchAdded(dispatch=dispatch) if dispatch.replay_of is None:
            yield Line("dispatch added", INFO, {**_ids(dispatch), **_given(by=short(fact.by))})
        case DispatchAdded(dispatch=dispatch):
            fields = {**_ids(dispatch), "replay_of": dispatch.replay_of}
            fields |= _given(by=short(fact.by))
            yield Line("dispatch replayed", INFO, fields)
        case FiringAccounted():
            yield _firing(fact)
        case IncidentNoticed(incident=incident):
            yield Line(
                f"incident {incident.kind}",
                ERROR,
                {
                    "entry": incident.entry,
                    "instants": incident.count,
                    "first": rfc3339(incident.first),
                    "last": rfc3339(incident.last),
                    "reason": short(incident.text),
                },
            )
        case EntryPaused(pause=pause):
            fields = {"entry": pause.entry, "by": short(pause.by), "reason": short(pause.reason)}
            yield Line("entry paused", WARNING, fields)
        case EntryResumed():
            fields = {"entry": fact.entry, "by": short(fact.by), "released": fact.released}
            yield Line("entry resumed", INFO, fields)
        case DispatchesReleased(dispatches=dispatches):
            yield Line(
                "dispatches released",
                WARNING,
                {
                    "entry": fact.entry,
                    "by": short(fact.by),
                    "released": len(dispatches),
                    "dispatches": list(dispatches[:IDS_TOLD]),
                },
            )
        case DispatchLookedInto(dispatch=dispatch):
            held = dispatch.state is State.HELD
            yield Line(
                f"dispatch {dispatch.state}",
                WARNING,
                {
                    **_ids(dispatch),
                    "reason": short(dispatch.reason),
                    **_given(
                        diagnosis=short(dispatch.diagnosis),
                        due_at=None if held else rfc3339(dispatch.due_at),
                    ),
                },
            )
        case MissedLookedFor():
            fields = {"hooks": fact.hooks, "missed": fact.missed, "asked_again": fact.asked}
            if fact.refused:
                fields["not_asked"] = _counts(fact.refused)
            yield Line("missed webhook deliveries", WARNING if fact.refused else INFO, fields)
        case FollowUpSettled():
            yield _follow_up(fact)
        case NewsTold():
            fields = {"count": fact.count, "target": fact.target, "kinds": list(fact.kinds)}
            yield Line("news told", INFO, fields)
        case WellnessChanged():
            fields = {"name": fact.name, "reason": short(fact.text)}
            event, level = ("well again", INFO) if fact.over else ("unwell", ERROR)
            yield Line(event, level, fields)
        case RunNotFound(dispatch=dispatch):
            yield Line(
                f"run {dispatch.match}",
                ERROR,
                {
                    **_ids(dispatch),
                    "repository": dispatch.repository,
                    "reason": short(dispatch.diagnosis),
                },
            )


def _verdicts(fact: EventRecorded) -> Iterable[Line]:
    event, verdicts = fact.event, fact.verdicts
    lines = []
    # Of many triggers on one path most have nothing to do with a delivery.
    passed = [each.entry for each in verdicts if each.outcome is Outcome.UNMATCHED]
    if len(passed) > 1:
        verdicts = tuple(each for each in verdicts if each.outcome is not Outcome.UNMATCHED)
        why = "their `when` is false"
        told: dict[str, Value] = {"event_id": event.id, "entries": passed, "reason": why}
        lines.append(Line("verdict unmatched", INFO, told))
    for verdict in verdicts:
        outcome = verdict.outcome
        fields: dict[str, Value] = {
            "event_id": event.id,
            "entry": verdict.entry,
            "dispatches": [dispatch.id for dispatch in verdict.dispatches],
        }
        fields |= _given(
            reason=short(verdict.reason), duplicate_of=verdict.duplicate_of, by=short(event.by)
        )
        if verdict.supersedes:
            fields["supersedes"] = list(verdict.supersedes)
        if outcome is Outcome.LIMITED and all(each.outcome in REFUSALS for each in fact.verdicts):
            lines.append(Line(_VERDICT[outcome], INFO, fields, (verdict.entry,)))
        else:
            level = WARNING if outcome is Outcome.ERROR else INFO
            lines.append(Line(_VERDICT[outcome], level, fields))
    return lines


def _attempt(fact: AttemptMade) -> Iterable[Line]:
    dispatch, attempt = fact.dispatch, fact.attempt
    fields: dict[str, Value] = {
        **_ids(dispatch),
        "number": attempt.number,
        "status": attempt.status,
        "seconds": round(attempt.duration.total_seconds(), 3),
    }
    fields |= _given(
        message=short(attempt.message),
        request_id=short(attempt.request_id),
        next_try=None if dispatch.state.final else rfc3339(dispatch.due_at),
    )
    level = INFO if dispatch.state is State.ACCEPTED else WARNING
    return (Line(f"attempt {attempt.outcome}", level, fields),)


def _settled(fact: DispatchSettled) -> Iterable[Line]:
    dispatch = fact.dispatch
    fields: dict[str, Value] = {
        **_ids(dispatch),
        "repository": dispatch.repository,
        **_given(
            event_type=short(dispatch.event_type),
            workflow=dispatch.workflow,
            run_url=dispatch.run_url,
            reason=short(dispatch.reason),
        ),
    }
    level = ERROR if dispatch.state is State.DEAD else INFO
    return (Line(f"dispatch {dispatch.state}", level, fields),)


def _run_seen(fact: RunSeen) -> Iterable[Line]:
    dispatch, run = fact.dispatch, fact.run
    fields: dict[str, Value] = {
        **_ids(dispatch),
        "run_url": short(run.url) or str(run.id),
        "match": dispatch.match,
        "status": short(run.outcome, 64),
    }
    if run.attempt > 1:
        fields["attempt"] = run.attempt
    return (Line(_of_run(fact), WARNING if run.failed else INFO, fields),)


def _trouble(fact: Trouble) -> Iterable[Line]:
    fields: dict[str, Value] = {"part": fact.part, "message": short(fact.message)}
    return (Line("trouble", ERROR, fields, (fact.part,)),)


def _of_run(fact: RunSeen) -> str:
    if fact.before is None:
        return "run found"
    return f"run {fact.run.status}" if fact.run.status in RUN_STATUSES else "run changed"


def _refusal(fact: RequestRefused) -> Iterable[Line]:
    try:
        client = household(fact.client_ip)
    except ValueError:  # no address
        client = fact.client_ip
    fields: dict[str, Value] = {
        "status": fact.status,
        "method": short(fact.method, 20),
        "path": short(fact.path, PATH_MAX),
        "client_ip": short(fact.client_ip, 64),
        "reason": short(fact.reason),
    }
    kinds = str(fact.status), short(client, 64)
    return (Line("request refused", WARNING, fields, kinds),)


def _firing(fact: FiringAccounted) -> Line:
    at = rfc3339(fact.scheduled_at)
    if fact.outcome is FiringOutcome.FIRED:
        fields: dict[str, Value] = {"entry": fact.cron, "scheduled_at": at}
        return Line("cron fired", INFO, {**fields, **_given(event_id=fact.event_id)})
    fields = {"entry": fact.cron, "scheduled_at": at, "reason": short(fact.reason)}
    if fact.count > 1:
        fields["count"] = fact.count
    # Of a long absence there can be thousands that nobody wanted so: the incident tells of them.
    return Line("cron instant missed", INFO if fact.wanted else DEBUG, fields)


def _follow_up(fact: FollowUpSettled) -> Line:
    follow_up = fact.follow_up
    return Line(
        f"follow-up {follow_up.state}",
        ERROR if follow_up.state is Standing.GAVE_UP else INFO,
        {
            **_given(event_id=fact.event_id),
            "dispatch_id": follow_up.dispatch_id,
            "entry": follow_up.entry,
            "cause": follow_up.cause.value,
            **_given(
                made=follow_up.made,
                target=follow_up.target,
                run_url=follow_up.run_url,
                reason=short(follow_up.reason),
            ),
        },
    )


def _ids(dispatch: Dispatch) -> dict[str, Value]:
    return {"event_id": dispatch.event_id, "dispatch_id": dispatch.id, "entry": dispatch.entry}


def _counts(refused: Mapping[int, int]) -> str:
    found = ", ".join(f"{count} answered {status}" for status, count in sorted(refused.items()))
    return f"{found}; once that is mended: dispatchd recover --refused"


def _given(**fields: str | None) -> dict[str, str]:
    """The fields that have something to say."""
    return {name: value for name, value in fields.items() if value}


_VERDICT = {outcome: f"verdict {outcome}" for outcome in Outcome}

_OFTEN: Mapping[type[Fact], Callable[[Any], Iterable[Line]]] = {
    EventRecorded: _verdicts,
    AttemptMade: _attempt,
    DispatchSettled: _settled,
    RunSeen: _run_seen,
    RequestRefused: _refusal,
    Trouble: _trouble,
}
"""What is told at every step of the way of an event, and what floods bring."""
