"""Asks GitHub for deliveries once more, no faster than their credential may write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from daemon.github_hooks import Hook, HookDelivery
from daemon.hooks_at_github import HooksAtGithub, NotNow, until_of
from daemon.in_force import InForce
from daemon.lane import Lane
from daemon.own_hooks import credential_at
from daemon.pacing import Budget
from daemon.spec import Pace

SHARE = 2
"""Redeliveries take at most this part of what a credential may write in an hour: nearly each of
them owes a dispatch, which is to go out too."""

NAP = 60.0
"""The longest sleep, in seconds: a step of the clock delays nothing by more."""

Sleep = Callable[[float], Awaitable[None]]


class Redeliverer:
    """Each write counts in its lane, beside the dispatches."""

    def __init__(
        self,
        github: HooksAtGithub,
        in_force: InForce,
        lanes: Mapping[str, Lane],
        *,
        clock: Callable[[], datetime],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._github = github
        self._in_force = in_force
        self._lanes = lanes
        self._shares: dict[tuple[str, Pace], Budget] = {}
        self._clock = clock
        self._sleep = sleep

    async def ask_for(self, hook: Hook, delivery: HookDelivery) -> None:
        """Waits for its turn, and for the end of rate limits. Raises Denied, and FetchError for
        what may work later, or was heard perhaps."""
        while True:
            credential = credential_at(self._in_force.settings, hook.place)
            lane = self._lanes[credential.name if credential else ""]
            await self._turn(
                lane, self._share(lane.name, credential.pace if credential else Pace())
            )
            try:
                return await self._github.redeliver(hook, delivery)
            except NotNow as error:
                now = self._clock()
                lane.budget.throttle(now, until_of(error, now))

    def _share(self, name: str, pace: Pace) -> Budget:
        return self._shares.setdefault((name, pace), _share(pace))

    async def wait_until(self, instant: datetime) -> None:
        """Until the clock shows the instant, or later."""
        while (left := (instant - self._clock()) / timedelta(seconds=1)) > 0:
            await self._sleep(min(left, NAP))

    async def _turn(self, lane: Lane, share: Budget) -> None:
        """Waits until the credential may write once more, and books that."""
        while True:
            now = self._clock()
            if lane.allowance(now) > 0 and share.allowance(now) > 0:
                lane.budget.spend(now)
                share.spend(now)
                return
            # What waits for an answer to a dispatch is looked at again soon.
            look = max(lane.held_up_until(now) or now, share.next_at(now))
            await self.wait_until(max(look, now + timedelta(seconds=0.1)))


def _share(pace: Pace) -> Budget:
    hour = pace.writes_per_hour
    return Budget(pace.writes_per_second, pace.burst, max(hour // SHARE, 1) if hour else 0)
