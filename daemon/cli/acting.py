"""The commands that act: they go to the running daemon."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daemon.cli.answers import (
    CANCELLED,
    DISPATCH,
    DISPATCHES,
    FIRED,
    REPLAYED,
    SENT,
    Shape,
)
from daemon.cli.connection import Answered, Connection
from daemon.cli.names import checked_id, segment
from daemon.cli.offline import INSTANT, instant
from daemon.cli.tables import console, say, warn
from daemon.cli.target import Target, ask
from daemon.config.durations import duration
from daemon.errors import DispatchdError, UsageError

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done to several ids at once: its path, the shape of its answers, and the word
    for an id that it was done to."""

    path: str
    shape: Shape
    done: str


REPLAY = Action("/api/v1/replay", REPLAYED, "replayed")
CANCEL = Action("/api/v1/cancel", CANCELLED, "cancelled")


def fire_cron(target: Target, name: str, *, as_json: bool) -> None:
    path = f"/api/v1/crons/{segment(name)}/fire"
    answer = ask(target, lambda daemon: daemon.post(path, FIRED))
    show(answer, as_json, f"fired {name}: {_outcome(answer)}")


def send_dispatch(
    target: Target, event_type: str, payload: str, repository: str | None, *, as_json: bool
) -> None:
    """Raises UsageError for a payload that is no JSON object; exits with 1 where GitHub refused."""
    try:
        client_payload = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--payload is not JSON: {error}") from None
    body = {"event_type": event_type, "client_payload": client_payload}
    if repository:
        body["repository"] = repository

    async def send(daemon: Connection) -> tuple[str, dict[str, Any]]:
        github = "the simulated GitHub" if daemon.simulated else "GitHub"
        return github, await daemon.post("/dispatch", SENT, body)

    github, answer = ask(target, send)
    if warning := answer.get("warning"):
        warn(warning)
    took = (
        f"{github} took it" if answer.get("success") else f"queued; {github} has not answered yet"
    )
    show(answer, as_json, f"{event_type}: {took} ({answer['dispatch_id']})")


def replay_ids(target: Target, ids: list[str], *, as_json: bool) -> None:
    """Raises UsageError for what is no id."""
    checked = [checked_id(one) for one in ids]
    _report(ask(target, lambda daemon: _each(daemon, REPLAY, checked)), REPLAY, as_json)


def replay_failed(target: Target, since: str, *, as_json: bool) -> None:
    """Sends again what is dead since then; where a request could not even be made, its event is
    judged again (once, however many of its dispatches failed)."""
    start = _since(since, datetime.now(UTC))

    async def replay(daemon: Connection) -> list[Mapping[str, Any]]:
        query = {"state": "dead", "since": start.isoformat(), "limit": str(PAGE)}
        dead: list[dict[str, Any]] = []
        while page := (await daemon.get("/api/v1/dispatches", DISPATCHES, query))["dispatches"]:
            dead += page
            query["before"] = page[-1]["id"]
        ids: dict[str, None] = {}
        for each in reversed(dead):
            one = await daemon.get(f"/api/v1/dispatches/{segment(each['id'])}", DISPATCH)
            ids[one["id" if one["client_payload"] else "event_id"]] = None
        return await _each(daemon, REPLAY, ids)

    _report(ask(target, replay), REPLAY, as_json)


def cancel_ids(target: Target, ids: list[str], *, as_json: bool) -> None:
    """Raises UsageError for what is no id."""
    checked = [checked_id(one) for one in ids]
    _report(ask(target, lambda daemon: _each(daemon, CANCEL, checked)), CANCEL, as_json)


def show(answer: Any, as_json: bool, words: str) -> None:
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        say(words)


async def _each(daemon: Connection, action: Action, ids: Iterable[str]) -> list[Mapping[str, Any]]:
    """The answer for each id, or its ``error``: one that cannot be helped must not stop others."""
    results: list[Mapping[str, Any]] = []
    for one in ids:
        try:
            answer = await daemon.post(f"{action.path}/{segment(one)}", action.shape)
        except Answered as error:
            answer = {"error": str(error)}
        results.append({"target": one, **answer})
    return results


def _report(results: list[Mapping[str, Any]], action: Action, as_json: bool) -> None:
    if as_json:
        print(json.dumps(results, ensure_ascii=False))
    for result in [] if as_json else results:
        ids = [result.get("event_id"), *result.get("dispatches", [])]
        led_to = ", ".join(str(one) for one in ids if one)
        done = f"{action.done} -> {led_to}" if led_to else action.done
        words = result.get("error", done)
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
    """What ``2h`` (ago) or an RFC 3339 instant means. Raises UsageError."""
    try:
        return now - duration(text)
    except ValueError as error:
        try:
            return instant(text, "--since")
        except UsageError:
            raise UsageError(f"--since: {error}; or write an instant, {INSTANT}") from None
