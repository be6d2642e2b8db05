"""Which runs belong to which dispatch, over every store: by the id that they show, once, and
whatever order GitHub tells it in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.binding import FIRST_LOOK, Judgement
from daemon.dispatch import Dispatch, RunNamed, Settlement, State
from daemon.follow_up import Cause
from daemon.run import Match
from daemon.store import Store
from tests.store.samples import (
    LEASE,
    NOW,
    SECOND,
    a_run,
    attempted,
    delivered,
    dispatched,
    prune,
)

MINUTE = timedelta(minutes=1)


async def taken(store: Store, *numbers: int, **expectation: object) -> list[Dispatch]:
    """Dispatches that GitHub took."""
    for number in numbers:
        verdict = dispatched(number, delivered(number))
        (dispatch,) = verdict.dispatches
        dispatch = replace(dispatch, **expectation)
        await store.record(delivered(number), [replace(verdict, dispatches=(dispatch,))])
    claim = await store.claim(NOW, 100, LEASE)
    return [
        await store.settle(each.id, attempted(each), Settlement(State.ACCEPTED, sent_at=NOW), NOW)
        for each in claim.dispatches
    ]


async def now_is(store: Store, dispatch: Dispatch) -> Dispatch:
    found = await store.dispatch(dispatch.id)
    assert found is not None
    return found


async def test_what_github_took_is_looked_for_from_then_on(store: Store) -> None:
    (dispatch,) = await taken(store, 1)
    assert dispatch.match is Match.WAITING
    assert dispatch.sent_at == NOW
    assert await store.run_agenda() == {"octo/factory": NOW + FIRST_LOOK}
    (pending,) = await store.looked_for("octo/factory", 10)
    assert pending.dispatch == await now_is(store, dispatch)


async def test_nobody_looks_for_a_run_that_is_not_expected(store: Store) -> None:
    (dispatch,) = await taken(store, 1, expect_within=None)
    assert dispatch.match is Match.UNTRACKED
    assert await store.run_agenda() == {}


async def test_a_run_that_shows_the_id_is_bound_for_certain(store: Store) -> None:
    (dispatch,) = await taken(store, 1)
    run = a_run(7, title=f"Build [{dispatch.id}]", status="in_progress")
    (sighting,) = await store.see_runs([run], NOW)
    assert (sighting.run, sighting.before) == (run, None)
    after = await now_is(store, dispatch)
    assert sighting.dispatch == after
    assert (after.match, after.run_id, after.run_url) == (Match.VERIFIED, 7, run.url)
    assert after.run_outcome == "in_progress"
    assert await store.looked_for("octo/factory", 10) == []
    assert await store.run_agenda() == {"octo/factory": NOW + 5 * SECOND}  # the run goes on


async def test_a_run_is_followed_until_it_has_ended_and_when_it_is_run_again(store: Store) -> None:
    (dispatch,) = await taken(store, 1)
    title = f"Build [{dispatch.id}]"
    await store.see_runs([a_run(7, title=title)], NOW)
    ended = a_run(7, title=title, status="completed", conclusion="failure")
    (sighting,) = await store.see_runs([replace(ended, updated_at=NOW + MINUTE)], NOW + MINUTE)
    assert sighting.before is not None
    assert sighting.before.status == "queued"
    assert sighting.dispatch.run_outcome == "failure"
    assert await store.run_agenda() == {}
    again = a_run(7, title=title, status="queued", attempt=2)
    (sighting,) = await store.see_runs([replace(again, updated_at=NOW + 2 * MINUTE)], NOW)
    assert sighting.dispatch.run_outcome == "queued"
    assert await store.run_agenda() != {}


async def test_what_is_told_late_or_twice_changes_nothing(store: Store) -> None:
    (dispatch,) = await taken(store, 1)
    title = f"Build [{dispatch.id}]"
    ended = replace(a_run(7, title=title, status="completed"), updated_at=NOW + MINUTE)
    await store.see_runs([ended], NOW)
    assert await store.see_runs([ended], NOW) == []
    assert await store.see_runs([a_run(7, title=title, status="in_progress")], NOW) == []
    assert (await now_is(store, dispatch)).run_outcome == "success"


async def test_several_workflows_may_listen_and_each_run_is_bound(store: Store) -> None:
    (dispatch,) = await taken(store, 1)
    title = f"Build [{dispatch.id}]"
    await store.see_runs([a_run(7, title=title, status="completed")], NOW)
    runs = [a_run(8, title=title, workflow="lint.yml", status="in_progress")]
    await store.see_runs(runs, NOW)
    assert [run.id for run in (await store.runs([dispatch.id]))[dispatch.id]] == [7, 8]
    assert (await now_is(store, dispatch)).run_outcome == "in_progress"
    failed = a_run(8, title=title, workflow="lint.yml", status="completed", conclusion="failure")
    await store.see_runs([failed], NOW)
    assert (await now_is(store, dispatch)).run_outcome == "failure"


async def test_a_run_of_another_workflow_than_expected_is_bound_and_not_enough(
    store: Store,
) -> None:
    (dispatch,) = await taken(store, 1, expect_workflow="wat-factory.yml")
    title = f"Build [{dispatch.id}]"
    await store.see_runs([a_run(7, title=title, workflow="lint.yml")], NOW)
    assert (await now_is(store, dispatch)).match is Match.WAITING
    assert len(await store.looked_for("octo/factory", 10)) == 1
    await store.see_runs([a_run(8, title=title)], NOW)
    after = await now_is(store, dispatch)
    assert (after.match, after.run_id) == (Match.VERIFIED, 8)


@pytest.mark.parametrize(
    "forged",
    [
        {"event": "pull_request"},
        {"event": "workflow_dispatch"},  # this one was a repository_dispatch
        {"repository": "mallory/factory"},
        {"at": NOW - timedelta(days=2)},
    ],
)
async def test_an_id_in_a_title_binds_nothing_that_cannot_be_its_own(
    store: Store, forged: dict[str, object]
) -> None:
    (dispatch,) = await taken(store, 1)
    run = a_run(7, title=f"Build [{dispatch.id}]", **forged)  # type: ignore[arg-type]  # its own
    assert await store.see_runs([run], NOW) == []
    assert (await now_is(store, dispatch)).match is Match.WAITING


async def test_of_several_ids_the_youngest_is_meant(store: Store) -> None:
    parent, child = await taken(store, 1, 2)
    run = a_run(7, title=f"Build [{child.id}] after [{parent.id}]")
    (sighting,) = await store.see_runs([run], NOW)
    assert sighting.dispatch.id == child.id


async def test_a_run_that_is_seen_before_the_answer_is_not_lost(store: Store) -> None:
    await store.record(delivered(1), [dispatched(1, delivered(1))])
    claim = await store.claim(NOW, 1, LEASE)
    (dispatch,) = claim.dispatches
    run = a_run(7, title=f"Build [{dispatch.id}]")
    (sighting,) = await store.see_runs([run], NOW)
    assert sighting.dispatch.state is State.SENDING
    settled = await store.settle(
        dispatch.id, attempted(dispatch), Settlement(State.ACCEPTED, sent_at=NOW), NOW
    )
    assert (settled.match, settled.run_id) == (Match.VERIFIED, 7)
    assert await store.looked_for("octo/factory", 10) == []


async def test_a_run_settles_what_nobody_knew_whether_github_had_got_it(store: Store) -> None:
    await store.record(delivered(1), [dispatched(1, delivered(1))])
    (dispatch,) = (await store.claim(NOW, 1, LEASE)).dispatches
    lost = Settlement(State.UNSURE, "the answer was lost", due_at=NOW + MINUTE)
    await store.settle(dispatch.id, attempted(dispatch, outcome="ambiguous"), lost, NOW)
    run = a_run(7, title=f"Build [{dispatch.id}]")
    (sighting,) = await store.see_runs([run], NOW)
    assert sighting.settled
    assert sighting.dispatch.state is State.ACCEPTED
    assert sighting.dispatch.settled_at == NOW
    assert (await store.claim(NOW + 2 * MINUTE, 1, LEASE)).dispatches == ()
    assert (await now_is(store, dispatch)).match is Match.VERIFIED


async def test_a_claim_tells_which_may_have_been_sent_before(store: Store) -> None:
    await store.record(delivered(1), [dispatched(1, delivered(1))])
    first = await store.claim(NOW, 1, LEASE)
    assert first.unsure == frozenset()
    (dispatch,) = first.dispatches
    lost = Settlement(State.UNSURE, "the answer was lost", due_at=NOW + MINUTE)
    await store.settle(dispatch.id, attempted(dispatch, outcome="ambiguous"), lost, NOW)
    second = await store.claim(NOW + MINUTE, 1, LEASE)
    assert second.unsure == {dispatch.id}
    assert (await now_is(store, dispatch)).sent_at == NOW  # and not of the claim that only asks


async def test_the_run_that_github_names_is_bound_at_once_and_told_more_of_later(
    store: Store,
) -> None:
    verdict = dispatched(1, delivered(1))
    (dispatch,) = verdict.dispatches
    by_name = replace(dispatch, workflow="wat-factory.yml", ref="main", event_type="")
    await store.record(delivered(1), [replace(verdict, dispatches=(by_name,))])
    await store.claim(NOW, 1, LEASE)
    url = "https://github.com/octo/factory/actions/runs/7"
    named = Settlement(State.ACCEPTED, run=RunNamed(7, url), sent_at=NOW)
    settled = await store.settle(dispatch.id, attempted(dispatch), named, NOW)
    assert (settled.match, settled.run_id) == (Match.VERIFIED, 7)
    run = a_run(7, title="Factory", event="workflow_dispatch", status="completed")
    (sighting,) = await store.see_runs([run], NOW)
    assert sighting.run == run
    assert (await now_is(store, dispatch)).run_outcome == "success"


async def test_a_judgement_binds_no_run_twice_and_undoes_no_finding(store: Store) -> None:
    first, second = await taken(store, 1, 2)
    run = a_run(7, title="Build")
    probable = [
        Judgement(each.id, Match.PROBABLE, "by its time", None, (run,)) for each in (first, second)
    ]
    _, sightings = await store.judge_runs(probable, NOW)
    assert [each.dispatch.id for each in sightings] == [first.id]
    assert (await now_is(store, first)).match is Match.PROBABLE
    assert (await now_is(store, first)).diagnosis == "by its time"
    missing = Judgement(first.id, Match.MISSING, "too late")
    assert await store.judge_runs([missing], NOW) == ([], [])
    assert (await now_is(store, first)).match is Match.PROBABLE


async def test_what_is_missing_says_why_and_is_found_all_the_same_when_it_comes(
    store: Store,
) -> None:
    (dispatch,) = await taken(store, 1)
    missing = Judgement(dispatch.id, Match.MISSING, "nothing listens", NOW + 30 * MINUTE)
    ((changed,), _) = await store.judge_runs([missing], NOW)
    assert (changed.match, changed.diagnosis) == (Match.MISSING, "nothing listens")
    assert await store.judge_runs([missing], NOW) == ([], [])  # told once
    await store.see_runs([a_run(7, title=f"Build [{dispatch.id}]")], NOW)
    after = await now_is(store, dispatch)
    assert (after.match, after.diagnosis) == (Match.VERIFIED, "")


async def test_runs_that_are_due_are_told_until_they_are_put_off(store: Store) -> None:
    (dispatch,) = await taken(store, 1)
    run = a_run(7, title=f"Build [{dispatch.id}]")
    await store.see_runs([run], NOW)
    assert await store.runs_due("octo/factory", NOW, 10) == []
    assert await store.runs_due("octo/factory", NOW + MINUTE, 10) == [run]
    await store.postpone_runs([(run, None)], NOW)
    assert await store.runs_due("octo/factory", NOW + MINUTE, 10) == []


async def test_what_is_due_first_is_looked_for_first(store: Store) -> None:
    first, second = await taken(store, 1, 2)
    later = Judgement(first.id, Match.WAITING, "", NOW + MINUTE)
    await store.judge_runs([later], NOW)
    pending = await store.looked_for("octo/factory", 1)
    assert [each.dispatch.id for each in pending] == [second.id]


async def test_what_was_to_be_sent_again_is_not_once_its_run_is_seen(store: Store) -> None:
    verdict = dispatched(1, delivered(1))
    (dispatch,) = verdict.dispatches
    await store.record(delivered(1), [verdict])
    await store.claim(NOW, 100, LEASE)
    await store.settle(dispatch.id, None, Settlement(State.PENDING, "GitHub had nothing"), NOW)
    await store.see_runs([a_run(7, title=f"Build [{dispatch.id}]")], NOW)
    after = await now_is(store, dispatch)
    assert (after.match, after.state, after.reason) == (Match.VERIFIED, State.ACCEPTED, "")
    claim = await store.claim(NOW + MINUTE, 100, LEASE)
    assert claim.dispatches == ()


async def test_a_lost_request_seen_by_another_workflow_is_looked_for_still(store: Store) -> None:
    verdict = dispatched(1, delivered(1))
    lost = replace(verdict.dispatches[0], expect_workflow="deploy.yml")
    await store.record(delivered(1), [replace(verdict, dispatches=(lost,))])
    await store.claim(NOW, 100, LEASE)
    unsure = Settlement(State.UNSURE, "the answer was lost", due_at=NOW)
    await store.settle(lost.id, attempted(lost), unsure, NOW)
    await store.see_runs([a_run(7, title=f"Build [{lost.id}]", workflow="lint.yml")], NOW)
    after = await now_is(store, lost)
    assert (after.match, after.state) == (Match.WAITING, State.ACCEPTED)
    assert [each.dispatch.id for each in await store.looked_for("octo/factory", 10)] == [lost.id]


async def test_a_run_that_another_got_meanwhile_leaves_nothing_probable(store: Store) -> None:
    first, second = await taken(store, 1, 2)
    run = a_run(7, title="Build")
    for dispatch in (first, second):
        await store.judge_runs([Judgement(dispatch.id, Match.PROBABLE, "", None, (run,))], NOW)
    assert (await now_is(store, first)).match is Match.PROBABLE
    assert (await now_is(store, second)).match is Match.WAITING
    assert [each.dispatch.id for each in await store.looked_for("octo/factory", 10)] == [second.id]


async def test_what_is_followed_is_kept_however_old_it_is(store: Store) -> None:
    waiting, going_on = await taken(store, 1, 2)
    await store.see_runs([a_run(7, title=f"Build [{going_on.id}]", status="in_progress")], NOW)
    while await prune(store, NOW + timedelta(days=90), 10):
        pass
    assert await store.dispatch(waiting.id) is not None
    assert await store.dispatch(going_on.id) is not None


async def test_runs_go_with_their_dispatch(store: Store) -> None:
    (dispatch,) = await taken(store, 1)
    run = a_run(7, title=f"Build [{dispatch.id}]", status="completed")
    await store.see_runs([run], NOW)
    while await prune(store, NOW + timedelta(days=90), 10):
        pass
    assert await store.runs([dispatch.id]) == {dispatch.id: []}


async def test_what_goes_wrong_is_owed_a_follow_up_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.sqlite"
    store = Store.open(url, owner="tests", now=NOW, follows=lambda entry, cause: entry == "push")
    try:
        failing, missing = await taken(store, 1, 2)
        title = f"Build [{failing.id}]"
        ended = a_run(7, title=title, status="completed", conclusion="failure")
        await store.see_runs([ended], NOW)
        await store.see_runs([ended], NOW)
        again = replace(ended, attempt=2)
        await store.see_runs([again], NOW)
        lost = Judgement(missing.id, Match.MISSING, "nothing listens")
        await store.judge_runs([lost], NOW)
        await store.judge_runs([lost], NOW)
        owed = {id_: await store.follow_ups(id_) for id_ in (failing.id, missing.id)}
    finally:
        await store.close()
    assert [(each.cause, each.run_attempt) for each in owed[failing.id]] == [
        (Cause.FAILED, 1),
        (Cause.FAILED, 2),
    ]
    assert owed[failing.id][0].run_url == ended.url
    assert [(each.cause, each.why) for each in owed[missing.id]] == [
        (Cause.MISSING, "nothing listens")
    ]
