"""Overlap: a firing while the one before it is unfinished is missed or waits, as its entry says;
and what waits goes as soon as that has ended, whatever ended it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.binding import Judgement
from daemon.dispatch import Dispatch, Settlement, State
from daemon.event import Due, Event, Firing, FiringOutcome, Overlap, Pause, Verdict
from daemon.run import Match
from daemon.store import Store
from tests.store.samples import DAY, HOUR, LEASE, NOW, SECOND, a_run, dispatched, fired

MINUTE = timedelta(minutes=1)


def due(*events: Event, overlap: Overlap) -> Due:
    firings = tuple(event.cause for event in events if isinstance(event.cause, Firing))
    return Due("hourly", firings[-1].scheduled_at, firings, overlap=overlap)


def at(number: int) -> datetime:
    return NOW + number * HOUR


def event(number: int) -> Event:
    return fired(number, "hourly", at(number), at=at(number))


def judged(number: int, expect: timedelta | None = None) -> tuple[Event, tuple[Verdict, ...]]:
    verdict = dispatched(number, event(number), entry="hourly")
    (dispatch,) = verdict.dispatches
    return event(number), (replace(verdict, dispatches=(replace(dispatch, expect_within=expect),)),)


async def fire(
    store: Store, *numbers: int, overlap: Overlap, expect: timedelta | None = None
) -> list[str]:
    """Accounts for these instants, of which runs are expected or not; returns the reasons for which
    some were missed."""
    accounted = await store.account(
        [due(*map(event, numbers), overlap=overlap)],
        [judged(number, expect) for number in numbers],
    )
    assert all(missed.wanted for _, missed in accounted.missed)
    assert accounted.incidents == []
    return [missed.reason for _, missed in accounted.missed]


async def outcomes(store: Store) -> list[str]:
    return [row.outcome.value for row in reversed(await store.firings(20))]


async def owed(store: Store, number: int) -> Dispatch:
    (dispatch,) = await store.dispatches(10, event_id=event(number).id)
    return dispatch


async def due_now(store: Store, now: datetime) -> list[str]:
    """The events of the dispatches that would be sent now."""
    claim = await store.claim(now, 10, LEASE)
    await store.give_back([each.id for each in claim.dispatches], now)
    return [each.event_id for each in claim.dispatches]


async def end(store: Store, number: int, now: datetime, state: State = State.ACCEPTED) -> None:
    """The firing's dispatch is claimed, tried, and ends so."""
    claim = await store.claim(now, 10, LEASE)
    dispatch = await owed(store, number)
    others = [each.id for each in claim.dispatches if each.id != dispatch.id]
    await store.give_back(others, now)
    await store.settle(dispatch.id, None, Settlement(state, "so it ended"), now)


@pytest.mark.parametrize("overlap", Overlap)
async def test_what_overlaps_nothing_fires(store: Store, overlap: Overlap) -> None:
    assert await fire(store, 1, overlap=overlap) == []
    await end(store, 1, at(1))
    assert await fire(store, 2, overlap=overlap) == []
    assert await due_now(store, at(2)) == [event(2).id]
    assert await outcomes(store) == ["fired", "fired"]


async def test_allow_fires_beside_the_one_before(store: Store) -> None:
    await fire(store, 1, overlap=Overlap.ALLOW)
    assert await fire(store, 2, overlap=Overlap.ALLOW) == []
    assert await due_now(store, at(2)) == [event(1).id, event(2).id]


async def test_skip_misses_what_comes_before_the_end(store: Store) -> None:
    await fire(store, 1, overlap=Overlap.SKIP)
    first = await owed(store, 1)
    why = f"{first.id} of the firing before is pending (`overlap: skip`)"
    assert await fire(store, 2, overlap=Overlap.SKIP) == [why]
    assert await store.event(event(2).id) is None
    row = (await store.firings(1))[0]
    assert (row.scheduled_at, row.outcome, row.reason) == (at(2), FiringOutcome.MISSED, why)
    assert (await store.dispatches(10)) == [first]


@pytest.mark.parametrize("state", [State.ACCEPTED, State.DEAD])
async def test_after_the_end_skip_fires_again(store: Store, state: State) -> None:
    await fire(store, 1, overlap=Overlap.SKIP)
    await fire(store, 2, overlap=Overlap.SKIP)
    await end(store, 1, at(2), state)
    assert await fire(store, 3, overlap=Overlap.SKIP) == []
    assert await outcomes(store) == ["fired", "missed", "fired"]


async def test_of_a_backlog_only_the_first_fires_where_overlap_is_skipped(store: Store) -> None:
    """Each of them comes before the next, within one commit as well."""
    assert len(await fire(store, 1, 2, 3, overlap=Overlap.SKIP)) == 2
    assert await outcomes(store) == ["fired", "missed", "missed"]


async def test_one_waits_and_what_comes_meanwhile_is_missed(store: Store) -> None:
    await fire(store, 1, overlap=Overlap.BUFFER_ONE)
    assert await fire(store, 2, overlap=Overlap.BUFFER_ONE) == []
    first, waiting = await owed(store, 1), await owed(store, 2)
    assert (waiting.state, waiting.reason) == (
        State.PENDING,
        f"waits for the end of {event(1).id} by its `overlap`",
    )
    assert await due_now(store, at(2)) == [event(1).id]
    assert await fire(store, 3, overlap=Overlap.BUFFER_ONE) == [
        f"{waiting.id} of the firing before is pending, and {event(2).id} waits for its end "
        "already (`overlap: buffer_one`)"
    ]
    assert await outcomes(store) == ["fired", "fired", "missed"]
    await end(store, 1, at(3))
    assert await due_now(store, at(3)) == [event(2).id]
    assert (await owed(store, 2)).reason == ""
    assert (await owed(store, 1)).id == first.id


async def test_of_a_backlog_one_fires_and_one_waits(store: Store) -> None:
    assert len(await fire(store, 1, 2, 3, overlap=Overlap.BUFFER_ONE)) == 1
    assert await due_now(store, at(3)) == [event(1).id]
    await end(store, 1, at(3))
    assert await due_now(store, at(3)) == [event(2).id]


async def test_while_the_one_that_waited_is_sent_another_may_wait(store: Store) -> None:
    for number in (1, 2):
        await fire(store, number, overlap=Overlap.BUFFER_ONE)
    await end(store, 1, at(2))
    assert await fire(store, 3, overlap=Overlap.BUFFER_ONE) == []
    assert await due_now(store, at(3)) == [event(2).id]
    await end(store, 2, at(3))
    assert await due_now(store, at(3)) == [event(3).id]


async def test_what_waits_goes_when_the_one_before_is_cancelled(store: Store) -> None:
    await fire(store, 1, 2, overlap=Overlap.BUFFER_ONE)
    await store.cancel([(await owed(store, 1)).id], at(2), "by hand")
    assert await due_now(store, at(2)) == [event(2).id]


async def test_what_waits_goes_when_the_one_before_becomes_too_old(store: Store) -> None:
    await fire(store, 1, overlap=Overlap.BUFFER_ONE)
    await fire(store, 20, overlap=Overlap.BUFFER_ONE)
    late = at(1) + DAY
    assert (await store.claim(late, 10, LEASE)).expired[0].event_id == event(1).id
    assert await due_now(store, late) == [event(20).id]


async def test_what_waits_too_long_is_dead(store: Store) -> None:
    await fire(store, 1, 2, overlap=Overlap.BUFFER_ONE)
    claim = await store.claim(at(2), 10, timedelta(days=30))
    assert [each.event_id for each in claim.dispatches] == [event(1).id]
    late = await store.claim(at(2) + DAY, 10, LEASE)
    assert [(each.event_id, each.state) for each in late.expired] == [(event(2).id, State.DEAD)]


async def test_what_waits_and_is_cancelled_makes_room_for_another(store: Store) -> None:
    await fire(store, 1, 2, overlap=Overlap.BUFFER_ONE)
    await store.cancel([(await owed(store, 2)).id], at(2), "by hand")
    assert await fire(store, 3, overlap=Overlap.BUFFER_ONE) == []
    await end(store, 1, at(3))
    assert await due_now(store, at(3)) == [event(3).id]


async def test_it_goes_when_all_that_the_one_before_owes_has_ended(store: Store) -> None:
    verdict = dispatched(1, event(1), entry="hourly")
    other = replace(verdict.dispatches[0], id=verdict.dispatches[0].id[:-1] + "z")
    both = replace(verdict, dispatches=(*verdict.dispatches, other))
    await store.account([due(event(1), overlap=Overlap.ALLOW)], [(event(1), (both,))])
    await fire(store, 2, overlap=Overlap.BUFFER_ONE)
    await store.cancel([other.id], at(2), "by hand")
    assert event(2).id not in await due_now(store, at(2))
    await store.cancel([verdict.dispatches[0].id], at(2), "by hand")
    assert await due_now(store, at(2)) == [event(2).id]


async def test_a_firing_by_hand_counts_as_the_one_before(store: Store) -> None:
    by_hand = Event(event(1).id, Firing("hourly", at(1), at(1), by_hand=True))
    await store.record(by_hand, judged(1)[1])
    assert len(await fire(store, 2, overlap=Overlap.SKIP)) == 1


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.BUFFER_ONE])
async def test_a_firing_that_was_asked_for_by_hand_for_later_is_not_the_one_before(
    store: Store, overlap: Overlap
) -> None:
    later = Event(event(1).id, Firing("hourly", at(500), at(1), by_hand=True))
    await store.record(later, judged(1)[1])
    assert await fire(store, 2, overlap=overlap) == []
    assert await outcomes(store) == ["fired"]
    assert event(2).id in await due_now(store, at(2))


async def test_a_call_whose_answer_was_lost_can_be_repeated(store: Store) -> None:
    for overlap in (Overlap.SKIP, Overlap.BUFFER_ONE):
        for _ in range(2):
            await fire(store, 1, 2, 3, overlap=overlap)
        assert await outcomes(store) == ["fired", "missed", "missed"]


async def test_one_that_waits_while_its_entry_is_paused_goes_on_waiting_after_that(
    store: Store,
) -> None:
    await fire(store, 1, overlap=Overlap.BUFFER_ONE)
    claim = await store.claim(at(1), 10, 30 * DAY)
    await fire(store, 2, overlap=Overlap.BUFFER_ONE)
    pause = Pause("hourly", at(2), "alice")
    await store.pause([pause])
    assert await store.hold(10) == 1
    await store.resume(["hourly"], at(2))
    assert await store.release(at(2), 10) == {"hourly": 1}
    assert await due_now(store, at(2) + MINUTE) == []
    (first,) = claim.dispatches
    await store.settle(first.id, None, Settlement(State.ACCEPTED), at(2) + MINUTE)
    assert await due_now(store, at(2) + MINUTE) == [event(2).id]


async def test_a_restart_between_loses_nothing_that_waits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.sqlite"
    first = Store.open(url, owner="first", now=NOW)
    await fire(first, 1, 2, overlap=Overlap.BUFFER_ONE)
    await first.close()
    second = Store.open(url, owner="second", now=NOW)
    try:
        assert await due_now(second, at(2)) == [event(1).id]
        await end(second, 1, at(2))
        assert await due_now(second, at(2) + SECOND) == [event(2).id]
    finally:
        await second.close()


async def ran(store: Store, number: int, status: str, now: datetime) -> None:
    """GitHub tells of the firing's run."""
    dispatch = await owed(store, number)
    run = a_run(number, title=f"Build [{dispatch.id}]", status=status, at=now)
    (sighting,) = await store.see_runs([run], now)
    assert sighting.dispatch.id == dispatch.id


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.BUFFER_ONE])
async def test_a_firing_whose_run_goes_on_is_unfinished(store: Store, overlap: Overlap) -> None:
    await fire(store, 1, overlap=overlap, expect=5 * MINUTE)
    await end(store, 1, at(1))
    await ran(store, 1, "in_progress", at(1))
    missed = await fire(store, 2, overlap=overlap, expect=5 * MINUTE)
    if overlap is Overlap.SKIP:
        assert missed == ["the run https://github.com/octo/factory/actions/runs/1 of the firing "
                          "before goes on (`overlap: skip`)"]  # fmt: skip
        await ran(store, 1, "completed", at(2))
        assert await fire(store, 3, overlap=overlap) == []
    else:
        assert missed == []
        assert await due_now(store, at(2)) == []
        await ran(store, 1, "completed", at(2))
        assert await due_now(store, at(2)) == [event(2).id]


async def test_a_firing_whose_run_was_not_seen_yet_is_unfinished(store: Store) -> None:
    await fire(store, 1, overlap=Overlap.BUFFER_ONE, expect=5 * MINUTE)
    await end(store, 1, at(1))
    assert await fire(store, 2, overlap=Overlap.BUFFER_ONE) == []
    assert await due_now(store, at(2)) == []
    dispatch = await owed(store, 1)
    await store.judge_runs([Judgement(dispatch.id, Match.MISSING, "nothing listens")], at(2))
    assert await due_now(store, at(2)) == [event(2).id]


async def test_what_waits_goes_when_the_run_before_was_deleted(store: Store) -> None:
    await fire(store, 1, overlap=Overlap.BUFFER_ONE, expect=5 * MINUTE)
    await end(store, 1, at(1))
    await ran(store, 1, "in_progress", at(1))
    assert await fire(store, 2, overlap=Overlap.BUFFER_ONE) == []
    assert await due_now(store, at(2)) == []
    (run,) = await store.runs_due("octo/factory", at(2), 10)
    await store.postpone_runs([(run, None)], at(2))
    assert await due_now(store, at(2)) == [event(2).id]
