"""How the daemon as a whole is doing: ready or why not, and the figures of ``dispatchd status``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from daemon import __version__
from daemon.errors import StoreError
from daemon.event import Pause
from daemon.expressions import JSON, rfc3339
from daemon.facts import Facts, Trouble
from daemon.lane import Lane
from daemon.ports import Records
from daemon.spec import Config
from daemon.views import pause_view

FRESH = timedelta(seconds=1)
"""How long the last look at the database counts."""


class Health:
    """Answers ``/readyz`` and ``/api/v1/status``."""

    def __init__(
        self,
        config: Config,
        records: Records,
        lanes: Sequence[Lane],
        *,
        paused: Callable[[str], Pause | None],
        clock: Callable[[], datetime],
        facts: Facts,
        simulated: bool,
    ) -> None:
        self._config = config
        self._records = records
        self._lanes = lanes
        self._paused = paused
        self._clock = clock
        self._facts = facts
        self._simulated = simulated
        self._started_at = clock()
        self._looked_at: datetime | None = None
        self._troubles: Sequence[str] = []

    async def troubles(self) -> Sequence[str]:
        """Why nothing can be taken in; empty when all is well."""
        # Anybody may ask, and each look is a write: no more than one a second.
        if self._looked_at is None or abs(self._clock() - self._looked_at) >= FRESH:
            self._looked_at = self._clock()
            self._troubles = await self._look()
        return self._troubles

    async def _look(self) -> Sequence[str]:
        try:
            await self._records.ping()
        except StoreError as error:
            self._facts.publish(Trouble("store", str(error)))
            return ["the database does not take writes; the daemon's log says why"]
        return []

    async def status(self) -> dict[str, Any]:
        """Durations are in seconds; ``oldest_waiting`` is when the oldest unfinished dispatch
        came in; nothing is sent under one of the credentials before its ``limited_until``, which
        GitHub imposed, and the latest of these stands at the top; ``incidents`` counts all that
        there ever were."""
        now = self._clock()
        oldest = await self._records.oldest_waiting()
        credentials = self._credentials()
        limits = [each["limited_until"] for each in credentials if each["limited_until"]]
        return {
            "version": __version__,
            "simulation": self._simulated,
            "started_at": rfc3339(self._started_at),
            "uptime": round((now - self._started_at).total_seconds()),
            "ready": not await self.troubles(),
            "github": self._config.settings.gh_api_url,
            "repository": self._config.settings.default_repository,
            "dispatches": {k.value: n for k, n in (await self._records.counts()).items()},
            "oldest_waiting": rfc3339(oldest) if oldest else None,
            "limited_until": max(limits, default=None),
            "credentials": credentials,
            "triggers": [
                {
                    "name": trigger.name,
                    "path": trigger.path,
                    "enabled": trigger.enabled,
                    "paused": self._pause(trigger.name),
                }
                for trigger in self._config.triggers
            ],
            "crons": [
                {
                    "name": cron.name,
                    "schedule": cron.schedule.text,
                    "timezone": cron.schedule.timezone,
                    "enabled": cron.enabled,
                    "paused": self._pause(cron.name),
                    "next": rfc3339(at)
                    if cron.enabled and (at := cron.schedule.next_after(now))
                    else None,
                }
                for cron in self._config.crons
            ],
            "incidents": [
                {"entry": entry, "kind": kind.value, "instants": count}
                for (entry, kind), count in sorted((await self._records.incident_counts()).items())
            ],
            "warnings": list(self._config.warnings),
        }

    def _credentials(self) -> list[dict[str, Any]]:
        now = self._clock()  # of this very moment: a budget takes an older one for a clock set back
        views = []
        for lane in self._lanes:
            limited = lane.budget.blocked_until(now)
            view = {
                "name": lane.name,
                "limited_until": rfc3339(limited) if limited else None,
                "refused": lane.refused or None,
                "writes_in_hour": lane.budget.in_hour(now),
                "in_flight": len(lane.in_flight),
            }
            if lane.name:
                views.append(view)
        return views

    def _pause(self, entry: str) -> JSON:
        pause = self._paused(entry)
        return None if pause is None else pause_view(pause)
