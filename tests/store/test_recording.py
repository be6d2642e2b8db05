"""What `record` keeps, and which of several like deliveries counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.dispatch import Dispatch, Settlement, State
from daemon.errors import StoreError
from daemon.event import DedupeKey, Event, Firing, Outcome, Verdict
from daemon.store import Store
from daemon.store.engine import connect, parse, writing
from daemon.store.recording import Recording, record
from daemon.store.schema import metadata
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    SECOND,
    as_duplicate,
    delivered,
    dispatched,
    fired,
    id_of,
    key,
    owed,
)


def ids(values: Sequence[Event] | Sequence[Dispatch]) -> list[str]:
    return [value.id for value in values]


async def test_a_delivery_comes_back_as_it_was_recorded(store: Store) -> None:
    event = replace(delivered(1, body=b"\x00\xff raw"), replay_of=id_of("evt", 0))
    verdicts = (
        dispatched(1, event),
        Verdict("other", Outcome.ERROR, "`when`: no such key: ref"),
    )
    assert await store.record(event, verdicts) == verdicts
    assert await store.event(event.id) == event
    assert await store.verdicts([event.id]) == {event.id: verdicts}
    assert await store.dispatch(verdicts[0].dispatches[0].id) == verdicts[0].dispatches[0]


async def test_a_firing_by_hand_comes_back_as_it_was_recorded(store: Store) -> None:
    event = Event(id_of("evt", 1), Firing("nightly", NOW - HOUR, NOW, by_hand=True))
    await store.record(event, [dispatched(1, event, entry="nightly")])
    assert await store.event(event.id) == event


async def test_what_was_never_recorded_is_not_found(store: Store) -> None:
    assert await store.event("evt_x") is None
    assert await store.dispatch("dsp_x") is None
    assert await store.attempts("dsp_x") == []
    assert await store.verdicts(["evt_x"]) == {"evt_x": ()}


async def test_a_repeated_key_is_a_duplicate_and_owes_nothing(store: Store) -> None:
    first, second = delivered(1), delivered(2)
    await store.record(first, [dispatched(1, first, dedupe=key("k"))])
    verdict = dispatched(2, second, dedupe=key("k"))
    assert await store.record(second, [verdict]) == (as_duplicate(verdict, first),)
    assert await store.dispatch(verdict.dispatches[0].id) is None
    [stored] = (await store.verdicts([second.id]))[second.id]
    assert stored == replace(as_duplicate(verdict, first), dedupe=None)


async def test_a_key_belongs_to_one_entry(store: Store) -> None:
    event = delivered(1)
    verdicts = [
        dispatched(1, event, entry="a", dedupe=key("k")),
        dispatched(2, event, entry="b", dedupe=key("k")),
    ]
    final = await store.record(event, verdicts)
    assert [verdict.outcome for verdict in final] == [Outcome.DISPATCHED] * 2


async def test_of_equal_deliveries_at_once_exactly_one_is_dispatched(store: Store) -> None:
    """They share one commit, so the store must tell them apart before either is in a table."""
    deliveries = [delivered(number) for number in range(20)]
    results = await asyncio.gather(
        *(
            store.record(event, [dispatched(number, event, dedupe=key("same"))])
            for number, event in enumerate(deliveries)
        )
    )
    final = [verdict for (verdict,) in results]
    [first] = [verdict for verdict in final if verdict.outcome is Outcome.DISPATCHED]
    assert {verdict.duplicate_of for verdict in final if verdict is not first} == {
        first.dispatches[0].event_id
    }
    assert len(await store.dispatches(100)) == 1


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.counts_as_first])
async def test_a_delivery_that_was_not_dispatched_takes_no_key(
    store: Store, outcome: Outcome
) -> None:
    first, second = delivered(1), delivered(2)
    await store.record(first, [Verdict("push", outcome, dedupe=key("k"))])
    [verdict] = await store.record(second, [dispatched(2, second, dedupe=key("k"))])
    assert verdict.outcome is Outcome.DISPATCHED


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_whatever_a_repeated_delivery_came_to_it_is_a_duplicate(
    store: Store, outcome: Outcome
) -> None:
    first, second = delivered(1), delivered(2)
    await store.record(first, [Verdict("push", Outcome.HELD, dedupe=key("k"))])
    [verdict] = await store.record(second, [Verdict("push", outcome, "why", dedupe=key("k"))])
    assert (verdict.outcome, verdict.duplicate_of) == (Outcome.DUPLICATE, first.id)
    assert verdict.reason == ""


async def test_a_key_is_free_again_when_its_window_ends(store: Store) -> None:
    first = delivered(1)
    await store.record(first, [dispatched(1, first, dedupe=key("k", until=NOW + HOUR))])
    within = delivered(2, at=NOW + HOUR - SECOND)
    [verdict] = await store.record(within, [dispatched(2, within, dedupe=key("k"))])
    assert verdict.outcome is Outcome.DUPLICATE
    after = delivered(3, at=NOW + HOUR)
    [verdict] = await store.record(after, [dispatched(3, after, dedupe=key("k"))])
    assert verdict.outcome is Outcome.DISPATCHED
    again = delivered(4, at=NOW + HOUR)
    [verdict] = await store.record(again, [dispatched(4, again, dedupe=key("k"))])
    assert verdict.duplicate_of == after.id


async def failed_delivery(store: Store, *, sticky: bool) -> Event:
    """A delivery of two dispatches that were both given up, one dead and one cancelled."""
    event = delivered(1)
    dispatches = (owed(1, event), owed(2, event))
    await store.record(
        event,
        [Verdict("push", Outcome.DISPATCHED, "", dispatches, key("k", sticky=sticky))],
    )
    await store.claim(NOW, 1, LEASE)
    await store.settle(dispatches[0].id, None, Settlement(State.DEAD, "404"), NOW)
    await store.cancel([dispatches[1].id], NOW, "by hand")
    return event


async def test_a_key_is_free_again_when_all_that_was_owed_is_given_up(store: Store) -> None:
    """So that a sender's Redeliver button works once the config is mended."""
    await failed_delivery(store, sticky=False)
    event = delivered(2)
    [verdict] = await store.record(event, [dispatched(3, event, dedupe=key("k"))])
    assert verdict.outcome is Outcome.DISPATCHED


async def test_a_sticky_key_stays_taken_when_all_that_was_owed_is_given_up(store: Store) -> None:
    first = await failed_delivery(store, sticky=True)
    event = delivered(2)
    [verdict] = await store.record(event, [dispatched(3, event, dedupe=key("k", sticky=True))])
    assert verdict.duplicate_of == first.id


async def test_a_key_stays_taken_while_one_of_its_dispatches_lives(store: Store) -> None:
    first, second = delivered(1), delivered(2)
    dispatches = (owed(1, first, state=State.DEAD), owed(2, first))
    await store.record(first, [Verdict("push", Outcome.DISPATCHED, "", dispatches, key("k"))])
    [verdict] = await store.record(second, [dispatched(3, second, dedupe=key("k"))])
    assert verdict.duplicate_of == first.id


async def test_what_another_entry_owed_does_not_hold_a_key(store: Store) -> None:
    first, second = delivered(1), delivered(2)
    dead = (owed(1, first, entry="a", state=State.DEAD),)
    await store.record(
        first,
        [
            Verdict("a", Outcome.DISPATCHED, "", dead, key("k")),
            dispatched(2, first, entry="b", dedupe=key("k")),
        ],
    )
    final = await store.record(
        second,
        [
            dispatched(3, second, entry="a", dedupe=key("k")),
            dispatched(4, second, entry="b", dedupe=key("k")),
        ],
    )
    assert [verdict.outcome for verdict in final] == [Outcome.DISPATCHED, Outcome.DUPLICATE]


@pytest.mark.parametrize(
    ("first_print", "second_print", "conflict"),
    [("a", "b", True), ("a", "a", False), ("", "b", False), ("a", "", False)],
)
async def test_a_repeated_key_with_another_request_is_a_conflict(
    store: Store, first_print: str, second_print: str, conflict: bool
) -> None:
    first, second = delivered(1), delivered(2)
    await store.record(first, [dispatched(1, first, dedupe=key("k", fingerprint=first_print))])
    [verdict] = await store.record(
        second, [dispatched(2, second, dedupe=key("k", fingerprint=second_print))]
    )
    assert (verdict.outcome, verdict.conflict) == (Outcome.DUPLICATE, conflict)
    assert bool(verdict.reason) is conflict


async def test_a_second_event_of_the_same_id_is_refused_alone(store: Store) -> None:
    event, other = delivered(1), delivered(2)
    results = await asyncio.gather(
        store.record(event, [dispatched(1, event)]),
        store.record(event, [dispatched(3, event)]),
        store.record(other, [dispatched(2, other)]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [tuple, StoreError, tuple]
    assert ids(await store.dispatches(10)) == [id_of("dsp", 2), id_of("dsp", 1)]


async def test_text_that_cannot_be_encoded_is_refused_alone(store: Store) -> None:
    broken, sound = delivered(1), delivered(2)
    results = await asyncio.gather(
        store.record(broken, [Verdict("push", Outcome.ERROR, "lone \ud800 surrogate")]),
        store.record(sound, [dispatched(2, sound)]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [StoreError, tuple]
    assert await store.event(broken.id) is None


async def test_many_keys_at_once_are_all_looked_up(store: Store) -> None:
    """More than one statement takes, so that they are asked for in parts."""
    event, again = delivered(1), delivered(2)
    keys = [f"k{number}" for number in range(1000)]
    await store.record(event, [Verdict(text, Outcome.HELD, dedupe=key(text)) for text in keys])
    final = await store.record(
        again, [Verdict(text, Outcome.HELD, dedupe=key(text)) for text in keys]
    )
    assert {verdict.duplicate_of for verdict in final} == {event.id}


@dataclass(frozen=True)
class Step:
    """One delivery of a made-up history."""

    entry: str
    key: str
    outcome: Outcome
    minutes: int  # after NOW
    window: int  # minutes
    fingerprint: str
    sticky: bool
    dead: bool


steps = st.lists(
    st.builds(
        Step,
        entry=st.sampled_from("ab"),
        key=st.sampled_from("xy"),
        outcome=st.sampled_from([Outcome.DISPATCHED, Outcome.HELD, Outcome.UNMATCHED]),
        minutes=st.integers(0, 10),
        window=st.integers(1, 5),
        fingerprint=st.sampled_from(["", "p", "q"]),
        sticky=st.booleans(),
        dead=st.booleans(),
    ),
    max_size=8,
)


def recording_of(number: int, step: Step) -> Recording:
    event = delivered(number, at=NOW + timedelta(minutes=step.minutes))
    until = event.at + timedelta(minutes=step.window)
    state = State.DEAD if step.dead else State.PENDING
    dispatches = (owed(number, event, entry=step.entry, state=state),)
    dedupe = key(step.key, until=until, fingerprint=step.fingerprint, sticky=step.sticky)
    owes = dispatches if step.outcome is Outcome.DISPATCHED else ()
    return event, (Verdict(step.entry, step.outcome, "", owes, dedupe),)


def recorded(batches: Sequence[Sequence[Recording]]) -> list[tuple[Verdict, ...]]:
    """The verdicts that a new database gives, one transaction for each batch."""
    engine = writing(connect(parse("sqlite://")))
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
        final: list[tuple[Verdict, ...]] = []
        for batch in batches:
            with engine.begin() as connection:
                final += record(connection, batch)
    finally:
        engine.dispose()
    return final


@settings(deadline=None)
@given(steps)
def test_a_batch_gives_the_verdicts_that_its_deliveries_get_one_by_one(history: list[Step]) -> None:
    recordings = [recording_of(number, step) for number, step in enumerate(history)]
    assert recorded([recordings]) == recorded([[recording] for recording in recordings])


async def test_the_events_of_a_cron_are_found_by_its_name(store: Store) -> None:
    nightly, push = fired(1, "nightly", NOW), delivered(2)
    await store.record(nightly, [dispatched(1, nightly, entry="nightly")])
    await store.record(push, [dispatched(2, push)])
    assert await store.events(10, source="nightly") == [nightly]
    assert await store.events(10, source="nightly", outcome=Outcome.DISPATCHED) == [nightly]
    assert await store.events(10, source="nightly", outcome=Outcome.ERROR) == []


async def test_events_are_listed_newest_first_page_by_page(store: Store) -> None:
    """Without their bodies: a page of large deliveries must not fill the memory."""
    for number in range(5):
        event = delivered(number, body=b"large")
        outcome = Outcome.DISPATCHED if number % 2 == 0 else Outcome.ERROR
        await store.record(event, [Verdict("push", outcome), Verdict("all", outcome)])
    first = await store.events(2)
    assert ids(first) == [id_of("evt", 4), id_of("evt", 3)]
    assert first[0] == delivered(4, body=b"")
    second = await store.events(2, before=first[-1].id)
    assert ids(second) == [id_of("evt", 2), id_of("evt", 1)]
    even = await store.events(2, outcome=Outcome.DISPATCHED)
    assert ids(even) == [id_of("evt", 4), id_of("evt", 2)]
    rest = await store.events(2, before=even[-1].id, outcome=Outcome.DISPATCHED)
    assert ids(rest) == [id_of("evt", 0)]


async def test_dispatches_are_listed_by_what_is_asked(store: Store) -> None:
    old, new = delivered(1, at=NOW - DAY), delivered(2)
    await store.record(old, [dispatched(1, old), dispatched(2, old, entry="other")])
    await store.record(new, [dispatched(3, new)])
    await store.cancel([id_of("dsp", 3)], NOW, "by hand")

    oldest, other, newest = id_of("dsp", 1, old.at), id_of("dsp", 2, old.at), id_of("dsp", 3)
    assert ids(await store.dispatches(10)) == [newest, other, oldest]
    assert ids(await store.dispatches(2)) == [newest, other]
    assert ids(await store.dispatches(10, before=newest)) == [other, oldest]
    pending_or_dead = [State.PENDING, State.DEAD]
    assert ids(await store.dispatches(10, states=pending_or_dead)) == [other, oldest]
    assert ids(await store.dispatches(10, states=[])) == []
    assert ids(await store.dispatches(10, entry="push")) == [newest, oldest]
    assert ids(await store.dispatches(10, event_id=old.id)) == [other, oldest]
    assert ids(await store.dispatches(10, since=NOW)) == [newest]
    assert ids(await store.dispatches(10, since=NOW + SECOND)) == []
    assert ids(await store.dispatches(10, since=old.at, entry="push", states=pending_or_dead)) == [
        oldest
    ]


@pytest.mark.parametrize(
    "repeated",
    [
        key("id-1"),  # the same id alone
        replace(key("id-2"), also="sha256:a"),  # a made-up id over the same body
        replace(key("id-1"), also="sha256:b"),
        key("sha256:a"),  # the body alone, without any id
    ],
)
async def test_a_delivery_is_known_by_either_of_its_keys(store: Store, repeated: DedupeKey) -> None:
    first = delivered(1)
    await store.record(first, [dispatched(1, first, dedupe=replace(key("id-1"), also="sha256:a"))])
    event = delivered(2)
    [verdict] = await store.record(event, [dispatched(2, event, dedupe=repeated)])
    assert verdict.duplicate_of == first.id


async def test_another_id_over_another_body_is_another_delivery(store: Store) -> None:
    for number, letter in enumerate("ab"):
        event = delivered(number)
        dedupe = replace(key(f"id-{letter}"), also=f"sha256:{letter}")
        [verdict] = await store.record(event, [dispatched(number, event, dedupe=dedupe)])
        assert verdict.outcome is Outcome.DISPATCHED
