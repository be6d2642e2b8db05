"""``dispatchd next``, ``explain`` and ``calendar``: what is shown of the time ahead."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.cron import parse
from daemon.spread import jitter
from tests.shell import Shell
from tests.specs import cron_entry

EVERY = {"name": "every", "every": "90m", "offset": "10m", "dispatch": {"event_type": "e"}}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


# next


async def test_next_of_one_entry_shows_that_alone_even_when_it_is_disabled(shell: Shell) -> None:
    shell.write(crons=[cron_entry("on"), cron_entry("off", enabled=False)])
    args = ["--after", "2026-03-28T12:00:00Z", "-n", "1", "--json"]
    on = await shell.run("next", "on", *args)
    assert (on.json, on.err) == ({"on": ["2026-03-29T04:00:00Z"]}, "")
    off = await shell.run("next", "off", *args)
    assert off.json == {"off": ["2026-03-29T04:00:00Z"]}
    assert "off is disabled: it does not fire" in off.err
    assert (await shell.run("next", *args)).json == on.json


@pytest.mark.parametrize("command", ["next", "explain"])
async def test_an_unknown_name_is_told_with_the_nearest_or_with_those_that_there_are(
    shell: Shell, command: str
) -> None:
    shell.write(crons=[cron_entry("nightly-build"), cron_entry("weekly")])
    near = await shell.run(command, "nightly")
    assert (near.code, "did you mean nightly-build?" in near.err) == (2, True)
    far = await shell.run(command, "zzz")
    assert (far.code, "there are: nightly-build, weekly" in far.err) == (2, True)


async def test_next_shows_how_much_later_jitter_sends_and_what_never_fires_again(
    shell: Shell,
) -> None:
    late, over = cron_entry("late", jitter="5m"), cron_entry("over", end_at="2026-01-02T00:00:00Z")
    shell.write(crons=[late, over, cron_entry("plain")])
    shown = (await shell.run("next", "--after", "2026-03-28T12:00:00Z", "-n", "1")).out
    at = datetime.fromisoformat("2026-03-29T04:00:00Z")
    seconds = jitter("late", at, timedelta(minutes=5)) // timedelta(seconds=1)
    lines = {line.split()[0]: line.split()[-1] for line in shown.splitlines()}
    assert lines["entry"] == "jitter"
    assert lines["late"] == f"+{timedelta(seconds=seconds)}"
    assert lines["plain"] == "2026-03-29T04:00:00Z"
    assert "never again" in next(line for line in shown.splitlines() if "over" in line)


# explain


async def test_explain_needs_no_config(shell: Shell, tmp_path: Path) -> None:
    ran = await shell.run(
        "explain", "30 2 * * *", "--timezone", "Europe/Berlin", "--after", "2026-03-28T00:00:00Z",
        "-n", "2", DISPATCHD_CONFIG_DIR=str(tmp_path / "none"),
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert lines[:3] == [
        "schedule 30 2 * * *",
        "fires at 02:30 every day",
        "time zone Europe/Berlin",
    ]
    warnings = [line for line in lines if line.startswith("warning")]
    assert len(warnings) == 2
    assert "it fires at 03:00 on that day" in warnings[0]
    assert lines[-2:] == [
        "Sat 2026-03-28 02:30:00 CET 2026-03-28T01:30:00Z",
        "Sun 2026-03-29 03:00:00 CEST 2026-03-29T01:00:00Z",
    ]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("@daily", "at 00:00 every day"),
        ("0 9 * * MON-FRI", "at 09:00 on Monday to Friday"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("every 90m", "every 90 minutes, counted in UTC from 1970-01-01T00:00:00Z"),
        ("every 1d offset 6h", "every day, counted in UTC from 1970-01-01T00:00:00Z plus 6 hours"),
        ("every 1h offset 0m", "every hour, counted in UTC from 1970-01-01T00:00:00Z"),
        ("at 2030-01-01T01:00:00+01:00", "once, at 2030-01-01T00:00:00Z"),
    ],
)
async def test_every_form_of_schedule_can_be_explained(
    shell: Shell, expression: str, words: str
) -> None:
    ran = await shell.run("explain", expression, "--json")
    assert (ran.code, ran.json["words"], ran.json["name"]) == (0, words, None)


async def test_a_hash_is_explained_for_the_name_that_is_given(shell: Shell) -> None:
    bare = await shell.run("explain", "H H * * *")
    assert (bare.code, "give that with --name" in bare.err) == (2, True)
    named = (await shell.run("explain", "H H * * *", "--name", "nightly", "--json")).json
    assert named["words"] == parse("H H * * *", name="nightly").words


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["5/15 * * * *"], "write `5-59/15`"),
        (["0 0 30 2 *"], "never fires"),
        (["* * * *"], "has 5 fields, this one has 4"),
        (["*/5"], "has 5 fields, this one has 1"),
        (["@reboot"], "no point in time"),
        (["every 15"], "not a duration"),
        (["every 0m"], "must be at least 1s"),
        (["at noon"], "not an instant"),
        (["* * * * *", "--timezone", "Europe/Berlim"], "did you mean Europe/Berlin?"),
        (["@daily", "--after", "soon"], "is not an instant"),
        (["hourly"], "the macro is `@hourly`"),
        (["30", "3", "*", "*", "*"], "put the expression in quotes"),
        (["nightly", "--timezone", "UTC"], "--timezone and --name are for expressions"),
    ],
)
async def test_what_cannot_be_explained_is_refused_with_what_to_write(
    shell: Shell, args: list[str], hint: str
) -> None:
    shell.write(crons=[cron_entry("nightly")])
    ran = await shell.run("explain", *args)
    assert (ran.code, hint in " ".join(ran.err.split())) == (2, True)


async def test_an_entry_is_explained_with_all_that_decides_when_it_fires(shell: Shell) -> None:
    entry = cron_entry(
        "nightly",
        description="Builds everything",
        enabled=False,
        schedule="30 3 * * *",
        timezone="Europe/Berlin",
        start_at="2026-03-01T00:00:00Z",
        end_at="2026-12-31T23:00:00Z",
        exclude=["2026-12-24/2026-12-26", "2026-05-01", "* * * * 6,0", "0 3 * * 1", "5 0 3 * * 2"],
        jitter="5m",
        catch_up="all",
        catch_up_limit=7,
        max_lateness="6h",
        overlap="buffer_one",
        alert_after="10m",
    )
    shell.write(crons=[entry])
    args = ["explain", "nightly", "--after", "2026-04-30T12:00:00Z", "-n", "2"]
    lines = [" ".join(line.split()) for line in (await shell.run(*args)).out.splitlines()]
    assert lines == [
        "entry nightly (disabled: it does not fire)",
        "description Builds everything",
        "schedule 30 3 * * *",
        "fires at 03:30 every day",
        "from Sun 2026-03-01 01:00:00 CET",
        "until Fri 2027-01-01 00:00:00 CET",
        "except 2026-05-01",
        "2026-12-24 to 2026-12-26",
        "Saturday and Sunday",
        "at 03:00 on Monday (whole minutes)",
        "at 03:00:05 on Tuesday",
        "time zone Europe/Berlin",
        "jitter each is sent later than it fires, by less than 5m",
        "catch_up all: after downtime, each of the instants that passed fires, oldest first",
        "catch_up_limit the newest 7 of them at most",
        "max_lateness 6h: what is later is missed",
        "overlap buffer_one: an instant waits while the firing before is unfinished; what comes "
        "while one waits is missed",
        "alert_after 10m: what is later is an incident",
        "",
        "local time UTC",
        "Mon 2026-05-04 03:30:00 CEST 2026-05-04T01:30:00Z",
        "Tue 2026-05-05 03:30:00 CEST 2026-05-05T01:30:00Z",
    ]
    shown = (await shell.run(*args, "--json")).json
    assert shown == {
        "name": "nightly",
        "enabled": False,
        "schedule": "30 3 * * *",
        "timezone": "Europe/Berlin",
        "words": "at 03:30 every day",
        "start_at": "2026-03-01T00:00:00Z",
        "end_at": "2026-12-31T23:00:00Z",
        "exclude": [line.removeprefix("except ") for line in lines[6:11]],
        "jitter": "5m",
        "catch_up": "all",
        "catch_up_limit": 7,
        "max_lateness": "6h",
        "overlap": "buffer_one",
        "alert_after": "10m",
        "warnings": [],
        "next": ["2026-05-04T01:30:00Z", "2026-05-05T01:30:00Z"],
    }


async def test_what_is_over_is_said_to_be(shell: Shell) -> None:
    ran = await shell.run("explain", "at 2020-01-01T00:00:00Z")
    assert "It fires no more, the last time was 2020-01-01T00:00:00Z." in ran.out


# calendar


def drawn(out: str) -> dict[str, str]:
    """The cells of each hour, by day, name of the time and hour."""
    rows: dict[str, str] = {}
    heading = ""
    for line in out.splitlines():
        if line[:1].isalpha():
            heading = line
        elif line[2:3] == ":":
            rows[f"{heading} {line[:5]}"] = line[7:67]
    return rows


async def test_a_pile_up_at_midnight_is_seen(shell: Shell) -> None:
    pile = [cron_entry(f"n{number}", schedule="@daily") for number in range(120)]
    some = [cron_entry(f"s{number}", schedule="20 12 * * *") for number in range(30)]
    shell.write(crons=[*pile, *some, cron_entry("one", schedule="59 23 * * *")])
    ran = await shell.run("calendar", "--after", "2026-03-27T12:00:00Z")
    rows = drawn(ran.out)
    assert rows["Fri 2026-03-27 UTC 12:00"][20] == "+"
    assert rows["Fri 2026-03-27 UTC 23:00"] == "." * 59 + "1"
    assert rows["Sat 2026-03-28 UTC 00:00"] == "#" + "." * 59
    assert len(rows) == 24
    summary = ran.out[ran.out.index("151 in all") :]
    assert "00:00 UTC   120 of 120 entries: n0, n1, n2 and 117 more" in summary
    assert "the last of them is sent 1m 50s late" in summary
    assert "10 at once and then 1 a second, at most 500 an hour" in summary


@pytest.mark.parametrize(
    ("after", "hours", "seen"),
    [
        # 02:00 is skipped, and 02:30 fires at 03:00.
        ("2026-03-28T12:00:00Z", 23, {"Sun 2026-03-29 CEST 03:00": 0}),
        # 02:00 comes twice, and 02:30 fires the first time.
        ("2026-10-24T12:00:00Z", 25, {"Sun 2026-10-25 CEST 02:00": 30}),
        ("2026-06-01T12:00:00Z", 24, {"Tue 2026-06-02 CEST 02:00": 30}),
    ],
)
async def test_a_day_has_the_hours_that_it_has(
    shell: Shell, after: str, hours: int, seen: dict[str, int]
) -> None:
    shell.write(crons=[cron_entry(schedule="30 2 * * *", timezone="Europe/Berlin")])
    ran = await shell.run("calendar", "--after", after)
    rows = drawn(ran.out)
    assert len(rows) == hours
    assert {name: row.index("1") for name, row in rows.items() if "1" in row} == seen
    assert "by the clock of Europe/Berlin" in ran.out
    assert "no two of them in one minute" in ran.out


async def test_half_an_hour_that_is_skipped_or_repeated_is_drawn_as_that(shell: Shell) -> None:
    shell.write(crons=[cron_entry(schedule="* * * * *", timezone="Australia/Lord_Howe")])
    skipped = drawn((await shell.run("calendar", "--after", "2026-10-03T13:30:00Z")).out)
    assert skipped["Sun 2026-10-04 +11 02:00"] == " " * 30 + "1" * 30
    repeated = drawn((await shell.run("calendar", "--after", "2026-04-04T13:00:00Z")).out)
    assert repeated["Sun 2026-04-05 +11 01:00"] == "1" * 60
    assert repeated["Sun 2026-04-05 +1030 01:00"] == " " * 30 + "1" * 30


async def test_a_week_is_drawn_by_the_hour(shell: Shell) -> None:
    berlin = {"timezone": "Europe/Berlin"}
    pile = [cron_entry(f"n{number}", schedule="0 6 * * *", **berlin) for number in range(100)]
    shell.write(crons=[*pile, cron_entry("often", schedule="*/5 * * * *", **berlin)])
    ran = await shell.run("calendar", "--week", "--after", "2026-10-22T11:05:00Z")
    rows = [line.split() for line in ran.out.splitlines() if line[4:6].isdigit()][:8]
    assert [" ".join(row[:2]) for row in rows] == [
        *("Thu 22", "Fri 23", "Sat 24", "Sun 25", "Mon 26", "Tue 27", "Wed 28", "Thu 29"),
    ]
    assert rows[0][2:] == ["11", *["12"] * 10]  # from 13:05 on
    assert rows[3][2:] == ["12", "12", "24", "12", "12", "12", "++", *["12"] * 17]
    assert rows[7][2:] == [*["12"] * 6, "++", *["12"] * 6, "1"]


async def test_the_zone_is_that_of_the_entries_where_they_agree(shell: Shell) -> None:
    berlin, tokyo = (cron_entry(zone, timezone=zone) for zone in ("Europe/Berlin", "Asia/Tokyo"))
    berlin["name"], tokyo["name"] = "berlin", "tokyo"
    for entries, args, expected in (
        ([berlin, {**tokyo, "enabled": False}], [], "Europe/Berlin"),
        ([berlin, tokyo], [], "UTC"),
        ([], [], "UTC"),
        ([berlin, tokyo], ["--timezone", "Asia/Tokyo"], "Asia/Tokyo"),
    ):
        shell.write(crons=entries)
        assert (await shell.run("calendar", "--json", *args)).json["timezone"] == expected


async def test_the_calendar_as_json(shell: Shell) -> None:
    shell.write(crons=[cron_entry("a", schedule="0,30 4 * * *"), cron_entry("b")])
    args = ["calendar", "--days", "2", "--after", "2026-03-27T12:00:00Z", "--json"]
    assert (await shell.run(*args)).json == {
        "timezone": "UTC",
        "from": "2026-03-27T12:00:00Z",
        "until": "2026-03-29T12:00:00Z",
        "dispatches": 6,
        "minutes": {
            "2026-03-28T04:00:00Z": 2,
            "2026-03-28T04:30:00Z": 1,
            "2026-03-29T04:00:00Z": 2,
            "2026-03-29T04:30:00Z": 1,
        },
        "busiest": [
            {"minute": f"2026-03-{day}:00Z", "dispatches": number, "entries": names,
             "late_seconds": 0}
            for day, number, names in (
                ("28T04:00", 2, ["a", "b"]), ("29T04:00", 2, ["a", "b"]),
                ("28T04:30", 1, ["a"]), ("29T04:30", 1, ["a"]),
            )
        ],
    }  # fmt: skip


async def test_more_than_an_hour_can_take_is_told(shell: Shell) -> None:
    shell.write(crons=[cron_entry(schedule="* * * * * *")])
    ran = await shell.run("calendar", "--week", "--after", "2026-03-27T00:00:00Z")
    assert "in 168 of 168 hours more than 500 fall due" in ran.out
    assert "604,800 in all" in ran.out


async def test_an_empty_calendar_says_so(shell: Shell) -> None:
    shell.write(crons=[cron_entry(enabled=False)])
    assert "Nothing falls due." in (await shell.run("calendar")).out


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--days", "3", "--week"], "give either --days or --week"),
        (["--days", "0"], "--days"),
        (["--timezone", "Europe/Berlim"], "did you mean Europe/Berlin?"),
        (["--after", "9999-12-31T12:00:00Z"], "outside of the years 1 to 9999"),
        (["--after", "0001-01-01T00:00:00Z"], "outside of the years 1 to 9999"),
    ],
)
async def test_a_calendar_that_cannot_be_drawn_is_refused(
    shell: Shell, args: list[str], told: str
) -> None:
    shell.write(crons=[cron_entry(timezone="America/New_York")])
    ran = await shell.run("calendar", *args)
    assert (ran.code, told in " ".join(ran.err.split())) == (2, True)


@pytest.mark.parametrize("args", [["calendar"], ["calendar", "--week"]])
async def test_on_a_terminal_of_80_columns_no_row_is_broken(shell: Shell, args: list[str]) -> None:
    pile = [cron_entry(f"a-rather-long-name-{n}", schedule="*/2 * * * *") for n in range(1200)]
    shell.write(crons=pile)
    shell.environ |= {"COLUMNS": "80", "TERM": "dumb"}
    terminal, program = os.openpty()
    try:
        ran = await shell.spawn(*args, stdout=program)
        text = os.read(terminal, 65536).decode()
    finally:
        os.close(program)
        os.close(terminal)
    assert (ran.code, ran.err) == (0, "")
    assert [line for line in text.splitlines() if len(line) > 80] == []
