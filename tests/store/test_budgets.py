"""What the pacing has counted is kept with what GitHub answered, for each lane."""

from __future__ import annotations

from datetime import timedelta

from daemon.dispatch import Settlement, State
from daemon.event import Outcome, Verdict
from daemon.pacing import Budget, Spent
from daemon.store import Store
from tests.store.samples import LEASE, NOW, attempted, delivered, owed


def after(writes: int) -> Spent:
    budget = Budget(1, 10, 500)
    for minute in range(writes):
        budget.spend(NOW + timedelta(minutes=minute))
    return budget.spent


async def test_nothing_is_known_of_a_lane_that_was_never_written_to(store: Store) -> None:
    assert await store.budgets() == {}


async def test_the_last_that_was_kept_of_each_lane_comes_back(store: Store) -> None:
    event = delivered(1)
    dispatches = tuple(owed(number, event) for number in range(4))
    await store.record(event, [Verdict("push", Outcome.DISPATCHED, dispatches=dispatches)])
    claim = await store.claim(NOW, 10, LEASE)
    spent = [("acme", after(1)), ("octo", after(40)), ("acme", after(60)), ("octo", None)]
    for dispatch, (lane, each) in zip(claim.dispatches, spent, strict=True):
        settled = Settlement(State.ACCEPTED)
        await store.settle(dispatch.id, attempted(dispatch), settled, NOW, lane=lane, spent=each)
    assert await store.budgets() == {"acme": after(60), "octo": after(40)}
