"""The whole daemon within a test: real sockets, a real database, the stand-in for GitHub; only
its start-up as a process is left out."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from daemon.app import elapsed, running, wall_clock
from daemon.config import CRONS, SETTINGS, TRIGGERS, load
from daemon.facts import Fact, Facts, Started
from daemon.simulator import Simulator
from daemon.surroundings import Source, Surroundings
from tests.specs import API_KEY, ENVIRON, SECRET, config

FILES = (CRONS, TRIGGERS, SETTINGS)


@dataclass
class Serving:
    """A daemon at work. ``seen`` holds every fact since the start."""

    url: str
    socket: str
    simulator: Simulator
    session: aiohttp.ClientSession
    seen: list[Fact] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, condition: Callable[[Fact], bool]) -> None:
        """Waits until a fact of that kind is or was published."""
        while not any(map(condition, self.seen)):
            self.heard.clear()
            await self.heard.wait()

    async def call(
        self, method: str, path: str, *, key: str | None = API_KEY, **options: Any
    ) -> tuple[int, Any]:
        """Status and JSON of a request with the API key (``key=None``: without one)."""
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["x-api-key"] = key
        async with self.session.request(
            method, self.url + path, headers=headers, **options
        ) as response:
            return response.status, await response.json()

    async def deliver(
        self, path: str, body: object, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Posts a JSON body signed as GitHub does."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = hmac.new(SECRET.encode(), data, hashlib.sha256).hexdigest()
        signed = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-hub-signature-256": f"sha256={signature}",
            **(headers or {}),
        }
        return await self.call("POST", path, key=None, data=data, headers=signed)


@asynccontextmanager
async def serving(
    directory: Path,
    *,
    triggers: Sequence[Mapping[str, Any]] = (),
    crons: Sequence[Mapping[str, Any]] = (),
    environ: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    simulator: Simulator | None = None,
    clock: Callable[[], datetime] = wall_clock,
    elapsed: Callable[[], float] = elapsed,
    keep: bool = False,
    config_dir: Path | None = None,
) -> AsyncIterator[Serving]:
    """Serves these entries on a free port, without pacing, against a stand-in of its own, or the
    one that is given, which goes on after it where it is to be kept. With a ``config_dir`` it
    serves what stands there, and what it is told to reload."""
    github = simulator or Simulator(clock)
    if not github.url:
        await github.start()
    surroundings = {
        **ENVIRON,
        "GH_API_URL": github.url,
        "DISPATCHD_LISTEN": "127.0.0.1:0",
        "DISPATCHD_DATABASE_URL": f"sqlite:///{directory}/dispatchd.sqlite",
        "GH_WRITES_PER_SECOND": "0",
        "GH_WRITES_PER_HOUR": "0",
        **(environ or {}),
    }
    facts, seen = Facts(), list[Fact]()
    facts.subscribe(seen.append)
    source = None
    if config_dir is None:
        loaded = config(triggers, crons, {k: v for k, v in surroundings.items() if v}, settings)
    else:
        source = Source(config_dir, FILES, partial(load, config_dir, surroundings))
        loaded = source.load()
    around = Surroundings(surroundings, source=source)
    try:
        async with (
            running(loaded, facts, around, clock=clock, elapsed=elapsed),
            aiohttp.ClientSession() as session,
        ):
            (started,) = (fact for fact in seen if isinstance(fact, Started))
            url, socket = started.addresses
            daemon = Serving(url, socket, github, session, seen)
            facts.subscribe(lambda _: daemon.heard.set())
            yield daemon
    finally:
        if not keep:
            await github.stop()
