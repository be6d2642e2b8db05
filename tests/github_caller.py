"""Calls the stand-in for GitHub as a plain HTTP client does, by a clock that tests move."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from daemon.simulator import Simulator

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HEADERS = {"Authorization": "Bearer ghp_x", "User-Agent": "test/1"}
SHOP = "/repos/acme/shop"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Caller:
    """A plain HTTP client of one simulator."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(
        self,
        simulator: Simulator,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] = HEADERS,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON (or the raw bytes where it is none) and headers."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self._session.request(
            method,
            simulator.url + path,
            data=None if body is None else io.BytesIO(raw),
            headers=headers,
            allow_redirects=False,
            skip_auto_headers=["User-Agent"],
        ) as response:
            raw = await response.read()
            found = json.loads(raw) if response.content_type == "application/json" else raw
            return response.status, found, response.headers.copy()

    async def dispatch(
        self, simulator: Simulator, event_type: str = "build", **payload: object
    ) -> int:
        body = {"event_type": event_type, "client_payload": payload}
        status, _, _ = await self(simulator, "POST", f"{SHOP}/dispatches", body)
        return status
