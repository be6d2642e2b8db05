"""Webhooks of repositories and organisations, which the stand-in sends signed as GitHub does, and
the deliveries that it keeps of them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias
from urllib.parse import urlencode

import aiohttp

from daemon.simulator.repositories import Repository

DELIVERIES_KEPT = timedelta(days=3)
DELIVERIES_MAX = 5000
"""Of all hooks together; older ones are forgotten sooner."""
ANSWER_TIMEOUT = 10.0
"""Seconds that a webhook may take to be answered. It is never sent again by itself."""
_RESPONSE_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class OfApp:
    """A GitHub App as the place of its own webhook: it is told of the owners that it is installed
    for, by their names in lower case, each with the number of its installation."""

    app_id: int
    installations: tuple[tuple[str, int], ...]


Place: TypeAlias = Repository | str | OfApp


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook that somebody registered, in a repository, an organisation (by its name) or an App;
    ``content_type`` is ``json`` or ``form``."""

    id: int
    place: Place
    url: str
    secret: str = field(repr=False)
    content_type: str
    insecure_ssl: str
    events: frozenset[str]
    active: bool
    created_at: datetime
    updated_at: datetime

    def wants(self, event: str) -> bool:
        return self.active and (event in self.events or "*" in self.events)


@dataclass(frozen=True, slots=True)
class HookDelivery:
    """One request of a hook and what came back. A redelivery has the ``guid`` of the first."""

    id: int
    hook_id: int
    repository_number: int | None
    guid: str
    event: str
    payload: Mapping[str, object] = field(repr=False)
    redelivery: bool
    delivered_at: datetime
    request_headers: Mapping[str, str]
    url: str
    duration: float = 0.0
    status: str = "pending"
    status_code: int = 0
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response: str = ""

    @property
    def action(self) -> str | None:
        action = self.payload.get("action")
        return action if isinstance(action, str) else None

    @property
    def installation(self) -> int | None:
        found = self.payload.get("installation")
        number = found.get("id") if isinstance(found, dict) else None
        return number if isinstance(number, int) else None

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status_code < 400


class Hooks:
    """All hooks, and what was sent to them. ``close`` breaks off what is under way."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._last_id = 400_000_000
        self._hooks: dict[int, Hook] = {}
        self._deliveries: dict[int, HookDelivery] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self.registered = asyncio.Event()

    def add(self, hook: Hook) -> None:
        """Registers a hook, or puts it in the place of the one with its number."""
        self._hooks[hook.id] = hook
        self.registered.set()

    def remove(self, hook: Hook) -> None:
        del self._hooks[hook.id]
        if not self._hooks:
            self.registered.clear()

    def of(self, place: Place) -> list[Hook]:
        if isinstance(place, str):
            return [
                hook
                for hook in self._hooks.values()
                if isinstance(hook.place, str) and hook.place.lower() == place.lower()
            ]
        return [hook for hook in self._hooks.values() if hook.place == place]

    def deliveries(self, hook: Hook) -> list[HookDelivery]:
        """Those that are answered and not yet forgotten, newest first."""
        kept_from = self._clock() - DELIVERIES_KEPT
        old = [key for key, one in self._deliveries.items() if one.delivered_at < kept_from]
        for key in old:
            del self._deliveries[key]
        mine = (one for one in reversed(self._deliveries.values()) if one.hook_id == hook.id)
        return [one for one in mine if one.status != "pending"]

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def publish(
        self, repository: Repository, event: str, payload: Mapping[str, object]
    ) -> list[str]:
        """Sends an event to every hook that wants it; returns the guids."""
        owner = repository.full_name.partition("/")[0]
        sent = [
            self.send(hook, event, payload) for hook in self.of(repository) if hook.wants(event)
        ]
        of_owner = [hook for hook in self.of(owner) if hook.wants(event)]
        told = {**payload, "organization": {"login": owner}}
        sent += [self.send(hook, event, told) for hook in of_owner]
        for hook in list(self._hooks.values()):
            if isinstance(hook.place, OfApp) and hook.wants(event):
                number = dict(hook.place.installations).get(owner.lower())
                if number is not None:
                    installed = {**payload, "installation": {"id": number}}
                    sent.append(self.send(hook, event, installed))
        return sent

    def send(
        self,
        hook: Hook,
        event: str,
        payload: Mapping[str, object],
        guid: str | None = None,
    ) -> str:
        """Sends one webhook, in the background; with a ``guid`` it is that delivery once more."""
        delivery_id = self.next_id()
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        form = hook.content_type == "form"
        raw = (urlencode({"payload": body}) if form else body).encode()
        headers = {
            "Accept": "*/*",
            "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
            "User-Agent": "GitHub-Hookshot/simulated",
            "X-GitHub-Delivery": guid or str(uuid.uuid4()),
            "X-GitHub-Event": event,
            "X-GitHub-Hook-ID": str(hook.id),
            "X-GitHub-Hook-Installation-Target-ID": str(_number(hook.place)),
            "X-GitHub-Hook-Installation-Target-Type": _kind(hook.place),
        }
        if hook.secret:
            key = hook.secret.encode()
            for name, digest in (("", hashlib.sha1), ("-256", hashlib.sha256)):
                signature = hmac.new(key, raw, digest).hexdigest()
                headers[f"X-Hub-Signature{name}"] = f"{digest().name}={signature}"
        delivery = HookDelivery(
            id=delivery_id,
            hook_id=hook.id,
            repository_number=(hook.place.number if isinstance(hook.place, Repository) else None),
            guid=headers["X-GitHub-Delivery"],
            event=event,
            payload=payload,
            redelivery=guid is not None,
            delivered_at=self._clock(),
            request_headers=headers,
            url=hook.url,
        )
        self._deliveries[delivery_id] = delivery
        if len(self._deliveries) > DELIVERIES_MAX:
            del self._deliveries[next(iter(self._deliveries))]
        task = asyncio.create_task(self._post(delivery, raw))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return delivery.guid

    async def _post(self, delivery: HookDelivery, raw: bytes) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with (
                asyncio.timeout(ANSWER_TIMEOUT),
                self._session.post(
                    delivery.url,
                    data=raw,
                    headers=dict(delivery.request_headers),
                    allow_redirects=False,
                ) as answer,
            ):
                text = (await answer.content.read(_RESPONSE_MAX)).decode(errors="replace")
                bad = answer.status >= 300
                answered = replace(
                    delivery,
                    status=f"Invalid HTTP Response: {answer.status}" if bad else "OK",
                    status_code=answer.status,
                    response_headers=dict(answer.headers),
                    response=text,
                )
        except TimeoutError:
            answered = replace(delivery, status="timed out", status_code=504)
        except (aiohttp.ClientError, OSError, ValueError):
            answered = replace(delivery, status="failed to connect to host", status_code=502)
        if delivery.id in self._deliveries:
            self._deliveries[delivery.id] = replace(
                answered, duration=round(loop.time() - began, 2)
            )

    async def settled(self) -> None:
        """Waits until all that was sent is answered."""
        while self._sending:
            await asyncio.wait(list(self._sending))

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None


def _kind(place: Place) -> str:
    if isinstance(place, OfApp):
        return "integration"
    return "organization" if isinstance(place, str) else "repository"


def _number(place: Place) -> int:
    if isinstance(place, OfApp):
        return place.app_id
    return zlib.crc32(place.lower().encode()) if isinstance(place, str) else place.number
