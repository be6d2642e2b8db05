"""``/api/v1/reload``: has the config read anew, or tells what that would change."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from daemon.admission import requester
from daemon.asking import asked_for
from daemon.config_change import ConfigChange
from daemon.errors import ConfigError, Refused, UsageError
from daemon.expressions import JSON, rfc3339
from daemon.reloader import Reloaded, Reloader
from daemon.web import json_response


class Reloading:
    """Answers calls whose key has been checked. Raises Refused: 422 for a config with faults, 409
    for one that cannot be taken over without a restart, 400 for a call that is none."""

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader

    async def reload(self, request: web.Request) -> web.Response:
        """POST with ``{"diff": bool}``; with it nothing is taken over."""
        asked = await asked_for(request, ("diff",))
        only_look = asked.get("diff", False)
        if not isinstance(only_look, bool):
            raise Refused(400, "`diff` is true or false")
        try:
            if only_look:
                done = await self._reloader.look()
            else:
                done = await self._reloader.reload(f"{requester(request)} asked for it")
        except ConfigError as error:
            faults = [str(fault) for fault in error.faults]
            return json_response(
                422,
                {
                    "error": "the config has faults; the one in force stays",
                    "faults": faults,
                    "generation": self._reloader.generation,
                },
            )
        except UsageError as error:
            raise Refused(409, str(error)) from None
        return json_response(200, {"reloaded": not only_look, **reloaded_view(done)})


def reloaded_view(done: Reloaded) -> dict[str, JSON]:
    """As the API answers it."""
    return {
        "generation": done.generation,
        "warnings": list(done.warnings),
        **change_view(done.change),
    }


def change_view(change: ConfigChange) -> dict[str, JSON]:
    entries: Sequence[JSON] = [
        {"kind": each.kind, "name": each.name, "change": each.what, "keys": list(each.keys)}
        for each in change.entries
    ]
    moved: Sequence[JSON] = [
        {
            "cron": each.cron,
            "before": rfc3339(each.before) if each.before else None,
            "after": rfc3339(each.after) if each.after else None,
        }
        for each in change.moved
    ]
    routed: Sequence[JSON] = [
        {
            "event_id": each.event_id,
            "at": rfc3339(each.at),
            "path": each.path,
            "before": list(each.before),
            "after": list(each.after),
        }
        for each in change.rerouted
    ]
    return {
        "entries": list(entries),
        "moved": list(moved),
        "settings": list(change.settings),
        "at_restart": list(change.at_restart),
        "rerouted": list(routed),
        "looked_at": change.looked_at,
        "changes": list(change.lines),
    }
