"""One daemon that many tests ask things they expect it to refuse, and what has to hold after each:
it serves as before, has nothing to complain of, and has shown and kept no secret."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from daemon.simulator import Simulator
from tests.harness.balance import dispatch_id_of
from tests.harness.process import API_KEY, PUSH, SECRETS, WEBHOOK_SECRET, Daemon, Entry
from tests.harness.raw_http import Answer, Headers, ask, request
from tests.harness.surroundings import stand_in

DEADLINE = 40.0
JSON = {"Content-Type": "application/json"}
KEY = {"x-api-key": API_KEY}
BASIC = base64.b64encode(f"sender:{WEBHOOK_SECRET}".encode()).decode()
UNSEEN = (*SECRETS, BASIC)
"""What must not be found in any answer, log line or file."""


def open_to(path: str, **auth: str) -> Entry:
    """A trigger that passes on what it understood of the body, to everybody or as ``auth`` says."""
    return {
        "name": path.strip("/").partition("/")[0],
        "path": path,
        "auth": {**auth, "secret": "env:GH_WEBHOOK_SECRET"} if auth else {"scheme": "none"},
        "dispatch": {"event_type": "seen", "client_payload": {"body": "{{ body }}"}},
    }


TRIGGERS: list[Entry] = [
    PUSH,
    open_to("/open"),
    open_to("/team/{team}"),
    open_to("/token", scheme="token", header="x-token"),
    open_to("/query", scheme="token", query="token"),
    open_to("/bearer", scheme="bearer"),
    open_to("/basic", scheme="basic", username="sender"),
    open_to("/key", scheme="api_key"),
]


class Target:
    """The daemon under test, and how it is asked."""

    def __init__(self, daemon: Daemon, github: Simulator) -> None:
        self.daemon = daemon
        self.github = github

    @property
    def url(self) -> str:
        return self.daemon.url

    async def ask(self, *parts: bytes, method: str = "GET") -> Answer:
        """The answer to ``parts``. There has to be one, and it may not hold a secret."""
        answer = await ask(self.url, *parts, method=method)
        assert answer is not None
        shown = f"{answer.headers}{answer.body!r}"
        assert not [secret for secret in UNSEEN if secret in shown]
        return answer

    async def post(self, target: str, body: bytes, headers: Headers = JSON) -> Answer:
        return await self.ask(request("POST", target, headers, body))

    async def received(self, answer: Answer) -> Any:
        """What GitHub got under ``body`` of the dispatch that this answer names."""
        (wanted,) = answer.json()["dispatches"]

        def found() -> list[Any]:
            received = self.github.received
            return [one.client_payload["body"] for one in received if dispatch_id_of(one) == wanted]

        async with asyncio.timeout(DEADLINE):
            await self.github.until(lambda: bool(found()))
        return found()[0]

    async def assert_well(self, since: int) -> None:
        """It serves, and its log holds no complaint from the line ``since`` on."""
        async with asyncio.timeout(DEADLINE):
            ping = await self.ask(request("GET", "/ping"))
            ready = await self.ask(request("GET", "/readyz"))
        assert (ping.status, ping.json()) == (200, {"message": "Pong!"})
        assert (ready.status, ready.json()) == (200, {"status": "ready"})
        self.assert_untroubled(since)

    def assert_untroubled(self, since: int = 0) -> None:
        text = "\n".join(self.daemon.log[since:])
        assert not self.daemon.said("trouble", since), text
        assert "Traceback" not in text, text
        assert not [secret for secret in UNSEEN if secret in text]

    def assert_kept_no_secret(self) -> None:
        stored = self.daemon.stored_bytes()
        assert not [secret for secret in UNSEEN if secret.encode() in stored]


@asynccontextmanager
async def target_at(home: Path) -> AsyncIterator[Target]:
    """A daemon with a trigger for each scheme. In the end it has to stop in order."""
    async with stand_in() as github, Daemon(home, github.url, triggers=TRIGGERS) as daemon:
        await daemon.start()
        target = Target(daemon, github)
        yield target
        assert await daemon.terminate() == 0
        target.assert_untroubled()
        target.assert_kept_no_secret()
