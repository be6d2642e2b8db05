"""GitHub's side of a webhook: signed push deliveries, many at once, and what each was answered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

import aiohttp

from daemon.simulator import ReceivedDispatch, Simulator
from tests.harness.balance import Balance, delivery_of
from tests.harness.process import DELIVERY, WEBHOOK_SECRET

SEND_DEADLINE = 30.0
"""Seconds for one delivery: a daemon that neither answers nor closes fails the test."""


def signature(body: bytes, secret: str = WEBHOOK_SECRET) -> str:
    """The value of ``X-Hub-Signature-256`` (GitHub, "Validating webhook deliveries")."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


async def post(session: aiohttp.ClientSession, url: str, name: str) -> tuple[int, bytes]:
    """Sends the delivery ``name``, signed, to the daemon at ``url``; returns the status and the
    body of the answer. Raises aiohttp's errors where none came."""
    body = json.dumps({"ref": "refs/heads/main", "after": name}).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        DELIVERY: name,
        "X-Hub-Signature-256": signature(body),
    }
    async with session.post(f"{url}/hooks/github", data=body, headers=headers) as answer:
        return answer.status, await answer.read()


class Sender:
    """Sends push deliveries and remembers the answers: ``answers`` holds the status of each by the
    delivery's name, None where none came. Without ``keep_alive`` each has a connection of its own.
    """

    def __init__(self, *, keep_alive: bool = True) -> None:
        self.answers: dict[str, int | None] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=not keep_alive),
            timeout=aiohttp.ClientTimeout(total=SEND_DEADLINE),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    @property
    def acknowledged(self) -> list[str]:
        """The deliveries that were answered 202: those that must not get lost any more."""
        return [name for name, status in self.answers.items() if status == 202]

    async def push(self, url: str, name: str) -> int | None:
        """Sends the delivery ``name`` to the daemon at ``url`` once; returns the status."""
        self.answers[name] = None
        # Refused, or cut off: nothing was promised.
        with suppress(aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            self.answers[name], _ = await post(self._session, url, name)
        return self.answers[name]

    async def push_all(
        self,
        url: str,
        names: Iterable[str],
        *,
        at_once: int = 8,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        """Sends them all, ``at_once`` at a time; ``answered`` is called after each answer."""
        waiting = iter(names)

        async def send_one_after_another() -> None:
            for name in waiting:
                if await self.push(url, name) is not None:
                    answered()

        await asyncio.gather(*(send_one_after_another() for _ in range(at_once)))

    async def until_received(self, github: Simulator) -> None:
        """Waits until ``github`` has received everything that was acknowledged."""
        owed = set(self.acknowledged)
        await github.until(lambda: owed <= set(map(delivery_of, github.received)))

    def balance(self, received: Iterable[ReceivedDispatch]) -> Balance:
        return Balance.of(sent=self.answers, acknowledged=self.acknowledged, received=received)
