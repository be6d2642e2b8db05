"""The commands that act: they go to the running daemon."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from daemon import config
from daemon.cli.connection import Answered, Connection, addresses
from daemon.cli.offline import instant
from daemon.cli.tables import console, say, warn
from daemon.errors import DispatchdError, UsageError
from daemon.places import admin_socket, simulation_database
from daemon.spec import Settings

T = TypeVar("T")

AGO = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """Which daemon is meant, as the options say."""

    config_dir: Path | None
    database: str | None
    url: str | None

    def settings(self) -> Settings:
        """The settings alone: a fault in an entry must not keep anybody from looking."""
        return config.load_settings(
            config.config_directory(self.config_dir, os.environ),
            os.environ,
            flags=config.Flags(database=self.database),
        )

    def databases(self, settings: Settings) -> list[str]:
        """The daemon's database, and that of a simulation beside it."""
        return [settings.database_url, simulation_database(settings.database_url)]

    def connection(self, settings: Settings) -> Connection:
        sockets = [admin_socket(url, os.environ) for url in self.databases(settings)]
        return Connection(addresses(sockets, settings.listen, self.url, settings.api_key))


def fire_cron(target: Target, name: str, *, as_json: bool) -> None:
    answer = ask(target, lambda daemon: daemon.post(f"/api/v1/crons/{name}/fire"))
    show(answer, as_json, f"fired {name}: {_outcome(answer)}")


def send_dispatch(
    target: Target, event_type: str, payload: str, repository: str | None, *, as_json: bool
) -> None:
    """Raises UsageError for a payload that is no JSON object; exits with 1 where GitHub refused."""
    try:
        client_payload = json.loads(payload)
    except ValueError as error:
        raise UsageError(f"--payload is not JSON: {error}") from None
    body = {"event_type": event_type, "client_payload": client_payload}
    if repository:
        body["repository"] = repository
    answer = ask(target, lambda daemon: daemon.post("/dispatch", body))
    if warning := answer.get("warning"):
        warn(warning)
    took = "GitHub took it" if answer.get("success") else "queued; GitHub has not answered yet"
    show(answer, as_json, f"{event_type}: {took} ({answer['dispatch_id']})")


def replay_ids(target: Target, ids: list[str], *, as_json: bool) -> None:
    async def each(daemon: Connection) -> list[Mapping[str, Any]]:
        return [await _attempted(daemon, f"/api/v1/replay/{one}", one) for one in ids]

    _report(ask(target, each), "replayed", as_json)


def replay_failed(target: Target, since: str, *, as_json: bool) -> None:
    """Sends again what is dead since then; where a request could not even be made, its event is
    judged again (once, however many of its dispatches failed)."""
    start = _since(since, datetime.now(UTC))

    async def each(daemon: Connection) -> list[Mapping[str, Any]]:
        query = {"state": "dead", "since": start.isoformat(), "limit": str(PAGE)}
        dead: list[dict[str, Any]] = []
        while page := (await daemon.get("/api/v1/dispatches", query))["dispatches"]:
            dead += page
            query["before"] = page[-1]["id"]
        targets: dict[str, None] = {}
        for dispatch in reversed(dead):
            details = await daemon.get(f"/api/v1/dispatches/{dispatch['id']}")
            targets[dispatch["id" if details["client_payload"] else "event_id"]] = None
        return [await _attempted(daemon, f"/api/v1/replay/{one}", one) for one in targets]

    _report(ask(target, each), "replayed", as_json)


def cancel_ids(target: Target, ids: list[str], *, as_json: bool) -> None:
    async def each(daemon: Connection) -> list[Mapping[str, Any]]:
        return [await _attempted(daemon, f"/api/v1/cancel/{one}", one) for one in ids]

    _report(ask(target, each), "cancelled", as_json)


def ask(target: Target, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Raises NoDaemon, or Answered with the daemon's own words."""

    async def connected() -> T:
        async with target.connection(target.settings()) as daemon:
            return await work(daemon)

    return asyncio.run(connected())


def show(answer: Any, as_json: bool, words: str) -> None:
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        say(words)


async def _attempted(daemon: Connection, path: str, target: str) -> Mapping[str, Any]:
    """The answer, or ``{"error"}``: one id that cannot be helped must not stop the others."""
    try:
        return {"target": target, **await daemon.post(path)}
    except Answered as error:
        return {"target": target, "error": str(error)}


def _report(results: list[Mapping[str, Any]], done: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(results, ensure_ascii=False))
    for result in [] if as_json else results:
        led_to = ", ".join([result.get("event_id", ""), *result.get("dispatches", [])]).strip(", ")
        words = result.get("error") or (f"{done} -> {led_to}" if led_to else done)
        say(f"{result['target']}: {words}")
    if not results and not as_json:
        console().print("nothing to do")
    failed = sum("error" in result for result in results)
    if failed:
        raise DispatchdError(f"{failed} of {len(results)} failed")


def _outcome(answer: Mapping[str, Any]) -> str:
    dispatches = ", ".join(answer["dispatches"])
    return f"event {answer['event_id']}, dispatches {dispatches}"


def _since(text: str, now: datetime) -> datetime:
    if ago := AGO.fullmatch(text):
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    return instant(text, "--since")
