"""Where webhooks of ours are set up on GitHub: the repositories that the config names, and wherever
deliveries have come from."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

import orjson

from daemon.errors import StoreError
from daemon.event import Delivery, Outcome
from daemon.facts import EventRecorded, Facts, Trouble
from daemon.in_force import InForce
from daemon.own_hooks import place_of

HEARD_MAX = 1000
"""Webhooks from which it is learned where they are set up, in one run of the daemon."""


class Shelf(Protocol):
    """Where the places are kept over a restart."""

    async def hook_places(self) -> Mapping[str, datetime | None]:
        """The places that are remembered, with the instant up to which each was looked through."""
        ...

    async def keep_hook_place(self, place: str, through: datetime | None = None) -> None:
        """Remembers a place, and the instant where there is one."""
        ...

    async def forget_hook_place(self, place: str) -> None:
        """Undoes that."""
        ...


class HookPlaces:
    """Places are repositories (``owner/name``) and organisations, of which case says nothing."""

    def __init__(self, shelf: Shelf, in_force: InForce, facts: Facts) -> None:
        self._shelf = shelf
        self._in_force = in_force
        self._facts = facts
        self._heard: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def all(self) -> list[str]:
        """All that are known, each once. Raises StoreUnavailable."""
        return _each_once([*self._in_force.hook_places, *await self._shelf.hook_places()])

    async def looked_through(self) -> dict[str, datetime | None]:
        """By the place in lower case, up to when its deliveries were looked through. Raises
        StoreUnavailable."""
        return {place.lower(): at for place, at in (await self._shelf.hook_places()).items()}

    async def remember(self, place: str, through: datetime | None = None) -> None:
        """From now on the webhooks of this place are looked through; with ``through``, they are up
        to then. Raises StoreUnavailable."""
        await self._shelf.keep_hook_place(place, through)

    async def forget(self, place: str) -> None:
        """Nothing of ours is there, or may be seen. The next delivery from there, if one comes, has
        it remembered again. Raises StoreUnavailable."""
        await self._shelf.forget_hook_place(place)

    def hear(self, fact: EventRecorded) -> None:
        """Takes note of where webhooks come from."""
        delivery = fact.event.cause
        if not isinstance(delivery, Delivery):
            return
        hook = delivery.headers.get("x-github-hook-id", "")[:20]
        if not hook or hook in self._heard or len(self._heard) >= HEARD_MAX:
            return
        ours = self._in_force.hook_urls.names
        if not any(
            each.entry in ours and each.outcome is not Outcome.UNAUTHORIZED
            for each in fact.verdicts
        ):
            return
        self._heard.add(hook)
        try:
            place = place_of(delivery, orjson.loads(delivery.body))
        except ValueError:
            return  # a form, or no body at all
        if place:
            self._start(self._noted(place))

    async def stop(self) -> None:
        """Lets what is being noted be stored."""
        await asyncio.gather(*self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _noted(self, place: str) -> None:
        try:
            await self.remember(place)
        except StoreError as error:
            text = f"that webhooks come from {place} is not remembered: {error}"
            self._facts.publish(Trouble("hook_places", text))


def _each_once(places: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for place in places:
        found.setdefault(place.lower(), place)
    return list(found.values())
