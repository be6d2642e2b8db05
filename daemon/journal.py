"""Facts as log lines: one line a decision, with the ids that lead on from it. Readable on a
terminal, JSON elsewhere. No body, no header and no secret ever gets here."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol, TextIO

import orjson

from daemon.dispatch import State
from daemon.event import FiringOutcome, Outcome
from daemon.expressions import rfc3339
from daemon.facts import (
    AttemptMade,
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
    RequestRefused,
    RunNotFound,
    RunSeen,
    Started,
    Stopping,
    Trouble,
)
from daemon.follow_up import Standing

IDS_TOLD = 20
"""Ids that one line names; who wants more of them asks the store."""

TEXT_MAX = 500
"""Characters of any text from outside that get into a line."""


class Log(Protocol):
    """Takes one line at a time, by how bad it is: what happened, and the fields that belong to it.
    structlog's loggers are such."""

    def info(self, event: str, **fields: object) -> object: ...

    def warning(self, event: str, **fields: object) -> object: ...

    def error(self, event: str, **fields: object) -> object: ...


def open_log(stream: TextIO = sys.stderr) -> Log:
    """Lines for people where ``stream`` is a terminal, else JSON. What libraries log as warnings or
    worse goes to the same stream."""
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(levelname)s %(message)s")
    return _terminal(stream) if stream.isatty() else JsonLines(stream)


class JsonLines:
    """A log in which each line is a JSON object."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def info(self, event: str, **fields: object) -> None:
        self._put("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._put("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._put("error", event, fields)

    def _put(self, level: str, event: str, fields: dict[str, object]) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        fields |= {"event": event, "level": level, "timestamp": now.replace("+00:00", "Z")}
        self._stream.write(_encoded(fields) + "\n")
        self._stream.flush()


def _encoded(fields: dict[str, object]) -> str:
    try:
        return orjson.dumps(fields).decode()
    except TypeError:  # half of a surrogate pair, from a byte of a path that is no UTF-8
        return json.dumps(fields)


def _terminal(stream: TextIO) -> Log:
    """structlog's, configured nowhere globally."""
    # It loads all that paints tracebacks, 3 MB, which a service has no use for.
    import structlog

    log: Log = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind()  # once and for all, instead of at every line
    return log


class Journal:
    """Subscribes to the facts and writes them down."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def hear(self, fact: Fact) -> None:
        """A log that cannot be written (a full disk, a closed pipe) must not stop the work: what
        the fact tells is in the store."""
        with contextlib.suppress(OSError, ValueError):
            self._write(fact)

    def _write(self, fact: Fact) -> None:
        log = self._log
        match fact:
            case Started():
                log.info(
                    "serving",
                    addresses=list(fact.addresses),
                    crons=fact.crons,
                    triggers=fact.triggers,
                    database=fact.database,
                    **({"simulation": "nothing reaches GitHub"} if fact.simulated else {}),
                )
            case EventRecorded(event=event, verdicts=verdicts):
                # Of many triggers on one path most have nothing to do with a delivery.
                passed = [each.entry for each in verdicts if each.outcome is Outcome.UNMATCHED]
                if len(passed) > 1:
                    log.info(
                        f"verdict {Outcome.UNMATCHED}",
                        event_id=event.id,
                        entries=passed,
                        reason="their `when` is false",
                    )
                for verdict in verdicts:
                    if verdict.outcome is Outcome.UNMATCHED and len(passed) > 1:
                        continue
                    failed = verdict.outcome is Outcome.ERROR
                    (log.warning if failed else log.info)(
                        f"verdict {verdict.outcome}",
                        event_id=event.id,
                        entry=verdict.entry,
                        dispatches=[dispatch.id for dispatch in verdict.dispatches],
                        **_given(
                            reason=verdict.reason,
                            duplicate_of=verdict.duplicate_of,
                            supersedes=", ".join(verdict.supersedes),
                            by=event.by,
                        ),
                    )
            case DispatchAdded(dispatch=dispatch) if dispatch.replay_of is None:
                log.info("dispatch added", dispatch_id=dispatch.id, entry=dispatch.entry)
            case DispatchAdded(dispatch=dispatch):
                log.info(
                    "dispatch replayed",
                    dispatch_id=dispatch.id,
                    replay_of=dispatch.replay_of,
                    **_given(by=fact.by),
                )
            case FiringAccounted(outcome=FiringOutcome.FIRED):
                log.info("cron fired", cron=fact.cron, scheduled_at=rfc3339(fact.scheduled_at))
            case FiringAccounted(wanted=True):
                log.info(
                    "cron instant missed",
                    cron=fact.cron,
                    scheduled_at=rfc3339(fact.scheduled_at),
                    reason=_short(fact.reason),
                    **({"count": fact.count} if fact.count > 1 else {}),
                )
            case FiringAccounted():
                pass  # of a long absence there can be thousands: the incident tells of them
            case IncidentNoticed(incident=incident):
                log.error(
                    f"incident {incident.kind}",
                    entry=incident.entry,
                    instants=incident.count,
                    first=rfc3339(incident.first),
                    last=rfc3339(incident.last),
                    reason=_short(incident.text),
                )
            case EntryPaused(pause=pause):
                log.warning(
                    "entry paused", entry=pause.entry, by=pause.by, reason=_short(pause.reason)
                )
            case EntryResumed():
                log.info("entry resumed", entry=fact.entry, by=fact.by, released=fact.released)
            case DispatchesReleased(dispatches=dispatches):
                log.warning(
                    "dispatches released",
                    entry=fact.entry,
                    by=fact.by,
                    released=len(dispatches),
                    dispatches=list(dispatches[:IDS_TOLD]),
                )
            case RequestRefused():
                log.warning(
                    "request refused",
                    status=fact.status,
                    method=fact.method,
                    path=_short(fact.path),
                    client_ip=fact.client_ip,
                    reason=_short(fact.reason),
                )
            case AttemptMade(dispatch=dispatch, attempt=attempt):
                accepted = dispatch.state is State.ACCEPTED
                (log.info if accepted else log.warning)(
                    f"attempt {attempt.outcome}",
                    dispatch_id=dispatch.id,
                    entry=dispatch.entry,
                    number=attempt.number,
                    status=attempt.status,
                    seconds=round(attempt.duration.total_seconds(), 3),
                    **_given(
                        message=_short(attempt.message),
                        request_id=attempt.request_id,
                        next_try=None if dispatch.state.final else rfc3339(dispatch.due_at),
                    ),
                )
            case DispatchLookedInto(dispatch=dispatch):
                log.warning(
                    f"dispatch {dispatch.state}",
                    dispatch_id=dispatch.id,
                    entry=dispatch.entry,
                    reason=_short(dispatch.reason),
                    **_given(diagnosis=_short(dispatch.diagnosis)),
                    **(
                        {} if dispatch.state is State.HELD else {"due_at": rfc3339(dispatch.due_at)}
                    ),
                )
            case DispatchSettled(dispatch=dispatch):
                dead = dispatch.state is State.DEAD
                (log.error if dead else log.info)(
                    f"dispatch {dispatch.state}",
                    dispatch_id=dispatch.id,
                    entry=dispatch.entry,
                    repository=dispatch.repository,
                    **_given(event_type=_short(dispatch.event_type)),
                    **_given(workflow=dispatch.workflow, run_url=dispatch.run_url),
                    **_given(reason=_short(dispatch.reason)),
                )
            case MissedLookedFor():
                (log.warning if fact.refused else log.info)(
                    "missed webhook deliveries",
                    hooks=fact.hooks,
                    missed=fact.missed,
                    asked_again=fact.asked,
                    **({"not_asked": _counts(fact.refused)} if fact.refused else {}),
                )
            case FollowUpSettled(follow_up=follow_up):
                gave_up = follow_up.state is Standing.GAVE_UP
                (log.error if gave_up else log.info)(
                    f"follow-up {follow_up.state}",
                    dispatch_id=follow_up.dispatch_id,
                    entry=follow_up.entry,
                    cause=follow_up.cause.value,
                    **_given(
                        made=follow_up.made,
                        target=follow_up.target,
                        run_url=follow_up.run_url,
                        reason=_short(follow_up.reason),
                    ),
                )
            case RunSeen(dispatch=dispatch, run=run, before=before):
                told = "run found" if before is None else f"run {run.status}"
                (log.warning if run.failed else log.info)(
                    told,
                    dispatch_id=dispatch.id,
                    entry=dispatch.entry,
                    run_url=run.url or run.id,
                    match=dispatch.match.value,
                    status=run.outcome,
                    **({"attempt": run.attempt} if run.attempt > 1 else {}),
                )
            case RunNotFound(dispatch=dispatch):
                log.error(
                    f"run {dispatch.match}",
                    dispatch_id=dispatch.id,
                    entry=dispatch.entry,
                    repository=dispatch.repository,
                    reason=_short(dispatch.diagnosis),
                )
            case Trouble():
                log.error("trouble", part=fact.part, message=_short(fact.message))
            case Stopping():
                log.info("stopping", in_flight=fact.in_flight)


def _counts(refused: Mapping[int, int]) -> str:
    found = ", ".join(f"{count} answered {status}" for status, count in sorted(refused.items()))
    return f"{found}; once that is mended: dispatchd recover --refused"


def _given(**fields: str | None) -> dict[str, str]:
    """The fields that have something to say."""
    return {name: value for name, value in fields.items() if value}


def _short(text: str) -> str:
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"
