"""Firing by hand: for now, for an instant, and for all that a span of time should have had."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.catching_up import BACKFILL_MAX
from daemon.intake import AHEAD_MAX
from tests.inprocess import Serving, serving
from tests.shell import Shell
from tests.specs import cron_entry

HOUR = timedelta(hours=1)
HOURLY = cron_entry(
    "hourly",
    schedule="0 * * * *",
    jitter="30m",
    dispatch={"event_type": "build", "client_payload": {"at": "{{ firing.scheduled_at }}"}},
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def ago(hours: int) -> str:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return f"{hour - hours * HOUR:%FT%TZ}"


def sent(daemon: Serving) -> list[str]:
    return sorted(str(each.client_payload["at"]) for each in daemon.simulator.received)


async def firings(daemon: Serving) -> list[tuple[str, str]]:
    _, listed = await daemon.call("GET", "/api/v1/firings")
    return [(each["scheduled_at"], each["outcome"]) for each in reversed(listed["firings"])]


async def test_a_firing_for_an_instant_of_the_schedule_counts_as_that_one(
    tmp_path: Path, shell: Shell
) -> None:
    """At once, whatever its jitter; and asked for again it goes out again."""
    async with serving(tmp_path, crons=[HOURLY]) as daemon:
        for _ in range(2):
            fired = await shell.run("fire", "hourly", "--at", ago(3))
            assert (fired.code, fired.err) == (0, "")
            assert fired.out.startswith(f"fired hourly for {ago(3)}: event evt_")
            assert await firings(daemon) == [(ago(3), "fired")]
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        assert sent(daemon) == [ago(3)] * 2


async def test_a_firing_for_an_instant_that_the_schedule_has_not_is_no_instant_of_it(
    tmp_path: Path, shell: Shell
) -> None:
    async with serving(tmp_path, crons=[HOURLY]) as daemon:
        at = ago(3).replace(":00:00Z", ":17:00Z")
        await shell.run("fire", "hourly", "--at", at)
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        assert sent(daemon) == [at]
        assert await firings(daemon) == []


async def test_a_firing_for_an_instant_to_come_is_sent_then_and_not_twice(
    tmp_path: Path, shell: Shell
) -> None:
    shift = timedelta()

    def clock() -> datetime:
        return datetime.now(UTC) + shift

    async with serving(tmp_path, crons=[HOURLY], clock=clock) as daemon:
        fired = await shell.run("fire", "hourly", "--at", ago(-2))
        assert ", and is sent then: event evt_" in fired.out
        _, listed = await daemon.call("GET", "/api/v1/dispatches")
        (waiting,) = listed["dispatches"]
        assert (waiting["state"], waiting["due_at"]) == ("pending", ago(-2))
        assert waiting["reason"] == f"waits until {ago(-2)} as it was asked for"
        assert await firings(daemon) == [(ago(-2), "fired")]
        expires = datetime.fromisoformat(waiting["expires_at"])
        assert expires == datetime.fromisoformat(ago(-2)) + 24 * HOUR


async def test_a_firing_too_far_ahead_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, crons=[HOURLY]) as daemon:
        at = datetime.now(UTC) + AHEAD_MAX + HOUR
        for text in (f"{at:%FT%TZ}", "9998-12-31T00:00:00Z"):
            route = "/api/v1/crons/hourly/fire"
            status, answer = await daemon.call("POST", route, json={"at": text})
            assert (status, "more than a year ahead" in answer["error"]) == (400, True)


async def test_an_instant_without_its_offset_fires_nothing(tmp_path: Path, shell: Shell) -> None:
    async with serving(tmp_path, crons=[HOURLY]) as daemon:
        for command in (("fire", "hourly", "--at"), ("backfill", "hourly", "--from")):
            ran = await shell.run(*command, "2026-11-23T04:00:00")
            assert (ran.code, "is no instant: write it as" in ran.err) == (2, True)
        assert not daemon.simulator.received


async def test_a_backfill_fires_what_did_not_and_nothing_twice(
    tmp_path: Path, shell: Shell
) -> None:
    async with serving(tmp_path, crons=[HOURLY]) as daemon:
        await shell.run("fire", "hourly", "--at", ago(3))
        span = ("backfill", "hourly", "--from", ago(4), "--to", ago(2))
        dry = await shell.run(*span, "--dry-run")
        assert dry.out.splitlines()[-1] == "hourly: of 3 instants 2 would fire"
        assert dry.out.count("fired before") == 1
        assert len(await firings(daemon)) == 1

        done = await shell.run(*span, "--json")
        assert [(each["scheduled_at"], each["outcome"]) for each in done.json["instants"]] == [
            (ago(4), "fired"),
            (ago(3), "fired before"),
            (ago(2), "fired"),
        ]
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 3)
        assert sent(daemon) == [ago(4), ago(3), ago(2)]
        again = await shell.run(*span)
        assert again.out.splitlines()[-1] == "hourly: of 3 instants 0 fired"
        assert await firings(daemon) == [(ago(hour), "fired") for hour in (4, 3, 2)]
        shown = await shell.run("firings", "hourly")
        assert shown.out.count("asked for by hand") == 3


async def test_what_an_absence_missed_is_an_incident_that_a_backfill_makes_up_for(
    tmp_path: Path, shell: Shell
) -> None:
    """As the incident itself says."""
    shift = -6 * HOUR

    def clock() -> datetime:
        return datetime.now(UTC) + shift

    entry = {**HOURLY, "jitter": "1s"}
    async with serving(tmp_path, crons=[entry], clock=clock):
        pass
    shift = timedelta()
    async with serving(tmp_path, crons=[entry], clock=clock) as daemon:
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        (incident,) = (await daemon.call("GET", "/api/v1/incidents"))[1]["incidents"]
        assert (incident["entry"], incident["kind"], incident["count"]) == ("hourly", "missed", 5)
        listed = await shell.run("incidents")
        assert incident["text"] in listed.out
        status = await shell.run("status")
        assert "hourly: 5 missed" in status.out
        assert incident["count"] <= BACKFILL_MAX
        command = incident["text"].partition("`dispatchd ")[2].partition("`")[0]
        done = await shell.run(*command.split())
        assert done.out.splitlines()[-1] == "hourly: of 5 instants 5 fired"
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 6)
        assert {outcome for _, outcome in await firings(daemon)} == {"fired"}


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"to": "2026-01-02T00:00:00Z"}, 400, "a backfill needs `from`"),
        ({"from": "0001-01-01T00:00:00Z"}, 400, "is outside of the years 1970 to 9998"),
        ({"from": "9999-12-31T23:59:59Z"}, 400, "is outside of the years 1970 to 9998"),
        ({"from": "1970-01-01T00:00:00Z"}, 400, "is not known any more (`retention`)"),
        ({"from": "yesterday", "to": "2026-01-01T00:00:00Z"}, 400, "`from`: 'yesterday' is no"),
        ({"from": 7, "to": "2026-01-01T00:00:00Z"}, 400, "`from`: not a string"),
        (
            {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
            400,
            "`to` lies before `from`",
        ),
        (
            {"from": "2026-01-02T00:00:00Z", "to": "2999-01-01T00:00:00Z"},
            400,
            "`to` is still to come",
        ),
        (
            {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", "dry_run": "no"},
            400,
            "`dry_run` is true or false",
        ),
    ],
)
async def test_a_backfill_that_cannot_be_says_why(
    tmp_path: Path, body: dict[str, Any], status: int, told: str
) -> None:
    async with serving(tmp_path, crons=[HOURLY]) as daemon:
        answered, answer = await daemon.call("POST", "/api/v1/crons/hourly/backfill", json=body)
        assert (answered, told in answer["error"]) == (status, True), answer
        answered, answer = await daemon.call("POST", "/api/v1/crons/nope/backfill", json=body)
        assert answered in (400, 404)


async def test_a_backfill_of_too_much_says_so_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, crons=[{**HOURLY, "schedule": "* * * * * *"}]) as daemon:
        body = {"from": ago(29 * 24)}
        status, answer = await daemon.call("POST", "/api/v1/crons/hourly/backfill", json=body)
        told = f"a backfill takes {BACKFILL_MAX} instants at most: narrow it"
        assert (status, answer["error"]) == (400, told)


async def test_two_backfills_at_once_fire_each_instant_once_and_tell_so(tmp_path: Path) -> None:
    async with serving(tmp_path, crons=[{**HOURLY, "schedule": "* * * * *"}]) as daemon:
        body = {"from": ago(6), "to": ago(1)}
        route = "/api/v1/crons/hourly/backfill"
        answers = await asyncio.gather(*(daemon.call("POST", route, json=body) for _ in range(2)))
        outcomes = Counter(each["outcome"] for _, answer in answers for each in answer["instants"])
        assert outcomes == {"fired": 301, "fired before": 301}
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 301)


async def test_a_whole_thousand_is_backfilled_at_once(tmp_path: Path, shell: Shell) -> None:
    async with serving(tmp_path, crons=[{**HOURLY, "schedule": "* * * * *"}]) as daemon:
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        first = now - BACKFILL_MAX * timedelta(minutes=1)
        to = now - timedelta(minutes=1)
        done = await shell.run(
            "backfill", "hourly", "--from", f"{first:%FT%TZ}", "--to", f"{to:%FT%TZ}", "--json"
        )
        assert {each["outcome"] for each in done.json["instants"]} == {"fired"}
        assert len(done.json["instants"]) == BACKFILL_MAX
        await daemon.simulator.until(lambda: len(daemon.simulator.received) >= BACKFILL_MAX)


async def test_firings_and_incidents_can_be_read_without_a_daemon(
    tmp_path: Path, shell: Shell
) -> None:
    async with serving(tmp_path, crons=[HOURLY]) as daemon:
        await shell.run("fire", "hourly", "--at", ago(3))
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
    shown = await shell.run("firings", "--outcome", "fired", "--before", ago(2), "--json")
    assert [each["scheduled_at"] for each in shown.json["firings"]] == [ago(3)]
    assert (await shell.run("firings", "--outcome", "missed", "--json")).json == {"firings": []}
    assert (await shell.run("firings", "--outcome", "perhaps")).code == 2
    assert (await shell.run("incidents", "--json")).json == {"incidents": []}
