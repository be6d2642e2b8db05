"""A lane: what may go under one credential, and how its queue is shared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daemon.lane import URGENT_TURNS, Lane
from daemon.pacing import UNLIMITED, Budget

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_lane() -> Lane:
    return Lane("acme", Budget(0, 0, 0))


@given(st.integers(0, 50))
def test_whenever_one_looks_every_fourth_claim_begins_with_what_is_not_urgent(start: int) -> None:
    lane = a_lane()
    for _ in range(start):
        lane.urgent_first()
    turns = [lane.urgent_first() for _ in range(4 * (URGENT_TURNS + 1))]
    assert turns.count(False) == 4
    assert not any(turns[i : i + 2] == [False, False] for i in range(len(turns)))


def test_a_refused_credential_is_tried_by_one_request_at_a_time_after_pauses_that_grow() -> None:
    lane, now, pauses = a_lane(), T0, []
    assert lane.allowance(now) == UNLIMITED
    for _ in range(9):
        lane.refuse(now, "401")
        assert lane.allowance(now) == 0
        assert lane.closed(now)
        until = lane.held_up_until(now)
        assert until is not None
        pauses.append((until - now).total_seconds())
        now = until
        assert lane.allowance(now) == 1
        lane.unanswered.add("dsp_1")
        assert lane.allowance(now) == 0
        assert lane.held_up_until(now) is None  # its answer says when
        lane.unanswered.clear()
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert lane.taken()
    assert lane.allowance(now) == UNLIMITED


def test_a_refusal_and_its_end_are_news_once() -> None:
    lane = a_lane()
    assert [lane.refuse(T0, "401"), lane.refuse(T0 + timedelta(hours=1), "401")] == [True, False]
    assert lane.refused == "401"
    assert [lane.taken(), lane.taken()] == [True, False]
    assert lane.refused == ""


def test_what_holds_up_the_longest_says_when_it_goes_on() -> None:
    lane = a_lane()
    lane.refuse(T0, "401")
    lane.budget.throttle(T0, T0 + timedelta(minutes=3))
    assert lane.held_up_until(T0) == T0 + timedelta(minutes=3)
