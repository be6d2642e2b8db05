"""The commands that look: at the daemon, or in its database when none answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.facts import AttemptMade
from daemon.simulator import Fault, FaultKind
from tests.harness.raw_http import ask, request
from tests.inprocess import serving
from tests.shell import Shell
from tests.specs import cron_entry, trigger_entry


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def test_looking_falls_back_on_the_database(shell: Shell, tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        _, sent = await daemon.call("POST", "/dispatch", json={"event_type": "x"})
    for command in (["events"], ["dispatches"]):
        looked = await shell.run(*command, "--json")
        assert looked.code == 0
        assert "no daemon answers" in looked.err
        assert len(looked.json[command[0]]) == 1
    one = await shell.run("dispatches", sent["dispatch_id"], "--json")
    assert one.json["state"] == "accepted"
    event = await shell.run("events", one.json["event_id"], "--json")
    assert event.json["body"] == '{"event_type": "x"}'
    assert (await shell.run("dispatches", "dsp_x")).code == 1
    assert (await shell.run("events", "evt_x")).code == 1
    status = await shell.run("status", "--json")
    assert (status.code, status.json["running"]) == (1, False)
    assert "not running" in status.err


async def test_a_source_that_there_is_not_is_met_with_those_that_there_are(
    shell: Shell, tmp_path: Path
) -> None:
    entries, crons = [trigger_entry("a", path="/hooks/a")], [cron_entry("nightly")]
    async with serving(tmp_path, triggers=entries, crons=crons) as daemon:
        url = ("--url", daemon.url)
        for known in ("/hooks/a", "nightly", "/dispatch"):
            assert (await shell.run("events", "--source", known, *url)).err == ""
        asked = await shell.run("events", "--source", "/hooks/b", *url, "--json")
    assert asked.json == {"events": []}
    there = "'/hooks/b'; there are: /hooks/a, nightly, /dispatch\n"
    assert asked.err == f"warning: there is no such source {there}"


async def test_without_daemon_and_database_it_says_where_it_looked(shell: Shell) -> None:
    looked = await shell.run("events")
    assert looked.code == 1
    for part in (".sock is not there", "127.0.0.1:9", "there is no database"):
        assert part in looked.err
    acting = await shell.run("fire", "x")
    assert (acting.code, "no daemon answers" in acting.err) == (1, True)


async def test_a_fault_in_an_entry_keeps_nobody_from_looking(shell: Shell, tmp_path: Path) -> None:
    (shell.config / "TRIGGERS.json").write_text("[{")
    async with serving(tmp_path):
        assert (await shell.run("status")).code == 0
        assert (await shell.run("validate")).code == 2


async def test_text_that_is_no_utf_8_is_shown_escaped(shell: Shell, tmp_path: Path) -> None:
    """Bytes above 127 in a header are kept as halves of surrogate pairs, which no encoding has."""
    headers: dict[str, str | bytes] = {"content-type": "application/json", "x-name": b"\xffyou"}
    async with serving(tmp_path, triggers=[trigger_entry()]) as daemon:
        answer = await ask(daemon.url, request("POST", "/hook", headers, b"{}"))
        assert answer is not None
    event = answer.json()["event_id"]
    shown = await shell.run("events", event, "--json")
    assert (shown.code, shown.json["headers"]["x-name"]) == (0, "\udcffyou")
    assert "x-name=\\udcffyou" in (await shell.run("events", event)).out


async def test_no_escape_sequence_of_a_sender_reaches_the_terminal(
    shell: Shell, tmp_path: Path
) -> None:
    async with serving(tmp_path, triggers=[trigger_entry()]) as daemon:
        body = {"title": "\x1b]0;owned\x07\x1b[2J"}
        _, answer = await daemon.call("POST", "/hook", json=body, headers={"x-a": "b"})
        data = b"\x1b[2J plain"
        _, text = await daemon.call(
            "POST", "/hook", data=data, headers={"content-type": "text/plain"}
        )
    for event in (answer["event_id"], text["event_id"]):
        shown = await shell.run("events", event)
        assert shown.code == 0
        assert "\x1b" not in shown.out
    assert "\\x1b[2J plain" in shown.out


async def test_the_status_tells_of_githubs_limit(shell: Shell, tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        daemon.simulator.inject(Fault(FaultKind.SECONDARY, retry_after=300))
        prefer = {"Prefer": "respond-async"}
        await daemon.call("POST", "/dispatch", json={"event_type": "x"}, headers=prefer)
        await daemon.until(lambda fact: isinstance(fact, AttemptMade))
        assert "by GitHub: nothing is sent before 20" in (await shell.run("status")).out
