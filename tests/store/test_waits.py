"""What waits for a time, when the wall clock is set: now, or before the last start."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from daemon.clockwatch import Step
from daemon.dispatch import Dispatch, Settlement, State
from daemon.event import Outcome, Verdict
from daemon.store import Store
from tests.store.samples import DAY, HOUR, LEASE, NOW, SECOND, attempted, delivered, owed

MINUTE = timedelta(minutes=1)
WITHIN = 5 * SECOND
WAIT = 10 * MINUTE


async def owe(
    store: Store, number: int, *, at: datetime, expires_at: datetime | None = None
) -> Dispatch:
    event = delivered(number, at=at)
    dispatch = owed(number, event, expires_at=expires_at)
    await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (dispatch,))])
    return dispatch


async def found(store: Store, dispatch: Dispatch) -> Dispatch:
    stored = await store.dispatch(dispatch.id)
    assert stored is not None
    return stored


async def retried(store: Store, dispatch: Dispatch, *, at: datetime, wait: timedelta) -> Dispatch:
    """The dispatch after a first try that failed ``at`` that time."""
    await store.claim(at, 1, LEASE)
    attempt = replace(attempted(dispatch), started_at=at)
    settlement = Settlement(State.PENDING, "503", due_at=at + wait, retry_until=at + DAY)
    return await store.settle(dispatch.id, attempt, settlement, at)


def moved(dispatch: Dispatch, by: timedelta) -> Dispatch:
    return replace(
        dispatch,
        created_at=dispatch.created_at + by,
        due_at=dispatch.due_at + by,
        expires_at=dispatch.expires_at + by,
        retry_until=dispatch.retry_until and dispatch.retry_until + by,
        sent_at=dispatch.sent_at and dispatch.sent_at + by,
    )


@pytest.mark.parametrize("by", [HOUR, -HOUR])
async def test_what_is_unfinished_moves_with_the_clock(store: Store, by: timedelta) -> None:
    """What was due is due, what waits for a retry goes on waiting for as long, and until when they
    may be sent moves too: a step is no time that passed."""
    made = NOW - 2 * MINUTE
    throttled = await owe(store, 1, at=made)
    throttled = await retried(store, throttled, at=made, wait=WAIT)
    due = await owe(store, 2, at=made, expires_at=made + WAIT)
    now = NOW + by
    await store.follow_clock(now, Step(by, WITHIN))
    assert await found(store, throttled) == moved(throttled, by)
    assert await found(store, due) == moved(due, by)
    assert [each.started_at for each in await store.attempts(throttled.id)] == [made + by]
    claim = await store.claim(now, 10, LEASE)
    assert [dispatch.id for dispatch in claim.dispatches] == [due.id]
    assert not claim.expired
    later = made + WAIT + by
    assert await store.next_due(now) == min(now + LEASE, later)
    assert throttled.id in [each.id for each in (await store.claim(later, 10, LEASE)).dispatches]


async def test_a_lease_moves_with_the_clock(store: Store) -> None:
    dispatch = await owe(store, 1, at=NOW - MINUTE)
    await store.claim(NOW, 1, LEASE)
    await store.follow_clock(NOW + HOUR, Step(HOUR, WITHIN))
    assert await store.next_due(NOW + HOUR) == NOW + HOUR + LEASE
    assert (await store.claim(NOW + HOUR, 1, LEASE)).dispatches == ()
    assert (await found(store, dispatch)).state is State.SENDING


async def test_what_was_perhaps_made_after_the_step_is_left_as_it_is(store: Store) -> None:
    """Its times are by the new clock already: moved back, it would be too old at once."""
    now = NOW - HOUR
    new = [
        await owe(store, 1, at=now - WITHIN, expires_at=now + WAIT),
        await owe(store, 2, at=now + SECOND, expires_at=now + WAIT),
    ]
    old = await owe(store, 3, at=now - 2 * WITHIN)
    await store.follow_clock(now, Step(-HOUR, WITHIN))
    assert [await found(store, dispatch) for dispatch in new] == new
    assert await found(store, old) == moved(old, -HOUR)


@pytest.mark.parametrize("state", [State.ACCEPTED, State.DEAD])
async def test_what_is_finished_does_not_move(store: Store, state: State) -> None:
    dispatch = await owe(store, 1, at=NOW - MINUTE)
    await store.claim(NOW, 1, LEASE)
    attempt = attempted(dispatch)
    settled = await store.settle(dispatch.id, attempt, Settlement(state), NOW)
    await store.follow_clock(NOW + HOUR, Step(HOUR, WITHIN))
    assert await found(store, dispatch) == settled
    assert await store.attempts(dispatch.id) == [attempt]
    assert await store.next_due(NOW + DAY) is None


async def test_what_began_to_wait_while_the_clock_was_ahead_waits_from_now_on(
    store: Store,
) -> None:
    """The last life's clock was ten years ahead. What it made is due now, what it tried waits for
    the rest, and neither may be sent for ten years."""
    ahead = NOW + 3650 * DAY
    fresh = await owe(store, 1, at=ahead)
    tried = await owe(store, 2, at=ahead - MINUTE)
    tried = await retried(store, tried, at=ahead, wait=WAIT)
    assert await store.rewind_waits(NOW) == 2
    assert await found(store, fresh) == moved(fresh, NOW - ahead)
    assert await found(store, tried) == moved(tried, NOW - ahead)
    assert [each.started_at for each in await store.attempts(tried.id)] == [NOW]
    assert await store.rewind_waits(NOW + SECOND) == 0


async def test_what_was_in_flight_while_the_clock_was_ahead_may_be_reclaimed(store: Store) -> None:
    dispatch = await owe(store, 1, at=NOW + HOUR)
    await store.claim(NOW + HOUR, 1, LEASE)
    assert await store.rewind_waits(NOW) == 1
    assert await store.reclaim(NOW) == 1
    left = await found(store, dispatch)
    assert (left.state, left.due_at, left.expires_at) == (State.UNSURE, NOW, NOW + DAY)


async def test_a_run_is_looked_for_though_its_dispatch_was_sent_while_the_clock_was_ahead(
    store: Store,
) -> None:
    ahead = NOW + 3650 * DAY
    dispatch = await owe(store, 1, at=ahead)
    await store.claim(ahead, 1, LEASE)
    await store.settle(dispatch.id, None, Settlement(State.ACCEPTED, sent_at=ahead), ahead)
    await store.rewind_waits(NOW)
    (pending,) = await store.looked_for(dispatch.repository, 10)
    assert (pending.look_at, pending.dispatch.sent_at) == (NOW, NOW)


async def test_a_wait_that_began_by_the_right_clock_stays(store: Store) -> None:
    """GitHub may impose an hour; and a clock may be a little off."""
    throttled = await retried(store, await owe(store, 1, at=NOW - MINUTE), at=NOW, wait=HOUR)
    soon = await owe(store, 2, at=NOW + 50 * SECOND)
    assert await store.rewind_waits(NOW + SECOND) == 0
    assert await found(store, throttled) == throttled
    assert await found(store, soon) == soon


async def test_what_moved_with_the_clock_does_not_move_again_at_the_next_start(
    store: Store,
) -> None:
    """Though it waits for longer than the clock was set back."""
    back = -WAIT / 2
    dispatch = await retried(store, await owe(store, 1, at=NOW), at=NOW, wait=WAIT)
    await store.follow_clock(NOW + back, Step(back, WITHIN))
    assert await store.rewind_waits(NOW + back) == 0
    assert await found(store, dispatch) == moved(dispatch, back)
