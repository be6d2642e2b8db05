"""Facts as log lines."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.dispatch import Attempt, State
from daemon.event import Delivery, Event, FiringOutcome, Outcome, Pause, Verdict
from daemon.facts import (
    AttemptMade,
    DispatchAdded,
    DispatchSettled,
    EntryPaused,
    EntryResumed,
    EventRecorded,
    Fact,
    FiringAccounted,
    FollowUpSettled,
    IncidentNoticed,
    RequestRefused,
    Started,
    Stopping,
    Trouble,
)
from daemon.follow_up import Standing
from daemon.incident import Incident, IncidentKind
from daemon.journal import TEXT_MAX, Journal, open_log
from daemon.render import new_dispatch
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
FOLLOW_UP = follow_up(state=Standing.NOTIFIED, target="env:SLACK_URL")


def written(*facts: Fact) -> list[dict[str, Any]]:
    stream = io.StringIO()
    journal = Journal(open_log(stream))
    for fact in facts:
        journal.hear(fact)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_decision_is_one_line_with_the_ids_that_lead_on() -> None:
    verdicts = (
        Verdict("push", Outcome.DISPATCHED, dispatches=(DISPATCH,), supersedes=("dsp_0",)),
        Verdict("other", Outcome.ERROR, "when: there is no key"),
        Verdict("third", Outcome.DUPLICATE, duplicate_of="evt_0"),
    )
    lines = written(EventRecorded(Event("evt_1", DELIVERY), verdicts))
    assert [(line["event"], line["level"]) for line in lines] == [
        ("verdict dispatched", "info"),
        ("verdict error", "warning"),
        ("verdict duplicate", "info"),
    ]
    assert {line["event_id"] for line in lines} == {"evt_1"}
    assert (lines[0]["dispatches"], lines[0]["supersedes"]) == (["dsp_1"], "dsp_0")
    assert lines[1]["reason"] == "when: there is no key"
    assert lines[2]["duplicate_of"] == "evt_0"


def test_the_many_that_a_delivery_does_not_concern_share_a_line() -> None:
    """Of twenty triggers on a path nineteen say no to each delivery."""
    no = [Verdict(name, Outcome.UNMATCHED, "its `when` is false") for name in ("a", "b", "c")]
    yes = Verdict("push", Outcome.DISPATCHED, dispatches=(DISPATCH,))
    together = written(EventRecorded(Event("evt_1", DELIVERY), (*no[:2], yes, no[2])))
    assert [(line["event"], line["event_id"]) for line in together] == [
        ("verdict unmatched", "evt_1"),
        ("verdict dispatched", "evt_1"),
    ]
    assert together[0]["entries"] == ["a", "b", "c"]
    (alone,) = written(EventRecorded(Event("evt_1", DELIVERY), (no[0],)))
    assert (alone["entry"], alone["reason"]) == ("a", "its `when` is false")


def test_every_kind_of_fact_has_its_line() -> None:
    lines = written(
        Started(("http://127.0.0.1:8080",), 1, 2, "/d.sqlite", simulated=True),
        DispatchAdded(replace(DISPATCH, replay_of="dsp_1")),
        FiringAccounted("nightly", NOW, FiringOutcome.FIRED),
        FiringAccounted("nightly", NOW, FiringOutcome.MISSED, "too late"),
        FiringAccounted("nightly", NOW, FiringOutcome.MISSED, "paused", 7, wanted=True),
        IncidentNoticed(Incident("nightly", IncidentKind.MISSED, NOW, NOW, 3, NOW, "too late")),
        EntryPaused(Pause("push", NOW, "alice", "the runners move")),
        EntryResumed("push", "bob", 2),
        AttemptMade(DISPATCH, ATTEMPT),
        DispatchSettled(DISPATCH),
        DispatchAdded(DISPATCH),
        FollowUpSettled(FOLLOW_UP),
        Trouble("store", "the disk is full"),
        Stopping(3),
    )
    assert [line["event"] for line in lines] == [
        "serving",
        "dispatch replayed",
        "cron fired",
        "cron instant missed",
        "incident missed",
        "entry paused",
        "entry resumed",
        "attempt accepted",
        "dispatch pending",
        "dispatch added",
        "follow-up notified",
        "trouble",
        "stopping",
    ]
    assert lines[0]["simulation"] == "nothing reaches GitHub"
    assert (lines[3]["reason"], lines[3]["count"]) == ("paused", 7)
    assert (lines[4]["level"], lines[4]["instants"], lines[4]["reason"]) == ("error", 3, "too late")
    assert (lines[5]["by"], lines[5]["reason"]) == ("alice", "the runners move")
    assert (lines[6]["by"], lines[6]["released"]) == ("bob", 2)
    assert lines[7]["request_id"] == "REQ:1"
    assert (lines[10]["cause"], lines[10]["target"]) == ("dead", "env:SLACK_URL")


def test_a_dead_dispatch_is_an_error_and_a_later_try_is_named() -> None:
    dead = replace(DISPATCH, state=State.DEAD, reason="404 Not Found")
    waiting = replace(DISPATCH, state=State.UNSURE, due_at=NOW + timedelta(minutes=1))
    line, retry = written(DispatchSettled(dead), AttemptMade(waiting, ATTEMPT))
    assert (line["level"], line["reason"]) == ("error", "404 Not Found")
    assert (retry["level"], retry["next_try"]) == ("warning", "2026-11-23T04:01:00Z")


def test_no_body_header_or_payload_is_written() -> None:
    lines = written(
        EventRecorded(Event("evt_1", DELIVERY), (Verdict("push", Outcome.DISPATCHED),)),
        DispatchSettled(DISPATCH),
        AttemptMade(DISPATCH, ATTEMPT),
    )
    assert "in the" not in json.dumps(lines)
    assert "in a header" not in json.dumps(lines)


def test_text_from_outside_can_neither_break_nor_fill_a_line() -> None:
    lines = written(RequestRefused("POST", "/a\nb" + "x" * 9000, "192.0.2.1", 401, "no\r\nyes"))
    assert len(lines) == 1
    assert len(lines[0]["path"]) == TEXT_MAX
    assert lines[0]["reason"] == "no\r\nyes"
