"""Incidents: each is recorded once, counted for all time, and a deadline that passes is one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from daemon.binding import Judgement
from daemon.clockwatch import Step
from daemon.dispatch import Settlement, State
from daemon.event import Due, Event, Firing, FiringOutcome, FiringRecord, Missed, Overlap, Pause
from daemon.incident import Incident, IncidentKind
from daemon.ports import Accounted
from daemon.run import Match
from daemon.store import Store
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    SECOND,
    attempted,
    dispatched,
    fired,
    prune,
)

MINUTE = timedelta(minutes=1)
MISSED = Incident("nightly", IncidentKind.MISSED, NOW - DAY, NOW, 7, NOW, "the daemon was away")
LATE = Incident("nightly", IncidentKind.LATE, NOW, NOW, 1, NOW, "fired 90 s late")


def due(*incidents: Incident, event: Event | None = None, overlap: Overlap = Overlap.ALLOW) -> Due:
    missed = tuple(
        Missed(each.first, each.last - SECOND, each.text, each.count)
        for each in incidents
        if each.kind is IncidentKind.MISSED
    )
    firings = (event.cause,) if event and isinstance(event.cause, Firing) else ()
    return Due("nightly", NOW, firings, missed, overlap, incidents)


async def test_an_incident_is_recorded_with_what_was_missed(store: Store) -> None:
    assert await store.account([due(MISSED)], []) == Accounted([], [], [MISSED])
    assert await store.incidents(10) == [MISSED]
    assert await store.incident_counts() == {("nightly", IncidentKind.MISSED): 7}
    assert await store.firings(10) == [
        FiringRecord("nightly", NOW - SECOND, FiringOutcome.MISSED, MISSED.text, None, NOW - DAY, 7)
    ]


async def test_one_that_comes_again_is_no_other(store: Store) -> None:
    """The answer to a call may be lost, and the call made once more."""
    for expected in ([MISSED], []):
        assert (await store.account([due(MISSED)], [])).incidents == expected
    assert await store.incident_counts() == {("nightly", IncidentKind.MISSED): 7}


async def test_a_firing_may_be_late_only_if_it_fired(store: Store) -> None:
    first, second = fired(1, "nightly", NOW - HOUR), fired(2, "nightly", NOW)
    await store.account([due(event=first)], [(first, (dispatched(1, first, entry="nightly"),))])
    accounted = await store.account(
        [due(LATE, event=second, overlap=Overlap.SKIP)],
        [(second, (dispatched(2, second, entry="nightly"),))],
    )
    assert (len(accounted.missed), accounted.incidents) == (1, [])


async def test_counts_go_on_when_the_incidents_themselves_have_aged_out(store: Store) -> None:
    await store.account([due(MISSED)], [])
    while await prune(store, NOW + DAY, 10):
        pass
    assert await store.incidents(10) == []
    again = replace(MISSED, last=NOW + DAY, at=NOW + DAY)
    await store.account([due(again, replace(LATE, entry="hourly"))], [])
    assert await store.incident_counts() == {("nightly", IncidentKind.MISSED): 14}


async def test_they_are_listed_newest_first_and_by_entry(store: Store) -> None:
    several = [
        replace(MISSED, entry=entry, last=NOW + hour * HOUR, at=NOW + hour * HOUR)
        for hour, entry in enumerate(["a", "b", "a"])
    ]
    await store.account([replace(due(each), cron=each.entry) for each in several], [])
    assert await store.incidents(10) == several[::-1]
    assert await store.incidents(1, entry="a") == [several[2]]
    assert await store.incidents(10, before=several[1].at) == [several[0]]


# Deadlines


async def fire(
    store: Store, *, waits: timedelta = timedelta(), at: datetime = NOW, number: int = 1
) -> Event:
    """One firing whose dispatch GitHub is to have within five minutes."""
    event = fired(number, "nightly", at, at=at)
    verdict = dispatched(number, event, entry="nightly")
    put_off = replace(verdict.dispatches[0], due_at=at + waits)
    (firing,) = due(event=event).firings
    await store.account(
        [Due("nightly", at, (firing,), alert_after=5 * MINUTE)],
        [(event, (replace(verdict, dispatches=(put_off,)),))],
    )
    return event


async def settle(store: Store, event: Event, state: State, at: datetime) -> str:
    (dispatch,) = await store.dispatches(1, event_id=event.id)
    await store.claim(at, 10, LEASE)
    attempt = attempted(dispatch, outcome=state.value)
    await store.settle(dispatch.id, attempt, Settlement(state, "so it is", due_at=at), at)
    return dispatch.id


async def look(store: Store, at: datetime) -> list[str]:
    _, incidents = await store.look_at_deadlines(at, 10)
    assert {each.kind for each in incidents} <= {IncidentKind.LATE}
    assert {each.at for each in incidents} <= {at}
    return [each.text for each in incidents]


async def test_a_firing_that_reaches_github_in_time_is_no_incident(store: Store) -> None:
    event = await fire(store)
    await settle(store, event, State.ACCEPTED, NOW + 5 * MINUTE)
    assert await look(store, NOW + HOUR) == []
    assert await store.look_at_deadlines(NOW + HOUR, 10) == (0, [])


async def test_one_that_reached_it_too_late_is_one(store: Store) -> None:
    event = await fire(store)
    dispatch_id = await settle(store, event, State.ACCEPTED, NOW + 6 * MINUTE)
    assert await look(store, NOW + HOUR) == [
        f"{dispatch_id} reached GitHub at 2026-03-01T12:06:00Z, later than its `alert_after` of 5m "
        f"allows (`dispatchd dispatches {dispatch_id}` shows why)"
    ]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State.PENDING, "has not reached GitHub: it is pending"),
        (State.UNSURE, "has not reached GitHub: it is unsure"),
        (State.DEAD, "will not reach GitHub: it is dead"),
    ],
)
async def test_one_that_has_not_is_told_as_soon_as_its_time_is_over(
    store: Store, state: State, told: str
) -> None:
    event = await fire(store)
    dispatch_id = await settle(store, event, state, NOW + MINUTE)
    assert await look(store, NOW + 5 * MINUTE - SECOND) == []
    (text,) = await look(store, NOW + 5 * MINUTE)
    assert text.startswith(f"{dispatch_id} {told}, later than")
    assert await look(store, NOW + HOUR) == []  # once


async def test_one_that_a_pause_holds_is_none(store: Store) -> None:
    await fire(store)
    await store.pause([Pause("nightly", NOW, "alice")])
    await store.hold(10)
    assert await look(store, NOW + HOUR) == []


async def test_a_clock_that_is_set_on_makes_none_late(store: Store) -> None:
    await fire(store)
    await store.follow_clock(NOW + HOUR + SECOND, Step(HOUR, timedelta()))
    assert await look(store, NOW + HOUR + MINUTE) == []
    assert len(await look(store, NOW + HOUR + 5 * MINUTE)) == 1


async def test_one_that_somebody_cancelled_is_none(store: Store) -> None:
    event = await fire(store)
    (dispatch,) = await store.dispatches(1, event_id=event.id)
    await store.cancel([dispatch.id], NOW, "by hand")
    assert await look(store, NOW + HOUR) == []


async def test_what_jitter_puts_off_is_not_late_for_that(store: Store) -> None:
    await fire(store, waits=10 * MINUTE)
    assert await look(store, NOW + 14 * MINUTE) == []
    assert len(await look(store, NOW + 15 * MINUTE)) == 1


async def test_one_that_has_aged_out_meanwhile_is_passed_over(store: Store) -> None:
    event = await fire(store)
    await settle(store, event, State.ACCEPTED, NOW + 6 * MINUTE)
    (dispatch,) = await store.dispatches(1, event_id=event.id)
    await store.judge_runs([Judgement(dispatch.id, Match.MISSING, "nothing listens")], NOW)
    while await prune(store, NOW + DAY, 10):
        pass
    assert await store.look_at_deadlines(NOW + DAY, 10) == (1, [])


async def test_they_are_looked_at_some_at_a_time_soonest_first(store: Store) -> None:
    for number in range(3):
        await fire(store, at=NOW + number * MINUTE, number=number)
    count, first = await store.look_at_deadlines(NOW + HOUR, 2)
    assert (count, [each.last for each in first]) == (2, [NOW, NOW + MINUTE])
    assert (await store.look_at_deadlines(NOW + HOUR, 2))[0] == 1
