"""The command line against a daemon at work, and without one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.simulator import Fault, FaultKind
from tests.environment import inherited
from tests.inprocess import Serving, serving
from tests.specs import ENVIRON, SIGNED, cron_entry, trigger_entry

PUSH = {"ref": "refs/heads/main", "after": "abc"}


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs ``dispatchd`` as a process of its own, with these settings and no others."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "config"
        self.config.mkdir()
        self.environ: dict[str, str] = {
            **ENVIRON,
            **inherited(),
            "DISPATCHD_CONFIG_DIR": str(self.config),
            "DISPATCHD_DATABASE_URL": f"sqlite:///{directory}/dispatchd.sqlite",
            "DISPATCHD_LISTEN": "127.0.0.1:9",  # nobody listens there
        }
        self.write(triggers=[], crons=[])

    def write(self, **files: object) -> None:
        for name, entries in files.items():
            (self.config / f"{name.upper()}.json").write_text(json.dumps(entries))

    async def run(self, *args: str, stdin: bytes = b"", **environ: str) -> Ran:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from daemon.cli import main; main()",
            *args,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={k: v for k, v in {**self.environ, **environ}.items() if v},
        )
        out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())


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
        assert sent.json["success"] is True
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
        assert (await shell.run("dispatch", "hello", "--payload", "{")).code == 2
        assert (await shell.run("events", "evt_x")).code == 1


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


@pytest.mark.parametrize(
    "args",
    [["replay"], ["replay", "--failed"], ["replay", "evt_x", "--failed", "--since", "1h"],
     ["replay", "--failed", "--since", "yesterday"], ["events", "--outcome", "nope"],
     ["dispatches", "--state", "nope"], ["next", "--after", "soon"], ["cancel"], ["nope"]],
)  # fmt: skip
async def test_wrong_usage_exits_with_2(shell: Shell, args: list[str]) -> None:
    assert (await shell.run(*args)).code == 2


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


async def test_without_daemon_and_database_it_says_where_it_looked(shell: Shell) -> None:
    looked = await shell.run("events")
    assert looked.code == 1
    for part in ("dispatchd.sock is not there", "127.0.0.1:9", "there is no database"):
        assert part in looked.err
    acting = await shell.run("fire", "x")
    assert (acting.code, "no daemon answers" in acting.err) == (1, True)


async def test_a_fault_in_an_entry_keeps_nobody_from_looking(shell: Shell, tmp_path: Path) -> None:
    (shell.config / "TRIGGERS.json").write_text("[{")
    async with serving(tmp_path):
        assert (await shell.run("status")).code == 0
        assert (await shell.run("validate")).code == 2


async def test_validate_exits_0_or_2_and_shows_every_fault(shell: Shell) -> None:
    shell.write(crons=[cron_entry("nightly")], triggers=[trigger_entry(auth=SIGNED)])
    good = await shell.run("validate", GH_WEBHOOK_SECRET="")
    assert good.code == 0
    assert "1 cron entry (1 enabled), 1 trigger (1 enabled), 1 warning, no faults" in good.out
    assert "GH_WEBHOOK_SECRET is not set" in good.err
    strict = await shell.run("validate", "--secrets", GH_WEBHOOK_SECRET="")
    assert strict.code == 2
    shell.write(crons=[cron_entry(schedule="61 * * * *")], triggers=[trigger_entry(pth="/x")])
    bad = await shell.run("validate", str(shell.config))
    assert bad.code == 2
    assert "CRONS.json:1:" in bad.err
    assert 'did you mean "path"' in bad.err


async def test_next_shows_instants_in_order(shell: Shell) -> None:
    shell.write(
        crons=[
            cron_entry("nightly", timezone="Europe/Berlin"),
            cron_entry("off", enabled=False),
        ]
    )
    args = ["next", "--after", "2026-03-28T12:00:00+01:00", "-n", "2"]
    assert (await shell.run(*args, "--json")).json == {
        "nightly": ["2026-03-29T02:00:00Z", "2026-03-30T02:00:00Z"]
    }
    table = (await shell.run(*args)).out
    assert "Sun 2026-03-29 04:00:00 CEST" in table
    assert "2026-03-29T02:00:00Z" in table


@pytest.fixture
def push_shell(shell: Shell) -> Shell:
    payload = {"sha": "{{ body.after }}", "team": "{{ params.team }}", "q": "{{ query.q }}"}
    shell.write(
        triggers=[
            trigger_entry(
                "push",
                path="/hooks/{team}",
                auth=SIGNED,
                when="body.ref == 'refs/heads/main'",
                dispatch={"event_type": "build", "client_payload": payload},
            ),
            trigger_entry("other", path="/hooks/{team}", when="false"),
        ]
    )
    return shell


async def try_push(
    shell: Shell, body: Mapping[str, Any], *args: str, name: str = "push", **environ: str
) -> Ran:
    return await shell.run(
        "test", name, "--payload", "-", "--path", "/hooks/core", "--query", "q=1", *args,
        stdin=json.dumps(body).encode(), **environ,
    )  # fmt: skip


async def test_test_shows_the_exact_request(push_shell: Shell) -> None:
    ran = await try_push(push_shell, PUSH, "--sign", "--json")
    assert ran.code == 0
    assert (ran.json["verified"], ran.json["matched"]) == (True, True)
    (request,) = ran.json["requests"]
    assert request["url"] == "https://api.github.com/repos/octo-org/octo-repo/dispatches"
    assert request["headers"]["Authorization"] == "Bearer ***"
    payload = request["body"]["client_payload"]
    assert payload.pop("dispatchd")["entry"] == "push"
    assert request["body"]["event_type"] == "build"
    assert payload == {"sha": "abc", "team": "core", "q": "1"}
    (other,) = ran.json["others"]
    assert (other["trigger"], other["outcome"]) == ("other", "unmatched")
    shown = (await try_push(push_shell, PUSH, "--sign")).out
    assert "POST https://api.github.com/repos/octo-org/octo-repo/dispatches" in shown
    assert '"sha": "abc"' in shown


async def test_test_says_why_not(push_shell: Shell) -> None:
    unsigned = await try_push(push_shell, PUSH, "--json")
    assert unsigned.code == 1
    assert unsigned.json["verified"] is False
    assert "x-hub-signature-256" in unsigned.json["why_not"].lower()
    assert unsigned.json["requests"]
    unmatched = await try_push(push_shell, {"ref": "x"}, "--sign", "--json")
    assert (unmatched.code, unmatched.json["outcome"]) == (1, "unmatched")
    failing = await try_push(push_shell, {}, "--sign")
    assert failing.code == 1
    assert "there is no key 'ref'" in failing.out
    dead = await try_push(push_shell, {"ref": "refs/heads/main"}, "--sign")
    assert (dead.code, "there is no key 'after'" in dead.out) == (1, True)
    assert (await try_push(push_shell, PUSH, name="psuh")).code == 2


async def test_test_says_that_no_repository_is_named(push_shell: Shell) -> None:
    ran = await try_push(push_shell, PUSH, "--sign", "--json", GH_OWNER="", GH_REPO="")
    assert ran.code == 1
    assert "GH_OWNER and GH_REPO" in ran.json["faults"][0]


async def test_test_needs_a_request_that_can_be_made(push_shell: Shell) -> None:
    for args in (
        ["--payload", "/nowhere"],
        ["--payload", "-", "--path", "/elsewhere"],
        ["--payload", "-"],
        ["--payload", "-", "--path", "/hooks/x", "--header", "no-colon"],
        ["--payload", "-", "--path", "/hooks/x", "--query", "no-equals"],
    ):
        assert (await push_shell.run("test", "push", *args)).code == 2, args
    unsigned = await push_shell.run(
        "test", "push", "--payload", "-", "--path", "/hooks/x", "--sign", GH_WEBHOOK_SECRET=""
    )
    assert (unsigned.code, "no secret of push resolves" in unsigned.err) == (2, True)


async def test_the_version_is_shown(shell: Shell) -> None:
    shown = await shell.run("--version")
    assert shown.out.startswith("dispatchd 0.")


async def test_a_simulation_beside_the_real_database_is_found(shell: Shell, tmp_path: Path) -> None:
    beside = {"DISPATCHD_DATABASE_URL": f"sqlite:///{tmp_path}/dispatchd-simulation.sqlite"}
    async with serving(tmp_path, environ=beside) as daemon:
        assert isinstance(daemon, Serving)
        assert (await shell.run("status")).code == 0
