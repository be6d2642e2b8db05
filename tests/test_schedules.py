"""Crons through the whole daemon: on time, and after it was away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon.event import FiringOutcome
from daemon.expressions import rfc3339
from daemon.facts import DispatchSettled, FiringAccounted, Trouble
from daemon.spread import jitter
from tests.inprocess import Serving, serving
from tests.specs import cron_entry

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
NIGHTLY = cron_entry(
    "nightly",
    schedule="0 4 * * *",
    dispatch={
        "event_type": "nightly",
        "client_payload": {
            "due": "{{ firing.scheduled_at }}",
            "caught_up": "{{ firing.catch_up }}",
            "cron": "{{ firing.cron }}",
        },
    },
)

WITNESS = cron_entry("witness", schedule="0 * * * *", dispatch={"event_type": "witness"})
"""Always owes something after a while away: all that is owed is accounted for in one go, so once
this one was sent, nothing else will come."""


def clock_from(start: datetime) -> Callable[[], datetime]:
    """A clock that reads ``start`` now and then goes at its usual pace."""
    began = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - began)


class WoundUp:
    """A clock that stands still at ``start`` until it is let go: until the daemon is up, however
    long that takes."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._began: float | None = None

    def __call__(self) -> datetime:
        gone = 0.0 if self._began is None else time.monotonic() - self._began
        return self._start + timedelta(seconds=gone)

    def let_go(self) -> None:
        self._began = time.monotonic()


def accounted(daemon: Serving) -> list[FiringAccounted]:
    return [fact for fact in daemon.seen if isinstance(fact, FiringAccounted)]


async def test_a_cron_fires_at_its_time(tmp_path: Path) -> None:
    clock = WoundUp(MIDNIGHT + timedelta(hours=4) - timedelta(seconds=0.2))
    async with (
        asyncio.timeout(20),
        serving(
            tmp_path, crons=[NIGHTLY], clock=clock, elapsed=lambda: clock().timestamp()
        ) as daemon,
    ):
        clock.let_go()
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        payload = daemon.simulator.received[0].client_payload
        assert payload.pop("dispatchd")
        assert payload == {"due": "2026-11-23T04:00:00Z", "caught_up": False, "cron": "nightly"}
        (fired,) = accounted(daemon)
        assert (fired.outcome, fired.scheduled_at) == (
            FiringOutcome.FIRED,
            MIDNIGHT + timedelta(hours=4),
        )


async def test_after_it_was_away_the_latest_instant_is_made_up_for_once(tmp_path: Path) -> None:
    async with serving(tmp_path, crons=[NIGHTLY], clock=clock_from(MIDNIGHT)):
        pass  # a new entry starts at now: it owes nothing from before
    back = MIDNIGHT + timedelta(days=3)
    async with serving(tmp_path, crons=[NIGHTLY], clock=clock_from(back)) as daemon:
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        payload = daemon.simulator.received[0].client_payload
        assert (payload["due"], payload["caught_up"]) == ("2026-11-25T04:00:00Z", True)
        assert [(f.outcome.value, f.scheduled_at.day) for f in accounted(daemon)] == [
            ("missed", 23),
            ("missed", 24),
            ("fired", 25),
        ]
        assert "catch_up: latest" in accounted(daemon)[0].reason
    later = clock_from(back + timedelta(hours=1))
    async with serving(tmp_path, crons=[NIGHTLY, WITNESS], clock=clock_from(back)):
        pass
    async with serving(tmp_path, crons=[NIGHTLY, WITNESS], clock=later) as daemon:
        assert await sent_first(daemon) == ["witness"]


async def sent_first(daemon: Serving) -> list[str]:
    """The event types of all that was owed at the start."""
    await daemon.until(
        lambda fact: isinstance(fact, DispatchSettled) and fact.dispatch.entry == "witness"
    )
    return sorted(each.event_type for each in daemon.simulator.received)


async def test_what_is_changed_or_switched_on_again_owes_nothing_from_before(
    tmp_path: Path,
) -> None:
    changed, off = {**NIGHTLY, "schedule": "0 5 * * *"}, {**NIGHTLY, "enabled": False}
    for day, entry in enumerate([NIGHTLY, changed, off, changed]):
        clock = clock_from(MIDNIGHT + timedelta(days=2 * day))
        async with serving(tmp_path, crons=[entry, WITNESS], clock=clock) as daemon:
            if day:
                assert await sent_first(daemon) == ["witness"]


async def test_a_clock_that_was_far_ahead_once_silences_no_cron(tmp_path: Path) -> None:
    """A machine that starts before it knows the time: the cursors of that start lie years ahead."""
    ahead = MIDNIGHT + timedelta(days=3650)
    async with serving(tmp_path, crons=[NIGHTLY], clock=clock_from(ahead)):
        pass
    clock = WoundUp(MIDNIGHT + timedelta(hours=4) - timedelta(seconds=0.2))
    async with (
        asyncio.timeout(20),
        serving(
            tmp_path, crons=[NIGHTLY], clock=clock, elapsed=lambda: clock().timestamp()
        ) as daemon,
    ):
        clock.let_go()
        (trouble,) = (fact for fact in daemon.seen if isinstance(fact, Trouble))
        assert trouble.message.startswith("nightly was accounted for up to 2036-11-20T00:00:00")
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        assert daemon.simulator.received[0].client_payload["due"] == "2026-11-23T04:00:00Z"


async def test_a_changed_payload_keeps_what_is_owed(tmp_path: Path) -> None:
    async with serving(tmp_path, crons=[NIGHTLY], clock=clock_from(MIDNIGHT)):
        pass
    changed = {**NIGHTLY, "dispatch": {"event_type": "other"}}
    back = clock_from(MIDNIGHT + timedelta(days=1))
    async with serving(tmp_path, crons=[changed], clock=back) as daemon:
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        assert daemon.simulator.received[0].event_type == "other"


async def test_jitter_holds_back_the_send_through_a_restart(tmp_path: Path) -> None:
    """The instant is recorded at its time; the dispatch goes out when what the hash says is over,
    and names the time that it was scheduled for."""
    spread_out = {**NIGHTLY, "jitter": "2h"}
    due = MIDNIGHT + timedelta(hours=4)
    put_off = due + jitter("nightly", due, timedelta(hours=2))
    async with serving(tmp_path, crons=[spread_out, WITNESS], clock=clock_from(MIDNIGHT)):
        pass
    on_time = clock_from(due + timedelta(seconds=30))
    async with serving(tmp_path, crons=[spread_out, WITNESS], clock=on_time) as daemon:
        assert await sent_first(daemon) == ["witness"]
        status, found = await daemon.call("GET", "/api/v1/dispatches?state=pending")
        (waiting,) = found["dispatches"]
        assert (status, waiting["entry"], waiting["due_at"]) == (200, "nightly", rfc3339(put_off))
        assert waiting["reason"] == f"waits until {rfc3339(put_off)} by its `jitter`"
        (shown, _) = (await daemon.call("GET", "/api/v1/status"))[1]["crons"]
        assert (shown["schedule"], shown["next"]) == ("0 4 * * *", "2026-11-24T04:00:00Z")
    async with serving(tmp_path, crons=[spread_out], clock=clock_from(put_off)) as daemon:
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        assert daemon.simulator.received[0].client_payload["due"] == "2026-11-23T04:00:00Z"


async def test_one_instant_and_an_interval_are_made_up_for_like_any_other(tmp_path: Path) -> None:
    once = {"name": "once", "at": "2026-11-23T05:30:00Z", "dispatch": {"event_type": "once"}}
    every = {"name": "every", "every": "4h", "offset": "1h", "dispatch": {"event_type": "every"}}
    crons = [once, every, WITNESS]
    async with serving(tmp_path, crons=crons, clock=clock_from(MIDNIGHT)) as daemon:
        shown = (await daemon.call("GET", "/api/v1/status"))[1]["crons"]
        assert [each["schedule"] for each in shown[:2]] == [
            "at 2026-11-23T05:30:00Z",
            "every 4h offset 1h",
        ]
    back = clock_from(MIDNIGHT + timedelta(hours=10, seconds=1))
    async with serving(tmp_path, crons=crons, clock=back) as daemon:
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 3)
        fired = {
            fact.cron: f"{fact.scheduled_at:%H:%M}"
            for fact in accounted(daemon)
            if fact.outcome is FiringOutcome.FIRED
        }
        assert fired == {"once": "05:30", "every": "09:00", "witness": "10:00"}
    again = clock_from(MIDNIGHT + timedelta(hours=11, seconds=1))
    async with serving(tmp_path, crons=crons, clock=again) as daemon:
        assert await sent_first(daemon) == ["witness"]
        assert (await daemon.call("GET", "/api/v1/status"))[1]["crons"][0]["next"] is None
