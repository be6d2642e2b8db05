"""Follow-ups made up for tests, and somebody who is told: a real HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from daemon.follow_up import Cause, FollowUp, Standing
from daemon.render import new_dispatch

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
DISPATCH = replace(
    new_dispatch(
        dispatch_id="dsp_1",
        event_id="evt_1",
        entry="nightly",
        repository="o/r",
        event_type="build",
        client_payload='{"system":"web","dispatchd":{"id":"dsp_1","entry":"nightly","depth":0}}',
        now=NOW,
        send_within=timedelta(days=1),
    ),
    reason="GitHub answered 404 Not Found",
)


def follow_up(cause: Cause = Cause.DEAD, **changes: Any) -> FollowUp:
    values: dict[str, Any] = {
        "dispatch_id": "dsp_1",
        "cause": cause,
        "run_id": 0,
        "run_attempt": 0,
        "entry": "nightly",
        "at": NOW,
        "why": "",
        "run_name": "",
        "run_conclusion": "",
        "run_url": "",
        "state": Standing.OWED,
        "attempts": 0,
        "wake_at": NOW,
        "settled_at": None,
        "reason": "",
        "target": "",
        "made": None,
    }
    return FollowUp(**(values | changes))


RUN = {
    "run_id": 42,
    "run_attempt": 2,
    "run_name": "Build",
    "run_conclusion": "timed_out",
    "run_url": "https://github.example/o/r/actions/runs/42",
}


@dataclass
class Receiver:
    """Who is told. ``answers`` are the next statuses and headers, 200 after them."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until it holds; it is asked after every notice."""
        while not condition():
            self.heard.clear()
            await self.heard.wait()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.method == "POST":
            self.bodies.append(json.loads(body))
        else:
            assert body == b""
        self.headers.append(dict(request.headers))
        self.paths.append(request.raw_path)
        self.heard.set()
        status, headers, text = self.answers.pop(0) if self.answers else (200, {}, "ok")
        return web.Response(status=status, headers=headers, text=text)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    app = web.Application()
    receiver = Receiver("")
    app.router.add_post("/{path:.*}", receiver.take)
    app.router.add_get("/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
