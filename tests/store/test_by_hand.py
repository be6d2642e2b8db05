"""Firings by hand: what was missed counts as fired once somebody made up for it, never twice."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from daemon.cron import parse
from daemon.event import Due, Event, FiringOutcome, FiringRecord, Missed, Verdict
from daemon.incident import Incident, IncidentKind
from daemon.store import Store
from tests.store.samples import NOW, dispatched, fired

HOUR = timedelta(hours=1)
NOON = NOW.replace(minute=0, second=0, microsecond=0)
HOURLY = parse("0 * * * *")
FIRED, MISSED = FiringOutcome.FIRED, FiringOutcome.MISSED


def at(hour: int) -> datetime:
    return NOON + hour * HOUR


def asked(*hours: int) -> list[tuple[Event, tuple[Verdict, ...]]]:
    events = [fired(hour, "hourly", at(hour), at=at(100)) for hour in hours]
    return [
        (event, (dispatched(hour, event, entry="hourly"),))
        for hour, event in zip(hours, events, strict=True)
    ]


async def make_up(store: Store, *hours: int) -> list[int]:
    """The hours that were recorded."""
    recorded = await store.make_up("hourly", HOURLY, asked(*hours))
    return [hour for hour in hours if fired(hour, "hourly", at(hour), at=at(100)) in dict(recorded)]


async def rows(store: Store) -> list[tuple[int, int, str, int]]:
    """(first, last, outcome, count) in hours, oldest first."""
    return [
        (
            ((row.first or row.scheduled_at) - NOON) // HOUR,
            (row.scheduled_at - NOON) // HOUR,
            row.outcome.value,
            row.count,
        )
        for row in reversed(await store.firings(100))
    ]


async def miss(store: Store, first: int, last: int) -> None:
    count = last - first + 1
    await store.account(
        [Due("hourly", at(last), missed=(Missed(at(first), at(last), "away", count),))], []
    )


async def test_what_was_never_booked_is_booked_as_fired(store: Store) -> None:
    assert await make_up(store, 1, 2) == [1, 2]
    assert await rows(store) == [(1, 1, "fired", 1), (2, 2, "fired", 1)]
    assert len(await store.dispatches(10)) == 2


async def test_what_was_missed_becomes_fired_and_says_so(store: Store) -> None:
    await miss(store, 1, 1)
    await make_up(store, 1)
    (row,) = await store.firings(10)
    assert row == FiringRecord(
        "hourly",
        at(1),
        FIRED,
        "asked for by hand; it was missed: away",
        fired(1, "hourly", at(1), at=at(100)).id,
        None,
        1,
    )


async def test_what_fired_before_is_not_fired_again(store: Store) -> None:
    assert await make_up(store, 1, 2, 3) == [1, 2, 3]
    assert await make_up(store, 2, 3, 4) == [4]
    assert len(await store.dispatches(10)) == 4


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ((1, 2), [(1, 1, "fired", 1), (2, 2, "fired", 1), (3, 10, "missed", 8)]),
        ((9, 10), [(1, 8, "missed", 8), (9, 9, "fired", 1), (10, 10, "fired", 1)]),
        ((5,), [(1, 4, "missed", 4), (5, 5, "fired", 1), (6, 10, "missed", 5)]),
        (tuple(range(1, 11)), [(hour, hour, "fired", 1) for hour in range(1, 11)]),
        ((10, 11), [(1, 9, "missed", 9), (10, 10, "fired", 1), (11, 11, "fired", 1)]),
    ],
)
async def test_out_of_a_truncated_backlog_the_rest_stays_missed(
    store: Store, hours: tuple[int, ...], expected: list[tuple[int, int, str, int]]
) -> None:
    await miss(store, 1, 10)
    assert await make_up(store, *hours) == list(hours)
    assert await rows(store) == expected
    assert {row.reason for row in await store.firings(20) if row.outcome is MISSED} <= {"away"}


async def test_a_backlog_can_be_made_up_for_bit_by_bit(store: Store) -> None:
    await miss(store, 1, 10)
    for hours in ((9,), (10,), (1,), (5, 6)):
        assert await make_up(store, *hours) == list(hours)
    assert [(first, last, n) for first, last, outcome, n in await rows(store) if n > 1] == [
        (2, 4, 3),
        (7, 8, 2),
    ]
    assert sum(count for _, _, _, count in await rows(store)) == 10


async def test_a_backlog_of_another_schedule_is_left_as_it_is(store: Store) -> None:
    """Its instants are not those that are fired now."""
    await store.account([Due("hourly", at(10), missed=(Missed(at(1), at(10), "changed", 3),))], [])
    assert await make_up(store, 5) == [5]
    assert await make_up(store, 10) == [10]  # its last one, too
    assert sorted(await rows(store)) == [
        (1, 10, "missed", 3),
        (5, 5, "fired", 1),
        (10, 10, "fired", 1),
    ]


async def test_what_fired_by_hand_before_the_clock_came_is_not_missed_as_well(
    store: Store,
) -> None:
    """Neither one by one, nor within what is too much to list, nor in an incident."""
    await make_up(store, 3, 4)
    await make_up(store, 10, 12)
    missed = (
        Missed(at(1), at(10), "older", 10),
        *(Missed(at(hour), at(hour), "late") for hour in (11, 12)),
    )
    incident = Incident("hourly", IncidentKind.MISSED, at(1), at(12), 12, at(13), "older; late")
    due = Due("hourly", at(13), missed=missed, incidents=(incident,))
    assert (await store.account([due], [])).incidents == [replace(incident, count=8)]
    assert sorted(await rows(store)) == [
        (1, 10, "missed", 7),
        *((hour, hour, "fired", 1) for hour in (3, 4, 10)),
        (11, 11, "missed", 1),
        (12, 12, "fired", 1),
    ]
    assert await make_up(store, 1, 2) == [1, 2]
    assert (3, 10, "missed", 5) in await rows(store)


async def test_what_is_booked_of_a_span_includes_what_reaches_into_it(store: Store) -> None:
    await miss(store, 1, 10)
    await make_up(store, 20)
    booked = await store.booked("hourly", at(5), at(20))
    assert [(row.scheduled_at, row.outcome) for row in booked] == [
        (at(10), MISSED),
        (at(20), FIRED),
    ]
    assert [row.count for row in await store.booked("hourly", at(5), at(6))] == [10]
    assert await store.booked("hourly", at(11), at(19)) == []
    assert await store.booked("other", at(0), at(99)) == []
