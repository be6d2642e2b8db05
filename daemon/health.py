"""How the daemon as a whole is doing: ready, what is not well, the figures of ``dispatchd
status``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from daemon import __version__
from daemon.errors import StoreError
from daemon.event import Pause
from daemon.expressions import rfc3339
from daemon.facts import Facts, Trouble
from daemon.in_force import InForce
from daemon.lane import Lane
from daemon.ports import Condition, Loaded, Records
from daemon.views import pause_view, space_view

FRESH = timedelta(seconds=1)
"""How long the last look at the database counts."""


SCHEDULES_LATE = timedelta(seconds=30)
"""The scheduler looks through the schedules every five seconds, or says that it could not."""

GITHUB_AWAY = timedelta(minutes=1)
"""A connection that fails now and then is tried again; this long it is none of those."""

OVERDUE = timedelta(minutes=15)
"""How long what is due may wait for the pacing."""


class Health:
    """Answers ``/readyz`` and ``/api/v1/status``. ``behind`` says since when the schedules wait to
    be looked through, ``beside`` what else is not well, and ``reloaded`` how it stands with the
    config."""

    def __init__(
        self,
        in_force: InForce,
        records: Records,
        lanes: Mapping[str, Lane],
        *,
        behind: Callable[[], timedelta],
        reloaded: Callable[[], Loaded],
        pauses: Mapping[str, Pause],
        clock: Callable[[], datetime],
        facts: Facts,
        simulated: bool,
        beside: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._beside = beside
        self._in_force = in_force
        self._records = records
        self._lanes = lanes
        self._behind = behind
        self._reloaded = reloaded
        self._pauses = pauses
        self._clock = clock
        self._facts = facts
        self._simulated = simulated
        self._started_at = clock()
        self._looked_at: datetime | None = None
        self._condition = Condition()

    async def condition(self) -> Condition:
        """Whether deliveries are taken, and all that is not well. It names nothing of the config:
        anybody may ask."""
        # And each look is a write: no more than one a second.
        if self._looked_at is None or abs(self._clock() - self._looked_at) >= FRESH:
            self._looked_at = self._clock()
            self._condition = await self._look()
        return self._condition

    async def _look(self) -> Condition:
        reasons: dict[str, str] = {}
        due: datetime | None = None
        try:
            await self._records.ping()
            due = await self._records.due_since(list(self._lanes))
        except StoreError as error:
            self._facts.publish(Trouble("store", str(error)))
            reasons["store"] = "the database does not take writes; the daemon's log says why"
        ready = not reasons
        with suppress(StoreError):
            space = await self._records.space()
            if space.low:
                reasons["disk"] = space.told()
        if (behind := self._behind()) > SCHEDULES_LATE:
            reasons["schedules"] = (
                f"no cron instant was looked for in {_span(behind)}; the log says why"
            )
        loaded = self._reloaded()
        if loaded.faults:
            # And not what stands there: anybody may ask.
            where = f" (see {loaded.place})" if loaded.place else ""
            reasons["config"] = (
                f"the config on disk was not taken over{where}; the one before it is in force, and "
                "`dispatchd status` says more"
            )
        now = self._clock()
        outages = (lane.outage.since for lane in self._lanes.values())
        away = max((now - at for at in outages if at), default=None)
        if away is not None and away > GITHUB_AWAY:
            reasons["github"] = f"GitHub has not been reached for {_span(away)}"
        if any(lane.refused for lane in self._lanes.values()):
            reasons["credential"] = (
                "GitHub does not take a credential; `dispatchd status` says which"
            )
        if due is not None and now - due > OVERDUE:
            text = f"dispatches have been due for {_span(now - due)}: more comes in than may go out"
            reasons["backlog"] = text
        others = tuple(self._beside()) if self._beside else ()
        said = (*reasons.values(), *others)
        return Condition(ready, said, reasons | ({"other": "; ".join(others)} if others else {}))

    async def status(self) -> dict[str, Any]:
        """Durations are in seconds; ``oldest_waiting`` is when the oldest unfinished dispatch
        came in; nothing is sent under one of the credentials before its ``limited_until``, which
        GitHub imposed, and the latest of these stands at the top; ``incidents`` counts all that
        there ever were."""
        now, config = self._clock(), self._in_force.config
        condition = await self.condition()
        loaded = self._reloaded()
        oldest = await self._records.oldest_waiting()
        credentials = self._credentials()
        limits = [each["limited_until"] for each in credentials if each["limited_until"]]
        return {
            "version": __version__,
            "simulation": self._simulated,
            "started_at": rfc3339(self._started_at),
            "uptime": round((now - self._started_at).total_seconds()),
            "ready": condition.ready,
            "reasons": list(condition.reasons),
            "github": config.settings.gh_api_url,
            "repository": config.settings.default_repository,
            "space": space_view(await self._records.space()),
            "dispatches": {k.value: n for k, n in (await self._records.counts()).items()},
            "oldest_waiting": rfc3339(oldest) if oldest else None,
            "limited_until": max(limits, default=None),
            "credentials": credentials,
            "triggers": [
                {
                    "name": trigger.name,
                    "path": trigger.path,
                    "enabled": trigger.enabled,
                }
                for trigger in config.triggers
            ],
            "crons": [
                {
                    "name": cron.name,
                    "schedule": cron.schedule.text,
                    "timezone": cron.schedule.timezone,
                    "enabled": cron.enabled,
                    "next": rfc3339(at)
                    if cron.enabled and (at := cron.schedule.next_after(now))
                    else None,
                }
                for cron in config.crons
            ],
            "pauses": [
                {"entry": entry, **pause_view(pause)} for entry, pause in self._pauses.items()
            ],
            "incidents": [
                {"entry": entry, "kind": kind.value, "instants": count}
                for (entry, kind), count in sorted((await self._records.incident_counts()).items())
            ],
            "config": {"generation": loaded.generation, "faults": list(loaded.faults)},
            "warnings": list(config.warnings),
        }

    def _credentials(self) -> list[dict[str, Any]]:
        now = self._clock()  # of this very moment: a budget takes an older one for a clock set back
        views = []
        for lane in self._lanes.values():
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


def _span(span: timedelta) -> str:
    """A span for people, as ``40 s`` or ``12 min``."""
    seconds = round(span.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
