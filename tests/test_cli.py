"""The command line as a program: its usage, its streams, and the commands that need no daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.shell import Shell
from tests.specs import SIGNED, cron_entry, trigger_entry


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def test_the_version_is_shown(shell: Shell) -> None:
    shown = await shell.run("--version")
    assert shown.out.startswith("dispatchd 0.")


@pytest.mark.parametrize(
    "args",
    [["replay"], ["replay", "--failed"], ["replay", "evt_x", "--failed", "--since", "1h"],
     ["replay", "--failed", "--since", "yesterday"], ["events", "--outcome", "nope"],
     ["dispatches", "--state", "nope"], ["next", "--after", "soon"], ["cancel"], ["nope"],
     ["dispatch", "x", "--payload", "{"], ["dispatch", "x", "--payload", "[" * 100_000]],
)  # fmt: skip
async def test_wrong_usage_exits_with_2(shell: Shell, args: list[str]) -> None:
    assert (await shell.run(*args)).code == 2


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["next", "--after", "0001-01-01T00:00:00+14:00"], "outside of the years 1 to 9999"),
        (["next", "--after", "9999-12-31T23:59:59-01:00"], "outside of the years 1 to 9999"),
        (["replay", "--failed", "--since", "999999999d"], "longer than the longest span, 3650d"),
        (["replay", "--failed", "--since", "0h"], "it must be at least 1s"),
        (["replay", "--failed", "--since", "0001-01-01T00:00:00+14:00"], "or write an instant"),
        (["status", "--database", "sqlite:////"], "the database URL names no file"),
        (["status", "--database", "sqlite://h:1x/a"], "the database URL cannot be read"),
        (["status", "--url", "http://[::1"], "not a URL of HTTP"),
        (["status", "--url", "http://h:99999"], "not a URL of HTTP"),
        (["status", "--url", "localhost:8080"], "not a URL of HTTP"),
    ],
)
async def test_what_lies_outside_of_all_bounds_is_told(
    shell: Shell, args: list[str], told: str
) -> None:
    ran = await shell.run(*args)
    assert (ran.code, told in ran.err) == (2, True)


async def test_the_last_instants_there_are_can_be_asked_for(shell: Shell) -> None:
    """Near the ends of the calendar there is nothing to fire, and nothing goes wrong."""
    zones = ["Pacific/Kiritimati", "America/New_York"]
    shell.write(crons=[cron_entry(zone[:4].lower(), timezone=zone) for zone in zones])
    for after in ("9999-12-31T23:59:59Z", "9999-12-30T00:00:00Z", "0001-01-01T00:00:00Z"):
        assert (await shell.run("next", "--after", after)).code == 0


@pytest.mark.parametrize("command", ["events", "dispatches", "replay", "cancel"])
@pytest.mark.parametrize("text", ["../../../ping", "../replay/evt_x", "evt_X", "x", "evt_", ""])
async def test_what_is_no_id_is_never_asked_for(shell: Shell, command: str, text: str) -> None:
    ran = await shell.run(command, text)
    assert (ran.code, "ids are evt_… or dsp_…" in ran.err) == (2, True)


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
    assert bad.err.splitlines()[-1] == "2 faults"
    assert "CRONS.json:1:" in bad.err
    assert 'did you mean "path"' in bad.err


async def test_validate_is_told_its_directory_in_either_way_but_once(
    shell: Shell, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "CRONS.json").write_text("{}")
    for words in ([str(elsewhere)], ["--config-dir", str(elsewhere)]):
        ran = await shell.run("validate", *words)
        assert (ran.code, ran.err.splitlines()[-1]) == (2, "1 fault")
        assert f"{elsewhere}/CRONS.json" in ran.err
    twice = await shell.run("validate", str(elsewhere), "--config-dir", str(elsewhere))
    assert (twice.code, "give the directory once" in twice.err) == (2, True)


@pytest.mark.parametrize("present", [True, False])
async def test_where_there_is_no_config_yet_init_is_offered(
    shell: Shell, tmp_path: Path, present: bool
) -> None:
    directory = tmp_path / "none"
    if present:
        directory.mkdir()
    ran = await shell.run("validate", str(directory))
    assert ran.code == 2
    assert "holds neither CRONS.json nor TRIGGERS.json" in ran.err
    assert "or begin with `dispatchd init`" in ran.err


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


async def test_next_shows_every_form_of_schedule(shell: Shell) -> None:
    other = {"name": "every", "every": "90m", "dispatch": {"event_type": "e"}}
    once = {"name": "once", "at": "2030-01-01T01:00:00+01:00", "dispatch": {"event_type": "e"}}
    workdays = cron_entry("workdays", schedule="0 4 L * *", exclude=["2026-02-28"])
    shell.write(crons=[workdays, other, {**once, "timezone": "Europe/Berlin"}])
    args = ["next", "--after", "2026-02-01T00:00:00Z", "-n", "2"]
    assert (await shell.run(*args, "--json")).json == {
        "workdays": ["2026-03-31T04:00:00Z", "2026-04-30T04:00:00Z"],
        "every": ["2026-02-01T01:30:00Z", "2026-02-01T03:00:00Z"],
        "once": ["2030-01-01T00:00:00Z"],
    }
    table = (await shell.run(*args)).out
    for text in ("0 4 L * *", "every 90m", "at 2030-01-01T00:00:00Z", "01:00:00 CET"):
        assert text in table


async def test_a_reader_that_has_seen_enough_ends_the_command(shell: Shell) -> None:
    """As ``dispatchd … | head -1`` does: exit code 1, and not a word."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = await shell.spawn("next", "--json", stdout=writing)
        assert (ran.code, ran.err) == (1, "")
        # Standard error as well: the faults of a directory that holds no config.
        assert (await shell.spawn("validate", "/nowhere", stderr=writing)).code == 1
    finally:
        os.close(writing)


async def test_streams_that_are_closed_or_full_are_no_tracebacks(shell: Shell) -> None:
    closed = await shell.spawn("next", redirected="<&- >&-")
    assert (closed.code, closed.err) == (0, "")
    full = await shell.spawn("validate", redirected=">/dev/full")
    assert (full.code, full.err) == (1, "dispatchd: [Errno 28] No space left on device\n")
