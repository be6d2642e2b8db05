"""Chains in the store: the parent of what is recorded, its depth, and the whole family."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.binding import Judgement
from daemon.chain import Descent, Guards
from daemon.dispatch import Dispatch, Hold, RunNamed, Settlement, State
from daemon.event import Event, Outcome, Verdict
from daemon.github import PAYLOAD_BYTES_MAX
from daemon.run import Match
from daemon.store import Store
from tests.store.samples import (
    HOUR,
    LEASE,
    NOW,
    SECOND,
    attempted,
    delivered,
    dispatched,
    id_of,
    prune,
)

PAYLOAD = json.dumps({"a": 1.5, "dispatchd": {"id": "x", "entry": "push", "depth": 0}})
STRANGER = id_of("dsp", 999)


def descending(number: int, descent: Descent | None) -> tuple[Event, Verdict]:
    event = delivered(number, at=NOW + number * SECOND)
    verdict = dispatched(number, event)
    owed = tuple(replace(each, client_payload=PAYLOAD) for each in verdict.dispatches)
    return event, replace(verdict, descent=descent, dispatches=owed)


async def recorded(store: Store, number: int, descent: Descent | None = None) -> Verdict:
    event, verdict = descending(number, descent)
    (final,) = await store.record(event, [verdict])
    return final


async def dispatch_of(store: Store, verdict: Verdict) -> Dispatch:
    found = await store.dispatch(verdict.dispatches[0].id)
    assert found is not None
    assert found == verdict.dispatches[0]
    return found


async def line(store: Store, length: int) -> list[str]:
    """Ids of a chain, the eldest first."""
    ids: list[str] = []
    for number in range(length):
        verdict = await recorded(store, number, Descent(tuple(ids[-1:])) if ids else None)
        ids.append(verdict.dispatches[0].id)
    return ids


def guarded(url: str, depth: int) -> Store:
    return Store.open(url, owner="tests", now=NOW, guards=Guards(max_chain_depth=depth))


async def test_a_dispatch_is_one_deeper_than_its_parent_and_its_payload_says_so(
    store: Store,
) -> None:
    ids = await line(store, 3)
    found = [await store.dispatch(each) for each in ids]
    assert [each.depth for each in found if each] == [0, 1, 2]
    assert [each.parent_id for each in found if each] == [None, ids[0], ids[1]]
    payloads = [json.loads(each.client_payload) for each in found if each]
    assert [each["dispatchd"]["depth"] for each in payloads] == [0, 1, 2]
    assert payloads[2] == {"a": 1.5, "dispatchd": {"id": "x", "entry": "push", "depth": 2}}


async def test_a_parent_that_nobody_knows_is_none_and_the_verdict_says_so(store: Store) -> None:
    verdict = await recorded(store, 1, Descent((STRANGER,)))
    dispatch = await dispatch_of(store, verdict)
    assert (dispatch.parent_id, dispatch.depth) == (None, 0)
    assert verdict.outcome is Outcome.DISPATCHED
    assert verdict.reason == (
        f"its parent {STRANGER} is not known here (aged out?): its depth is 0"
    )


async def test_of_several_parents_the_deepest_counts(store: Store) -> None:
    """Whoever writes ids into a title cannot make a chain shorter with that."""
    ids = await line(store, 4)
    verdict = await recorded(store, 9, Descent((ids[0], STRANGER, ids[2], ids[1])))
    dispatch = await dispatch_of(store, verdict)
    assert (dispatch.parent_id, dispatch.depth, verdict.reason) == (ids[2], 3, "")


async def test_a_run_that_a_dispatch_is_known_to_have_started_leads_to_it(store: Store) -> None:
    """Of the same repository, however it is spelled; the number alone could be another host's."""
    await line(store, 2)
    for dispatch in (await store.claim(NOW + HOUR, 9, LEASE)).dispatches:
        settlement = Settlement(State.ACCEPTED, run=RunNamed(70 + dispatch.depth, ""))
        await store.settle(dispatch.id, attempted(dispatch), settlement, NOW)
    for number, (run, depth) in enumerate(
        [(("octo/factory", 71), 2), (("octo/factory", 70), 1), (("octo/other", 71), 0)], start=5
    ):
        verdict = await recorded(store, number, Descent(run=run))
        assert (verdict.dispatches[0].depth, verdict.reason) == (depth, "")
    forged = await recorded(store, 9, Descent((id_of("dsp", 0),), ("octo/factory", 71)))
    assert forged.dispatches[0].depth == 2


async def test_events_of_one_commit_find_their_parents_together(store: Store) -> None:
    ids = await line(store, 3)
    asked = [descending(10 + n, Descent((each,))) for n, each in enumerate(ids)]
    final = await asyncio.gather(*(store.record(event, [verdict]) for event, verdict in asked))
    assert [verdict.dispatches[0].depth for (verdict,) in final] == [1, 2, 3]


async def test_past_its_depth_a_chain_is_held_and_counts_as_first(store_url: str) -> None:
    store = guarded(store_url, 2)
    try:
        ids = await line(store, 4)
        held = await store.dispatch(ids[3])
        assert held is not None
        assert (held.state, held.depth, held.held_by) == (State.HELD, 3, Hold.DEPTH)
        assert "past max_chain_depth (2)" in held.reason
        assert (await store.claim(NOW + HOUR, 9, LEASE)).dispatches[-1].id == ids[2]
        (incident,) = await store.incidents(9)
        assert (incident.entry, incident.kind.value) == ("push", "chain")
        assert ids[3] in incident.text
    finally:
        await store.close()


async def test_a_payload_that_its_depth_makes_too_large_is_dead(store: Store) -> None:
    ids = await line(store, 10)
    empty = json.loads(PAYLOAD)
    event, verdict = descending(20, Descent((ids[9],)))
    room = PAYLOAD_BYTES_MAX - len(json.dumps(empty, separators=(",", ":")))
    for spare, state in ((1, State.PENDING), (0, State.DEAD)):
        payload = json.dumps({**empty, "a": "x" * (room + 1 - spare)})
        dispatch = replace(
            verdict.dispatches[0],
            id=id_of("dsp", 50 + spare),
            event_id=event.id,
            client_payload=payload,
        )
        given = replace(verdict, dispatches=(dispatch,), entry=f"push{spare}")
        (final,) = await store.record(
            replace(event, id=id_of("evt", 50 + spare)),
            [replace(given, dispatches=(replace(dispatch, event_id=id_of("evt", 50 + spare)),))],
        )
        assert final.dispatches[0].state is state, final.dispatches[0].reason
        assert final.dispatches[0].depth == 10


async def test_a_family_is_shown_from_its_eldest_down_each_below_its_parent(store: Store) -> None:
    ids = await line(store, 3)
    aunt = (await recorded(store, 20, Descent((ids[0],)))).dispatches[0].id
    cousin = (await recorded(store, 21, Descent((aunt,)))).dispatches[0].id
    await recorded(store, 30)
    for asked in (*ids, aunt, cousin):
        family = await store.family(asked, 100)
        assert family is not None
        assert [each.id for each in family.members] == [*ids, aunt, cousin]
        assert family.complete
    assert await store.family(STRANGER, 100) is None


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_a_family_has_a_bound_and_the_one_that_was_asked_for_is_within(
    store: Store, limit: int
) -> None:
    ids = await line(store, 3)
    for number in (20, 21):
        await recorded(store, number, Descent((ids[0],)))
    family = await store.family(ids[2], limit)
    assert family is not None
    assert len(family.members) == limit
    assert ids[2] in [each.id for each in family.members]
    assert family.complete is (limit == 5)


async def test_what_lost_its_parent_to_retention_is_the_eldest(store: Store) -> None:
    ids = await line(store, 3)
    for dispatch in (await store.claim(NOW + HOUR, 9, LEASE)).dispatches:
        await store.settle(dispatch.id, attempted(dispatch), Settlement(State.ACCEPTED), NOW)
        await store.judge_runs([Judgement(dispatch.id, Match.MISSING, "nothing listens")], NOW)
    assert await prune(store, NOW + SECOND, 9) == 1
    family = await store.family(ids[2], 100)
    assert family is not None
    assert [each.id for each in family.members] == ids[1:]
    assert family.members[0].parent_id == ids[0]


async def test_a_circle_that_somebody_put_into_the_database_is_walked_once(
    store_url: str, tmp_path: Path
) -> None:
    if store_url == "sqlite://":
        pytest.skip("nobody else can write to a database in memory")
    store = Store.open(store_url, owner="tests", now=NOW)
    ids = await line(store, 3)
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as database:
        database.execute("UPDATE dispatches SET parent_id = ? WHERE id = ?", (ids[2], ids[0]))
        database.commit()
    for asked in ids:
        family = await store.family(asked, 100)
        assert family is not None
        assert {each.id for each in family.members} == set(ids)
        assert len(family.members) == 3
    await store.close()
