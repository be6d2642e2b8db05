"""The commands that act: they go to the running daemon."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from daemon.cli.answers import (
    CANCELLED,
    EVENT_IN_FULL,
    FIRED,
    JUDGED,
    RELEASED,
    RELEASED_ENTRY,
    REPLAYED,
    SENT,
)
from daemon.cli.connection import Answered, Connection
from daemon.cli.failed import failed_since
from daemon.cli.names import checked_id, dispatch_id, segment
from daemon.cli.offline import INSTANT, exact_instant, instant
from daemon.cli.tables import plain, say, warn
from daemon.cli.target import Target, ask
from daemon.durations import duration
from daemon.errors import DispatchdError, UsageError
from daemon.expressions import rfc3339

Answer: TypeAlias = Mapping[str, Any]


def fire_cron(target: Target, name: str, at: str | None, *, as_json: bool) -> None:
    """Raises UsageError for an instant that cannot be read."""
    now = datetime.now(UTC)
    meant = exact_instant(at, "--at") if at else None
    path = f"/api/v1/crons/{segment(name)}/fire"
    body = {"at": rfc3339(meant)} if meant else {}
    answer = ask(target, lambda daemon: daemon.post(path, FIRED, body))
    if warning := answer.get("warning"):
        warn(warning)
    when = f" for {rfc3339(meant)}" if meant else ""
    when += ", and is sent then" if meant and meant > now else ""
    show(answer, as_json, f"fired {name}{when}: {_outcome(answer)}")


def send_dispatch(
    target: Target, event_type: str, payload: str, repository: str | None, *, as_json: bool
) -> None:
    """Raises UsageError for a payload that is no JSON; exits with 1 where GitHub refused."""
    client_payload = read_payload(payload)
    body = {"event_type": event_type, "client_payload": client_payload}
    if repository:
        body["repository"] = repository

    async def send(daemon: Connection) -> tuple[str, dict[str, Any]]:
        github = "the simulated GitHub" if daemon.simulated else "GitHub"
        return github, await daemon.post("/dispatch", SENT, body)

    github, answer = ask(target, send)
    if warning := answer.get("warning"):
        warn(warning)
    queued = answer["dispatch_id"]
    took = (
        f"{github} took it ({queued})"
        if answer.get("success")
        else f"queued; `dispatchd dispatches {queued}` shows why it is not settled yet"
    )
    show(answer, as_json, f"{event_type}: {took}")


def read_payload(text: str) -> Any:
    """Raises UsageError for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--payload is not JSON: {error}") from None


def replay_ids(target: Target, ids: list[str], *, as_json: bool) -> None:
    """Raises UsageError for what is no id."""
    checked = [checked_id(one) for one in ids]
    _report(ask(target, lambda daemon: _each(daemon, _replay, checked)), as_json)


def replay_failed(target: Target, since: str, *, as_json: bool) -> None:
    """Sends again what is dead since then and was not replayed yet; where a request could not even
    be made, its event is judged again (once, however many of its dispatches failed)."""
    start = long_ago(since, datetime.now(UTC))

    async def replay(daemon: Connection) -> tuple[list[Answer], int]:
        ids, skipped = await failed_since(daemon, start)
        return await _each(daemon, _replay, ids), skipped

    results, skipped = ask(target, replay)
    if skipped and not as_json:
        say(f"{skipped} skipped: replayed before")
    _report(results, as_json)


def cancel_ids(target: Target, ids: list[str], *, as_json: bool) -> None:
    """Raises UsageError for what is no id."""
    checked = [dispatch_id(one) for one in ids]
    _report(ask(target, lambda daemon: _each(daemon, _cancel, checked)), as_json)


def release_ids(target: Target, ids: list[str], *, as_json: bool) -> None:
    """Raises UsageError for what is no id."""
    checked = [dispatch_id(one) for one in ids]
    _report(ask(target, lambda daemon: _each(daemon, _release, checked)), as_json)


def release_entry(target: Target, entry: str, *, as_json: bool) -> None:
    body = {"entry": entry}
    answer = ask(target, lambda daemon: daemon.post("/api/v1/release", RELEASED_ENTRY, body))
    words = f"{entry}: dispatches that were held and go now: {answer['released']}"
    if answer["paused"]:
        words += (
            f"; {answer['paused']} stay held, since {entry} is paused: `dispatchd resume {entry}`"
        )
    show(answer, as_json, words)


def show(answer: Any, as_json: bool, words: str) -> None:
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        say(words)


async def _replay(daemon: Connection, one: str) -> Answer:
    """With the ``states`` of the dispatches that came of an event."""
    path = f"/api/v1/replay/{segment(one)}"
    if not one.startswith("evt_"):
        return await daemon.post(path, REPLAYED)
    answer = await daemon.post(path, JUDGED)
    event = await daemon.get(f"/api/v1/events/{segment(answer['event_id'])}", EVENT_IN_FULL)
    return {**answer, "states": {each["id"]: each["state"] for each in event["dispatches"]}}


async def _cancel(daemon: Connection, one: str) -> Answer:
    return await daemon.post(f"/api/v1/cancel/{segment(one)}", CANCELLED)


async def _release(daemon: Connection, one: str) -> Answer:
    return await daemon.post(f"/api/v1/release/{segment(one)}", RELEASED)


async def _each(
    daemon: Connection, work: Callable[[Connection, str], Awaitable[Answer]], ids: Iterable[str]
) -> list[Answer]:
    """The answer for each id, or its ``error``: one that cannot be helped must not stop others."""
    results: list[Answer] = []
    for one in ids:
        try:
            answer = await work(daemon, one)
        except Answered as error:
            answer = {"error": str(error)}
        results.append({"target": one, **answer})
    return results


def _report(results: list[Answer], as_json: bool) -> None:
    """Raises DispatchdError where any of them failed."""
    if as_json:
        print(json.dumps(results, ensure_ascii=False))
    for result in [] if as_json else results:
        say(f"{result['target']}: {_told(result)}")
    if not results and not as_json:
        say("nothing to do")
    failed = sum("error" in result or _came_to_nothing(result) for result in results)
    if failed:
        raise DispatchdError(f"{failed} of {len(results)} failed")


def _told(result: Answer) -> str:
    if error := result.get("error"):
        return str(error)
    if "states" in result:
        verdicts = [
            f"{each['entry']} {each['outcome']}"
            + (f" ({each['reason']})" if each["reason"] else "")
            for each in result["verdicts"]
        ]
        states = [f"{each} {state}" for each, state in result["states"].items()]
        nothing = ["nothing was dispatched"] if _came_to_nothing(result) else []
        words = "; ".join([", ".join(verdicts), *states, *nothing])
        return plain(f"judged again as {result['event_id']}: {words}").plain
    if "dispatches" in result:
        return f"replayed -> {', '.join(result['dispatches'])}"
    if result.get("state") == "held":
        return f"held by nothing but a pause now: {result['reason']}; `dispatchd resume`"
    return "released" if result.get("state") == "pending" else "cancelled"


def _came_to_nothing(result: Answer) -> bool:
    """Whether an event was judged again, and GitHub is to be sent nothing."""
    return "states" in result and all(state == "dead" for state in result["states"].values())


def _outcome(answer: Mapping[str, Any]) -> str:
    dispatches = ", ".join(answer["dispatches"])
    return f"event {answer['event_id']}, dispatches {dispatches}"


def long_ago(text: str, now: datetime) -> datetime:
    """What ``2h`` (ago) or an RFC 3339 instant means. Raises UsageError."""
    try:
        return now - duration(text)
    except ValueError as error:
        try:
            return instant(text, "--since")
        except UsageError:
            raise UsageError(f"--since: {error}; or write an instant, {INSTANT}") from None
