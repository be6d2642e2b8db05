"""A daemon that is asked, by several callers at once, and what was found wrong with its answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from pathlib import Path

from tests.harness import PUSH, Daemon, Entry, Sender, stand_in
from tests.harness.raw_http import Answer, ask, connected, request
from tests.harness.target import UNSEEN
from tests.keyed.calls import Call, Calls
from tests.keyed.judge import faults
from tests.keyed.routes import Route, learned

CALLERS = 8

SLOW = 20.0
"""Seconds after which an answer is missing: what waits for GitHub waits for ten."""

TRIGGERS: Sequence[Entry] = [
    PUSH,
    {
        "name": "tasks",
        "path": "/hooks/asana",
        "auth": {"scheme": "asana"},
        "dispatch": {"event_type": "task"},
    },
    {**PUSH, "name": "asleep", "path": "/hooks/asleep", "enabled": False},
]
CRONS: Sequence[Entry] = [
    {"name": "nightly", "schedule": "0 4 * * *", "dispatch": {"event_type": "nightly"}},
    {
        "name": "asleep-cron",
        "every": "1h",
        "enabled": False,
        "dispatch": {"event_type": "x", "client_payload": {"at": "{{ firing.scheduled_at }}"}},
    },
]
NAMES = [str(entry["name"]) for entry in [*TRIGGERS, *CRONS]]
PLACES = ("acme/shop", "acme/other", "acme", "app:main", "nobody/nothing")


@dataclass(slots=True)
class Watch:
    """Counts what was asked. ``findings`` holds the first call that showed each fault, by what the
    fault is."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    findings: dict[str, bytes] = field(default_factory=dict)
    slowest: float = 0.0

    @property
    def count(self) -> int:
        return self.statuses.total()

    def hear(self, call: Call, answer: Answer | None, seconds: float) -> None:
        self.statuses[str(call.route), answer.status if answer else 0] += 1
        self.slowest = max(self.slowest, seconds)
        for fault in faults(call, answer):
            self.findings.setdefault(f"{call.route}: {fault}", call.data)

    def save(self, directory: Path) -> dict[str, str]:
        """Writes each finding's call to a file of its own; gives their places."""
        saved = {}
        for place, data in self.findings.items():
            path = directory / f"routes-{hashlib.sha256(place.encode()).hexdigest()[:12]}.input"
            path.write_bytes(data)
            path.with_suffix(".txt").write_text(f"{place}\n", encoding="utf-8", errors="replace")
            saved[place] = str(path)
        return saved


async def watched(
    directory: Path, chance: random.Random, *, until: Callable[[Watch], bool]
) -> tuple[Watch, list[Route]]:
    """Asks a daemon in the empty ``directory`` until that holds, and looks at it afterwards."""
    learning, working = directory / "learning", directory / "working"
    for each in (learning, working):
        each.mkdir()
    routes = await learned(learning, TRIGGERS, CRONS)
    watch = Watch()
    async with (
        stand_in() as github,
        Daemon(working, github.url, triggers=TRIGGERS, crons=CRONS) as daemon,
        Sender() as sender,
    ):
        settings = working / "config" / "DAEMON.yaml"
        settings.write_text(settings.read_text("utf-8") + "public_url: https://hooks.example\n")
        await daemon.start()
        for number in range(3):
            await sender.push(daemon.url, f"delivery-{number}")
        calls = Calls(routes, NAMES, PLACES, chance)
        numbers = count()
        await asyncio.gather(
            *(_ask_on(daemon, calls, watch, until, numbers) for _ in range(CALLERS))
        )
        await _look_after(daemon, watch)
    return watch, routes


async def _ask_on(
    daemon: Daemon,
    calls: Calls,
    watch: Watch,
    until: Callable[[Watch], bool],
    numbers: count[int],
) -> None:
    while not until(watch):
        call = calls.make()
        began = time.monotonic()
        answer = await _answer(daemon, call, next(numbers))
        watch.hear(call, answer, time.monotonic() - began)
        if answer is not None and answer.status < 300:
            calls.learn(answer.body)


async def _answer(daemon: Daemon, call: Call, number: int) -> Answer | None:
    """Who has no key comes from one of many addresses: were there a limit to what one of them may
    try, it would be met."""
    url = daemon.socket if call.route.admin else daemon.url
    source = "127.0.0.1" if call.keyed else f"127.1.{number // 250 % 250}.{number % 250 + 1}"
    try:
        async with asyncio.timeout(SLOW), connected(url, source=source) as wire:
            with suppress(ConnectionError):  # the answer may be there all the same
                await wire.send(call.data)
            answer = await wire.answer(call.method)
            while answer is not None and answer.status == HTTPStatus.CONTINUE:
                answer = await wire.answer(call.method)
            return answer
    except TimeoutError:
        return None


async def _look_after(daemon: Daemon, watch: Watch) -> None:
    """It is ready as before, and has nothing to complain of."""
    watch.findings |= dict.fromkeys(await _left_over(daemon), b"")


async def _left_over(daemon: Daemon) -> list[str]:
    found = []
    ready = await ask(daemon.url, request("GET", "/readyz"))
    if ready is None or (ready.status, ready.json()) != (200, {"status": "ready"}):
        found.append(f"/readyz says {ready and ready.body!r} in the end")
    if status := await daemon.terminate():
        found.append(f"it ends with the exit status {status}")
    found += [f"the log complains: {line}" for line in daemon.log if _complains(line)]
    said = "\n".join(daemon.log).encode()
    for secret in UNSEEN:
        if secret.encode() in said:
            found.append("the log shows a secret")
        if secret.encode() in daemon.stored_bytes():
            found.append("a secret is stored")
    return found


def _complains(line: str) -> bool:
    if '"trouble"' in line:
        # What GitHub refuses is no fault: calls delete hooks in which deliveries are looked for.
        said = json.loads(line)
        return said["part"] != "recovery" or "GitHub answered" not in said["message"]
    return "Traceback" in line or not line.startswith("{")
