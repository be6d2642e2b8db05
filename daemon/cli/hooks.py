"""``dispatchd hook`` and ``recover``: webhooks at GitHub, and what they missed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from daemon.cli.acting import long_ago, show
from daemon.cli.answers import HOOK, HOOK_MADE, HOOK_TESTED, HOOKS, RECOVERY
from daemon.cli.connection import Connection
from daemon.cli.layout import Listing
from daemon.cli.names import segment
from daemon.cli.tables import moment, plain, put, say, warn
from daemon.cli.target import Target, ask
from daemon.errors import DispatchdError, UsageError
from daemon.expressions import rfc3339

LOOK = 0.5
"""Seconds between two looks at how the daemon gets on."""

Answer = Mapping[str, Any]


def create_hook(
    target: Target,
    trigger: str,
    place: str | None,
    *,
    events: Sequence[str] | None,
    params: Sequence[str],
    hook_url: str | None,
    track: bool | None,
    as_json: bool,
) -> None:
    """Raises UsageError for a parameter without a value."""
    given: dict[str, str] = {}
    for each in params:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UsageError(f"--param {each!r}: write it as NAME=VALUE")
        given[name] = value
    asked = {
        "place": place,
        "events": list(events) if events else None,
        "params": given or None,
        "url": hook_url,
        "track": track,
    }
    body = {name: value for name, value in asked.items() if value is not None}
    path = f"/api/v1/triggers/{segment(trigger)}/hook"
    answer = ask(target, lambda daemon: daemon.post(path, HOOK_MADE, body))
    for warning in answer["warnings"]:
        warn(warning)
    words = (
        f"{answer['done']} webhook {answer['id']} in {answer['place']}: {answer['url']} for "
        f"{', '.join(answer['events'])}"
    )
    show(answer, as_json, plain(words).plain)


def list_hooks(target: Target, place: str | None, *, as_json: bool) -> None:
    """Exits with 1 where GitHub does not let all of them be seen."""
    answer = ask(target, lambda daemon: _hooks(daemon, place))
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    elif answer["hooks"]:
        rows = Listing(("id", "where", "trigger", "events", "last answer", "url"))
        for hook in answer["hooks"]:
            rows.add(
                str(hook["id"] or "–"),
                plain(hook["place"]),
                plain(", ".join(hook["triggers"])),
                plain(", ".join(hook["events"]) or "as its page says"),
                plain(hook["last"] if hook["active"] else "switched off"),
                plain(hook["url"]),
            )
        put(rows)
    elif not answer["errors"]:
        say("no webhook comes here: dispatchd hook create TRIGGER")
    _complain(answer["errors"])


def ping_hooks(target: Target, trigger: str, place: str | None, *, as_json: bool) -> None:
    """Exits with 1 where a ping did not arrive, or there is no webhook."""

    async def ping(daemon: Connection) -> list[Answer]:
        found = await _hooks(daemon, place)
        hooks = [hook for hook in found["hooks"] if trigger in hook["triggers"] and hook["id"]]
        if not hooks:
            _complain(found["errors"])
            raise DispatchdError(f"no webhook comes to {trigger}: dispatchd hook create {trigger}")
        return [
            await daemon.post("/api/v1/hooks/ping", HOOK_TESTED, _named(each)) for each in hooks
        ]

    results = ask(target, ping)
    if as_json:
        print(json.dumps(results, ensure_ascii=False))
    for each in [] if as_json else results:
        say(plain(f"{each['place']} {each['id']}: {_ping_told(each)}").plain)
    if missing := sum(each["arrived"] is not True for each in results):
        raise DispatchdError(f"{missing} of {len(results)} pings did not arrive")


def delete_hook(target: Target, number: int, place: str | None, *, as_json: bool) -> None:
    """Exits with 1 where no such webhook comes here."""

    async def delete(daemon: Connection) -> Answer:
        found = await _hooks(daemon, place)
        for hook in found["hooks"]:
            if number and hook["id"] == number:
                return await daemon.post("/api/v1/hooks/delete", HOOK, _named(hook))
        _complain(found["errors"])
        raise DispatchdError(f"no webhook {number} comes here: dispatchd hook list")

    answer = ask(target, delete)
    words = f"deleted webhook {number} in {answer['place']}, to {', '.join(answer['triggers'])}"
    show(answer, as_json, plain(words).plain)


def recover(
    target: Target,
    place: str | None,
    *,
    since: str | None,
    dry_run: bool,
    refused: bool,
    as_json: bool,
) -> None:
    """Exits with 1 where GitHub does not do all of it."""
    start = long_ago(since or "3d", datetime.now(UTC))
    body = {
        "since": rfc3339(start),
        "dry_run": dry_run,
        "refused": refused,
        "places": [place] if place else [],
    }

    async def work(daemon: Connection) -> Answer:
        answer = await daemon.post("/api/v1/recover", RECOVERY, body)
        while not answer["finished"]:
            _progress(answer)
            await asyncio.sleep(LOOK)
            answer = await daemon.get("/api/v1/recovery", RECOVERY)
        _progress(None)
        return answer

    answer = ask(target, work)
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        _report(answer)
    _complain(answer["errors"])


async def _hooks(daemon: Connection, place: str | None) -> Answer:
    return await daemon.get("/api/v1/hooks", HOOKS, {"place": place} if place else {})


def _named(hook: Answer) -> dict[str, Any]:
    return {"place": hook["place"], "id": hook["id"]}


def _ping_told(answer: Answer) -> str:
    if answer["arrived"] is None:
        return "the ping was sent, and GitHub does not tell yet what became of it"
    way = "arrived" if answer["arrived"] else "did not arrive"
    return f"the ping {way}: {answer['status']}"


def _progress(answer: Answer | None) -> None:
    """One line that is written over, where somebody watches."""
    if not sys.stderr.isatty():
        return
    words = f"{answer['asked']} of {answer['missed']} asked for" if answer else ""
    sys.stderr.write(f"\r\x1b[K{words}")
    sys.stderr.flush()


def _report(answer: Answer) -> None:
    rows = Listing(("at", "where", "event", "guid", "why"))
    for hook in answer["hooks"]:
        for each in hook["missed"]:
            event = f"{each['event']}.{each['action']}" if each["action"] else each["event"]
            rows.add(
                moment(each["at"]),
                plain(hook["place"]),
                plain(event),
                plain(each["guid"]),
                plain(each["status"]),
            )
    if rows.rows:
        put(rows)
    for hook in answer["hooks"]:
        where = f"{hook['place']} to {hook['url']}"
        for status, count in hook["refused"].items():
            say(
                plain(
                    f"{where}: {count} answered {status} are left, as that would come again; once "
                    "it is mended: dispatchd recover --refused"
                ).plain
            )
        if hook["left"]:
            say(plain(f"{where}: {hook['left']} more are left for another time").plain)
        if not hook["whole"]:
            count = f"{hook['looked_at']:,}"
            say(plain(f"{where}: only the newest {count} deliveries were looked through").plain)
    looked = sum(hook["looked_at"] for hook in answer["hooks"])
    done = "would be asked for" if answer["dry_run"] else f"{answer['asked']} asked for again"
    count = f"{answer['missed']} missed" + (f", {done}" if answer["missed"] else "")
    say(f"webhooks {len(answer['hooks'])}, deliveries {looked}: {count}")


def _complain(errors: Sequence[Answer]) -> None:
    """Raises DispatchdError with what GitHub did not do."""
    if errors:
        raise DispatchdError("\n".join(str(each["reason"]) for each in errors))
