"""Cron instants: each accounted for once, cursors that move forward only."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from daemon.cursors import Cursor, TakenUp
from daemon.errors import StoreError
from daemon.event import Due, Event, Firing, FiringOutcome, FiringRecord, Missed, Verdict
from daemon.incident import Incident, IncidentKind
from daemon.ports import Accounted
from daemon.store import Store
from tests.store.samples import HOUR, NOW, SECOND, delivered, dispatched, fired

MINUTE = timedelta(minutes=1)


def due(*events: Event, missed: tuple[Missed, ...] = (), cursor: datetime = NOW) -> Due:
    """What the cron of the events owes: those, and what was missed."""
    firings = tuple(event.cause for event in events if isinstance(event.cause, Firing))
    return Due("nightly", cursor, firings, missed)


def judged(number: int, event: Event) -> tuple[Event, tuple[Verdict, ...]]:
    return event, (dispatched(number, event, entry="nightly"),)


async def begin(store: Store, at: datetime = NOW) -> None:
    """The entry `nightly` is new."""
    await store.take_up(TakenUp(begun=[Cursor("nightly", "0 0 * * * UTC", at, 2 * HOUR)]))


async def cursor(store: Store) -> datetime:
    """The cursor of `nightly`, as the next start would find it."""
    return (await store.cursors())["nightly"].cursor


async def test_an_instant_that_fires_is_booked_with_its_event(store: Store) -> None:
    event = fired(1, "nightly", NOW - MINUTE)
    assert (await store.account([due(event)], [judged(1, event)])).events == [judged(1, event)]
    assert await store.event(event.id) == event
    assert await store.verdicts([event.id]) == {event.id: judged(1, event)[1]}
    assert await store.firings(10) == [
        FiringRecord("nightly", NOW - MINUTE, FiringOutcome.FIRED, "", event.id, None, 1)
    ]


async def test_an_instant_fires_once_whatever_comes_again(store: Store) -> None:
    first, again = fired(1, "nightly", NOW), fired(2, "nightly", NOW)
    other = fired(3, "nightly", NOW + MINUTE)
    await store.account([due(first)], [judged(1, first)])
    recorded = await store.account([due(again, other)], [judged(2, again), judged(3, other)])
    assert recorded.events == [judged(3, other)]
    assert await store.event(again.id) is None
    assert [firing.event_id for firing in await store.firings(10)] == [other.id, first.id]


async def test_a_call_whose_answer_was_lost_can_be_repeated(store: Store) -> None:
    event, new = fired(1, "nightly", NOW), fired(2, "nightly", NOW + MINUTE)
    await store.account([due(event)], [judged(1, event)])
    assert (await store.account([due(event)], [judged(1, event)])).events == []
    recorded = await store.account([due(event, new)], [judged(1, event), judged(2, new)])
    assert recorded.events == [judged(2, new)]


async def test_an_instant_that_was_missed_never_fires_later(store: Store) -> None:
    missed = Missed(NOW, NOW, "the daemon was away")
    await store.account([due(missed=(missed,))], [])
    event = fired(1, "nightly", NOW)
    assert (await store.account([due(event)], [judged(1, event)])).events == []
    assert await store.firings(10) == [
        FiringRecord("nightly", NOW, FiringOutcome.MISSED, "the daemon was away", None, None, 1)
    ]


async def test_a_backlog_is_booked_with_both_of_its_bounds_and_its_count(store: Store) -> None:
    missed = Missed(NOW - HOUR, NOW, "more than 100 were missed", 61)
    await store.account([due(missed=(missed,))], [])
    [firing] = await store.firings(10)
    assert (firing.first, firing.scheduled_at, firing.count) == (NOW - HOUR, NOW, 61)


async def test_a_cursor_moves_forward_and_never_back(store: Store) -> None:
    await begin(store)
    for step, expected in ((HOUR, HOUR), (-HOUR, HOUR), (2 * HOUR, 2 * HOUR)):
        await store.account([due(cursor=NOW + step)], [])
        assert await cursor(store) == NOW + expected


async def test_a_cursor_stays_when_its_instants_were_not_booked(store: Store) -> None:
    """All of a call is one transaction: a cursor past an unbooked instant would lose it."""
    await begin(store)
    event = fired(1, "nightly", NOW + SECOND)
    twice = Verdict(
        "nightly", judged(1, event)[1][0].outcome, "", judged(1, event)[1][0].dispatches * 2
    )
    with pytest.raises(StoreError, match=r"(?i)unique"):
        await store.account([due(event, cursor=NOW + HOUR)], [(event, (twice,))])
    assert await store.firings(10) == []
    assert await cursor(store) == NOW


async def test_an_event_that_no_firing_owes_is_an_error(store: Store) -> None:
    """It would be lost without a word."""
    for event in (fired(1, "hourly", NOW), delivered(1)):
        with pytest.raises(ValueError, match=r"not due|no firing"):
            await store.account([due()], [judged(1, event)])


async def test_an_advance_keeps_what_the_clock_on_the_wall_was_ahead(store: Store) -> None:
    await begin(store)
    await store.account([replace(due(cursor=NOW + HOUR), offset=HOUR)], [])
    assert await store.cursors() == {
        "nightly": Cursor("nightly", "0 0 * * * UTC", NOW + HOUR, HOUR)
    }


async def test_a_start_writes_what_begins_and_forgets_what_ends(store: Store) -> None:
    """And books what both left, in the same transaction."""
    old = Cursor("old", "1", NOW, HOUR)
    moved = Cursor("moved", "1", NOW, HOUR)
    await store.take_up(TakenUp(begun=[old, moved]))
    incident = Incident("moved", IncidentKind.MISSED, NOW, NOW + HOUR, 3, NOW + HOUR, "changed")
    taken = TakenUp(
        begun=[replace(moved, identity="2", cursor=NOW + HOUR)],
        ended=["old"],
        left=[
            Due(
                "moved",
                NOW + HOUR,
                missed=(Missed(NOW, NOW + HOUR, "changed", 3),),
                incidents=(incident,),
            )
        ],
    )
    assert await store.take_up(taken) == [incident]
    assert await store.cursors() == {"moved": Cursor("moved", "2", NOW + HOUR, HOUR)}
    assert await store.firings(10) == [
        FiringRecord("moved", NOW + HOUR, FiringOutcome.MISSED, "changed", None, NOW, 3)
    ]
    assert await store.take_up(taken) == []  # the incident is known


async def test_an_instant_that_fired_does_not_fire_again_after_its_cursor_went_back(
    store: Store,
) -> None:
    await begin(store)
    first, again = fired(1, "nightly", NOW + HOUR), fired(2, "nightly", NOW + HOUR)
    await store.account([due(first, cursor=NOW + HOUR)], [judged(1, first)])
    await begin(store)
    assert await store.account([due(again, cursor=NOW + HOUR)], [judged(2, again)]) == Accounted(
        [], [], []
    )


async def test_instants_are_listed_newest_first(store: Store) -> None:
    for number in range(3):
        event = fired(number, "nightly", NOW + number * MINUTE)
        await store.account([due(event)], [judged(number, event)])
    other = replace(due(missed=(Missed(NOW, NOW, "late"),)), cron="other")
    await store.account([other], [])
    assert [firing.scheduled_at for firing in await store.firings(2)] == [
        NOW + 2 * MINUTE,
        NOW + MINUTE,
    ]
    assert [firing.reason for firing in await store.firings(5, cron="other")] == ["late"]


async def test_ten_thousand_instants_are_booked_in_one_call(store: Store) -> None:
    """Every other of them a second time, so that all of them must be looked up."""
    names = [f"cron-{number}" for number in range(10_000)]
    events = [fired(number, name, NOW) for number, name in enumerate(names)]
    dues = [
        Due(name, NOW, (event.cause,))
        for name, event in zip(names, events, strict=True)
        if isinstance(event.cause, Firing)
    ]
    await store.account(dues[::2], [(event, ()) for event in events[::2]])
    recorded = await store.account(dues, [(event, ()) for event in events])
    assert [event.id for event, _ in recorded.events] == [event.id for event in events[1::2]]
    assert len(await store.firings(20_000)) == 10_000
