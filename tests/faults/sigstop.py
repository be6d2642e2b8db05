"""``python -m tests.faults.sigstop``: the daemon stopped by SIGSTOP for two minutes, by the real
clocks, amid deliveries and crons, and then let go on."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from daemon.dispatcher import IN_FLIGHT_MAX
from daemon.event import FiringOutcome
from daemon.simulator import Fault, FaultKind
from tests.faults.instants import EVERY_SECOND, not_once
from tests.harness import PUSH, Balance, Daemon, Sender, stand_in
from tests.harness.raw_http import ask, request

BEFORE = IN_FLIGHT_MAX + 8
"""Deliveries before the stop: some are with GitHub when it comes, and some wait."""

DURING = 8
"""Deliveries that come while nobody is there to take them."""

DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. ``ready_after`` is in seconds from SIGCONT, ``unaccounted`` counts instants
    that are not booked once, and ``twice`` those that GitHub received twice."""

    acknowledged: int
    balance: Balance
    fired: int
    missed: int
    unaccounted: int
    twice: int
    ready_after: float

    @property
    def well(self) -> bool:
        return self.balance.even and not self.unaccounted and not self.twice

    def __str__(self) -> str:
        return (
            f"deliveries: {self.acknowledged} acknowledged, {len(self.balance.lost)} lost, "
            f"{len(self.balance.doubled)} sent twice\n"
            f"instants: {self.fired} fired, {self.missed} missed, {self.unaccounted} not booked "
            f"once, {self.twice} sent twice\n"
            f"ready again after {self.ready_after:.2f} s"
        )


async def stop_for(seconds: float, home: Path) -> Outcome:
    """Stops a daemon in ``home``, an empty directory, for so long. GitHub answers what was with it
    halfway through."""
    async with (
        stand_in() as github,
        Daemon(home, github.url, triggers=[PUSH], crons=[EVERY_SECOND]) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        await github.until(lambda: bool(github.received))
        github.inject(Fault(FaultKind.STALL, times=IN_FLIGHT_MAX))
        await sender.push_all(daemon.url, [f"before-{number}" for number in range(BEFORE)])
        await github.until(lambda: github.stalled == IN_FLIGHT_MAX)
        daemon.signal(SIGSTOP)
        during = [asyncio.create_task(push(sender, daemon, n)) for n in range(DURING)]
        await asyncio.sleep(seconds / 2)
        github.release()
        await asyncio.sleep(seconds / 2)
        daemon.signal(SIGCONT)
        went_on = time.monotonic()
        async with asyncio.timeout(DEADLINE):
            ready = await ask(daemon.url, request("GET", "/readyz"))
            ready_after = time.monotonic() - went_on
            await asyncio.gather(*during)
            await sender.push(daemon.url, "after")
            await sender.until_received(github)
        ended = await daemon.terminate()
        if ready is None or ready.status != 200 or ended:
            raise AssertionError(f"not ready ({ready}), or ended with the exit status {ended}")
        async with daemon.records() as store:
            rows = await store.firings(100_000)
    ticks = Counter(str(each.client_payload.get("at")) for each in github.received)
    del ticks["None"]  # the deliveries
    return Outcome(
        acknowledged=len(sender.acknowledged),
        balance=sender.balance(each for each in github.received if each.event_type != "tick"),
        fired=sum(row.outcome is FiringOutcome.FIRED for row in rows),
        missed=sum(row.outcome is FiringOutcome.MISSED for row in rows),
        unaccounted=len(not_once(rows)),
        twice=sum(count > 1 for count in ticks.values()),
        ready_after=ready_after,
    )


async def push(sender: Sender, daemon: Daemon, number: int) -> None:
    with suppress(TimeoutError):  # the sender gave up: nothing was promised
        await sender.push(daemon.url, f"during-{number}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sigstop", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long (%(default)s)")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="dispatchd-sigstop-") as home:
        outcome = asyncio.run(stop_for(seconds, Path(home)))
    print(f"stopped for {seconds:g} s\n{outcome}")
    return 0 if outcome.well else 1


if __name__ == "__main__":
    sys.exit(main())
