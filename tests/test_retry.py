"""The retry policy: how long it waits, and where it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.retry import GiveUp, RetryAt, RetryPolicy

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FAR = T0 + timedelta(days=30)
ALMOST_ONE = 1 - 2**-53

chances = st.floats(0, 1, exclude_max=True)


def failed(
    attempts: int,
    *,
    now: datetime = T0,
    retry_until: datetime | None = None,
    expires_at: datetime = FAR,
    chance: float = 0.5,
) -> RetryAt | GiveUp:
    return RetryPolicy().after_failure(
        attempts, now=now, retry_until=retry_until, expires_at=expires_at, random=lambda: chance
    )


@given(attempts=st.integers(1, 10**6), chance=chances)
def test_the_wait_is_a_random_share_of_a_doubled_base_up_to_the_cap(
    attempts: int, chance: float
) -> None:
    decision = failed(attempts, chance=chance)
    assert isinstance(decision, RetryAt)
    ceiling = min(2 * 2 ** min(attempts - 1, 60), 300)
    wait = (decision.when - T0).total_seconds()
    assert wait == pytest.approx(chance * ceiling, abs=1e-6)


def test_the_longest_wait_doubles_and_stops_at_five_minutes() -> None:
    waits = []
    for attempts in range(1, 11):
        decision = failed(attempts, chance=ALMOST_ONE)
        assert isinstance(decision, RetryAt)
        waits.append(round((decision.when - T0).total_seconds()))
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_the_first_failure_starts_a_window_of_a_day_and_later_ones_keep_it() -> None:
    first = failed(1)
    assert isinstance(first, RetryAt)
    assert first.retry_until == T0 + timedelta(hours=24)
    later = failed(2, now=T0 + timedelta(hours=5), retry_until=first.retry_until)
    assert isinstance(later, RetryAt)
    assert later.retry_until == first.retry_until


def test_a_retry_past_the_window_is_given_up_with_the_time_at_which_it_ended() -> None:
    end = T0 + timedelta(hours=24)
    last = failed(400, now=end - timedelta(seconds=150), retry_until=end)
    assert isinstance(last, RetryAt)
    assert last.when == end
    decision = failed(400, now=end - timedelta(seconds=149), retry_until=end)
    assert decision == GiveUp("its retries end at 2026-03-02 12:00:00 UTC")


def test_a_retry_past_send_within_is_given_up() -> None:
    decision = failed(3, expires_at=T0 + timedelta(seconds=3))
    assert decision == GiveUp("its send_within ends at 2026-03-01 12:00:03 UTC")


def test_a_wait_that_github_imposed_moves_the_end_of_the_retries_by_its_length() -> None:
    end = T0 + timedelta(hours=2)
    decision = RetryPolicy().after_throttle(
        T0 + timedelta(hours=1), now=T0, retry_until=end, expires_at=FAR
    )
    assert decision == RetryAt(T0 + timedelta(hours=1), T0 + timedelta(hours=3))


def test_a_wait_that_github_imposed_does_not_move_send_within() -> None:
    """A nightly build sent at noon helps nobody, whoever made it late."""
    decision = RetryPolicy().after_throttle(
        T0 + timedelta(hours=1), now=T0, retry_until=None, expires_at=T0 + timedelta(minutes=59)
    )
    assert isinstance(decision, GiveUp)


@given(minutes=st.lists(st.integers(1, 600), min_size=1, max_size=60))
def test_throttling_alone_never_ends_the_retries(minutes: list[int]) -> None:
    now, retry_until = T0, None
    for wait in minutes:
        decision = RetryPolicy().after_throttle(
            now + timedelta(minutes=wait),
            now=now,
            retry_until=retry_until,
            expires_at=T0 + timedelta(days=365),
        )
        assert isinstance(decision, RetryAt)
        now, retry_until = decision.when, decision.retry_until
    assert retry_until == now + timedelta(hours=24)


def test_a_time_that_has_passed_means_now() -> None:
    decision = RetryPolicy().after_throttle(
        T0 - timedelta(hours=1), now=T0, retry_until=None, expires_at=FAR
    )
    assert decision == RetryAt(T0, T0 + timedelta(hours=24))


@given(throttles=st.integers(0, 10**6), chance=chances)
def test_a_wait_without_a_named_time_is_a_minute_doubled_with_each_refusal(
    throttles: int, chance: float
) -> None:
    """Never less than GitHub asks for; up to a quarter more, never above an hour and a quarter."""
    until = RetryPolicy().throttled_until(throttles, now=T0, random=lambda: chance)
    least = min(60 * 2 ** min(throttles, 60), 3600)
    assert least <= (until - T0).total_seconds() <= least * 1.25
