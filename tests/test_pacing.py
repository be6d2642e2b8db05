"""The Budget of one credential: never faster than it was told, never frozen for nothing."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.pacing import UNLIMITED, Budget, Limits

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def drain(budget: Budget, now: datetime) -> int:
    """Spends all that may go now, and says how much that was."""
    n = budget.allowance(now)
    if n:
        budget.spend(now, n)
    return n


def exhausted(reset: datetime) -> Limits:
    return Limits(limit=5000, remaining=0, reset=reset, resource="core")


def test_a_burst_may_go_at_once_and_then_one_a_second() -> None:
    budget = Budget(1, 10, 0)
    assert drain(budget, T0) == 10
    assert budget.allowance(T0) == 0
    assert budget.next_at(T0) == after(1)
    assert drain(budget, after(1)) == 1
    assert drain(budget, after(3.5)) == 2
    assert budget.next_at(after(3.5)) == after(4)


def test_the_burst_fills_up_again_but_never_above_its_size() -> None:
    budget = Budget(2, 4, 0)
    drain(budget, T0)
    assert budget.allowance(after(1)) == 2
    assert budget.allowance(after(1000)) == 4


def test_the_hour_holds_no_more_than_its_budget() -> None:
    budget = Budget(0, 0, 500)
    assert drain(budget, T0) == 500
    free = budget.next_at(T0)
    assert budget.allowance(after(3599)) == 0
    assert after(3600) <= free <= after(3661)
    assert budget.allowance(free) == 500


@pytest.mark.parametrize(("rate", "burst"), [(0, 10), (1, 0), (0, 0)])
def test_zero_means_no_limit_for_each_setting(rate: float, burst: int) -> None:
    budget = Budget(rate, burst, 0)
    budget.spend(T0, 50_000)
    assert budget.allowance(T0) == UNLIMITED
    assert budget.next_at(T0) == T0
    assert Budget(rate, burst, 7).allowance(T0) == 7


def test_what_was_spent_above_the_allowance_is_waited_for() -> None:
    budget = Budget(1, 2, 0)
    budget.spend(T0, 5)
    assert budget.next_at(T0) == after(4)
    assert budget.allowance(after(3)) == 0
    assert budget.allowance(after(4)) == 1


def test_a_throttled_credential_waits_and_then_goes_one_by_one() -> None:
    """GitHub asks for serial writes a second apart: a saved-up burst would be refused again."""
    budget = Budget(1, 10, 500)
    budget.throttle(T0, after(60))
    assert budget.next_at(T0) == after(60)
    assert budget.allowance(after(59.9)) == 0
    assert drain(budget, after(60)) == 1
    assert budget.next_at(after(60)) == after(61)


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    budget = Budget(0, 0, 0)
    budget.throttle(T0, after(300))
    budget.throttle(after(1), after(2))
    assert budget.allowance(after(299)) == 0
    assert budget.allowance(after(300)) == UNLIMITED


def test_refusals_of_requests_in_flight_together_count_once() -> None:
    budget = Budget(1, 10, 0)
    for tick in range(5):
        assert budget.throttles == 0
        budget.throttle(after(tick / 10), after(60))
    assert budget.throttles == 0  # the wait in force is not one before
    assert budget.allowance(after(60)) == 1
    assert budget.throttles == 1
    budget.throttle(after(61), after(181))
    budget.allowance(after(181))
    assert budget.throttles == 2


def test_an_accepted_write_starts_the_count_of_refusals_anew_but_not_during_the_wait() -> None:
    budget = Budget(1, 10, 0)
    budget.throttle(T0, after(60))
    budget.accepted()
    budget.allowance(after(60))
    assert budget.throttles == 1
    budget.accepted()
    assert budget.throttles == 0


def test_what_is_taken_back_during_a_wait_makes_no_room_for_a_burst_after_it() -> None:
    """As where one of a burst is refused, and the others of it have not left yet."""
    budget = Budget(1, 10, 500)
    budget.spend(T0, 10)
    budget.throttle(T0, after(60))
    budget.take_back(T0, 9)
    assert budget.allowance(after(60)) == 1
    assert budget.allowance(after(61)) == 2


def test_a_used_up_limit_of_githubs_waits_for_its_reset() -> None:
    budget = Budget(1, 10, 500)
    budget.observe(T0, Limits(5000, 1, after(900), "core"))
    assert budget.allowance(T0) == 10
    budget.observe(T0, exhausted(after(900)))
    assert budget.next_at(T0) == after(900)
    assert budget.allowance(after(899)) == 0
    assert budget.allowance(after(900)) == 1


def test_a_clock_set_back_a_year_freezes_nothing() -> None:
    """The waits that were left are still waited for, and no longer."""
    budget = Budget(1, 3, 5)
    drain(budget, T0)
    budget.throttle(T0, after(60))
    past = T0 - timedelta(days=365)
    assert budget.allowance(past) == 0
    assert budget.next_at(past) == past + timedelta(seconds=60)
    assert drain(budget, past + timedelta(seconds=60)) == 1
    assert drain(budget, past + timedelta(seconds=70)) == 1  # the fifth of the hour
    free = budget.next_at(past + timedelta(seconds=70))
    assert free <= past + timedelta(seconds=3661)
    assert budget.allowance(free) == 3


def test_a_high_hourly_budget_takes_little_memory() -> None:
    budget = Budget(0, 0, 15_000_000)
    tracemalloc.start()
    try:
        for second in range(10_000):
            budget.spend(after(second), 3)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 50_000


def test_a_clock_that_is_set_on_ends_no_wait() -> None:
    """Not the one that GitHub imposed, nor those of the bucket and of the hour."""
    on = timedelta(hours=1)
    for budget, wait in (
        (blocked(), timedelta(seconds=60)),
        (spent(Budget(0.1, 1, 0)), timedelta(seconds=10)),
        (spent(Budget(0, 0, 1)), timedelta(hours=1, minutes=1)),
    ):
        budget.blocked_until(T0 + on)  # somebody else saw the new time before
        budget.clock_set_on(on)
        assert budget.allowance(T0 + on) == 0
        assert budget.next_at(T0 + on) == T0 + on + wait


def blocked() -> Budget:
    budget = Budget(0, 0, 0)
    budget.throttle(T0, T0 + timedelta(seconds=60))
    return budget


def spent(budget: Budget) -> Budget:
    budget.spend(T0)
    return budget


steps = st.lists(st.tuples(st.integers(0, 120_000_000), st.integers(1, 20)), max_size=80)


@given(
    rate=st.floats(0.01, 50),
    burst=st.integers(1, 30),
    per_hour=st.integers(1, 200),
    steps=steps,
)
def test_no_span_of_time_sees_more_than_the_limits_allow(
    rate: float, burst: int, per_hour: int, steps: list[tuple[int, int]]
) -> None:
    """In any span of t seconds at most burst + rate * t go, and in any hour at most per_hour."""
    budget = Budget(rate, burst, per_hour)
    now, sent = T0, list[datetime]()
    for microseconds, wanted in steps:
        now += timedelta(microseconds=microseconds)
        n = min(wanted, budget.allowance(now))
        if n:
            budget.spend(now, n)
        sent += [now] * n
    for first, start in enumerate(sent):
        for last in range(first, len(sent)):
            span = (sent[last] - start).total_seconds()
            assert last - first + 1 <= burst + rate * span + 1e-6
        assert sum(start <= at < start + timedelta(hours=1) for at in sent) <= per_hour


@given(rate=st.floats(0, 50), burst=st.integers(0, 30), per_hour=st.integers(0, 100), steps=steps)
def test_next_at_is_the_first_instant_at_which_one_may_go(
    rate: float, burst: int, per_hour: int, steps: list[tuple[int, int]]
) -> None:
    budget = Budget(rate, burst, per_hour)
    now = T0
    for microseconds, n in steps:
        now += timedelta(microseconds=microseconds)
        budget.spend(now, n)
    free = budget.next_at(now)
    assert free >= now
    if free > now:
        assert budget.allowance(free - timedelta(microseconds=1)) == 0
    assert budget.allowance(free) >= 1


@given(
    rate=st.floats(0, 50),
    burst=st.integers(0, 30),
    per_hour=st.integers(0, 100),
    steps=steps,
    wait=st.integers(0, 7200),
    later=st.integers(-100_000, 100_000),
)
def test_one_that_goes_on_from_another_says_what_that_would_have_said(
    rate: float, burst: int, per_hour: int, steps: list[tuple[int, int]], wait: int, later: int
) -> None:
    budget, resumed = Budget(rate, burst, per_hour), Budget(rate, burst, per_hour)
    now = T0
    for microseconds, n in steps:
        now += timedelta(microseconds=microseconds)
        budget.spend(now, min(n, budget.allowance(now)))
    if wait:
        budget.throttle(now, now + timedelta(seconds=wait))
    resumed.resume(budget.spent)
    now += timedelta(seconds=later)
    assert resumed.allowance(now) == budget.allowance(now)
    assert resumed.next_at(now) == budget.next_at(now)
    assert resumed.blocked_until(now) == budget.blocked_until(now)
    assert resumed.throttles == budget.throttles


def test_a_pace_that_was_changed_meanwhile_holds_from_now_on() -> None:
    """A slow bucket that was overdrawn does not hold up a fast one, and a wait stays a wait."""
    slow, fast = Budget(0.001, 1, 0), Budget(10, 5, 0)
    slow.spend(T0, 20)
    fast.resume(slow.spent)
    assert fast.next_at(T0) <= after(1)
    slow.throttle(T0, after(600))
    fast.resume(slow.spent)
    assert after(600) <= fast.next_at(T0) <= after(601)
    off = Budget(0, 0, 0)
    off.resume(slow.spent)
    assert off.allowance(after(600)) == UNLIMITED


def test_what_never_reached_github_counts_for_nothing() -> None:
    """An outage must not use the hour's writes up: they would be missing when it is over."""
    budget = Budget(1, 3, 5)
    for _ in range(50):
        assert budget.allowance(T0) == 3
        budget.spend(T0, 3)
        budget.take_back(T0)
        budget.take_back(T0, 2)
    budget.spend(T0, 3)
    assert budget.allowance(T0) == 0
    later = T0 + timedelta(minutes=2)
    assert budget.allowance(later) == 2
    budget.spend(later, 2)
    budget.take_back(later, 3)  # two of this minute's, one of the earlier
    assert budget.allowance(later) == 3
