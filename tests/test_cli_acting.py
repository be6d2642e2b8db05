"""The commands that act, against a daemon at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.facts import DispatchSettled, Fact
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
        assert replayed.code == 1
        assert "1 of 2 failed" in replayed.err
        assert [each["target"] for each in replayed.json] == [
            refused["dispatch_id"],
            delivered["event_id"],
        ]
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        nothing = await shell.run("replay", "--failed", "--since", "2999-01-01T00:00:00Z")
        assert (nothing.code, nothing.out) == (0, "nothing to do\n")


async def test_what_failed_is_sent_once_however_often_its_replay_is_asked_for(
    shell: Shell, tmp_path: Path
) -> None:
    """A replay takes the place of what it replays: only where it is dead itself is it replayed."""
    again = ["replay", "--failed", "--since", "1h"]
    async with serving(tmp_path) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STATUS, status=404))
        await daemon.call("POST", "/dispatch", json={"event_type": "x"})
        daemon.simulator.inject(Fault(FaultKind.STATUS, status=404))
        first = (await shell.run(*again, "--json")).json
        (replayed,) = first[0]["dispatches"]
        await daemon.until(lambda fact: _settled(fact, replayed))
        second = (await shell.run(*again, "--json")).json
        assert [each["target"] for each in second] == [replayed]
        (sent,) = second[0]["dispatches"]
        await daemon.until(lambda fact: _settled(fact, sent))
        for _ in range(2):
            nothing = await shell.run(*again)
            assert (nothing.code, nothing.out) == (
                0,
                "2 skipped: replayed before\nnothing to do\n",
            )
        assert len(daemon.simulator.received) == 1


async def test_an_event_that_was_judged_again_is_not_judged_again_for_its_old_failures(
    shell: Shell, tmp_path: Path
) -> None:
    """Of an event and its replays only the newest counts, with all of its dispatches."""
    payload = {"a": "{{ body.nope }}"}
    broken = trigger_entry(
        "x", dispatch=[{"event_type": "a"}, {"event_type": "b", "client_payload": payload}]
    )
    again = ["replay", "--failed", "--since", "1h"]
    async with serving(tmp_path, triggers=[broken]) as daemon:
        _, delivered = await daemon.deliver("/hook", {})
        latest = delivered["event_id"]
        for _ in range(3):
            ran = await shell.run(*again, "--json")
            assert [each["target"] for each in ran.json] == [latest]
            latest = ran.json[0]["event_id"]
    mended = trigger_entry("x", dispatch={"event_type": "a"})
    async with serving(tmp_path, triggers=[mended]):
        assert (await shell.run(*again, "--json")).json[0]["target"] == latest
        for _ in range(2):
            nothing = await shell.run(*again)
            assert (nothing.code, "nothing to do" in nothing.out) == (0, True)


async def test_a_replayed_event_tells_its_verdict_and_what_came_of_it(
    shell: Shell, tmp_path: Path
) -> None:
    """Exit code 1 where that is nothing."""
    broken = {"event_type": "b", "client_payload": {"a": "{{ body.nope }}"}}
    entries = [
        trigger_entry("fine", path="/fine"),
        trigger_entry("never", path="/never", when="false"),
        trigger_entry("broken", path="/broken", dispatch=broken),
    ]
    async with serving(tmp_path, triggers=entries) as daemon:
        told: dict[str, tuple[int, str]] = {}
        for path in ("/fine", "/never", "/broken"):
            _, answer = await daemon.deliver(path, {})
            ran = await shell.run("replay", answer["event_id"])
            told[path] = (ran.code, ran.out)
            assert ran.out.startswith(f"{answer['event_id']}: judged again as evt_")
    code, words = told["/fine"]
    assert (code, ": fine dispatched; dsp_" in words) == (0, True)
    assert "nothing" not in words
    code, words = told["/never"]
    assert (code, "never unmatched (its `when` is false); nothing was" in words) == (1, True)
    code, words = told["/broken"]
    assert (code, " dead; nothing was dispatched\n" in words) == (1, True)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["events", "dsp_1"], "that is a dispatch: dispatchd dispatches dsp_1\n"),
        (["dispatches", "evt_1"], "that is an event: dispatchd events evt_1\n"),
        (["cancel", "evt_1"], "that is an event: dispatchd events evt_1\n"),
    ],
)
async def test_an_id_of_the_other_kind_is_told_where_it_belongs(
    shell: Shell, args: list[str], told: str
) -> None:
    ran = await shell.run(*args)
    assert (ran.code, ran.err) == (2, f"dispatchd: {told}")


def _settled(fact: Fact, dispatch_id: str) -> bool:
    return isinstance(fact, DispatchSettled) and fact.dispatch.id == dispatch_id
