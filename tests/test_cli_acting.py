"""The commands that act, against a daemon at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.simulator import Fault, FaultKind
from tests.inprocess import serving
from tests.shell import Shell
from tests.specs import cron_entry, trigger_entry


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def test_acting_commands_reach_the_daemon_over_its_socket(
    shell: Shell, tmp_path: Path
) -> None:
    async with serving(tmp_path, crons=[cron_entry("nightly")]) as daemon:
        fired = await shell.run("fire", "nightly", "--json", API_KEY="")
        assert fired.code == 0
        sent = await shell.run("dispatch", "hello", "--payload", '{"a": 1}', "--json")
        assert (sent.json["success"], sent.err) == (True, "")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        assert daemon.simulator.received[1].client_payload["a"] == 1

        events = await shell.run("events", "--json")
        assert [event["source"] for event in events.json["events"]] == ["/dispatch", "nightly"]
        table = await shell.run("dispatches")
        assert sent.json["dispatch_id"] in table.out
        assert "accepted" in table.out
        one = await shell.run("dispatches", sent.json["dispatch_id"])
        assert '"a":1' in one.out
        assert "status=204" in one.out
        assert "again: GitHub took it (dsp_" in (await shell.run("dispatch", "again")).out
        status = await shell.run("status", "--json")
        assert (status.json["running"], status.json["ready"]) == (True, True)
        assert status.json["crons"][0]["next"].endswith("T04:00:00Z")
        assert "nightly" in (await shell.run("status")).out


async def test_acting_commands_reach_the_daemon_over_http_with_the_key(
    shell: Shell, tmp_path: Path
) -> None:
    async with serving(tmp_path, crons=[cron_entry("nightly")]) as daemon:
        fired = await shell.run("fire", "nightly", "--url", daemon.url)
        assert fired.code == 0
        assert "fired nightly: event evt_" in fired.out
        refused = await shell.run("fire", "nightly", "--url", daemon.url, API_KEY="")
        assert refused.code == 1
        assert "API_KEY is not set" in refused.err
        refused = await shell.run("fire", "nightly", "--url", daemon.url, API_KEY="wrong-key-here")
        assert (refused.code, "Unauthorized" in refused.err) == (1, True)


async def test_what_the_daemon_refuses_is_told_in_its_words(shell: Shell, tmp_path: Path) -> None:
    async with serving(tmp_path, crons=[cron_entry("nightly")]) as daemon:
        unknown = await shell.run("fire", "nihgtly")
        assert (unknown.code, "there are: nightly" in unknown.err) == (1, True)
        daemon.simulator.inject(Fault(FaultKind.STATUS, status=404))
        dead = await shell.run("dispatch", "hello")
        assert dead.code == 1
        assert "Failed to dispatch workflow" in dead.err
        assert (await shell.run("events", "evt_x")).code == 1


async def test_a_name_with_slashes_and_dots_stays_a_name(shell: Shell, tmp_path: Path) -> None:
    """``fire ../x`` asks for the cron of that name, and reaches no other path."""
    async with serving(tmp_path, crons=[cron_entry("nightly")]) as daemon:
        for name in ("../crons/nightly", "..", "x/../nightly", "nightly/fire?a=", "night%6cy"):
            ran = await shell.run("fire", name)
            assert (ran.code, "there are: nightly" in ran.err) == (1, True), name
        assert not daemon.simulator.received


async def test_replay_and_cancel_report_each_id(shell: Shell, tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        _, sent = await daemon.call("POST", "/dispatch", json={"event_type": "x"})
        again = await shell.run("replay", sent["dispatch_id"], "dsp_x")
        assert again.code == 1
        assert f"{sent['dispatch_id']}: replayed -> dsp_" in again.out
        assert "dsp_x: there is no dispatch 'dsp_x'" in again.out
        final = await shell.run("cancel", sent["dispatch_id"], "--json")
        assert (final.code, "accepted" in final.json[0]["error"]) == (1, True)


async def test_all_that_failed_since_then_is_replayed(shell: Shell, tmp_path: Path) -> None:
    """What could be made is sent again; what could not is judged again, once for each event."""
    broken = {"event_type": "b", "client_payload": {"a": "{{ body.nope }}"}}
    entries = [trigger_entry("broken", dispatch=[broken, broken])]
    async with serving(tmp_path, triggers=entries) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STATUS, status=404))
        _, refused = await daemon.call("POST", "/dispatch", json={"event_type": "x"})
        _, delivered = await daemon.deliver("/hook", {})
        replayed = await shell.run("replay", "--failed", "--since", "1h", "--json")
        assert replayed.code == 0
        assert [each["target"] for each in replayed.json] == [
            refused["dispatch_id"],
            delivered["event_id"],
        ]
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        nothing = await shell.run("replay", "--failed", "--since", "2999-01-01T00:00:00Z")
        assert (nothing.code, nothing.out) == (0, "nothing to do\n")
