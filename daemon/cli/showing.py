"""The commands that look: at the running daemon, or in its database when none answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from daemon.cli import names
from daemon.cli.answers import DISPATCH, DISPATCHES, EVENT, EVENTS, FAMILY, STATUS
from daemon.cli.connection import Connection, NoDaemon
from daemon.cli.layout import Fields, Listing
from daemon.cli.names import segment
from daemon.cli.tables import moment, plain, put, warn, word
from daemon.cli.target import Target
from daemon.dispatch import State
from daemon.errors import DispatchdError, StoreError, UsageError
from daemon.event import API_ENTRY, Outcome
from daemon.places import simulation_database, sqlite_file
from daemon.run import Match
from daemon.sizes import shown
from daemon.spec import Settings
from daemon.store import Store
from daemon.views import (
    FAMILY_MAX,
    dispatch_details,
    dispatch_view,
    event_details,
    event_view,
    family_view,
)

Answer = dict[str, Any]

INDENT_MAX = 20
"""Generations that are shown further to the right than the one before."""


def show_events(
    target: Target,
    event_id: str | None,
    limit: int,
    outcome: str | None,
    source: str | None,
    *,
    as_json: bool,
) -> None:
    """Raises UsageError for an unknown outcome or what is no id, NoDaemon where nothing can be
    read."""
    wanted = member(Outcome, outcome, "--outcome")
    if event_id is not None:
        names.event_id(event_id)

    async def from_daemon(daemon: Connection) -> Answer:
        if event_id is not None:
            return await daemon.get(f"/api/v1/events/{segment(event_id)}", EVENT)
        query = given(limit=str(limit), outcome=outcome, source=source)
        answer = await daemon.get("/api/v1/events", EVENTS, query)
        if source is not None and not answer["events"]:
            _warn_of_no_source(source, await daemon.get("/api/v1/status", STATUS))
        return answer

    async def from_store(store: Store) -> Answer:
        if event_id is None:
            events = await store.events(limit, outcome=wanted, source=source)
            verdicts = await store.verdicts([event.id for event in events])
            return {"events": [event_view(event, verdicts[event.id]) for event in events]}
        event = await store.event(event_id)
        if event is None:
            raise DispatchdError(f"there is no event {event_id!r}; it may have aged out")
        view = event_details(event, (await store.verdicts([event_id]))[event_id])
        owed = await store.dispatches(limit, event_id=event_id)
        return view | {"dispatches": [dispatch_view(each) for each in owed]}

    answer = look(target, from_daemon, from_store)
    print_answer(answer, as_json, _details if event_id else _event_rows)


def _warn_of_no_source(source: str, status: Answer) -> None:
    """Where the daemon knows no such route and no such cron."""
    paths = [trigger["path"] for trigger in status["triggers"]]
    known = dict.fromkeys([*paths, *(cron["name"] for cron in status["crons"]), API_ENTRY])
    if source not in known:
        warn(f"there is no such source {source!r}; there are: {', '.join(known)}")


def show_dispatches(
    target: Target,
    dispatch_id: str | None,
    limit: int,
    state: str | None,
    entry: str | None,
    *,
    as_json: bool,
) -> None:
    """Raises UsageError for an unknown state or what is no id, NoDaemon where nothing can be
    read."""
    wanted = member(State, state, "--state")
    if dispatch_id is not None:
        names.dispatch_id(dispatch_id)

    async def from_daemon(daemon: Connection) -> Answer:
        if dispatch_id is not None:
            return await daemon.get(f"/api/v1/dispatches/{segment(dispatch_id)}", DISPATCH)
        query = given(limit=str(limit), state=state, entry=entry)
        return await daemon.get("/api/v1/dispatches", DISPATCHES, query)

    async def from_store(store: Store) -> Answer:
        if dispatch_id is None:
            found = await store.dispatches(limit, states=[wanted] if wanted else None, entry=entry)
            return {"dispatches": [dispatch_view(each) for each in found]}
        dispatch = await store.dispatch(dispatch_id)
        if dispatch is None:
            raise DispatchdError(f"there is no dispatch {dispatch_id!r}; it may have aged out")
        attempts = await store.attempts(dispatch_id)
        runs = (await store.runs([dispatch_id]))[dispatch_id]
        follow_ups = await store.follow_ups(dispatch_id)
        return dispatch_details(dispatch, attempts, runs, follow_ups)

    answer = look(target, from_daemon, from_store)
    print_answer(answer, as_json, _details if dispatch_id else _dispatch_rows)


def show_family(target: Target, dispatch_id: str, *, as_json: bool) -> None:
    """Raises UsageError for what is no id, NoDaemon where nothing can be read."""
    names.dispatch_id(dispatch_id)

    async def from_daemon(daemon: Connection) -> Answer:
        return await daemon.get(f"/api/v1/dispatches/{segment(dispatch_id)}/tree", FAMILY)

    async def from_store(store: Store) -> Answer:
        family = await store.family(dispatch_id, FAMILY_MAX)
        if family is None:
            raise DispatchdError(f"there is no dispatch {dispatch_id!r}; it may have aged out")
        return family_view(family)

    answer = look(target, from_daemon, from_store)
    print_answer(answer, as_json, _family_rows)
    eldest = answer["dispatches"][0]
    if eldest["parent_id"]:
        warn(f"what {eldest['id']} descends from, {eldest['parent_id']}, has aged out")
    if not answer["complete"]:
        warn(f"there are more; the {len(answer['dispatches'])} nearest to the first are shown")


def show_status(target: Target, *, as_json: bool) -> None:
    """Exits with 1 when no daemon answers, after showing what its database tells."""

    async def from_daemon(daemon: Connection) -> Answer:
        return {"running": True, **await daemon.get("/api/v1/status", STATUS)}

    async def from_store(store: Store) -> Answer:
        return {
            "running": False,
            "database": store.database,
            "dispatches": {state.value: n for state, n in (await store.counts()).items()},
        }

    answer = look(target, from_daemon, from_store)
    print_answer(answer, as_json, _status_rows)
    if not answer["running"]:
        raise DispatchdError("the daemon is not running")


def look(
    target: Target,
    from_daemon: Callable[[Connection], Awaitable[Answer]],
    from_store: Callable[[Store], Awaitable[Answer]],
) -> Answer:
    """What the daemon answers, else what stands in its database. Raises NoDaemon with both
    reasons where neither can be had."""
    settings = target.settings()

    async def looking() -> Answer:
        try:
            async with target.daemon(settings) as daemon:
                return await from_daemon(daemon)
        except NoDaemon as silence:
            if target.url is not None:
                raise
            try:
                store = Store.open(
                    settings.database_url, owner="", now=datetime.now(UTC), read_only=True
                )
            except StoreError as error:
                raise NoDaemon(f"{silence}; and {error}{_simulated(settings)}") from None
            try:
                answer = await from_store(store)
            finally:
                await store.close()
            warn(
                f"no daemon answers; this is what stands in {store.database}{_simulated(settings)}"
            )
            return answer

    return asyncio.run(looking())


def _simulated(settings: Settings) -> str:
    """Where what a simulation did is to be found, if there was one beside this database."""
    url = simulation_database(settings.database_url)
    file = sqlite_file(url)
    return f"; a simulation's is beside it: --database {url}" if file and file.exists() else ""


def print_answer(
    answer: Answer, as_json: bool, render: Callable[[Answer], Listing | Fields]
) -> None:
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        put(render(answer))


def _event_rows(answer: Answer) -> Listing:
    rows = Listing(("id", "at", "source", "entry", "verdict", "why"))
    for event in answer["events"]:
        for index, verdict in enumerate(event["verdicts"] or [{}]):
            first = index == 0
            rows.add(
                event["id"] if first else "",
                moment(event["at"]) if first else "",
                plain(event["source"] if first else ""),
                plain(verdict.get("entry")),
                word(verdict.get("outcome", "")),
                plain(verdict.get("duplicate_of") or verdict.get("reason")),
            )
    return rows


def _dispatch_rows(answer: Answer) -> Listing:
    rows = Listing(
        ("id", "created", "entry", "repository", "event_type", "state", "run", "tries", "why")
    )
    for dispatch in answer["dispatches"]:
        rows.add(
            dispatch["id"],
            moment(dispatch["created_at"]),
            plain(dispatch["entry"]),
            plain(dispatch["repository"]),
            plain(dispatch["event_type"] or dispatch.get("workflow")),
            word(dispatch["state"]),
            word(_run_word(dispatch)),
            str(dispatch["attempts"]),
            plain(dispatch["reason"] or dispatch.get("diagnosis")),
        )
    return rows


def _family_rows(answer: Answer) -> Listing:
    """Each below what it descends from, as far to the right as it is deep."""
    rows = Listing(("depth", "id", "created", "entry", "event_type", "state", "why"))
    for dispatch in answer["dispatches"]:
        depth = dispatch["depth"]
        indent = min(depth - answer["dispatches"][0]["depth"], INDENT_MAX)
        rows.add(
            str(depth),
            "  " * max(indent, 0) + dispatch["id"],
            moment(dispatch["created_at"]),
            plain(dispatch["entry"]),
            plain(dispatch["event_type"] or dispatch.get("workflow")),
            word(dispatch["state"]),
            plain(dispatch["reason"]),
        )
    return rows


def _run_word(dispatch: Answer) -> str:
    """How its runs stand, or what is known of them."""
    match = dispatch.get("match") or ""
    return dispatch.get("run_outcome") or ("" if match == Match.UNTRACKED else match)


def _details(answer: Answer) -> Fields:
    rows = Fields()
    for key, value in answer.items():
        if isinstance(value, list):
            for item in value:
                rows.add(key, _line(item))
        elif value not in (None, "", {}):
            rows.add(key, _line(value))
    return rows


def _status_rows(answer: Answer) -> Fields:
    rows = Fields()
    if answer.get("simulation"):
        rows.add("SIMULATION", "nothing reaches GitHub")
    for key in ("version", "ready", "started_at", "uptime", "github", "repository", "database"):
        if answer.get(key) not in (None, ""):
            unit = " s" if key == "uptime" else ""
            rows.add(key, plain(f"{answer[key]}{unit}"))
    if space := answer.get("space"):
        rows.add("space", plain(_space(space)))
    for reason in answer.get("reasons", []):
        rows.add("not well", plain(reason))
    unfinished = ", ".join(f"{n} {state}" for state, n in answer["dispatches"].items() if n)
    rows.add("unfinished", unfinished or "nothing")
    if answer.get("oldest_waiting"):
        rows.add("oldest waiting", plain(answer["oldest_waiting"]))
    if answer.get("limited_until"):
        rows.add("limited", plain(f"by GitHub: nothing is sent before {answer['limited_until']}"))
    for credential in answer.get("credentials", []):
        if credential["refused"]:
            rows.add("refused", plain(f"{credential['name']}: {credential['refused']}"))
    for trigger in answer.get("triggers", []):
        off = "" if trigger["enabled"] else " (disabled)"
        rows.add("trigger", plain(f"{trigger['name']} on {trigger['path']}{off}"))
    for cron in answer.get("crons", []):
        upcoming = cron["next"] or ("never again" if cron["enabled"] else "disabled")
        rows.add("cron", plain(f"{cron['name']} next {upcoming}"))
    for pause in answer.get("pauses", []):
        why = f": {pause['reason']}" if pause["reason"] else ""
        who = f"{pause['entry']}, by {pause['by']} since {moment(pause['since'])}"
        rows.add("paused", plain(who + why))
    for fault in answer.get("config", {}).get("faults", []):
        rows.add("config on disk", plain(f"not taken over: {fault}"))
    for each in answer.get("incidents", []):
        text = f"{each['entry']}: {each['instants']} {each['kind']}; `dispatchd incidents` shows"
        rows.add("incidents", plain(f"{text} the latest"))
    return rows


def _space(space: Answer) -> str:
    text = f"{shown(space['database'])}, of which {shown(space['unused'])} unused"
    left = space["disk_free"]
    return text if left is None else f"{text}; its disk has {shown(left)} left"


def _line(value: object) -> Text:
    if not isinstance(value, Mapping):
        return plain(value)
    parts = [f"{key}={part}" for key, part in value.items() if part not in (None, "", [], {})]
    return plain("  ".join(parts))


def given(**query: str | None) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}


def member(kind: Any, text: str | None, option: str) -> Any:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not one of: {', '.join(kind)}") from None
