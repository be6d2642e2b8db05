"""The rule for when GitHub cannot be reached: one request at a time finds out, ever less often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from daemon.outage import Outage
from daemon.pacing import UNLIMITED

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_without_an_outage_all_may_go() -> None:
    outage = Outage()
    assert outage.allowance(T0, in_flight=7) == UNLIMITED
    assert outage.paused_until(T0) is None


def test_after_a_failure_nothing_goes_for_a_while_and_then_one_at_a_time() -> None:
    outage = Outage(base=timedelta(seconds=4))
    outage.unreachable(T0)
    assert outage.paused_until(T0) == after(4)
    assert outage.allowance(after(3.9), in_flight=0) == 0
    assert outage.allowance(after(4), in_flight=0) == 1
    assert outage.allowance(after(4), in_flight=1) == 0


def test_the_pauses_double_up_to_their_cap() -> None:
    outage = Outage(base=timedelta(seconds=1), cap=timedelta(seconds=30))
    now, pauses = T0, []
    for _ in range(40):
        outage.unreachable(now)
        until = outage.paused_until(now)
        assert until is not None
        pauses.append((until - now).total_seconds())
        now = until
    assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert pauses[-1] == 30


def test_those_that_were_on_their_way_together_count_as_one() -> None:
    outage = Outage()
    for _ in range(16):
        outage.unreachable(T0)
    assert outage.paused_until(T0) == after(1)


def test_any_answer_ends_it_and_the_next_begins_small() -> None:
    outage = Outage()
    outage.unreachable(T0)
    outage.unreachable(after(1))
    outage.reached()
    assert outage.allowance(after(1), in_flight=5) == UNLIMITED
    outage.unreachable(after(2))
    assert outage.paused_until(after(2)) == after(3)


def test_a_clock_that_was_set_back_ends_the_pause() -> None:
    outage = Outage()
    outage.unreachable(T0)
    assert outage.paused_until(T0 - timedelta(hours=1)) is None
