"""Rate limits: how many events are admitted in any span, and what the next one hears."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.clockwatch import Step
from daemon.dispatch import State
from daemon.event import Outcome, RateLimit, Verdict
from daemon.store import Store
from tests.store.samples import (
    DAY,
    HOUR,
    NOW,
    SECOND,
    delivered,
    dispatched,
    key,
    owed,
    prune,
)

MINUTE = timedelta(minutes=1)
LIMIT = RateLimit("", 3, MINUTE)


async def record(
    store: Store, number: int, after: float, limit: RateLimit = LIMIT, *, entry: str = "push"
) -> Verdict:
    event = delivered(number, at=NOW + after * SECOND)
    verdict = replace(dispatched(number, event, entry=entry), limit=limit)
    [final] = await store.record(event, [verdict])
    return final


async def test_one_above_the_limit_is_limited_and_owes_nothing(store: Store) -> None:
    taken = [await record(store, n, 10 * n) for n in range(3)]
    assert {verdict.outcome for verdict in taken} == {Outcome.DISPATCHED}
    over = await record(store, 3, 25)
    assert over.outcome is Outcome.LIMITED
    assert over.dispatches == ()
    assert over.retry_at == NOW + MINUTE  # when the first leaves the span
    assert "3" in over.reason
    assert (await store.verdicts([delivered(3, at=NOW + 25 * SECOND).id])).popitem()[1][
        0
    ].outcome is Outcome.LIMITED


async def test_there_is_room_again_when_the_oldest_has_left_the_span(store: Store) -> None:
    for n in range(3):
        await record(store, n, 10 * n)
    assert (await record(store, 3, 59.9)).outcome is Outcome.LIMITED
    assert (await record(store, 4, 60)).outcome is Outcome.DISPATCHED
    late = await record(store, 5, 61)
    assert late.outcome is Outcome.LIMITED
    assert late.retry_at == NOW + 10 * SECOND + MINUTE


async def test_what_was_limited_takes_no_room(store: Store) -> None:
    for n in range(3):
        await record(store, n, 0)
    for n in range(3, 50):
        assert (await record(store, n, n)).outcome is Outcome.LIMITED
    assert (await record(store, 50, 60)).outcome is Outcome.DISPATCHED


async def test_each_key_and_each_entry_has_a_limit_of_its_own(store: Store) -> None:
    for n in range(3):
        await record(store, n, 0)
    assert (await record(store, 3, 1, replace(LIMIT, key="b"))).outcome is Outcome.DISPATCHED
    assert (await record(store, 4, 1, entry="other")).outcome is Outcome.DISPATCHED
    assert (await record(store, 5, 1)).outcome is Outcome.LIMITED


async def test_a_limited_delivery_may_be_sent_again_under_the_same_key(store: Store) -> None:
    """It does not count as the first: its sender heard that it may try again."""
    one = replace(LIMIT, max=1)
    await record(store, 1, 0, one)
    for number, after, outcome in ((2, 1, Outcome.LIMITED), (3, 61, Outcome.DISPATCHED)):
        event = delivered(number, at=NOW + after * SECOND)
        verdict = replace(dispatched(number, event, dedupe=key("k")), limit=one)
        [final] = await store.record(event, [verdict])
        assert final.outcome is outcome


async def test_what_could_not_be_made_takes_no_room(store: Store) -> None:
    """Its entry is mended, and its sender's next try is not answered 429."""
    one = replace(LIMIT, max=1)
    event = delivered(1)
    dead = owed(1, event, state=State.DEAD)
    await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (dead,), limit=one)])
    assert (await record(store, 2, 1, one)).outcome is Outcome.DISPATCHED


async def test_a_duplicate_takes_no_room(store: Store) -> None:
    for number in range(5):
        event = delivered(number)
        verdict = replace(dispatched(number, event, dedupe=key("k")), limit=LIMIT)
        await store.record(event, [verdict])
    assert (await record(store, 7, 1)).outcome is Outcome.DISPATCHED
    assert (await record(store, 8, 1)).outcome is Outcome.DISPATCHED
    assert (await record(store, 9, 1)).outcome is Outcome.LIMITED


async def test_a_restart_in_the_middle_of_a_span_changes_nothing(store_url: str) -> None:
    if store_url == "sqlite://":
        pytest.skip("a database in memory does not outlive its process")
    before = Store.open(store_url, owner="before", now=NOW)
    for n in range(3):
        await record(before, n, n)
    await before.close()
    after = Store.open(store_url, owner="after", now=NOW)
    assert (await record(after, 3, 30)).outcome is Outcome.LIMITED
    await after.close()


async def test_a_step_of_the_clock_neither_frees_room_nor_takes_it(store: Store) -> None:
    for n in range(3):
        await record(store, n, 0)
    await store.follow_clock(NOW + HOUR + 10 * SECOND, Step(by=HOUR, within=timedelta(0)))
    assert (await record(store, 3, 3600 + 50)).outcome is Outcome.LIMITED
    assert (await record(store, 4, 3600 + 60)).outcome is Outcome.DISPATCHED


async def test_admissions_under_a_wrong_clock_are_forgotten_at_the_next_start(
    store: Store,
) -> None:
    for n in range(3):
        await record(store, n, 2 * 86400)
    assert (await record(store, 3, 0)).outcome is Outcome.LIMITED
    await store.rewind_waits(NOW)
    assert (await record(store, 4, 0)).outcome is Outcome.DISPATCHED


async def test_old_admissions_and_bursts_are_pruned(store: Store) -> None:
    for n in range(3):
        await record(store, n, 0)
    pruned = await prune(store, NOW + DAY, 100)
    assert pruned == 3  # the admissions; the events still owe their dispatches
    assert await prune(store, NOW + DAY, 100) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 5))
def test_no_span_ever_holds_more_than_the_limit_and_none_is_refused_without_need(
    gaps: list[int], most: int
) -> None:
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]

    async def run() -> list[bool]:
        store = Store.open("sqlite://", owner="tests", now=NOW)
        finals = [
            await record(store, n, t, RateLimit("k", most, MINUTE)) for n, t in enumerate(times)
        ]
        await store.close()
        return [final.outcome is Outcome.DISPATCHED for final in finals]

    admitted: list[int] = []
    for time, taken in zip(times, asyncio.run(run()), strict=True):
        recent = [t for t in admitted if t > time - 60]
        assert taken == (len(recent) < most)
        if taken:
            admitted.append(time)
