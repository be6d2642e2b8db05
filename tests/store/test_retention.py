"""What is deleted by age, what must be left, and what the disk gets back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from daemon.binding import Judgement
from daemon.dispatch import Settlement, State
from daemon.event import Due, Missed, Outcome, RateLimit, Verdict
from daemon.ports import Horizons
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
    prune,
)

LONG_AGO = NOW - 40 * DAY
LIMIT = NOW - 30 * DAY


async def test_an_old_event_goes_with_all_that_hangs_on_it(store: Store) -> None:
    event = delivered(1, at=LONG_AGO)
    await store.record(event, [dispatched(1, event, dedupe=key("k", until=LONG_AGO + DAY))])
    [dispatch] = (await store.claim(LONG_AGO, 1, LEASE)).dispatches
    await store.settle(dispatch.id, attempted(dispatch), Settlement(State.ACCEPTED), LONG_AGO)
    assert await prune(store, LIMIT, 100) == 1  # the key: its run is still looked for
    await store.judge_runs([Judgement(dispatch.id, Match.MISSING)], LONG_AGO)
    assert await prune(store, LIMIT, 100) == 1  # the event
    assert await store.event(event.id) is None
    assert await store.verdicts([event.id]) == {event.id: ()}
    assert await store.dispatch(dispatch.id) is None
    assert await store.attempts(dispatch.id) == []
    assert await prune(store, LIMIT, 100) == 0


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
    assert await prune(store, LIMIT, 100) == 0
    assert await store.event(event.id) == event


async def test_an_event_stays_for_as_long_as_a_sticky_key_leads_to_it(store: Store) -> None:
    """Who repeats a call under its key is answered from what became of the first, though all of
    that is older than the retention."""
    for number, sticky in ((1, True), (2, False)):
        event = delivered(number, at=LONG_AGO)
        promise = key(f"k{number}", until=LIMIT, sticky=sticky)
        done = owed(number, event, state=State.DEAD)
        await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (done,), promise)])
    assert await prune(store, LIMIT, 100) == 1
    assert [event.id for event in await store.events(10)] == [id_of("evt", 1, LONG_AGO)]
    assert await prune(store, LIMIT + HOUR, 100) == 3  # what is left, and both keys
    assert await store.events(10) == []


async def test_what_is_young_enough_stays(store: Store) -> None:
    event = delivered(1, at=LIMIT)
    await store.record(
        event,
        [Verdict("push", Outcome.HELD, dedupe=key("k", until=LIMIT))],
    )
    await store.account([Due("nightly", LIMIT, missed=(Missed(LIMIT, LIMIT, "late"),))], [])
    assert await prune(store, LIMIT, 100) == 0


async def test_old_rows_go_a_few_at_a_time_oldest_first(store: Store) -> None:
    """One that must stay is not in the way of the others."""
    for number in range(5):
        event = delivered(number, at=LONG_AGO + number * HOUR)
        state = State.HELD if number == 0 else State.DEAD
        verdict = Verdict("push", Outcome.DISPATCHED, "", (owed(number, event, state=state),))
        await store.record(event, [verdict])
    assert [await prune(store, LIMIT, 2) for _ in range(3)] == [2, 2, 0]
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
    assert [await prune(store, LIMIT, 2) for _ in range(3)] == [4, 2, 0]
    assert await store.firings(10) == []
    assert await store.event(event.id) == event


async def test_what_must_stay_is_passed_over_and_not_looked_at_again(store: Store) -> None:
    for number in range(5):
        event = delivered(number, at=LONG_AGO + number * HOUR)
        state = State.HELD if number % 2 else State.DEAD
        verdict = Verdict("push", Outcome.DISPATCHED, "", (owed(number, event, state=state),))
        await store.record(event, [verdict])
    first = await store.finished(LIMIT, LIMIT, None, 2)
    assert [id_ for _, id_ in first] == [id_of("evt", n, LONG_AGO + n * HOUR) for n in (0, 2)]
    rest = await store.finished(LIMIT, LIMIT, first[-1], 2)
    assert [id_ for _, id_ in rest] == [id_of("evt", 4, LONG_AGO + 4 * HOUR)]
    assert await store.finished(LIMIT, LIMIT, rest[-1], 2) == []


async def test_events_of_the_same_moment_are_all_found(store: Store) -> None:
    for number in range(5):
        await store.record(delivered(number, at=LONG_AGO), [Verdict("push", Outcome.UNMATCHED)])
    found, after = [], None
    while some := await store.finished(LIMIT, LIMIT, after, 2):
        after = some[-1]
        found += [id_ for _, id_ in some]
    assert found == [id_of("evt", number, LONG_AGO) for number in range(5)]


async def test_what_came_to_owe_something_since_it_was_found_stays(store: Store) -> None:
    """As by a replay in that very moment."""
    events = [delivered(number, at=LONG_AGO) for number in range(2)]
    for number, event in enumerate(events):
        done = owed(number, event, state=State.DEAD)
        await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (done,))])
    found = [id_ for _, id_ in await store.finished(LIMIT, LIMIT, None, 10)]
    await store.add_dispatches([owed(5, events[1])])
    assert await store.remove(found, LIMIT) == 1
    assert await store.event(events[0].id) is None
    assert await store.event(events[1].id) == events[1]


async def test_windows_and_keys_outlast_a_history_that_is_shorter(store: Store) -> None:
    """Else a rate limit of a day would forget itself under a `retention` of an hour."""
    event = delivered(1, at=NOW - 2 * HOUR)
    limited = replace(dispatched(1, event), limit=RateLimit("", 1, DAY))
    await store.record(event, [limited])
    short, long = NOW - HOUR, NOW - DAY
    assert await store.expire(Horizons(short, long, short), 10) == 0
    assert await store.expire(Horizons(short, short, short), 10) == 1


async def test_the_file_gets_smaller_by_the_pages_that_are_given_back(store: Store) -> None:
    for number in range(100):
        event = delivered(number, at=LONG_AGO, body=b"x" * 20_000)
        await store.record(event, [Verdict("push", Outcome.UNMATCHED)])
    full = await store.space()
    assert full.shrinks
    assert full.used > 100 * 20_000
    while await prune(store, LIMIT, 50):
        pass
    loose = await store.space()
    assert loose.file == full.file
    assert loose.free > 100 * 18_000
    assert await store.shrink(30) == 30
    assert (await store.space()).file == full.file - 30 * full.page
    while await store.shrink(100):
        pass
    small = await store.space()
    assert small.free == 0
    assert small.used <= loose.used
    event = delivered(1)
    await store.record(event, [Verdict("push", Outcome.UNMATCHED)])
    assert await store.event(event.id) == event
