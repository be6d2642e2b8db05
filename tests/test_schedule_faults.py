"""What becomes of schedules when a process, a machine or the data about time zones are not what
they were a moment ago: real processes, whose clocks a library shifts while they run."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.event import FiringOutcome, FiringRecord
from daemon.incident import IncidentKind
from tests.faults import Faults
from tests.faults.fixtures import faults, library
from tests.faults.zones import write_zone
from tests.harness import Daemon, Entry, stand_in

pytestmark = pytest.mark.no_cover

__all__ = ["faults", "library"]

DEADLINE = 40.0
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def cron(name: str, schedule: str = "* * * * *", **keys: Any) -> Entry:
    payload = {"at": "{{ firing.scheduled_at }}", "late": "{{ firing.catch_up }}"}
    dispatch = {"event_type": name, "client_payload": payload}
    return {"name": name, "schedule": schedule, "dispatch": dispatch, **keys}


POLICIES = [
    cron("latest"),
    cron("all", catch_up="all"),
    cron("skip", catch_up="skip"),
    cron("short", catch_up="all", max_lateness="3m"),
    cron("few", catch_up="all", catch_up_limit=2),
]


def rewrite(daemon: Daemon, *crons: Entry) -> None:
    (daemon.home / "config" / "CRONS.json").write_text(json.dumps(crons))


async def accounted(daemon: Daemon, name: str, until: datetime) -> list[FiringRecord]:
    """What is booked of a cron, oldest first, once all up to ``until`` is."""
    async with asyncio.timeout(DEADLINE):
        while True:
            async with daemon.records() as store:
                if (await store.cursors())[name].cursor >= until:
                    return (await store.firings(1000, cron=name))[::-1]
            await asyncio.sleep(0.05)


def whole(rows: Iterable[FiringRecord]) -> list[datetime]:
    """Every minute that is booked; each is booked once, and none between is left out."""
    minutes: list[datetime] = []
    for row in rows:
        first = row.first or row.scheduled_at
        span = round((row.scheduled_at - first) / MINUTE) + 1
        assert span == row.count
        minutes += [first + n * MINUTE for n in range(span)]
    minutes.sort()
    assert minutes == [minutes[0] + n * MINUTE for n in range(len(minutes))]
    return minutes


def shown(rows: Iterable[FiringRecord], clock: datetime) -> list[int]:
    """How many minutes before ``clock`` those lay that fired."""
    fired = [row.scheduled_at for row in rows if row.outcome is FiringOutcome.FIRED]
    return [round((clock - at) // MINUTE) for at in fired]


class Wall:
    """The time as the processes see it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def test_every_policy_accounts_for_an_absence_as_it_says(faults: Faults) -> None:
    """Killed, away for ten minutes, and started again: by name which minutes fire, and none of all
    is left without a record."""
    wall = Wall()
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, crons=POLICIES, environ=faults.environ) as daemon,
    ):
        await daemon.start()
        await daemon.kill()
        # Back in the middle of a minute: that one is on time then, and the one before is not.
        away = 10 * MINUTE + (30 - wall.now().second) % 60 * timedelta(seconds=1)
        faults.pass_over(away)
        wall.ahead += away
        back = wall.now()
        await daemon.start()
        minute = back.replace(second=0, microsecond=0)
        rows = {each["name"]: await accounted(daemon, each["name"], back) for each in POLICIES}
        assert await daemon.terminate() == 0
        async with daemon.records() as store:
            incidents = {each.entry: each for each in await store.incidents(100)}
    for name, booked in rows.items():
        minutes = whole([row for row in booked if row.scheduled_at <= minute])
        assert minutes[-1] == minute
        assert len(minutes) >= 10, name
    fired = {name: shown(booked, minute) for name, booked in rows.items()}
    assert [n for n in fired["latest"] if 0 <= n <= 9] == [0]
    assert [n for n in fired["all"] if 0 <= n <= 9] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert [n for n in fired["skip"] if 0 <= n <= 9] == [0]
    assert [n for n in fired["short"] if 0 <= n <= 9] == [2, 1, 0]  # by half a minute
    assert [n for n in fired["few"] if 0 <= n <= 9] == [1, 0]
    assert set(incidents) == {"latest", "skip", "short", "few"}
    assert {each.kind for each in incidents.values()} == {IncidentKind.MISSED}
    sent = sorted((each.event_type, str(each.client_payload["at"])) for each in github.received)
    assert len(sent) == len(set(sent))


async def test_a_machine_that_slept_catches_up_when_it_wakes(faults: Faults) -> None:
    """By the clock that timers go by, no time has passed: they know nothing of it."""
    wall = Wall()
    entry = cron("hourly", "0 * * * *", alert_after="10m")
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, crons=[entry], environ=faults.environ) as daemon,
    ):
        await daemon.start()
        faults.suspend(8 * HOUR + 15 * MINUTE)
        wall.ahead += 8 * HOUR + 15 * MINUTE
        rows = await accounted(daemon, "hourly", wall.now())
        assert sum(row.count for row in rows) in (8, 9)
        assert [row.outcome for row in rows][-1] is FiringOutcome.FIRED
        assert [row.outcome for row in rows].count(FiringOutcome.FIRED) == 1
        await github.until(lambda: len(github.received) == 1)
        assert github.received[0].client_payload["late"] is True
        await daemon.until(lambda: len(daemon.said("incident missed")) == 1)
        newest = rows[-1].scheduled_at
        if wall.now() - newest > 10 * MINUTE:
            (late,) = daemon.said("incident late")
            assert late["last"] == f"{newest:%FT%TZ}"
        assert await daemon.terminate() == 0


async def test_a_process_that_was_stopped_for_minutes_catches_up_when_it_goes_on(
    faults: Faults,
) -> None:
    wall = Wall()
    entries = [cron("all", catch_up="all"), cron("one", catch_up="all", overlap="skip")]
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, crons=entries, environ=faults.environ) as daemon,
    ):
        await daemon.start()
        daemon.signal(signal.SIGSTOP)
        faults.pass_over(5 * MINUTE)
        wall.ahead += 5 * MINUTE
        daemon.signal(signal.SIGCONT)
        rows = await accounted(daemon, "all", wall.now() - timedelta(seconds=1))
        assert {row.outcome for row in rows} == {FiringOutcome.FIRED}
        assert len(whole(rows)) >= 5
        once = await accounted(daemon, "one", wall.now() - timedelta(seconds=1))
        whole(once)
        # Those that came while the first of them was unfinished.
        skipped = [row for row in once if row.outcome is FiringOutcome.MISSED]
        assert all("`overlap: skip`" in row.reason for row in skipped)
        assert len(skipped) >= 3
        await github.until(
            lambda: sum(each.event_type == "all" for each in github.received) >= len(rows)
        )
        assert await daemon.terminate() == 0


async def test_an_edit_between_two_starts_loses_nothing_and_fires_nothing_twice(
    faults: Faults,
) -> None:
    """A changed payload goes on; a changed schedule and another name start anew, and what was owed
    until then is missed, with the reason."""
    wall = Wall()
    before = [cron("payload"), cron("schedule"), cron("name")]
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(faults.home, github.url, crons=before, environ=faults.environ) as daemon,
    ):
        await daemon.start()
        assert await daemon.terminate() == 0
        changed = {"event_type": "payload", "client_payload": {"at": "changed", "late": False}}
        rewrite(
            daemon,
            {**cron("payload"), "dispatch": changed},
            cron("schedule", "*/5 * * * *"),
            cron("renamed"),
        )
        faults.pass_over(4 * MINUTE)
        wall.ahead += 4 * MINUTE
        back = wall.now()
        await daemon.start()
        goes_on = await accounted(daemon, "payload", back)
        assert len(whole(goes_on)) >= 4
        await github.until(lambda: any(each.event_type == "payload" for each in github.received))
        assert {each.client_payload["at"] for each in github.received} == {"changed"}
        async with daemon.records() as store:
            for name, why in (
                ("schedule", "its schedule was changed from `* * * * * UTC` to `*/5 * * * * UTC`"),
                ("name", "not in the config any more under this name, or disabled"),
            ):
                (row,) = await store.firings(10, cron=name)
                assert (row.outcome, row.reason) == (FiringOutcome.MISSED, why)
                assert row.count >= 4
            cursors = await store.cursors()
            assert set(cursors) == {"payload", "schedule", "renamed"}
            assert min(cursors["schedule"].cursor, cursors["renamed"].cursor) >= back
            assert [each.entry for each in await store.incidents(10)].count("name") == 0
        assert await daemon.terminate() == 0


@pytest.mark.parametrize("forward", [True, False])
async def test_other_time_zone_data_at_the_next_start_skip_no_day_and_repeat_none(
    faults: Faults, forward: bool
) -> None:
    """A country changes its time, and the machine hears of it after the change. ``forward``: while
    the old data said 02:30, it was 03:30 already, and 03:00 is overdue. Else: while they said that
    03:00 had come, and it fired, it was 02:00, and 03:00 comes once more."""
    wall = Wall()
    old, new = (timedelta(), HOUR) if forward else (HOUR, timedelta())
    zones = {name: faults.home.parent / name for name in ("old", "new")}
    for name, offset in (("old", old), ("new", new)):
        write_zone(zones[name], "Europe/Berlin", offset)
        write_zone(zones[name], "UTC", timedelta())
    local = wall.now() + old
    planned = local + (30 * MINUTE if forward else 2 * MINUTE)
    entry = cron("nightly", f"{planned:%M} {planned:%H} * * *", timezone="Europe/Berlin")
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(
            faults.home,
            github.url,
            crons=[entry],
            environ={**faults.environ, "PYTHONTZPATH": str(zones["old"])},
        ) as daemon,
    ):
        await daemon.start()
        if not forward:
            faults.pass_over(2 * MINUTE)
            wall.ahead += 2 * MINUTE
            await github.until(lambda: len(github.received) == 1)
        assert await daemon.terminate() == 0
        daemon.environ["PYTHONTZPATH"] = str(zones["new"])
        await daemon.start()
        (told,) = daemon.said("trouble")
        assert "the time zone data tell another time for Europe/Berlin" in told["message"]
        if forward:
            await github.until(lambda: len(github.received) == 1)
        else:
            faults.pass_over(HOUR + MINUTE)  # the same time comes once more, on the wall
            wall.ahead += HOUR + MINUTE
            await asyncio.sleep(6)  # what does not happen cannot be awaited: longer than a tick
        assert await daemon.terminate() == 0
        async with daemon.records() as store:
            rows = await store.firings(10)
        assert [row.outcome for row in rows] == [FiringOutcome.FIRED]
        assert len(github.received) == 1
