"""Pauses: what is held while an entry rests, and how it goes on after that."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from daemon.dispatch import Dispatch, Settlement, State
from daemon.event import Burst, Event, Firing, Outcome, Pause, RateLimit, Verdict
from daemon.judge import hold
from daemon.store import Store
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    SECOND,
    attempted,
    delivered,
    dispatched,
    fired,
    owed,
)

PAUSE = Pause("push", NOW, "alice", "the runners move")
TOLD = "paused by alice since 2026-03-01T12:00:00Z (the runners move)"


async def deliver(store: Store, number: int, *, age: timedelta = timedelta()) -> Dispatch:
    event = delivered(number, at=NOW - age)
    (verdict,) = await store.record(event, [dispatched(number, event)])
    return verdict.dispatches[0]


async def states(store: Store) -> list[State]:
    return [dispatch.state for dispatch in reversed(await store.dispatches(20))]


async def resume(store: Store, at: datetime) -> int:
    """How many dispatches go."""
    await store.resume(["push"], at)
    released = 0
    while some := await store.release(at, 2):
        assert set(some) == {"push"}
        released += some["push"]
    return released


async def test_a_pause_is_kept_with_who_wanted_it_and_why(store: Store) -> None:
    assert await store.pause([PAUSE]) == [PAUSE]
    assert await store.pauses() == {"push": PAUSE}
    await store.resume(["push"], NOW)
    assert await store.pauses() == {}


async def test_the_first_pause_stands(store: Store) -> None:
    await store.pause([PAUSE])
    other = replace(PAUSE, entry="other")
    assert await store.pause([Pause("push", NOW + HOUR, "bob", ""), other]) == [PAUSE, other]
    assert await store.pauses() == {"push": PAUSE, "other": other}


async def test_after_a_resume_another_pause_may_come(store: Store) -> None:
    await store.pause([PAUSE])
    await store.resume(["push"], NOW)
    again = Pause("push", NOW + HOUR, "bob", "")
    assert await store.pause([again]) == [again]
    assert await store.release(NOW + HOUR, 10) == {}
    assert await store.pauses() == {"push": again}


async def test_what_waits_is_held_some_at_a_time_and_then_nothing_of_it_is_sent(
    store: Store,
) -> None:
    for number in range(3):
        await deliver(store, number)
    event = delivered(9)
    await store.record(event, [dispatched(9, event, entry="other")])
    await store.pause([PAUSE])
    assert [await store.hold(2) for _ in range(3)] == [2, 1, 0]
    assert await states(store) == [State.HELD] * 3 + [State.PENDING]
    assert {each.reason for each in await store.dispatches(9, entry="push")} == {TOLD}
    claim = await store.claim(NOW + HOUR, 10, LEASE)
    assert [each.entry for each in claim.dispatches] == ["other"]


async def test_what_is_let_go_is_sent_in_its_old_order_and_its_time_begins_where_it_stopped(
    store: Store,
) -> None:
    """A weekend's deliveries are not dead on Monday: they were not to be sent before."""
    for number in range(3):
        await deliver(store, number)
    await store.pause([PAUSE])
    await store.hold(10)
    monday = NOW + 3 * DAY
    assert await resume(store, monday) == 3
    claim = await store.claim(monday, 10, LEASE)
    assert claim.expired == ()
    assert [each.id for each in claim.dispatches] == [
        owed(number, delivered(number)).id for number in range(3)
    ]
    assert {each.expires_at for each in claim.dispatches} == {monday + DAY}
    assert {each.reason for each in claim.dispatches} == {""}


@pytest.mark.parametrize("age", [timedelta(), HOUR])
async def test_pauses_add_up_to_no_more_than_they_took(store: Store, age: timedelta) -> None:
    dispatch = await deliver(store, 1, age=age)
    await store.claim(NOW, 10, LEASE)
    failed = Settlement(State.PENDING, "502", due_at=NOW + DAY, retry_until=NOW + DAY)
    await store.settle(dispatch.id, attempted(dispatch, outcome="failed"), failed, NOW)
    for start in range(3):
        await store.pause([replace(PAUSE, since=NOW + start * 3 * DAY)])
        await store.hold(10)
        await resume(store, NOW + (start * 3 + 2) * DAY)
    found = await store.dispatch(dispatch.id)
    assert found is not None
    assert found.expires_at == NOW - age + DAY + 6 * DAY
    assert found.retry_until == NOW + DAY + 6 * DAY


async def test_a_firing_is_as_old_as_its_instant(store: Store) -> None:
    """A nightly build that was held on Friday is not sent on Monday."""
    event = fired(1, "push", NOW)
    await store.record(event, [dispatched(1, event)])
    await store.pause([PAUSE])
    await store.hold(10)
    assert await resume(store, NOW + 3 * DAY) == 1
    claim = await store.claim(NOW + 3 * DAY, 10, LEASE)
    assert [each.state for each in claim.expired] == [State.DEAD]


async def test_what_fails_while_its_entry_rests_is_held_and_not_tried_again(
    store: Store,
) -> None:
    dispatch = await deliver(store, 1)
    await store.claim(NOW, 10, LEASE)
    await store.pause([PAUSE])
    assert await store.hold(10) == 0  # it is on its way
    settlement = Settlement(State.PENDING, "GitHub answered 502", due_at=NOW + SECOND)
    settled = await store.settle(
        dispatch.id, attempted(dispatch, outcome="failed"), settlement, NOW
    )
    assert (settled.state, settled.reason) == (State.HELD, f"{TOLD}; before: GitHub answered 502")
    assert (await store.claim(NOW + HOUR, 10, LEASE)).dispatches == ()
    await resume(store, NOW + HOUR)
    (again,) = (await store.claim(NOW + HOUR, 10, LEASE)).dispatches
    assert again.attempts == 1


async def test_what_is_given_back_while_its_entry_rests_is_held(store: Store) -> None:
    paused, other = await deliver(store, 1), delivered(2)
    await store.record(other, [dispatched(2, other, entry="other")])
    claim = await store.claim(NOW, 10, LEASE)
    await store.pause([PAUSE])
    await store.give_back([each.id for each in claim.dispatches], NOW)
    assert await states(store) == [State.HELD, State.PENDING]
    found = await store.dispatch(paused.id)
    assert found is not None
    assert found.reason.startswith("paused by alice")


async def test_what_is_held_can_be_cancelled(store: Store) -> None:
    dispatch = await deliver(store, 1)
    await store.pause([PAUSE])
    await store.hold(10)
    assert await store.cancel([dispatch.id], NOW, "by hand") == [(dispatch.id, State.CANCELLED)]
    assert await resume(store, NOW) == 0


async def test_what_somebody_asked_for_is_never_held(store: Store) -> None:
    """Fired or replayed while the entry rests, or before that and put off: it goes out."""
    by_hand = Event(delivered(1).id, Firing("push", NOW, NOW, by_hand=True))
    again = replace(delivered(2), replay_of="evt_1")
    for number, event in ((1, by_hand), (2, again)):
        await store.record(event, [dispatched(number, event)])
    original = delivered(3)
    (verdict,) = await store.record(original, [dispatched(3, original)])
    (sent,) = (await store.claim(NOW, 1, LEASE)).dispatches[:1]
    await store.add_dispatches(
        [replace(verdict.dispatches[0], id=sent.id[:-1] + "z", replay_of=sent.id)]
    )
    await store.pause([PAUSE])
    assert await store.hold(10) == 1
    found = {each.event_id: each.state for each in await store.dispatches(9, states=[State.HELD])}
    assert list(found) == [original.id]
    failed = Settlement(State.PENDING, "502", due_at=NOW)
    settled = await store.settle(sent.id, attempted(sent, outcome="failed"), failed, NOW)
    assert settled.state is State.PENDING


def held(number: int, **keys: object) -> Verdict:
    event = delivered(number, at=NOW + number * SECOND)
    return replace(hold(dispatched(number, event), PAUSE), **keys)


async def test_a_delivery_that_is_held_says_so_and_keeps_its_place(store: Store) -> None:
    verdict = held(1)
    assert (verdict.outcome, verdict.reason) == (Outcome.HELD, TOLD)
    await store.pause([PAUSE])
    await store.record(delivered(1, at=NOW + SECOND), [verdict])
    assert await states(store) == [State.HELD]
    assert await store.next_due(NOW) is None
    assert await resume(store, NOW + HOUR) == 1
    assert len((await store.claim(NOW + HOUR, 10, LEASE)).dispatches) == 1


async def test_what_is_held_counts_towards_a_rate_limit(store: Store) -> None:
    """Else all of a flood would go out at the resume."""
    limit = RateLimit("", 1, HOUR)
    outcomes = []
    for number in (1, 2):
        event = delivered(number, at=NOW + number * SECOND)
        (verdict,) = await store.record(event, [held(number, limit=limit)])
        outcomes.append(verdict.outcome)
    assert outcomes == [Outcome.HELD, Outcome.LIMITED]


async def test_of_a_burst_that_is_held_only_the_last_is_left(store: Store) -> None:
    """However long the pause: what was to be dispatched once is dispatched once."""
    burst = Burst("", 10 * SECOND, HOUR)
    for number in (1, 2, 3):
        event = delivered(number, at=NOW + number * SECOND)
        await store.record(event, [held(number, burst=burst)])
    assert await states(store) == [State.SUPERSEDED, State.SUPERSEDED, State.HELD]
    await store.pause([PAUSE])
    await resume(store, NOW + DAY)
    claim = await store.claim(NOW + DAY, 10, LEASE)
    assert [each.event_id for each in claim.dispatches] == [delivered(3, at=NOW + 3 * SECOND).id]


async def test_a_verdict_that_owes_nothing_is_not_held() -> None:
    unmatched = Verdict("push", Outcome.UNMATCHED, "its `when` is false")
    assert hold(unmatched, PAUSE) == unmatched
