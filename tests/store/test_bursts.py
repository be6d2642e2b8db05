"""Coalescing: of a burst of events the last one's dispatches go out, once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.dispatch import Settlement, State
from daemon.event import Burst, Event, Outcome, Verdict
from daemon.store import Store
from tests.store.samples import (
    DAY,
    LEASE,
    NOW,
    SECOND,
    attempted,
    delivered,
    dispatched,
    id_of,
    key,
    owed,
)

WINDOW = 30 * SECOND
BURST = Burst("main", WINDOW, max_wait=100 * SECOND)


def arriving(number: int, after: float, burst: Burst = BURST) -> tuple[Event, Verdict]:
    """An event so many seconds after `NOW`, with what it owes."""
    event = delivered(number, at=NOW + after * SECOND)
    return event, replace(dispatched(number, event), burst=burst)


async def record(store: Store, number: int, after: float, burst: Burst = BURST) -> Verdict:
    event, verdict = arriving(number, after, burst)
    [final] = await store.record(event, [verdict])
    return final


async def state(store: Store, number: int, after: float) -> State:
    dispatch = await store.dispatch(id_of("dsp", number, NOW + after * SECOND))
    assert dispatch is not None
    return dispatch.state


async def test_an_event_waits_for_the_end_of_its_window(store: Store) -> None:
    verdict = await record(store, 1, 0)
    assert verdict.outcome is Outcome.DISPATCHED
    assert [each.due_at for each in verdict.dispatches] == [NOW + WINDOW]
    assert (await store.claim(NOW + WINDOW - SECOND, 10, LEASE)).dispatches == ()
    [claimed] = (await store.claim(NOW + WINDOW, 10, LEASE)).dispatches
    assert claimed.id == verdict.dispatches[0].id


async def test_a_later_event_takes_the_place_of_the_one_before(store: Store) -> None:
    first, second = await record(store, 1, 0), await record(store, 2, 20)
    assert second.supersedes == (first.dispatches[0].id,)
    assert second.dispatches[0].due_at == NOW + 20 * SECOND + WINDOW
    before = await store.dispatch(first.dispatches[0].id)
    assert before is not None
    assert before.state is State.SUPERSEDED
    assert id_of("evt", 2, NOW + 20 * SECOND) in before.reason
    assert before.settled_at == NOW + 20 * SECOND
    claimed = (await store.claim(NOW + DAY / 2, 10, LEASE)).dispatches
    assert [each.id for each in claimed] == [second.dispatches[0].id]


async def test_no_burst_waits_longer_than_its_longest_wait(store: Store) -> None:
    due = [(await record(store, n, 20 * n)).dispatches[0].due_at for n in range(6)]
    assert due[:4] == [NOW + 20 * n * SECOND + WINDOW for n in range(4)]
    assert due[4:] == [NOW + BURST.max_wait] * 2


async def test_a_burst_that_is_overdue_goes_at_once_with_its_last_event(store: Store) -> None:
    """As after an outage, in which nothing was sent though its time had come. It keeps its place
    before those that were due later, so that a steady stream of events cannot hold it up."""
    await record(store, 1, 0)
    other = delivered(9, at=NOW + 300 * SECOND)
    await store.record(other, [dispatched(9, other, entry="other")])
    last = await record(store, 2, 500)
    assert last.dispatches[0].due_at == NOW + BURST.max_wait
    assert await state(store, 1, 0) is State.SUPERSEDED
    claimed = (await store.claim(NOW + 500 * SECOND, 1, LEASE)).dispatches
    assert [each.id for each in claimed] == [last.dispatches[0].id]


@pytest.mark.parametrize("fate", ["sending", "accepted", "retried", "cancelled"])
async def test_what_was_tried_or_cancelled_is_superseded_no_more(store: Store, fate: str) -> None:
    first = (await record(store, 1, 0)).dispatches[0]
    if fate == "cancelled":
        await store.cancel([first.id], NOW, "by hand")
    else:
        [claimed] = (await store.claim(NOW + WINDOW, 1, LEASE)).dispatches
        if fate != "sending":
            after = State.ACCEPTED if fate == "accepted" else State.PENDING
            outcome = Settlement(after, due_at=NOW + DAY / 2)
            await store.settle(claimed.id, attempted(claimed), outcome, NOW + WINDOW)
    before = await store.dispatch(first.id)
    second = await record(store, 2, 31)
    assert await store.dispatch(first.id) == before
    assert second.supersedes == ()
    assert second.dispatches[0].due_at == NOW + 31 * SECOND + WINDOW


async def test_each_key_and_each_entry_is_a_burst_of_its_own(store: Store) -> None:
    await record(store, 1, 0)
    other = await record(store, 2, 1, replace(BURST, key="dev"))
    event = delivered(3, at=NOW + 2 * SECOND)
    verdict = replace(dispatched(3, event, entry="another"), burst=BURST)
    [elsewhere] = await store.record(event, [verdict])
    assert other.supersedes == elsewhere.supersedes == ()
    assert await state(store, 1, 0) is State.PENDING


async def test_a_request_that_could_not_be_made_supersedes_none_that_could(store: Store) -> None:
    await record(store, 1, 0)
    event = delivered(2, at=NOW + SECOND)
    broken = Verdict(
        "push", Outcome.DISPATCHED, "", (owed(2, event, state=State.DEAD),), burst=BURST
    )
    [final] = await store.record(event, [broken])
    assert final.supersedes == ()
    assert await state(store, 1, 0) is State.PENDING


async def test_what_could_be_made_of_an_event_joins_its_burst_all_the_same(store: Store) -> None:
    await record(store, 1, 0)
    event = delivered(2, at=NOW + SECOND)
    dead, good = owed(2, event, state=State.DEAD), owed(3, event)
    mixed = Verdict("push", Outcome.DISPATCHED, "", (dead, good), burst=BURST)
    [final] = await store.record(event, [mixed])
    assert final.supersedes == (id_of("dsp", 1),)
    assert final.dispatches[0] == dead
    assert final.dispatches[1].due_at == NOW + SECOND + WINDOW
    last = await record(store, 4, 2)
    assert last.supersedes == (good.id,)


async def test_the_rest_of_an_event_is_superseded_where_one_dispatch_was_cancelled(
    store: Store,
) -> None:
    event = delivered(1)
    two = Verdict("push", Outcome.DISPATCHED, "", (owed(1, event), owed(2, event)), burst=BURST)
    await store.record(event, [two])
    await store.cancel([id_of("dsp", 1)], NOW, "by hand")
    final = await record(store, 3, 5)
    assert final.supersedes == (id_of("dsp", 2),)


async def test_a_duplicate_supersedes_nothing(store: Store) -> None:
    event, verdict = arriving(1, 0)
    await store.record(event, [replace(verdict, dedupe=key("k"))])
    again, repeated = arriving(2, 1)
    [final] = await store.record(again, [replace(repeated, dedupe=key("k"))])
    assert final.outcome is Outcome.DUPLICATE
    assert await state(store, 1, 0) is State.PENDING


async def test_a_superseded_event_is_still_the_first_of_its_kind(store: Store) -> None:
    """Its sender's repetition is a duplicate: what it asked for goes out with the last one."""
    event, verdict = arriving(1, 0)
    await store.record(event, [replace(verdict, dedupe=key("k"))])
    await record(store, 2, 1)
    again, repeated = arriving(3, 2)
    [final] = await store.record(again, [replace(repeated, dedupe=key("k"))])
    assert final.duplicate_of == event.id


async def test_events_of_one_commit_are_a_burst_as_well(store: Store) -> None:
    """Recorded at once they are written together: all but the last are superseded."""
    finals = await asyncio.gather(*(record(store, n, n / 10) for n in range(8)))
    states = [await state(store, n, n / 10) for n in range(8)]
    assert states == [State.SUPERSEDED] * 7 + [State.PENDING]
    assert [final.supersedes for final in finals[1:]] == [
        (id_of("dsp", n, NOW + n / 10 * SECOND),) for n in range(7)
    ]


async def test_all_dispatches_of_an_event_are_superseded_together(store: Store) -> None:
    event = delivered(1)
    two = Verdict("push", Outcome.DISPATCHED, "", (owed(1, event), owed(2, event)), burst=BURST)
    await store.record(event, [two])
    final = await record(store, 3, 5)
    assert final.supersedes == (id_of("dsp", 1), id_of("dsp", 2))


async def test_a_restart_in_the_middle_of_a_burst_changes_nothing(
    store_url: str,
) -> None:
    if store_url == "sqlite://":
        pytest.skip("a database in memory does not outlive its process")
    before = Store.open(store_url, owner="before", now=NOW)
    await record(before, 1, 0)
    await record(before, 2, 80)
    await before.close()
    after = Store.open(store_url, owner="after", now=NOW)
    last = await record(after, 3, 90)
    assert last.supersedes == (id_of("dsp", 2, NOW + 80 * SECOND),)
    assert last.dispatches[0].due_at == NOW + BURST.max_wait
    await after.close()


async def test_a_step_of_the_clock_neither_ends_nor_lengthens_a_burst(store: Store) -> None:
    from daemon.clockwatch import Step

    await record(store, 1, 0)
    step = Step(by=timedelta(hours=1), within=timedelta(0))
    await store.follow_clock(NOW + 3600 * SECOND + 20 * SECOND, step)
    second = await record(store, 2, 3600 + 20)
    assert second.supersedes == (id_of("dsp", 1),)
    third = await record(store, 3, 3600 + 95)
    assert third.dispatches[0].due_at == NOW + timedelta(hours=1) + BURST.max_wait


def expected(times: list[int]) -> list[tuple[int, datetime]]:
    """Which event goes out when, by the rule: an event belongs to the burst before it while that
    was not sent."""
    sent: list[tuple[int, datetime]] = []
    started: datetime | None = None
    due = NOW
    for number, after in enumerate(times):
        at = NOW + after * SECOND
        if started is not None and at >= due:
            sent.append((number - 1, due))
            started = None
        started = started or at
        due = min(at + WINDOW, started + BURST.max_wait)
    return [*sent, (len(times) - 1, due)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_of_every_burst_the_last_event_goes_out_at_its_end_and_no_other(gaps: list[int]) -> None:
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]

    async def run() -> list[tuple[int, datetime]]:
        store = Store.open("sqlite://", owner="tests", now=NOW)
        sent: list[tuple[int, datetime]] = []

        async def send_until(now: datetime) -> None:
            while (due := await store.next_due(NOW - DAY)) is not None and due <= now:
                for each in (await store.claim(due, 10, LEASE)).dispatches:
                    number = next(n for n, t in enumerate(times) if each.id == _dispatch(n, t))
                    sent.append((number, due))
                    settled = Settlement(State.ACCEPTED)
                    await store.settle(each.id, attempted(each), settled, due)

        for number, after in enumerate(times):
            await send_until(NOW + after * SECOND)
            await record(store, number, after)
        await send_until(NOW + DAY / 2)
        await store.close()
        return sent

    assert asyncio.run(run()) == expected(times)


def _dispatch(number: int, after: int) -> str:
    return id_of("dsp", number, NOW + after * SECOND)
