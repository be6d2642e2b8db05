"""``/api/v1/release``: lets dispatches go that are held since they might have run away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from aiohttp import web

from daemon.admission import requester
from daemon.asking import asked_for
from daemon.dispatch import Hold, State
from daemon.errors import Refused
from daemon.event import API_ENTRY
from daemon.expressions import JSON
from daemon.facts import DispatchesReleased, Facts
from daemon.ports import Holds
from daemon.spec import Config
from daemon.web import json_response

BATCH = 500
"""Dispatches that are let go in one transaction."""


class Releasing:
    """Answers calls whose key has been checked. Raises Refused: 404 for what there is not, 409 for
    a dispatch that is not held, or that a pause holds, 400 for a call that is none."""

    def __init__(
        self, config: Config, holds: Holds, clock: Callable[[], datetime], facts: Facts
    ) -> None:
        crons = [cron.name for cron in config.crons]
        self._names = {API_ENTRY, *crons, *(trigger.name for trigger in config.triggers)}
        self._holds = holds
        self._clock = clock
        self._facts = facts

    async def release(self, request: web.Request) -> web.Response:
        """POST …/{id}: one dispatch."""
        wanted = request.match_info["id"]
        await asked_for(request, ())
        results = await self._holds.let_go([wanted], self._clock())
        if not results:
            raise Refused(404, f"there is no dispatch {wanted!r:.100}")
        (result,) = results
        found, pause = result.found, result.pause
        if found.state is not State.HELD:
            raise Refused(409, f"{found.id} is {found.state} and not held")
        if found.held_by is Hold.PAUSE:
            raise Refused(
                409,
                f"{found.id} is held by a pause: {found.reason}; `dispatchd resume {found.entry}` "
                "lets it go",
            )
        view: dict[str, JSON] = {"id": found.id, "state": State.PENDING.value}
        if pause is not None:
            view |= {"state": State.HELD.value, "reason": str(pause)}
        else:
            self._tell(found.entry, request, [found.id])
        return json_response(200, view)

    async def release_entry(self, request: web.Request) -> web.Response:
        """POST with ``{"entry": name}``: all that is held of an entry, but for what a pause holds.
        ``paused`` counts what one holds from now on."""
        asked = await asked_for(request, ("entry",))
        entry = asked.get("entry")
        if not isinstance(entry, str) or not entry:
            raise Refused(400, "`entry` is the name of an entry")
        released: list[str] = []
        paused = 0
        while True:
            free, kept = await self._holds.let_go_of(entry, self._clock(), BATCH)
            if not free and not kept:
                break
            released += free
            paused += len(kept)
            if free:
                self._tell(entry, request, free)
        if not released and not paused and entry not in self._names:
            known = ", ".join(sorted(self._names))
            raise Refused(404, f"there is no entry {entry!r:.100}; there are: {known:.1000}")
        return json_response(200, {"entry": entry, "released": len(released), "paused": paused})

    def _tell(self, entry: str, request: web.Request, ids: Sequence[str]) -> None:
        self._facts.publish(DispatchesReleased(entry, requester(request), tuple(ids)))
