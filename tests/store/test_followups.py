"""What follows on a dispatch that went wrong: owed once, with it, and settled once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from daemon.binding import Judgement
from daemon.chain import Breaker, Guards
from daemon.dispatch import Dispatch, Hold, Settlement, State
from daemon.errors import StoreError
from daemon.event import Outcome, Pause, Verdict
from daemon.follow_up import Cause, EndedRun, FollowUp, Owing, Standing
from daemon.incident import IncidentKind
from daemon.run import Match, Run
from daemon.store import Store
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    SECOND,
    a_run,
    delivered,
    dispatched,
    id_of,
    owed,
    prune,
)

LONG_AGO = NOW - 40 * DAY
RUN = EndedRun(42, 1, "Build", "failure", "https://github.example/runs/42")


def wanted(entry: str, cause: Cause) -> bool:
    return entry == "push"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = Store.open(store_url, owner="tests", now=NOW, follows=wanted)
    yield store
    await store.close()


async def keep(store: Store, state: State = State.PENDING, entry: str = "push") -> str:
    dispatch = owed(1, delivered(1), entry=entry)
    final = NOW if state.final else None
    dispatch = replace(dispatch, state=state, settled_at=final)
    await store.record(delivered(1), [Verdict(entry, Outcome.DISPATCHED, "", (dispatch,))])
    return dispatch.id


async def one(store: Store) -> FollowUp:
    (found,) = await store.owed_follow_ups(NOW, 10)
    return found.follow_up


@pytest.mark.parametrize("how", ["recorded so", "settled", "too old", "added"])
async def test_a_dispatch_that_dies_owes_a_follow_up(store: Store, how: str) -> None:
    dispatch_id = await keep(store, State.DEAD if how == "recorded so" else State.PENDING)
    if how == "settled":
        await store.claim(NOW, 1, LEASE)
        await store.settle(dispatch_id, None, Settlement(State.DEAD, "refused"), NOW)
    elif how == "too old":
        await store.claim(NOW + 2 * DAY, 1, LEASE)
    elif how == "added":
        again = replace(owed(2, delivered(1)), state=State.DEAD, settled_at=NOW)
        await store.add_dispatches([again])
        dispatch_id = again.id
    (found,) = await store.owed_follow_ups(NOW + 2 * DAY, 10)
    assert (found.follow_up.dispatch_id, found.follow_up.cause) == (dispatch_id, Cause.DEAD)
    assert found.follow_up.state is Standing.OWED
    assert found.dispatch == await store.dispatch(dispatch_id)
    assert found.event.id == delivered(1).id
    assert await store.follow_ups(dispatch_id) == [found.follow_up]


@pytest.mark.parametrize("state", [State.CANCELLED, State.SUPERSEDED])
async def test_what_somebody_wanted_so_owes_none(store: Store, state: State) -> None:
    dispatch_id = await keep(store, State.SUPERSEDED if state is State.SUPERSEDED else State.HELD)
    await store.cancel([dispatch_id], NOW, "by hand")
    assert await store.owed_follow_ups(NOW + DAY, 10) == []


async def test_an_entry_that_wants_none_owes_none(store: Store) -> None:
    await keep(store, State.DEAD, entry="other")
    assert await store.owed_follow_ups(NOW + DAY, 10) == []


async def test_each_cause_and_each_attempt_of_a_run_is_owed_once(store: Store) -> None:
    dispatch_id = await keep(store)
    failed = Owing(dispatch_id, Cause.FAILED, NOW, RUN)
    run_again = replace(failed, run=replace(RUN, attempt=2))
    missing = Owing(dispatch_id, Cause.MISSING, NOW, why="no workflow listens")
    stranger = Owing(id_of("dsp", 99), Cause.MISSING, NOW)
    assert await store.owe([failed, missing, stranger]) == 2
    assert await store.owe([failed, failed, missing]) == 0
    assert await store.owe([run_again, failed]) == 1
    found = await store.follow_ups(dispatch_id)
    assert {(each.cause, each.run_id, each.run_attempt, each.why) for each in found} == {
        (Cause.FAILED, 42, 1, ""),
        (Cause.FAILED, 42, 2, ""),
        (Cause.MISSING, 0, 0, "no workflow listens"),
    }


async def test_what_is_settled_is_owed_no_more_and_never_again(store: Store) -> None:
    dispatch_id = await keep(store)
    missing = Owing(dispatch_id, Cause.MISSING, NOW)
    await store.owe([missing])
    settled = replace(await one(store), state=Standing.NOTIFIED, wake_at=None, settled_at=NOW)
    await store.change_follow_ups([settled])
    await store.change_follow_ups([replace(settled, state=Standing.GAVE_UP)])
    assert await store.owe([missing]) == 0
    assert await store.follow_ups(dispatch_id) == [settled]
    assert await store.owed_follow_ups(NOW + DAY, 10) == []


async def test_one_that_waits_is_due_when_its_time_has_come(store: Store) -> None:
    await keep(store, State.DEAD)
    waiting = replace(await one(store), attempts=1, wake_at=NOW + HOUR, reason="answered 503")
    await store.change_follow_ups([waiting])
    assert await store.owed_follow_ups(NOW + HOUR - SECOND, 10) == []
    (found,) = await store.owed_follow_ups(NOW + HOUR, 10)
    assert found.follow_up == waiting


async def test_a_start_makes_what_waits_due(store: Store) -> None:
    await keep(store, State.DEAD)
    await store.change_follow_ups([replace(await one(store), wake_at=NOW + HOUR)])
    await store.hasten_follow_ups(NOW + SECOND)
    (found,) = await store.owed_follow_ups(NOW + SECOND, 10)
    assert found.follow_up.wake_at == NOW + SECOND


async def test_one_that_would_wait_for_days_is_due_since_the_clock_was_set(store: Store) -> None:
    await keep(store, State.DEAD)
    await store.change_follow_ups([replace(await one(store), wake_at=NOW + 3 * DAY)])
    assert len(await store.owed_follow_ups(NOW, 10)) == 1


async def test_the_dispatch_that_it_comes_to_is_recorded_with_it_exactly_once(
    store: Store,
) -> None:
    dispatch_id = await keep(store, State.DEAD)
    made = owed(2, delivered(1))
    settled = replace(
        await one(store),
        state=Standing.DISPATCHED,
        wake_at=None,
        settled_at=NOW,
        made=made.id,
    )
    verdict = await store.dispatch_follow_up(settled, made)
    assert verdict is not None
    assert verdict.dispatches == (made,)
    other = owed(3, delivered(1))
    assert await store.dispatch_follow_up(replace(settled, made=other.id), other) is None
    assert await store.dispatch(made.id) == made
    assert await store.dispatch(other.id) is None
    assert await store.follow_ups(dispatch_id) == [settled]


async def test_neither_is_kept_where_the_dispatch_cannot_be_recorded(store: Store) -> None:
    dispatch_id = await keep(store, State.DEAD)
    before = await one(store)
    settled = replace(before, state=Standing.DISPATCHED, wake_at=None, settled_at=NOW)
    with pytest.raises(StoreError):
        await store.dispatch_follow_up(settled, owed(2, delivered(9)))  # of no event there is
    assert await store.follow_ups(dispatch_id) == [before]


async def test_a_follow_up_that_cannot_even_be_made_owes_none_in_turn(store: Store) -> None:
    """Its template would fail again, and again."""
    await keep(store, State.DEAD)
    made = replace(owed(2, delivered(1)), state=State.DEAD, settled_at=NOW)
    settled = replace(await one(store), state=Standing.DISPATCHED, wake_at=None, settled_at=NOW)
    await store.dispatch_follow_up(settled, made)
    assert await store.follow_ups(made.id) == []


async def test_the_follow_up_of_a_paused_entry_is_held(store: Store) -> None:
    await keep(store, State.DEAD)
    await store.pause([Pause("push", NOW, "alice")])
    settled = replace(await one(store), state=Standing.DISPATCHED, wake_at=None, settled_at=NOW)
    made = owed(2, delivered(1))
    await store.dispatch_follow_up(settled, made)
    held = await store.dispatch(made.id)
    assert held is not None
    assert held.state is State.HELD


@pytest.mark.parametrize("by_hand", [False, True])
async def test_one_too_deep_in_its_chain_is_held_whoever_asked_for_the_event(
    store_url: str, by_hand: bool
) -> None:
    guards = Guards(max_chain_depth=3, breaker=Breaker(100, HOUR))
    store = Store.open(store_url, owner="tests", now=NOW, follows=wanted, guards=guards)
    event = replace(delivered(1), replay_of="evt_0" if by_hand else None)
    dead = replace(owed(1, event), state=State.DEAD, settled_at=NOW, depth=3)
    await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (dead,))])
    settled = replace(await one(store), state=Standing.DISPATCHED, wake_at=None, settled_at=NOW)
    made = replace(owed(2, event), depth=4, parent_id=dead.id)
    verdict = await store.dispatch_follow_up(settled, made)
    assert verdict is not None
    (held,) = verdict.dispatches
    assert (held.state, held.held_by) == (State.HELD, Hold.DEPTH)
    assert "past max_chain_depth (3)" in held.reason
    assert [each.kind for each in verdict.incidents] == [IncidentKind.CHAIN]
    assert await store.dispatch(made.id) == held
    assert await store.incidents(10) == list(verdict.incidents)
    await store.close()


async def test_an_entry_past_its_breaker_holds_its_follow_ups(store_url: str) -> None:
    guards = Guards(breaker=Breaker(1, HOUR))
    store = Store.open(store_url, owner="tests", now=NOW, follows=wanted, guards=guards)
    await keep(store, State.DEAD)
    event = delivered(3)
    await store.record(event, [dispatched(3, event)])
    settled = replace(await one(store), state=Standing.DISPATCHED, wake_at=None, settled_at=NOW)
    verdict = await store.dispatch_follow_up(settled, owed(2, delivered(1)))
    assert verdict is not None
    assert [each.held_by for each in verdict.dispatches] == [Hold.BREAKER]
    await store.close()


async def test_what_was_told_together_counts_as_one_message(store: Store) -> None:
    for number, at in enumerate((NOW, NOW, NOW + HOUR, NOW - DAY)):
        event = delivered(number)
        await store.record(event, [dispatched(number, event)])
        await store.owe([Owing(id_of("dsp", number), Cause.MISSING, NOW)])
        (found,) = await store.follow_ups(id_of("dsp", number))
        told = replace(found, state=Standing.NOTIFIED, settled_at=at, target="env:A")
        await store.change_follow_ups([replace(told, wake_at=None)])
    assert await store.told("env:A", NOW - HOUR) == [NOW, NOW + HOUR]
    assert await store.told("env:B", NOW - HOUR) == []


async def test_an_old_event_stays_while_a_follow_up_is_owed(store: Store) -> None:
    event = delivered(1, at=LONG_AGO)
    dead = replace(owed(1, event), state=State.DEAD, settled_at=LONG_AGO)
    await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (dead,))])
    assert await prune(store, NOW - 30 * DAY, 100) == 0
    done = replace(await one(store), state=Standing.NOTHING, wake_at=None, settled_at=NOW)
    await store.change_follow_ups([done])
    assert await prune(store, NOW - 30 * DAY, 100) == 1
    assert await store.follow_ups(dead.id) == []


async def test_a_store_that_nobody_wants_follow_ups_of_writes_none(store_url: str) -> None:
    store = Store.open(store_url, owner="tests", now=NOW)
    dispatch_id = await keep(store, State.DEAD)
    assert await store.owe([Owing(dispatch_id, Cause.MISSING, NOW)]) == 0
    assert await store.follow_ups(dispatch_id) == []
    await store.close()


async def taken(store: Store, **expectation: object) -> Dispatch:
    """A dispatch that GitHub took."""
    dispatch = replace(owed(1, delivered(1)), **expectation)
    await store.record(delivered(1), [Verdict("push", Outcome.DISPATCHED, "", (dispatch,))])
    await store.claim(NOW, 1, LEASE)
    return await store.settle(dispatch.id, None, Settlement(State.ACCEPTED, sent_at=NOW), NOW)


def ended(dispatch: Dispatch, conclusion: str, number: int = 7, **changes: object) -> Run:
    run = a_run(number, title=f"Build [{dispatch.id}]", status="completed", conclusion=conclusion)
    return replace(run, **changes)


@pytest.mark.parametrize("conclusion", ["failure", "timed_out", "startup_failure"])
async def test_a_run_that_failed_owes_one_and_so_does_its_next_attempt(
    store: Store, conclusion: str
) -> None:
    dispatch = await taken(store)
    run = ended(dispatch, conclusion)
    for _ in range(2):
        await store.see_runs([run], NOW)
        (found,) = await store.follow_ups(dispatch.id)
    assert (found.cause, found.run_id, found.run_attempt) == (Cause.FAILED, 7, 1)
    assert (found.run_conclusion, found.run_url) == (conclusion, run.url)
    await store.see_runs([replace(run, attempt=2, updated_at=NOW + HOUR)], NOW + HOUR)
    attempts = [each.run_attempt for each in await store.follow_ups(dispatch.id)]
    assert attempts == [1, 2]


@pytest.mark.parametrize(
    "conclusion", ["success", "cancelled", "skipped", "neutral", "action_required", "stale"]
)
async def test_no_other_end_of_a_run_owes_one(store: Store, conclusion: str) -> None:
    dispatch = await taken(store)
    await store.see_runs([ended(dispatch, conclusion)], NOW)
    assert await store.follow_ups(dispatch.id) == []


async def test_of_several_runs_each_that_failed_owes_one(store: Store) -> None:
    dispatch = await taken(store)
    await store.see_runs(
        [
            ended(dispatch, "failure", 7),
            ended(dispatch, "success", 8, workflow="lint.yml"),
            ended(dispatch, "failure", 9, workflow="docs.yml"),
        ],
        NOW,
    )
    assert [each.run_id for each in await store.follow_ups(dispatch.id)] == [7, 9]


async def test_a_run_that_was_not_found_owes_one_with_the_diagnosis(store: Store) -> None:
    dispatch = await taken(store)
    for _ in range(2):
        await store.judge_runs([Judgement(dispatch.id, Match.MISSING, "nothing listens")], NOW)
        (found,) = await store.follow_ups(dispatch.id)
    assert (found.cause, found.why, found.run_id) == (Cause.MISSING, "nothing listens", 0)


@pytest.mark.parametrize("match", [Match.WAITING, Match.AMBIGUOUS])
async def test_as_long_as_a_run_may_be_there_none_is_owed(store: Store, match: Match) -> None:
    dispatch = await taken(store)
    await store.judge_runs([Judgement(dispatch.id, match, "several could be it")], NOW)
    assert await store.follow_ups(dispatch.id) == []
