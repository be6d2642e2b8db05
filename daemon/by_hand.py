"""``/api/v1/crons/…``: fires cron entries because somebody asks for it, now, for an instant, or for
all that a span of time should have had."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from aiohttp import web

from daemon.admission import requester
from daemon.asking import asked_for
from daemon.errors import Refused
from daemon.event import Event, FiringRecord, Paused, Verdict
from daemon.expressions import JSON, rfc3339
from daemon.instants import instant
from daemon.views import recorded_view
from daemon.web import json_response

YEARS = range(1970, 9999)
"""Of instants that are asked for: what comes of them must be instants as well."""


class HandFiring(Protocol):
    """The door by which such firings come in."""

    async def fire(
        self, name: str, at: datetime | None = None, *, by: str
    ) -> tuple[Event, Sequence[Verdict]]: ...

    async def backfill(
        self, name: str, first: datetime, last: datetime | None, *, dry_run: bool, by: str
    ) -> Sequence[tuple[datetime, Event | FiringRecord | None]]: ...


class ByHand:
    """Answers calls whose key has been checked. Raises Refused with what is wrong with the call."""

    def __init__(self, intake: HandFiring, paused: Paused) -> None:
        self._intake = intake
        self._paused = paused

    async def fire(self, request: web.Request) -> web.Response:
        """POST …/fire, with ``{"at": instant}`` where it is not for now."""
        name = request.match_info["name"]
        asked = await asked_for(request, ("at",))
        event, verdicts = await self._intake.fire(
            name, _instant(asked, "at"), by=requester(request)
        )
        return json_response(202, {**recorded_view(event, verdicts), **self._warning(name)})

    async def backfill(self, request: web.Request) -> web.Response:
        """POST …/backfill, with ``{"from": instant, "to": instant, "dry_run": bool}``; up to now,
        where there is no ``to``."""
        name = request.match_info["name"]
        asked = await asked_for(request, ("from", "to", "dry_run"))
        first, last = _instant(asked, "from"), _instant(asked, "to")
        if first is None:
            raise Refused(400, "a backfill needs `from`")
        dry_run = asked.get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise Refused(400, "`dry_run` is true or false")
        became = await self._intake.backfill(
            name, first, last, dry_run=dry_run, by=requester(request)
        )
        instants = [_instant_view(at, what) for at, what in became]
        return json_response(
            200 if dry_run else 202, {"cron": name, "instants": instants, **self._warning(name)}
        )

    def _warning(self, name: str) -> dict[str, JSON]:
        pause = self._paused(name)
        return {"warning": f"{name} is {pause}; this goes out all the same"} if pause else {}


def _instant(asked: dict[str, JSON], key: str) -> datetime | None:
    text = asked.get(key)
    if text is None:
        return None
    try:
        if not isinstance(text, str):
            raise ValueError("not a string")
        at = instant(text)
        if at.year not in YEARS:
            raise ValueError(f"{text!r} is outside of the years {YEARS.start} to {YEARS.stop - 1}")
        return at
    except ValueError as error:
        raise Refused(400, f"`{key}`: {error}") from None


def _instant_view(at: datetime, became: Event | FiringRecord | None) -> JSON:
    match became:
        case Event():
            return {"scheduled_at": rfc3339(at), "outcome": "fired", "event_id": became.id}
        case FiringRecord():
            return {
                "scheduled_at": rfc3339(at),
                "outcome": "fired before",
                "event_id": became.event_id,
            }
        case None:
            return {"scheduled_at": rfc3339(at), "outcome": "would fire", "event_id": None}
