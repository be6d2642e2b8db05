"""From one config to the next while the daemon works: all that can fail is done first, and then all
that works by a config is given the new one, in one go in which nobody else has a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from daemon.agenda import Entry, entries_at
from daemon.client import Prepared, Sessions
from daemon.cursors import take_up
from daemon.errors import StoreUnavailable
from daemon.facts import Facts, IncidentNoticed, Trouble
from daemon.following_up import FollowingUp
from daemon.front import Front, Lasting, front_of
from daemon.hook_ranges import RangeRefresher
from daemon.in_force import InForce
from daemon.lane import Lane
from daemon.lanes import adopt_lanes
from daemon.metrics import Counting
from daemon.pauses import Pauses
from daemon.scheduler import Scheduler
from daemon.spec import Config
from daemon.store import Store

PAUSE = 1.0
"""Seconds before what the store did not take is tried again."""


@dataclass(frozen=True, slots=True)
class Adopting:
    """What outlives a config and has to be given the next one."""

    in_force: InForce
    store: Store
    sessions: Sessions
    lanes: dict[str, Lane]
    pauses: Pauses
    scheduler: Scheduler
    following_up: FollowingUp
    counting: Counting
    hook_ranges: RangeRefresher
    clock: Callable[[], datetime]
    facts: Facts


class Changeover:
    """``front`` answers requests by the config that is in force."""

    def __init__(self, adopting: Adopting, lasting: Lasting) -> None:
        self._all = adopting
        self._lasting = lasting
        self.front: Front = front_of(adopting.in_force, adopting.scheduler, lasting)

    async def to(self, config: Config) -> None:
        """Takes ``config`` over, whose secrets all resolved. What a schedule owed up to now is
        accounted for by the old one; cursors, pauses, windows, budgets and connections stay.

        Raises UsageError for a token or a proxy that can never work, and StoreError where what is
        owed could not be recorded; then the old config is in force as before.
        """
        now_is = self._all
        before = now_is.in_force.settings
        sessions = await now_is.sessions.prepare(config.settings)
        adopted = False
        try:
            new = InForce(config)
            if new.asks_for_github and not now_is.in_force.asks_for_github:
                await now_is.hook_ranges.recall()
            front = front_of(new, now_is.scheduler, self._lasting)
            async with now_is.scheduler.standing_still() as standing:
                now, cursors = now_is.clock(), await now_is.store.cursors()
                taken = take_up(config.crons, cursors, now, now_is.pauses.standing)
                enabled = [cron for cron in config.crons if cron.enabled]
                entries = await asyncio.to_thread(entries_at, enabled, taken.cursors, now, standing)
                incidents = await now_is.store.take_up(taken)
                # From here on to the end of this block nothing can fail, and nothing waits.
                self._adopt(new, front, sessions, entries)
                adopted = True
        finally:
            if not adopted:
                await sessions.close()
        for remark in taken.remarks:
            now_is.facts.publish(Trouble("scheduler", remark))
        for incident in incidents:
            now_is.facts.publish(IncidentNoticed(incident))
        if before.credentials != config.settings.credentials or bool(before.gh_token) != bool(
            config.settings.gh_token
        ):
            await self._assign_lanes()

    def _adopt(self, new: InForce, front: Front, sessions: Prepared, entries: list[Entry]) -> None:
        now_is, config = self._all, new.config
        before = now_is.in_force.settings
        now_is.in_force.adopt(new)
        now_is.store.adopt(
            lane_of=now_is.in_force.lane_of,
            guards=config.settings.guards,
            follows=now_is.in_force.follows,
        )
        now_is.sessions.adopt(sessions)
        adopt_lanes(now_is.lanes, before, config.settings)
        now_is.scheduler.adopt(entries)
        now_is.counting.adopt(config)
        now_is.following_up.adopt(config)
        now_is.hook_ranges.need(needed=now_is.in_force.asks_for_github)
        self.front = front

    async def _assign_lanes(self) -> None:
        """Has what is unfinished go out under today's credentials. The new config is in force
        already, so this has to succeed; a restart would do it as well."""
        while True:
            try:
                await self._all.store.assign_lanes()
                return
            except StoreUnavailable as error:
                text = f"what waits is not given to the new credentials yet: {error}; trying again"
                self._all.facts.publish(Trouble("config", text))
                await asyncio.sleep(PAUSE)
