"""How things stand at the moment that the metrics are asked for: the queue, GitHub's limits and our
own, the config."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from daemon import __version__
from daemon.errors import StoreError
from daemon.event import Pause
from daemon.in_force import InForce
from daemon.lane import Lane
from daemon.metrics import families
from daemon.metrics.families import Measured
from daemon.metrics.loop_lag import LoopLag
from daemon.ports import Records
from daemon.space import Space

READ_WITHIN = 3.0
"""Seconds that the store has to answer; Prometheus waits for ten as a rule."""


class Reading:
    """Reads the gauges. ``pauses`` are those of entries that rest."""

    def __init__(
        self,
        in_force: InForce,
        records: Records,
        lanes: Mapping[str, Lane],
        lag: LoopLag,
        *,
        pauses: Mapping[str, Pause],
        clock: Callable[[], datetime],
        simulated: bool,
        certificate_ends: Callable[[], datetime] | None = None,
    ) -> None:
        self._certificate_ends = certificate_ends
        self._in_force = in_force
        self._records = records
        self._all_lanes = lanes
        self._lag = lag
        self._pauses = pauses
        self._clock = clock
        self._simulated = simulated

    @property
    def _lanes(self) -> list[Lane]:
        return [lane for lane in self._all_lanes.values() if lane.name]

    async def measured(self) -> list[Measured]:
        """All of them. What the store does not tell in time is left out: the rest is wanted then
        more than ever."""
        queue: list[Measured] = []
        try:
            async with asyncio.timeout(READ_WITHIN):
                queue = await self._queue()
        except (StoreError, TimeoutError):
            pass
        return [*self._standing(), *queue, *self._ways(), *self._inside()]

    def _standing(self) -> list[Measured]:
        config = self._in_force.config
        simulated = "true" if self._simulated else "false"
        enabled = {
            ("cron",): sum(each.enabled for each in config.crons),
            ("trigger",): sum(each.enabled for each in config.triggers),
        }
        return [
            (families.BUILD, {(__version__, simulated): 1}),
            (families.ENTRIES, enabled),
            (families.PAUSED, {(): len(self._pauses)}),
            (
                families.CERTIFICATE,
                {(): at().timestamp()} if (at := self._certificate_ends) else {},
            ),
        ]

    async def _queue(self) -> list[Measured]:
        counts = await self._records.counts()
        oldest = await self._records.oldest_waiting()
        due = await self._records.due_since([lane.name for lane in self._lanes])
        space = await self._records.space()
        now = self._clock()
        return [
            *self._space(space),
            (families.UNFINISHED, {(state.value,): n for state, n in counts.items()}),
            (families.OLDEST, {(): _seconds(now - oldest) if oldest else 0}),
            (families.OVERDUE, {(): _seconds(now - due) if due else 0}),
        ]

    def _space(self, space: Space) -> list[Measured]:
        disk: list[Measured] = []
        if space.disk_free is not None:
            disk = [
                (families.DISK_FREE, {(): space.disk_free}),
                (families.DISK_RESERVE, {(): space.reserve}),
            ]
        return [
            (families.DATABASE, {(): space.file}),
            (families.DATABASE_UNUSED, {(): space.free}),
            (families.DATABASE_MAX, {(): self._in_force.settings.max_database_size or 0}),
            (families.DATABASE_LOG, {(): space.log}),
            *disk,
        ]

    def _ways(self) -> list[Measured]:
        """What is known of each way to GitHub."""
        now = self._clock()  # of this very moment: a budget takes an older one for a clock set back
        told = {(lane.name,): lane.budget.told for lane in self._lanes}
        limits = {name: each for name, each in told.items() if each is not None}
        waits = {(lane.name,): lane.budget.blocked_until(now) for lane in self._lanes}
        away = {(lane.name,): lane.outage.since for lane in self._lanes}
        return [
            (families.RATE_LIMIT, {name: each.limit for name, each in limits.items()}),
            (families.RATE_REMAINING, {name: each.remaining for name, each in limits.items()}),
            (families.RATE_RESET, {name: each.reset.timestamp() for name, each in limits.items()}),
            (families.IMPOSED, {n: _seconds(at - now) if at else 0 for n, at in waits.items()}),
            (families.WRITES, {(each.name,): each.budget.in_hour(now) for each in self._lanes}),
            (families.WRITES_MAX, {(each.name,): each.budget.per_hour for each in self._lanes}),
            (families.UNREACHABLE, {n: _seconds(now - at) if at else 0 for n, at in away.items()}),
            (families.UNACCEPTED, {(each.name,): bool(each.refused) for each in self._lanes}),
            (families.IN_FLIGHT, {(each.name,): len(each.in_flight) for each in self._lanes}),
        ]

    def _inside(self) -> list[Measured]:
        commits = self._records.commits
        return [
            (families.COMMIT_SIZE, {(): commits.sizes}),
            (families.COMMIT_DURATION, {(): commits.durations}),
            (families.COMMIT_FAILURES, {(): commits.failures}),
            (families.LOOP_LAG, {(): self._lag.seen}),
        ]


def _seconds(span: timedelta) -> float:
    return max(span.total_seconds(), 0.0)
