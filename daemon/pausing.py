"""``/api/v1/pause`` and ``/api/v1/resume``: has entries rest, and work again, and keeps who wanted
that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from daemon.admission import requester
from daemon.asking import asked_for
from daemon.errors import Refused
from daemon.expressions import JSON
from daemon.pauses import Pauses
from daemon.spec import Config
from daemon.views import pause_view
from daemon.web import json_response

REASON_MAX = 500


class Pausing:
    """Answers calls whose key has been checked. ``catch_up`` accounts for the cron instants that
    passed up to now. Raises Refused: 404 for an entry that there is not, 409 where nothing is
    paused that could be resumed, 400 for a call that is none."""

    def __init__(
        self, config: Config, pauses: Pauses, catch_up: Callable[[], Awaitable[None]]
    ) -> None:
        crons = [cron.name for cron in config.crons]
        self._names = [*crons, *(trigger.name for trigger in config.triggers)]
        self._pauses = pauses
        self._catch_up = catch_up

    async def pause(self, request: web.Request) -> web.Response:
        """POST with ``{"entries": [names] or "all", "reason": text}``."""
        asked = await asked_for(request, ("entries", "reason"))
        entries = self._entries(asked, self._names)
        for entry in entries:
            if entry not in self._names:
                known = ", ".join(sorted(self._names)) or "none"
                raise Refused(404, f"there is no entry {entry!r:.100}; there are: {known:.1000}")
        reason = asked.get("reason", "")
        if not isinstance(reason, str) or len(reason) > REASON_MAX or not reason.isprintable():
            raise Refused(400, f"`reason` is one line of text, of at most {REASON_MAX} characters")
        before = set(self._pauses.standing)
        pauses = await self._pauses.pause(entries, requester(request), reason.strip())
        paused: list[JSON] = [
            {"entry": pause.entry, "already": pause.entry in before, **pause_view(pause)}
            for pause in pauses
        ]
        return json_response(200, {"paused": paused})

    async def resume(self, request: web.Request) -> web.Response:
        """POST with ``{"entries": [names] or "all"}``."""
        asked = await asked_for(request, ("entries",))
        standing = self._pauses.standing
        entries = self._entries(asked, list(standing))
        for entry in entries:
            if entry not in standing:
                if entry in self._names:
                    raise Refused(409, f"{entry} is not paused")
                raise Refused(404, f"there is no entry {entry!r:.100}, and none is paused so")
        released = await self._pauses.resume(entries, requester(request), self._catch_up)
        resumed: list[JSON] = [
            {"entry": entry, "released": count} for entry, count in released.items()
        ]
        return json_response(200, {"resumed": resumed})

    def _entries(self, asked: dict[str, JSON], everything: Sequence[str]) -> list[str]:
        entries = asked.get("entries")
        if entries == "all":
            return list(everything)
        if not isinstance(entries, list) or not entries:
            raise Refused(400, '`entries` is an array of names, or "all"')
        names = [entry for entry in entries if isinstance(entry, str)]
        if len(names) != len(entries):
            raise Refused(400, "`entries` holds what is no name")
        return list(dict.fromkeys(names))
