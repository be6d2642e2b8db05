"""What may have run away is held when it is recorded, told of once, and let go by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.chain import Breaker, Guards
from daemon.clockwatch import Step
from daemon.dispatch import Hold, Settlement, State
from daemon.event import (
    Burst,
    DedupeKey,
    Due,
    Event,
    Firing,
    Outcome,
    Overlap,
    Pause,
    RateLimit,
    Verdict,
)
from daemon.incident import Incident
from daemon.judge import hold
from daemon.store import Store, schema
from daemon.store.engine import connect, parse, writing
from daemon.store.recording import record
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    SECOND,
    attempted,
    delivered,
    dispatched,
    owed,
    prune,
)

MINUTE = timedelta(minutes=1)
LIMIT = 3
OPEN = "its breaker (3 in 1h) is open: `dispatchd release` sends it"
PAUSE = Pause("push", NOW, "alice")
HELD, SENT = Outcome.HELD, Outcome.DISPATCHED

Opening = Callable[[], Store]


@pytest.fixture
def opening(store_url: str) -> Opening:
    guards = Guards(max_chain_depth=10, breaker=Breaker(LIMIT, HOUR))
    return lambda: Store.open(store_url, owner="tests", now=NOW, guards=guards)


@pytest.fixture
async def store(opening: Opening) -> AsyncIterator[Store]:
    store = opening()
    yield store
    await store.close()


_numbers = count(1)


def happened(
    at: datetime = NOW,
    *,
    entry: str = "push",
    dedupe: DedupeKey | None = None,
    limit: RateLimit | None = None,
    burst: Burst | None = None,
) -> tuple[Event, Verdict]:
    number = next(_numbers)
    event = delivered(number, at=at)
    verdict = dispatched(number, event, entry=entry, dedupe=dedupe)
    return event, replace(verdict, limit=limit, burst=burst)


async def make(store: Store, *recordings: tuple[Event, Verdict]) -> list[Verdict]:
    """In one commit."""
    several = await asyncio.gather(*(store.record(event, [each]) for event, each in recordings))
    return [verdict for (verdict,) in several]


async def outcomes(store: Store, *recordings: tuple[Event, Verdict]) -> list[Outcome]:
    return [each.outcome for each in await make(store, *recordings)]


async def test_an_entry_past_its_breaker_is_held_with_the_reason(store: Store) -> None:
    verdicts = await make(store, *(happened() for _ in range(5)))
    assert [each.outcome for each in verdicts] == [SENT, SENT, SENT, HELD, HELD]
    assert verdicts[3].reason == OPEN
    (dispatch,) = verdicts[3].dispatches
    assert (dispatch.state, dispatch.held_by, dispatch.reason) == (State.HELD, Hold.BREAKER, OPEN)
    assert await store.dispatch(dispatch.id) == dispatch
    assert await outcomes(store, happened(entry="other")) == [SENT]
    assert len((await store.claim(NOW + MINUTE, 9, LEASE)).dispatches) == 4


async def test_one_at_a_time_or_many_in_one_commit_is_the_same(store: Store) -> None:
    found = [(await outcomes(store, happened()))[0] for _ in range(5)]
    assert found == [SENT, SENT, SENT, HELD, HELD]


async def test_every_dispatch_counts_and_the_event_is_held_as_a_whole(store: Store) -> None:
    event, verdict = happened()
    two = replace(verdict, dispatches=(*verdict.dispatches, owed(next(_numbers), event)))
    assert await outcomes(store, (event, two)) == [SENT]
    event, verdict = happened()
    two = replace(verdict, dispatches=(*verdict.dispatches, owed(next(_numbers), event)))
    (held,) = await make(store, (event, two))
    assert [each.state for each in held.dispatches] == [State.HELD] * 2


async def test_it_opens_with_an_incident_that_is_told_once(store: Store, opening: Opening) -> None:
    verdicts = await make(store, *(happened() for _ in range(6)))
    told = [each.incidents for each in verdicts]
    assert [len(each) for each in told] == [0, 0, 0, 1, 0, 0]
    (incident,) = told[3]
    assert incident.text == (
        "made more dispatches than its breaker lets through (3 in 1h): what it makes is held until "
        "that is no longer so. `dispatchd dispatches --state held --entry push` shows it; "
        "`dispatchd release --entry push` sends what is held"
    )
    assert await store.incidents(9) == [incident]
    again: list[tuple[Incident, ...]] = []
    for minutes in range(0, 300, 20):  # as long as it goes on
        (verdict,) = await make(store, happened(NOW + minutes * MINUTE))
        assert verdict.outcome is HELD or minutes > 60
        again.append(verdict.incidents)
    assert not any(again)


async def test_it_closes_by_itself_once_the_span_is_over_and_what_is_held_stays_so(
    store: Store,
) -> None:
    await make(store, *(happened() for _ in range(4)))
    assert await outcomes(store, happened(NOW + HOUR - MINUTE)) == [HELD]
    later = NOW + HOUR + MINUTE
    assert await outcomes(store, happened(later), happened(later)) == [SENT, SENT]
    assert (await store.counts())[State.HELD] == 2


@pytest.mark.parametrize("step", [timedelta(minutes=7), timedelta(minutes=29), 61 * SECOND])
async def test_within_any_span_no_more_is_sent_than_the_breaker_says(
    store: Store, step: timedelta
) -> None:
    sent: list[datetime] = []
    for number in range(60):
        at = NOW + number * step
        if (await outcomes(store, happened(at)))[0] is SENT:
            sent.append(at)
    for begin in sent:
        assert sum(begin <= at < begin + HOUR for at in sent) <= LIMIT
    steady = step * LIMIT > HOUR + MINUTE
    assert (len(sent) == 60) is steady


@given(
    maximum=st.integers(1, 5),
    gaps=st.lists(st.integers(0, 900), min_size=1, max_size=60),
    together=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_whatever_comes_when_only_what_is_too_much_is_held(
    maximum: int, gaps: list[int], together: int
) -> None:
    """Too much are more than so many within the span, and never more than within a slice above
    that; in one commit or in several."""
    breaker = Breaker(maximum, HOUR)
    at, times, held = NOW, [], []
    recordings = []
    for gap in gaps:
        at += gap * SECOND
        times.append(at)
        event, verdict = happened(at)
        recordings.append((event, (verdict,)))
    engine = writing(connect(parse("sqlite://"))).execution_options(guards=Guards(breaker=breaker))
    schema.metadata.create_all(engine)
    for start in range(0, len(recordings), together):
        with engine.begin() as connection:
            for (verdict,) in record(connection, recordings[start : start + together]):
                held.append(verdict.outcome is HELD)
    engine.dispose()
    for number, at in enumerate(times):
        within = sum(at - HOUR < each for each in times[: number + 1])
        # What is in one commit is counted from its first event on.
        reach = at - times[number - number % together] + HOUR + HOUR / 60
        nearly = sum(at - reach <= each for each in times[: number + 1])
        assert held[number] or within <= maximum
        assert not held[number] or nearly > maximum


async def test_a_restart_changes_nothing(store_url: str, opening: Opening) -> None:
    if store_url == "sqlite://":
        pytest.skip("a database in memory does not outlive its process")
    for expected in (SENT, SENT, SENT, HELD):
        store = opening()
        assert await outcomes(store, happened()) == [expected]
        await store.close()


async def test_what_was_asked_for_by_hand_is_neither_held_nor_counted(store: Store) -> None:
    for _ in range(LIMIT + 1):
        event, verdict = happened()
        assert await outcomes(store, (replace(event, replay_of="evt_x"), verdict)) == [SENT]
        number = next(_numbers)
        fired = Event(delivered(number).id, Firing("push", NOW, NOW, by_hand=True))
        assert await outcomes(store, (fired, dispatched(number, fired))) == [SENT]
    assert await outcomes(store, *(happened() for _ in range(LIMIT))) == [SENT] * LIMIT


async def test_what_owes_nothing_does_not_count(store: Store) -> None:
    key = DedupeKey("the same", NOW + DAY)
    assert await outcomes(store, *(happened(dedupe=key) for _ in range(9))) == [
        SENT,
        *[Outcome.DUPLICATE] * 8,
    ]
    rate = RateLimit("", 1, HOUR)
    found = await outcomes(store, *(happened(limit=rate) for _ in range(9)))
    assert found == [SENT, *[Outcome.LIMITED] * 8]
    assert await outcomes(store, happened(), happened()) == [SENT, HELD]


@pytest.mark.parametrize("together", [True, False])
async def test_a_burst_counts_once(store: Store, together: bool) -> None:
    burst = Burst("", MINUTE, HOUR)
    events = [happened(NOW + n * SECOND, burst=burst) for n in range(20)]
    if together:
        assert await outcomes(store, *events) == [SENT] * 20
    else:
        assert [(await outcomes(store, each))[0] for each in events] == [SENT] * 20
    found = [(await outcomes(store, happened(NOW + 30 * SECOND)))[0] for _ in range(3)]
    assert found == [SENT, SENT, HELD]


async def test_what_is_held_counts_as_first(store: Store) -> None:
    await make(store, *(happened() for _ in range(LIMIT)))
    key = DedupeKey("the same", NOW + DAY)
    held = happened(dedupe=key)
    found = await make(store, held, happened(dedupe=key))
    assert [each.outcome for each in found] == [HELD, Outcome.DUPLICATE]
    assert found[1].duplicate_of == held[0].id


async def test_crons_are_held_too_and_one_that_overlaps_waits_on_after_its_release(
    store: Store,
) -> None:
    async def account(minute: int) -> list[Outcome]:
        number = next(_numbers)
        at = NOW + minute * MINUTE
        firing = Firing("nightly", at, at)
        event = Event(delivered(number, at=at).id, firing)
        verdict = dispatched(number, event, entry="nightly")
        owed = tuple(replace(each, expect_within=None) for each in verdict.dispatches)
        verdict = replace(verdict, dispatches=owed)
        due = Due("nightly", at, (firing,), overlap=Overlap.BUFFER_ONE)
        accounted = await store.account([due], [(event, (verdict,))])
        return [each.outcome for _, verdicts in accounted.events for each in verdicts]

    await make(store, *(happened(entry="nightly") for _ in range(LIMIT - 1)))
    assert await account(1) == [SENT]
    assert await account(2) == [HELD]  # and waits for the one before
    claim = await store.claim(NOW + 3 * MINUTE, 9, LEASE)
    assert len(claim.dispatches) == LIMIT
    (waiting,) = await store.dispatches(9, states=[State.HELD])
    (let_go,) = await store.let_go([waiting.id], NOW + 4 * MINUTE)
    assert let_go.pause is None
    sending = [each.id for each in claim.dispatches]
    assert (await store.claim(NOW + 9 * MINUTE, 9, LEASE, held=sending)).dispatches == ()
    for each in claim.dispatches:
        settlement = Settlement(State.ACCEPTED)
        await store.settle(each.id, attempted(each), settlement, NOW + 9 * MINUTE)
    (free,) = (await store.claim(NOW + 9 * MINUTE, 9, LEASE)).dispatches
    assert free.id == waiting.id


async def test_what_is_let_go_is_sent_and_its_wait_does_not_make_it_too_old(store: Store) -> None:
    verdicts = await make(store, *(happened() for _ in range(LIMIT + 1)))
    held = verdicts[-1].dispatches[0]
    later = NOW + 2 * DAY
    (result,) = await store.let_go([held.id, "dsp_nobody"], later)
    assert (result.found.id, result.pause) == (held.id, None)
    claim = await store.claim(later, 9, LEASE)
    assert [each.id for each in claim.dispatches] == [held.id]
    assert (claim.dispatches[0].held_by, claim.dispatches[0].reason) == (None, "")
    (again,) = await store.let_go([held.id], later)
    assert again.found.state is State.SENDING


async def test_what_is_let_go_is_not_held_again_by_the_same_breaker(store: Store) -> None:
    await make(store, *(happened() for _ in range(LIMIT + 5)))
    later = NOW + MINUTE
    first, second, none = [await store.let_go_of("push", later, 3) for _ in range(3)]
    assert (len(first[0]), len(second[0]), none) == (3, 2, ([], []))
    assert await outcomes(store, happened(later)) == [HELD]
    assert len((await store.claim(later, 20, LEASE)).dispatches) == LIMIT + 5


async def test_a_pause_goes_on_holding_what_is_let_go(store: Store) -> None:
    verdicts = await make(store, *(happened() for _ in range(LIMIT + 2)))
    one, other = (each.dispatches[0].id for each in verdicts[LIMIT:])
    await store.pause([replace(PAUSE, since=NOW + HOUR)])
    (result,) = await store.let_go([one], NOW + DAY)
    assert result.pause is not None
    assert await store.let_go_of("push", NOW + DAY, 9) == ([], [other])
    assert await store.let_go_of("push", NOW + DAY, 9) == ([], [])
    for each in (one, other):
        found = await store.dispatch(each)
        assert found is not None
        assert (found.state, found.held_by) == (State.HELD, Hold.PAUSE)
        assert found.reason.startswith("paused by alice")
    await store.resume(["push"], NOW + 2 * DAY)
    assert await store.release(NOW + 2 * DAY, 9) == {"push": 2}
    claim = await store.claim(NOW + 3 * DAY - HOUR, 9, LEASE)
    assert {one, other} <= {each.id for each in claim.dispatches}


async def test_the_end_of_a_pause_does_not_let_go_what_the_breaker_holds(store: Store) -> None:
    await store.pause([PAUSE])
    recordings = [(event, hold(each, PAUSE)) for event, each in (happened() for _ in range(5))]
    verdicts = await make(store, *recordings)
    by = [each.dispatches[0].held_by for each in verdicts]
    assert by == [*[Hold.PAUSE] * 3, *[Hold.BREAKER] * 2]
    assert verdicts[4].reason == f"{OPEN}; {PAUSE}"
    await store.resume(["push"], NOW + MINUTE)
    assert await store.release(NOW + MINUTE, 9) == {"push": 3}
    assert await store.release(NOW + MINUTE, 9) == {}
    assert (await store.counts())[State.HELD] == 2


async def test_nothing_of_a_pause_is_let_go(store: Store) -> None:
    await store.pause([PAUSE])
    event, verdict = happened()
    (held,) = await make(store, (event, hold(verdict, PAUSE)))
    (result,) = await store.let_go([held.dispatches[0].id], NOW)
    assert result.found.held_by is Hold.PAUSE
    assert await store.let_go_of("push", NOW, 9) == ([], [])
    assert (await store.counts())[State.HELD] == 1


async def test_what_is_held_can_be_cancelled(store: Store) -> None:
    verdicts = await make(store, *(happened() for _ in range(LIMIT + 1)))
    held = verdicts[-1].dispatches[0]
    await store.cancel([held.id], NOW, "enough")
    found = await store.dispatch(held.id)
    assert found is not None
    assert (found.state, found.held_by) == (State.CANCELLED, None)


@pytest.mark.parametrize("by", [timedelta(days=-3), timedelta(days=3), timedelta(seconds=1801)])
async def test_a_clock_that_is_set_does_not_close_it(store: Store, by: timedelta) -> None:
    await make(store, *(happened() for _ in range(LIMIT)))
    now = NOW + 10 * MINUTE + by
    await store.follow_clock(now, Step(by, timedelta(seconds=5)))
    assert await outcomes(store, happened(now)) == [HELD]
    assert await outcomes(store, happened(now + HOUR)) == [SENT]


async def test_an_entry_has_a_bounded_number_of_rows_and_none_once_it_is_old(store: Store) -> None:
    for number in range(300):
        await make(store, happened(NOW + number * MINUTE))
    assert await prune(store, NOW + 90 * DAY, 1000) == 64 + 1
