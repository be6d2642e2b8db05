"""What ``replay --failed`` has to do: the failures that no replay has taken the place of yet, so
that to run it again sends nothing twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from daemon.cli.answers import DISPATCH, DISPATCHES, EVENTS
from daemon.cli.connection import Connection
from daemon.cli.names import segment

PAGE = 1000

View: TypeAlias = Mapping[str, Any]


async def failed_since(daemon: Connection, start: datetime) -> tuple[list[str], int]:
    """The ids to replay, oldest first, and how many dead dispatches a replay has taken the place
    of. Where a request could not be made it is the id of its event, which makes all of its
    dispatches anew: so none of them is named beside it."""
    dispatches = await _dispatches(daemon, start)
    dead = [each for each in dispatches if each["state"] == "dead"]
    if not dead:
        return [], 0
    replaced = _replaced(dispatches)
    judged_again = _replaced(await _events(daemon, start))
    left = [
        each for each in dead if each["id"] not in replaced and each["event_id"] not in judged_again
    ]
    details = [
        await daemon.get(f"/api/v1/dispatches/{segment(each['id'])}", DISPATCH)
        for each in reversed(left)
    ]
    unmade = {each["event_id"] for each in details if not each["client_payload"]}
    ids = dict.fromkeys(
        each["event_id" if each["event_id"] in unmade else "id"] for each in details
    )
    return list(ids), len(dead) - len(left)


def _replaced(newest_first: Sequence[View]) -> set[str]:
    """The ids of a listing that have a newer one in their chain of replays. One that was replayed
    twice has two replays, and only the last of them counts."""
    before = {each["id"]: each["replay_of"] for each in newest_first if each["replay_of"]}
    newest: dict[str, str] = {}
    for one in _with_originals(newest_first):
        newest.setdefault(_root(one, before), one)
    last = set(newest.values())
    return {one for one in _with_originals(newest_first) if one not in last}


def _with_originals(newest_first: Iterable[View]) -> list[str]:
    """Their ids, then those that they replay, which may lie outside of the listing."""
    listed = [each["id"] for each in newest_first]
    return listed + [each["replay_of"] for each in newest_first if each["replay_of"]]


def _root(one: str, before: Mapping[str, str]) -> str:
    seen = {one}
    while (one := before.get(one, one)) not in seen:
        seen.add(one)
    return one


async def _dispatches(daemon: Connection, start: datetime) -> list[View]:
    query = {"since": start.isoformat(), "limit": str(PAGE)}
    found: list[View] = []
    while page := (await daemon.get("/api/v1/dispatches", DISPATCHES, query))["dispatches"]:
        found += page
        query["before"] = page[-1]["id"]
    return found


async def _events(daemon: Connection, start: datetime) -> list[View]:
    """Those since then, to the second, and a few before."""
    query = {"limit": str(PAGE)}
    found: list[View] = []
    while page := (await daemon.get("/api/v1/events", EVENTS, query))["events"]:
        found += page
        if page[-1]["at"][:19] < start.isoformat()[:19]:
            break
        query["before"] = page[-1]["id"]
    return found
