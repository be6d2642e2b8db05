"""A fact of every kind, in every way in which the log tells it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from daemon.dispatch import Attempt, State
from daemon.event import Delivery, Event, FiringOutcome, Outcome, Pause, Verdict
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
from daemon.incident import Incident, IncidentKind
from daemon.render import new_dispatch
from daemon.run import Match, Run
from tests.follow_ups import follow_up

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
DELIVERY = Delivery(
    route="/hook",
    method="POST",
    path="/hook",
    headers={"x-a": "in a header"},
    query={},
    params={},
    body=b"in the body",
    client_ip="192.0.2.1",
    received_at=NOW,
)
DISPATCH = new_dispatch(
    dispatch_id="dsp_1",
    event_id="evt_1",
    entry="push",
    repository="o/r",
    event_type="build",
    client_payload='{"a":"in the payload"}',
    now=NOW,
    send_within=timedelta(days=1),
)
ATTEMPT = Attempt("dsp_1", 1, NOW, timedelta(seconds=0.25), "accepted", 204, "", "REQ:1")
OUTCOMES = ("accepted", "throttled", "unauthorized", "failed", "unreachable", "ambiguous")
RUN = Run(
    id=7,
    repository="o/r",
    attempt=2,
    workflow=".github/workflows/build.yml",
    name="Build",
    title="build",
    event="repository_dispatch",
    status="queued",
    conclusion="",
    branch="main",
    url="https://github.example/o/r/actions/runs/7",
    created_at=NOW,
    updated_at=NOW,
)


def every_fact(text: str = "why") -> Iterator[Fact]:
    """``text`` stands wherever something from outside may."""
    yield Started(("http://127.0.0.1:8080",), 1, 2, "/d.sqlite", simulated=True)
    yield ConfigReloading(text)
    yield ConfigChanging((text, "cron nightly added"))
    yield ConfigReloaded(2, 1, 2, (text,))
    yield ConfigRefused(1, (text,))
    for outcome in Outcome:
        verdict = Verdict("push", outcome, text, (DISPATCH,), duplicate_of="evt_0")
        several = (replace(verdict, supersedes=("dsp_0",)), replace(verdict, entry="other"))
        yield EventRecorded(Event("evt_1", DELIVERY, by=text), several)
        yield EventRecorded(Event("evt_1", DELIVERY, by=text), (verdict,))
    yield DispatchAdded(DISPATCH)
    yield DispatchAdded(replace(DISPATCH, replay_of="dsp_0"), text)
    yield RequestRefused(text, text, text, 401, text)
    yield FiringAccounted("nightly", NOW, FiringOutcome.FIRED, event_id="evt_1")
    for wanted in (True, False):
        yield FiringAccounted("nightly", NOW, FiringOutcome.MISSED, text, 7, wanted=wanted)
    for kind in IncidentKind:
        yield IncidentNoticed(Incident("nightly", kind, NOW, NOW, 3, NOW, text))
    yield EntryPaused(Pause("push", NOW, text, text))
    yield EntryResumed("push", text, 2)
    yield DispatchesReleased("push", text, ("dsp_1",))
    yield AttemptMade(replace(DISPATCH, state=State.ACCEPTED), ATTEMPT)
    for answer in OUTCOMES[1:]:
        yield AttemptMade(DISPATCH, replace(ATTEMPT, outcome=answer, message=text, request_id=text))
    told = replace(DISPATCH, reason=text, diagnosis=text, event_type=text, run_url="https://x/1")
    for state in (State.HELD, State.PENDING, State.UNSURE):
        yield DispatchLookedInto(replace(told, state=state))
    for state in State:
        if state.final:
            yield DispatchSettled(replace(told, state=state, workflow="build.yml"))
    yield MissedLookedFor(2, 3, 3, {})
    yield MissedLookedFor(2, 3, 1, {401: 2})
    for standing in Standing:
        if standing is not Standing.OWED:
            done = follow_up(state=standing, target="env:SLACK_URL", reason=text, made="dsp_2")
            yield FollowUpSettled(replace(done, run_url="https://x/1"), "evt_1")
    yield RunSeen(DISPATCH, replace(RUN, url=text), None)
    for status in ("requested", "waiting", "pending", "queued", "in_progress", "completed", text):
        yield RunSeen(DISPATCH, replace(RUN, status=status), RUN)
    for match in (Match.MISSING, Match.AMBIGUOUS):
        yield RunNotFound(replace(told, match=match))
    yield CertificateRenewed("/etc/dispatchd/tls.pem", NOW)
    yield NewsTold(7, "env:SLACK_URL", ("dead", "missed"))
    for over in (True, False):
        yield WellnessChanged("github", text, over)
    yield Trouble("store", text)
    yield Stopping(3)
