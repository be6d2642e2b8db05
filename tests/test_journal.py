"""Facts as log lines: what each says, in which form, at which level, and that no text from outside
can steer who reads it."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.dispatch import State
from daemon.errors import UsageError
from daemon.event import Event, FiringOutcome, Outcome, Pause, Verdict
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
    RunSeen,
    Started,
    Stopping,
    Trouble,
)
from daemon.follow_up import Standing
from daemon.incident import Incident, IncidentKind
from daemon.journal import Journal, open_log
from daemon.journal.json_lines import JsonLines
from daemon.journal.native import datagram
from daemon.journal.opening import listened_to_by_journald
from daemon.journal.plain import short
from daemon.journal.telling import PATH_MAX, lines_of
from daemon.journal.terminal import Text
from daemon.log_line import Line, LogFormat, LogLevel
from daemon.secret import Secret
from tests.follow_ups import follow_up
from tests.log_facts import ATTEMPT, DELIVERY, DISPATCH, NOW, RUN, every_fact

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
    assert (lines[0]["dispatches"], lines[0]["supersedes"]) == (["dsp_1"], ["dsp_0"])
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
    assert PATH_MAX - 20 < len(lines[0]["path"]) <= PATH_MAX
    assert lines[0]["reason"] == "no\r\nyes"


def test_every_line_of_a_dispatch_names_its_event_and_its_entry_too() -> None:
    for fact in every_fact():
        for line in lines_of(fact):
            if "dispatch_id" in line.fields:
                assert line.fields["event_id"] == "evt_1", line
                assert line.fields["entry"], line


def test_below_its_level_nothing_is_written() -> None:
    def events(level: LogLevel) -> list[str]:
        stream = io.StringIO()
        journal = Journal(open_log(stream), level)
        journal.hear(FiringAccounted("nightly", NOW, FiringOutcome.MISSED, "too late"))
        journal.hear(Stopping(0))
        journal.hear(EntryPaused(Pause("push", NOW, "alice", "")))
        journal.hear(Trouble("store", "the disk is full"))
        return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]

    every = ["cron instant missed", "stopping", "entry paused", "trouble"]
    assert [events(level) for level in LogLevel] == [every, every[1:], every[2:], every[3:]]


def in_text(line: Line) -> str:
    stream = io.StringIO()
    Text(stream).put(line)
    return stream.getvalue()


def in_json(line: Line) -> str:
    stream = io.StringIO()
    JsonLines(stream).put(line)
    return stream.getvalue()


def in_journald(line: Line) -> str:
    return datagram(line).decode()


RENDERERS = (in_text, in_json, in_journald)
ODD = st.sampled_from(
    [
        "\n",
        "\r",
        "\x1b[31m",
        "\x00",
        "\x7f",
        "\x9b2J",
        "\u202e",
        "\u2066",
        "\u2028",
        "\ud800",
        "\U000e0001",
    ]
)
OUTSIDE = st.lists(st.text(max_size=20) | ODD, max_size=6).map("".join)


@given(OUTSIDE)
def test_nothing_from_outside_gets_into_any_form_unescaped(text: str) -> None:
    """Each line is one line of printable characters, the fields of journald's apart, and what is
    its event is one of the few that there are."""
    usual = {line.event for fact in every_fact() for line in lines_of(fact)}
    for fact in every_fact(text):
        for line in lines_of(fact):
            assert line.event in usual | {"run changed"}
            assert in_text(line).removesuffix("\n").isprintable()
            assert in_json(line).removesuffix("\n").isprintable()
            fields = in_journald(line).removesuffix("\n").split("\n")
            assert all("=" in each and each.isprintable() for each in fields)
            names = {each.partition("=")[0] for each in fields}
            assert names <= {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "EVENT", "DETAIL"} | {
                *map(str.upper, line.fields),
                "DISPATCH_ID",
                "EVENT_ID",
                "ENTRY",
            }


@given(OUTSIDE)
def test_json_says_what_there_was(text: str) -> None:
    line = json.loads(in_json(Line("trouble", LogLevel.ERROR, {"message": text})))
    assert line["message"] == text


@given(st.text() | OUTSIDE)
def test_a_text_is_cut_by_what_it_takes_with_its_escapes(text: str) -> None:
    most = 50
    cut = short(text, most)
    assert len(in_text(Line("x", LogLevel.INFO, {"a": cut}))) <= 80 + 2 * most
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


def test_a_value_cannot_pass_for_another_field_on_a_terminal() -> None:
    line = in_text(Line("trouble", LogLevel.ERROR, {"message": 'x" level=info event="all is well'}))
    assert line.rstrip().endswith(r'message="x\" level=info event=\"all is well"')


@pytest.mark.parametrize("render", RENDERERS)
def test_a_secret_in_a_field_shows_its_reference(render: Callable[[Line], str]) -> None:
    fields: Any = {"target": Secret("hunter2-hunter2", "env:SLACK_URL")}
    shown = render(Line("trouble", LogLevel.ERROR, fields))
    assert "hunter2" not in shown
    assert "env:SLACK_URL" in shown


def test_what_github_says_of_a_run_is_a_field_and_no_event() -> None:
    (line,) = written(RunSeen(DISPATCH, replace(RUN, status="on fire"), RUN))
    assert (line["event"], line["status"]) == ("run changed", "on fire")


@dataclass
class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def __post_init__(self) -> None:
        super().__init__()

    def isatty(self) -> bool:
        return True


def test_people_get_text_and_programs_json() -> None:
    assert isinstance(open_log(Terminal()), Text)
    assert isinstance(open_log(io.StringIO()), JsonLines)
    assert isinstance(open_log(io.StringIO(), LogFormat.TEXT), Text)
    assert isinstance(open_log(Terminal(), LogFormat.JSON), JsonLines)


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    line = Line("stopping", LogLevel.INFO, {"in_flight": 3})

    def painted(stream: io.StringIO) -> bool:
        Text(stream).put(line)
        assert "stopping" in stream.getvalue()
        return "\x1b" in stream.getvalue()

    assert painted(Terminal())
    assert not painted(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not painted(Terminal())


def test_journald_is_where_systemd_says_that_it_listens(tmp_path: Path) -> None:
    """By device and inode: standard error may have been led elsewhere since."""
    with (tmp_path / "a").open("w") as stream, (tmp_path / "b").open("w") as other:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert listened_to_by_journald(stream, environ)
        assert not listened_to_by_journald(other, environ)
        assert not listened_to_by_journald(stream, {})
    assert not listened_to_by_journald(io.StringIO(), environ)


def test_without_a_journald_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.journal.native.SOCKET", "/there/is/none")
    with pytest.raises(UsageError, match="set DISPATCHD_LOG_FORMAT to json or text"):
        open_log(io.StringIO(), LogFormat.JOURNALD)


def test_what_is_no_text_takes_nothing_from_the_time_of_its_line() -> None:
    """A byte of a path that is no UTF-8 comes as half of a surrogate pair."""
    stamps = []
    for path in ("/hook", "/\udcff"):
        stream = io.StringIO()
        JsonLines(stream).put(Line("request refused", LogLevel.WARNING, {"path": path}))
        told = json.loads(stream.getvalue())
        assert told["path"] == path
        stamps.append(told["timestamp"])
    assert all(re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z", each) for each in stamps), stamps
