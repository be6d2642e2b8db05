"""Which deliveries GitHub is asked to make once more, for whatever it says that it made."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.github_hooks import KEPT, HookDelivery
from daemon.redelivery import AROUND, OVERLAP, missed, spans, start_of, without

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CODES = {
    200: "OK",
    202: "OK",
    0: "failed to connect to host",
    301: "Invalid HTTP Response: 301",
    401: "Invalid HTTP Response: 401",
    408: "Invalid HTTP Response: 408",
    502: "failed to connect to host",
    504: "timed out",
}


def tried(
    number: int, guid: str = "a", code: int = 502, minute: float = 0, event: str = "push"
) -> HookDelivery:
    at = T0 + timedelta(minutes=minute)
    return HookDelivery(number, guid, event, "", at, code, CODES[code])


DELIVERIES = st.lists(
    st.builds(
        tried,
        number=st.integers(1, 10_000),
        guid=st.sampled_from("abcde"),
        code=st.sampled_from(sorted(CODES)),
        minute=st.integers(0, 90),
        event=st.sampled_from(["push", "ping", "workflow_run"]),
    ),
    max_size=30,
    unique_by=lambda each: each.id,
)


def again(*deliveries: HookDelivery, since: datetime = T0) -> list[int]:
    return [each.id for each in missed(deliveries, since).again]


def test_what_failed_is_asked_for_by_its_last_try_the_oldest_event_first() -> None:
    found = [tried(5, "b", minute=2), tried(4, "a", 504, minute=3), tried(1, "a", minute=1)]
    assert again(*found) == [4, 5]


@pytest.mark.parametrize("code", [200, 202])
def test_what_arrived_at_any_try_is_not_asked_for(code: int) -> None:
    assert again(tried(1), tried(2, code=code, minute=1)) == []
    assert again(tried(1, code=code), tried(2, minute=1)) == []


@pytest.mark.parametrize("code", [0, 408, 502, 504])
def test_what_nobody_answered_is_missed(code: int) -> None:
    assert again(tried(1, code=code)) == [1]


@pytest.mark.parametrize("code", [301, 401])
def test_what_would_be_answered_the_same_again_is_counted_and_left_unless_it_is_wanted(
    code: int,
) -> None:
    found = missed([tried(1, code=code), tried(2, "b", code), tried(3, "c")], T0)
    assert ([each.id for each in found.again], found.refused) == ([3], {code: 2})
    wanted = missed([tried(1, code=code), tried(2, "b", code)], T0, with_refused=True)
    assert ([each.id for each in wanted.again], wanted.refused) == ([1, 2], {})


def test_a_delivery_that_was_refused_after_a_fault_of_the_network_counts_as_refused() -> None:
    found = missed([tried(1), tried(2, code=401, minute=1)], T0)
    assert (found.again, found.refused) == ((), {401: 1})


def test_a_ping_is_nothing_to_miss() -> None:
    assert again(tried(1, event="ping")) == []


def test_what_failed_before_the_span_is_left_and_its_last_try_counts() -> None:
    old = tried(1, minute=-10)
    assert again(old) == []
    assert again(old, tried(2, minute=1)) == [2]


def test_the_newest_are_asked_for_where_there_are_too_many_and_the_others_counted() -> None:
    found = missed([tried(i, str(i), minute=i) for i in range(1, 8)], T0, most=3)
    assert ([each.id for each in found.again], found.left) == ([5, 6, 7], 4)


def test_what_came_in_although_its_answer_was_lost_is_not_asked_for() -> None:
    found = missed([tried(1, "a", 504), tried(2, "b")], T0)
    assert [each.id for each in without(found, {"a"}).again] == [2]


@given(DELIVERIES)
def test_each_event_is_asked_for_once_at_most_and_only_if_it_never_arrived(
    deliveries: list[HookDelivery],
) -> None:
    found = missed(deliveries, T0)
    guids = [each.guid for each in found.again]
    arrived = {each.guid for each in deliveries if each.arrived}
    assert len(set(guids)) == len(guids)
    assert not arrived & set(guids)
    assert all(each.event != "ping" and not each.refused for each in found.again)


@given(DELIVERIES)
def test_every_event_of_the_span_arrived_or_is_asked_for_or_counted(
    deliveries: list[HookDelivery],
) -> None:
    found = missed(deliveries, T0)
    last = {each.guid: each for each in sorted(deliveries, key=lambda each: (each.at, each.id))}
    arrived = {each.guid for each in deliveries if each.arrived}
    rest = {guid for guid, each in last.items() if guid not in arrived and each.event != "ping"}
    assert len(rest) == len(found.again) + sum(found.refused.values())


@given(DELIVERIES.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_in_which_github_lists_them_changes_nothing(
    both: tuple[list[HookDelivery], list[HookDelivery]],
) -> None:
    assert missed(both[0], T0) == missed(both[1], T0)


@given(DELIVERIES)
def test_the_spans_cover_every_delivery_and_do_not_overlap(deliveries: list[HookDelivery]) -> None:
    found = spans(deliveries)
    for each in deliveries:
        assert any(first <= each.at - AROUND and each.at + AROUND <= last for first, last in found)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))


def test_a_start_goes_on_from_the_last_look_and_a_little_before() -> None:
    assert start_of(None, T0) == T0 - KEPT
    assert start_of(T0 - timedelta(hours=1), T0) == T0 - timedelta(hours=1) - OVERLAP
    assert start_of(T0 - timedelta(days=9), T0) == T0 - KEPT
    # A clock that was ahead then hides nothing.
    assert start_of(T0 + timedelta(days=9), T0) == T0 - OVERLAP
