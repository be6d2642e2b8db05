"""How dispatches are claimed, settled, given back and cancelled."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from daemon.dispatch import TRANSITIONS, Attempt, Dispatch, Settlement, State
from daemon.errors import StoreError
from daemon.event import Outcome, Verdict
from daemon.ports import Claim
from daemon.store import Store
from tests.store.samples import (
    HOUR,
    LEASE,
    NOW,
    SECOND,
    attempted,
    delivered,
    id_of,
    owed,
)

LATER = NOW + HOUR


async def keep(store: Store, *dispatches: Dispatch) -> None:
    """Records the dispatches as owed by event 1."""
    await store.record(delivered(1), [Verdict("push", Outcome.DISPATCHED, "", dispatches)])


async def put_in(store: Store, state: State) -> Dispatch:
    """One dispatch brought into ``state`` by its own steps."""
    dispatch = owed(1, delivered(1), state=State.HELD if state is State.HELD else State.PENDING)
    if state is State.SUPERSEDED:
        dispatch = replace(dispatch, state=state)
    await keep(store, dispatch)
    if state is State.CANCELLED:
        await store.cancel([dispatch.id], NOW, "by hand")
    if state in (State.SENDING, State.UNSURE, State.ACCEPTED, State.DEAD):
        [dispatch] = (await store.claim(NOW, 1, LEASE)).dispatches
    if state in (State.UNSURE, State.ACCEPTED, State.DEAD):
        await store.settle(dispatch.id, None, Settlement(state, due_at=LATER), NOW)
    stored = await store.dispatch(dispatch.id)
    assert stored is not None
    assert stored.state is state
    return stored


async def test_what_is_due_is_claimed_oldest_first(store: Store) -> None:
    event = delivered(1)
    late, early, tomorrow = (
        owed(1, event, due_at=NOW),
        owed(2, event, due_at=NOW - SECOND),
        owed(3, event, due_at=NOW + SECOND),
    )
    await keep(store, late, early, tomorrow)
    claim = await store.claim(NOW, 10, LEASE)
    assert claim.dispatches == tuple(replace(d, state=State.SENDING) for d in (early, late))
    assert claim.expired == ()
    assert await store.next_due(NOW) == NOW + SECOND
    assert await store.counts() == {
        State.PENDING: 1,
        State.SENDING: 2,
        State.HELD: 0,
        State.UNSURE: 0,
    }


async def test_a_claim_takes_no_more_than_its_limit(store: Store) -> None:
    await keep(store, *(owed(number, delivered(1)) for number in range(5)))
    first = await store.claim(NOW, 3, LEASE)
    second = await store.claim(NOW, 3, LEASE)
    assert [d.id for d in (*first.dispatches, *second.dispatches)] == [
        id_of("dsp", number) for number in range(5)
    ]


async def test_claims_at_once_never_share_a_dispatch(store: Store) -> None:
    await keep(store, *(owed(number, delivered(1)) for number in range(40)))
    claims = await asyncio.gather(*(store.claim(NOW, 3, LEASE) for _ in range(20)))
    ids = [dispatch.id for claim in claims for dispatch in claim.dispatches]
    assert len(ids) == len(set(ids)) == 40


async def test_a_dispatch_whose_lease_ran_out_is_claimed_again(store: Store) -> None:
    """Its holder may have sent it, so that it counts as unsure in between."""
    dispatch = await put_in(store, State.SENDING)
    assert await store.next_due(NOW) == NOW + LEASE
    assert (await store.claim(NOW + LEASE - SECOND, 1, LEASE)).dispatches == ()
    assert (await store.claim(NOW + LEASE, 1, LEASE)).dispatches == (dispatch,)
    await store.give_back([dispatch.id], NOW)
    assert [d.state for d in await store.dispatches(1)] == [State.UNSURE]


async def test_what_is_held_keeps_its_lease_however_old_it_is(store: Store) -> None:
    """Its request is on its way: it is neither given away nor called too old."""
    held = await put_in(store, State.SENDING)
    late = held.expires_at + HOUR
    assert await store.claim(late, 10, LEASE, [held.id]) == Claim()
    assert await store.next_due(late) == late + LEASE
    assert await store.dispatch(held.id) == held
    settled = await store.settle(held.id, attempted(held), Settlement(State.ACCEPTED), late)
    assert settled.state is State.ACCEPTED


async def test_what_is_held_and_waits_all_the_same_is_claimed(store: Store) -> None:
    """Its answer was stored meanwhile."""
    unsure = await put_in(store, State.UNSURE)
    claim = await store.claim(LATER, 10, LEASE, [unsure.id])
    assert [dispatch.id for dispatch in claim.dispatches] == [unsure.id]


async def test_what_is_too_old_to_be_sent_is_dead_and_not_claimed(store: Store) -> None:
    event = delivered(1)
    await keep(store, owed(1, event, expires_at=NOW + SECOND), owed(2, event))
    claim = await store.claim(NOW + SECOND, 10, LEASE)
    assert [dispatch.id for dispatch in claim.dispatches] == [id_of("dsp", 2)]
    [dead] = claim.expired
    assert (dead.state, dead.settled_at) == (State.DEAD, NOW + SECOND)
    assert dead.reason == (
        "older than send_within allows: it had to be sent before 2026-03-01T12:00:01Z"
    )
    assert await store.dispatch(dead.id) == dead


async def test_an_unsure_dispatch_that_is_too_old_says_that_it_may_have_been_sent(
    store: Store,
) -> None:
    dispatch = await put_in(store, State.UNSURE)
    [dead] = (await store.claim(dispatch.expires_at, 1, LEASE)).expired
    assert dead.reason.endswith("an earlier request may have reached GitHub")


async def test_an_attempt_is_kept_with_what_github_answered(store: Store) -> None:
    dispatch = await put_in(store, State.SENDING)
    attempt = Attempt(
        dispatch.id, 1, NOW, timedelta(microseconds=1234567), "failed", 422, "no", "AB:1"
    )
    dead = await store.settle(dispatch.id, attempt, Settlement(State.DEAD, "422: no"), NOW)
    assert dead == replace(dispatch, state=State.DEAD, reason="422: no", attempts=1, settled_at=NOW)
    assert await store.dispatch(dispatch.id) == dead
    assert await store.attempts(dispatch.id) == [attempt]


async def test_a_retry_waits_for_its_time_and_keeps_its_end(store: Store) -> None:
    dispatch = await put_in(store, State.SENDING)
    retry = Settlement(State.PENDING, "502", due_at=NOW + SECOND, retry_until=LATER)
    waiting = await store.settle(dispatch.id, attempted(dispatch), retry, NOW)
    assert (waiting.due_at, waiting.retry_until, waiting.settled_at) == (NOW + SECOND, LATER, None)
    assert (await store.claim(NOW, 1, LEASE)).dispatches == ()
    [again] = (await store.claim(NOW + SECOND, 1, LEASE)).dispatches
    assert (again.attempts, again.retry_until) == (1, LATER)
    accepted = await store.settle(
        again.id, attempted(again, 2), Settlement(State.ACCEPTED), NOW + SECOND
    )
    assert (accepted.attempts, accepted.retry_until) == (2, LATER)
    assert [attempt.number for attempt in await store.attempts(again.id)] == [1, 2]
    assert await store.next_due(NOW) is None


@pytest.mark.parametrize("found", list(State))
@pytest.mark.parametrize("wanted", list(State))
async def test_a_dispatch_moves_only_as_the_table_of_states_says(
    store: Store, found: State, wanted: State
) -> None:
    dispatch = await put_in(store, found)
    step = store.settle(dispatch.id, None, Settlement(wanted, due_at=LATER), NOW)
    if wanted in TRANSITIONS[found]:
        assert (await step).state is wanted
    else:
        with pytest.raises(StoreError, match=f"is {found} and cannot become {wanted}"):
            await step
        assert await store.dispatch(dispatch.id) == dispatch


async def test_a_refused_step_leaves_no_attempt_behind(store: Store) -> None:
    dispatch = await put_in(store, State.ACCEPTED)
    with pytest.raises(StoreError):
        await store.settle(dispatch.id, attempted(dispatch, 2), Settlement(State.DEAD), NOW)
    assert await store.attempts(dispatch.id) == []


async def test_an_unknown_dispatch_cannot_be_settled(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no dispatch dsp_x"):
        await store.settle("dsp_x", None, Settlement(State.DEAD), NOW)


async def test_what_was_claimed_and_not_sent_is_given_back_as_it_was_found(store: Store) -> None:
    event = delivered(1)
    fresh, unsure = owed(1, event), owed(2, event)
    await keep(store, fresh, unsure)
    await store.claim(NOW, 2, LEASE)
    await store.settle(unsure.id, None, Settlement(State.UNSURE, "timeout", due_at=NOW), NOW)
    await store.give_back([fresh.id], NOW)
    assert len((await store.claim(NOW, 2, LEASE)).dispatches) == 2
    await store.give_back([fresh.id, unsure.id, "dsp_x"], NOW + SECOND)
    assert {d.id: (d.state, d.due_at, d.attempts) for d in await store.dispatches(2)} == {
        fresh.id: (State.PENDING, NOW + SECOND, 0),
        unsure.id: (State.UNSURE, NOW + SECOND, 0),
    }
    assert len((await store.claim(NOW + SECOND, 2, LEASE)).dispatches) == 2


@pytest.mark.parametrize("state", [s for s in State if s is not State.SENDING])
async def test_only_what_is_claimed_can_be_given_back(store: Store, state: State) -> None:
    dispatch = await put_in(store, state)
    await store.give_back([dispatch.id], LATER)
    assert await store.dispatch(dispatch.id) == dispatch


async def test_what_a_dead_process_was_sending_is_unsure_at_the_next_start(store: Store) -> None:
    dispatch = await put_in(store, State.SENDING)
    assert await store.reclaim(NOW + SECOND) == 1
    assert await store.reclaim(NOW + SECOND) == 0
    stored = await store.dispatch(dispatch.id)
    assert stored is not None
    assert (stored.state, stored.due_at) == (State.UNSURE, NOW + SECOND)
    assert len((await store.claim(NOW + SECOND, 1, LEASE)).dispatches) == 1


@pytest.mark.parametrize("state", list(State))
async def test_a_dispatch_is_cancelled_where_that_is_possible(store: Store, state: State) -> None:
    dispatch = await put_in(store, state)
    possible = State.CANCELLED in TRANSITIONS[state]
    results = await store.cancel([dispatch.id, "dsp_x"], LATER, "not wanted")
    assert results == [(dispatch.id, State.CANCELLED if possible else state), ("dsp_x", None)]
    stored = await store.dispatch(dispatch.id)
    if possible:
        cancelled = replace(dispatch, state=State.CANCELLED, reason="not wanted", settled_at=LATER)
        assert stored == cancelled
        assert (await store.claim(LATER, 1, LEASE)).dispatches == ()
    else:
        assert stored == dispatch


async def test_a_replayed_dispatch_belongs_to_the_same_event(store: Store) -> None:
    dispatch = await put_in(store, State.DEAD)
    replay = replace(owed(2, delivered(1)), replay_of=dispatch.id)
    await store.add_dispatches([replay])
    assert (await store.claim(NOW, 10, LEASE)).dispatches == (replace(replay, state=State.SENDING),)
    [verdict] = (await store.verdicts([dispatch.event_id]))[dispatch.event_id]
    assert [d.id for d in verdict.dispatches] == [dispatch.id, replay.id]


async def test_a_dispatch_of_an_unknown_event_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=r"(?i)foreign key"):
        await store.add_dispatches([owed(1, delivered(1))])


async def test_the_next_time_to_look_is_now_when_something_is_overdue(store: Store) -> None:
    assert await store.next_due(NOW) is None
    await keep(store, owed(1, delivered(1)))
    assert await store.next_due(NOW - HOUR) == NOW
    assert await store.next_due(LATER) == LATER


async def test_the_oldest_that_waits_is_told_by_its_making(store: Store) -> None:
    assert await store.oldest_waiting() is None
    old, new = delivered(1, at=NOW - HOUR), delivered(2)
    for number, event in enumerate((old, new)):
        dispatch = owed(number, event, due_at=NOW - number * SECOND)
        await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (dispatch,))])
    assert await store.oldest_waiting() == old.at
    await store.cancel([id_of("dsp", 0, old.at)], NOW, "by hand")
    assert await store.oldest_waiting() == new.at


async def test_dead_and_held_dispatches_are_recorded_and_not_sent(store: Store) -> None:
    event = delivered(1)
    await keep(store, owed(1, event, state=State.DEAD), owed(2, event, state=State.HELD))
    assert (await store.claim(LATER, 10, LEASE)).dispatches == ()
    assert (await store.counts())[State.HELD] == 1
