"""Nights in which the clocks change, through the whole daemon: from the config file to what GitHub
receives, under a clock that the test turns."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from daemon.event import FiringOutcome
from daemon.facts import FiringAccounted
from daemon.scheduler import Scheduler
from tests.inprocess import Serving, serving
from tests.specs import cron_entry

DEADLINE = 20.0
LATENESS = timedelta(seconds=1)

Fired: TypeAlias = Counter[tuple[str, str]]
"""How often each entry fired for each instant."""


class Clock:
    """A clock that stands still until it is turned, and time that passes as it says."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def elapsed(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def awake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler looks at the clock all the time, and not every five seconds."""
    defaults = Scheduler.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "tick", timedelta(milliseconds=10))


# Schedule and zone, and the instants of the night in UTC at which it fires. The last one of each
# night proves that all which was due up to then was looked at.
NIGHTS: Mapping[str, Mapping[tuple[str, str], list[str]]] = {
    # In Berlin, 02:00 to 03:00 is skipped at 01:00Z; in Beirut midnight to 01:00 at 22:00Z.
    "2026-03-28T21:31Z": {
        ("30 2 * * *", "Europe/Berlin"): ["2026-03-29T01:00Z"],
        ("0 3 * * *", "Europe/Berlin"): ["2026-03-29T01:00Z"],
        ("30 * * * *", "Europe/Berlin"): [
            "2026-03-28T22:30Z",
            "2026-03-28T23:30Z",
            "2026-03-29T00:30Z",
            "2026-03-29T01:30Z",
            "2026-03-29T02:30Z",
        ],
        ("*/15 2 * * *", "Europe/Berlin"): [],
        ("0 0 * * *", "Asia/Beirut"): ["2026-03-28T22:00Z"],
        ("0 3 * * *", "UTC"): ["2026-03-29T03:00Z"],
    },
    # In Berlin, 02:00 to 03:00 comes again at 01:00Z.
    "2026-10-24T22:31Z": {
        ("30 2 * * *", "Europe/Berlin"): ["2026-10-25T00:30Z"],
        ("0 3 * * *", "Europe/Berlin"): ["2026-10-25T02:00Z"],
        ("30 * * * *", "Europe/Berlin"): [
            "2026-10-24T23:30Z",
            "2026-10-25T00:30Z",
            "2026-10-25T01:30Z",
            "2026-10-25T02:30Z",
        ],
        ("*/30 2 * * *", "Europe/Berlin"): [
            "2026-10-25T00:00Z",
            "2026-10-25T00:30Z",
            "2026-10-25T01:00Z",
            "2026-10-25T01:30Z",
        ],
        ("20 3 * * *", "UTC"): ["2026-10-25T03:20Z"],
    },
    # On Lord Howe Island half an hour is skipped, from 02:00 at 15:30Z.
    "2026-10-03T15:01Z": {
        ("15 2 * * *", "Australia/Lord_Howe"): ["2026-10-03T15:30Z"],
        ("45 2 * * *", "Australia/Lord_Howe"): ["2026-10-03T15:45Z"],
        ("15 * * * *", "Australia/Lord_Howe"): ["2026-10-03T16:15Z"],
        ("0 17 * * *", "UTC"): ["2026-10-03T17:00Z"],
    },
}


@pytest.mark.usefixtures("awake")
@pytest.mark.parametrize("start", NIGHTS)
async def test_every_instant_of_the_night_fires_once(tmp_path: Path, start: str) -> None:
    """For the daemon as a whole, which is started anew in the middle of it. Nothing fires or is
    missed that is not in the table, and what fires is what GitHub receives."""
    night = NIGHTS[start]
    entries = [
        cron_entry(
            f"cron-{number}",
            schedule=schedule,
            timezone=zone,
            dispatch={
                "event_type": "tick",
                "client_payload": {
                    "cron": "{{ firing.cron }}",
                    "at": "{{ firing.scheduled_at }}",
                    "late": "{{ firing.catch_up }}",
                },
            },
        )
        for number, (schedule, zone) in enumerate(night)
    ]
    expected = Counter(
        (f"cron-{number}", f"{at(instant):%FT%TZ}")
        for number, instants in enumerate(night.values())
        for instant in instants
    )
    moments = sorted({at(instant) for instants in night.values() for instant in instants})
    clock = Clock(at(start))
    booked, received = Fired(), Fired()
    async with asyncio.timeout(DEADLINE):
        half = len(moments) // 2
        for some in (moments[:half], moments[half:]):
            async with serving(
                tmp_path, crons=entries, clock=lambda: clock.now, elapsed=clock.elapsed
            ) as daemon:
                due = 0
                for moment in some:
                    clock.now = moment + LATENESS
                    due += sum(count for (_, time), count in expected.items() if at(time) == moment)
                    await daemon.simulator.until(partial(has_received, daemon, due))
                booked += bookings(daemon)
                received += ticks(daemon)
    assert booked == expected
    assert received == expected


def at(instant: str) -> datetime:
    return datetime.fromisoformat(instant).astimezone(UTC)


def has_received(daemon: Serving, count: int) -> bool:
    return len(daemon.simulator.received) >= count


def bookings(daemon: Serving) -> Fired:
    found = [fact for fact in daemon.seen if isinstance(fact, FiringAccounted)]
    assert {fact.outcome for fact in found} == {FiringOutcome.FIRED}
    return Counter((fact.cron, f"{fact.scheduled_at:%FT%TZ}") for fact in found)


def ticks(daemon: Serving) -> Fired:
    payloads = [each.client_payload for each in daemon.simulator.received]
    assert not any(payload["late"] for payload in payloads)
    return Counter((str(payload["cron"]), str(payload["at"])) for payload in payloads)
