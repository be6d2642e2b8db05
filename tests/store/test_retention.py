"""What `prune` deletes by age, and what it must leave."""

from __future__ import annotations

import pytest

from daemon.binding import Judgement
from daemon.dispatch import Settlement, State
from daemon.event import Due, Missed, Outcome, Verdict
from daemon.run import Match
from daemon.store import Store
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    attempted,
    delivered,
    dispatched,
    id_of,
    key,
    owed,
)

LONG_AGO = NOW - 40 * DAY
LIMIT = NOW - 30 * DAY


async def test_an_old_event_goes_with_all_that_hangs_on_it(store: Store) -> None:
    event = delivered(1, at=LONG_AGO)
    await store.record(event, [dispatched(1, event, dedupe=key("k", until=LONG_AGO + DAY))])
    [dispatch] = (await store.claim(LONG_AGO, 1, LEASE)).dispatches
    await store.settle(dispatch.id, attempted(dispatch), Settlement(State.ACCEPTED), LONG_AGO)
    assert await store.prune(LIMIT, 100) == 1  # the key: its run is still looked for
    await store.judge_runs([Judgement(dispatch.id, Match.MISSING)], LONG_AGO)
    assert await store.prune(LIMIT, 100) == 1  # the event
    assert await store.event(event.id) is None
    assert await store.verdicts([event.id]) == {event.id: ()}
    assert await store.dispatch(dispatch.id) is None
    assert await store.attempts(dispatch.id) == []
    assert await store.prune(LIMIT, 100) == 0


@pytest.mark.parametrize("state", [state for state in State if not state.final])
async def test_an_old_event_stays_while_it_owes_something(store: Store, state: State) -> None:
    event = delivered(1, at=LONG_AGO)
    kept = owed(1, event, state=State.HELD if state is State.HELD else State.PENDING)
    done = owed(2, event, state=State.DEAD)
    await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (kept, done))])
    if state in (State.SENDING, State.UNSURE):
        await store.claim(LONG_AGO, 1, LEASE)
    if state is State.UNSURE:
        await store.reclaim(LONG_AGO)
    assert await store.prune(LIMIT, 100) == 0
    assert await store.event(event.id) == event


async def test_an_event_stays_for_as_long_as_a_sticky_key_leads_to_it(store: Store) -> None:
    """Who repeats a call under its key is answered from what became of the first, though all of
    that is older than the retention."""
    for number, sticky in ((1, True), (2, False)):
        event = delivered(number, at=LONG_AGO)
        promise = key(f"k{number}", until=LIMIT, sticky=sticky)
        done = owed(number, event, state=State.DEAD)
        await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (done,), promise)])
    assert await store.prune(LIMIT, 100) == 1
    assert [event.id for event in await store.events(10)] == [id_of("evt", 1, LONG_AGO)]
    assert await store.prune(LIMIT + HOUR, 100) == 3  # what is left, and both keys
    assert await store.events(10) == []


async def test_what_is_young_enough_stays(store: Store) -> None:
    event = delivered(1, at=LIMIT)
    await store.record(
        event,
        [Verdict("push", Outcome.HELD, dedupe=key("k", until=LIMIT))],
    )
    await store.account([Due("nightly", LIMIT, missed=(Missed(LIMIT, LIMIT, "late"),))], [])
    assert await store.prune(LIMIT, 100) == 0


async def test_old_rows_go_a_few_at_a_time_oldest_first(store: Store) -> None:
    """One that must stay is not in the way of the others."""
    for number in range(5):
        event = delivered(number, at=LONG_AGO + number * HOUR)
        state = State.HELD if number == 0 else State.DEAD
        verdict = Verdict("push", Outcome.DISPATCHED, "", (owed(number, event, state=state),))
        await store.record(event, [verdict])
    assert [await store.prune(LIMIT, 2) for _ in range(3)] == [2, 2, 0]
    assert [event.id for event in await store.events(10)] == [id_of("evt", 0, LONG_AGO)]


async def test_old_instants_and_expired_keys_go_a_few_at_a_time(store: Store) -> None:
    event = delivered(1)
    verdicts = [
        Verdict(f"e{number}", Outcome.HELD, dedupe=key("k", until=LONG_AGO)) for number in range(3)
    ]
    await store.record(event, verdicts)
    missed = tuple(
        Missed(LONG_AGO + number * HOUR, LONG_AGO + number * HOUR, "late") for number in range(3)
    )
    await store.account([Due("nightly", NOW, missed=missed)], [])
    assert [await store.prune(LIMIT, 2) for _ in range(3)] == [4, 2, 0]
    assert await store.firings(10) == []
    assert await store.event(event.id) == event
