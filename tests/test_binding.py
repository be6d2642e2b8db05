"""Which run is whose, as rules: for any dispatches, runs and times, and for whatever GitHub may
answer."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.binding import (
    FOLLOWED_FOR,
    LAST_LOOK,
    Absent,
    Unclear,
    found_out,
    is_over,
    judged,
    may_be,
    named,
    next_look,
    next_look_at_run,
    strangers,
)
from daemon.candidates import Audience, Strangers
from daemon.dispatch import Dispatch
from daemon.errors import FetchError
from daemon.event import Delivery
from daemon.github import Reply
from daemon.github_runs import heard, list_question, listed, told
from daemon.ids import IdSource
from daemon.render import new_dispatch
from daemon.run import FOUND, Match, Run, summary

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WITHIN = timedelta(minutes=5)
IDS = IdSource()


def a_dispatch(after: float = 0, **fields: object) -> Dispatch:
    """One that GitHub took so many seconds after T0."""
    at = T0 + after * SECOND
    made = new_dispatch(
        dispatch_id=IDS.dispatch(at),
        event_id="evt_1",
        entry="entry",
        repository="acme/shop",
        event_type="build",
        client_payload="{}",
        now=at,
        send_within=timedelta(days=1),
    )
    return replace(made, sent_at=at, match=Match.WAITING, **fields)


def a_run(number: int, after: float = 0, **fields: object) -> Run:
    at = T0 + after * SECOND
    run = Run(
        repository="acme/shop",
        id=number,
        attempt=1,
        workflow="build.yml",
        name="Build",
        title="Build",
        event="repository_dispatch",
        status="queued",
        conclusion="",
        branch="main",
        url=f"https://github.com/acme/shop/actions/runs/{number}",
        created_at=at,
        updated_at=at,
    )
    return replace(run, **fields)


@dataclass(frozen=True)
class Listening:
    """A workflow, as far as the rules ask for it."""

    file: str
    shown: bool

    def shows(self, dispatch: Dispatch) -> bool:
        return self.shown


@dataclass(frozen=True)
class Workflows:
    listening: tuple[Listening, ...]
    at: datetime = T0

    def hearing(self, call: Dispatch) -> tuple[Listening, ...]:
        return self.listening

    def diagnosis(self, call: Dispatch, expected: str = "") -> str:
        return "" if self.listening else "nothing listens"


PLAIN = Workflows((Listening("build.yml", shown=False),))
SHOWN = Workflows((Listening("build.yml", shown=True),))

seconds_after = st.lists(st.floats(0, 600), max_size=6)
told_of = st.lists(
    st.tuples(
        st.floats(-300, 900),
        st.sampled_from(["build.yml", "lint.yml"]),
        st.sampled_from(["repository_dispatch", "workflow_dispatch", "push"]),
    ),
    max_size=8,
)


def several(seconds: list[float]) -> list[Dispatch]:
    return [a_dispatch(after, id=f"dsp_{place}") for place, after in enumerate(seconds)]


def those(told: list[tuple[float, str, str]]) -> list[Run]:
    return [
        a_run(number, after, workflow=workflow, event=event)
        for number, (after, workflow, event) in enumerate(told, 1)
    ]


ages = st.floats(0, 4000).map(lambda seconds: T0 + seconds * SECOND)
audiences = st.sampled_from([None, PLAIN, SHOWN, Workflows(())])


def may_own(dispatch: Dispatch, run: Run, audience: Audience | None) -> bool:
    """As it is defined, for one dispatch and one run that shows no id."""
    assert dispatch.sent_at is not None
    heard = audience.hearing(dispatch) if audience else []
    hidden = [each.file for each in heard if not each.shows(dispatch)]
    return (
        run.event == "repository_dispatch"
        and (audience is None or run.workflow in hidden)
        and dispatch.sent_at - 5 * SECOND <= run.created_at <= dispatch.sent_at + WITHIN
    )


@given(seconds_after, told_of, audiences)
def test_candidates_are_all_that_can_be_its_own_newest_first_and_know_whether_they_are_anothers(
    seconds: list[float], seen: list[tuple[float, str, str]], audience: Workflows | None
) -> None:
    waiting, runs = several(seconds), those(seen)
    free = Strangers(runs)
    for dispatch, mine in [(each, free.candidates(each, audience)) for each in waiting]:
        own = [run for run in runs if may_own(dispatch, run, audience)]
        assert [*mine] == sorted(own, key=lambda run: run.created_at, reverse=True)
        assert len(mine) == len(own)
        assert mine.workflows == list(dict.fromkeys(run.workflow for run in mine))
        assert mine.one_each == (len({run.workflow for run in own}) == len(own))
        owners = [sum(may_own(each, run, audience) for each in waiting) for run in own]
        assert mine.alone == all(number == 1 for number in owners)


def test_twice_as_many_dispatches_and_runs_take_about_twice_as_long() -> None:
    """A thousand of each without ids held up everything for 0.6 s, when each was held against
    each."""

    def seconds(count: int) -> float:
        waiting = [a_dispatch(each / 100, id=f"dsp_{each}") for each in range(count)]
        runs = [a_run(each + 1, each / 100) for each in range(count)]
        taken = []
        for _ in range(3):
            began = time.process_time()
            assert len(judged(waiting, runs, PLAIN, at=T0 + WITHIN * 2, now=T0)) == count
            taken.append(time.process_time() - began)
        return min(taken)

    assert seconds(4000) < 6 * seconds(1000)


@given(seconds_after, told_of, audiences, ages)
def test_no_run_is_given_to_two_and_none_to_who_cannot_own_it(
    seconds: list[float],
    seen: list[tuple[float, str, str]],
    audience: Workflows | None,
    at: datetime,
) -> None:
    waiting, free = several(seconds), strangers(those(seen), bound=())
    given_to: dict[int, str] = {}
    for judgement, dispatch in zip(
        judged(waiting, free, audience, at=at, now=at), waiting, strict=True
    ):
        assert judgement.dispatch_id == dispatch.id
        assert bool(judgement.runs) == (judgement.match in FOUND)
        for run in judgement.runs:
            assert run.id not in given_to
            given_to[run.id] = dispatch.id
            assert [each for each in waiting if may_own(each, run, audience)] == [dispatch]


@given(seconds_after, told_of, audiences, ages)
def test_nothing_is_called_missing_before_its_time_or_without_saying_why(
    seconds: list[float],
    seen: list[tuple[float, str, str]],
    audience: Workflows | None,
    at: datetime,
) -> None:
    waiting, free = several(seconds), strangers(those(seen), bound=())
    for judgement, dispatch in zip(
        judged(waiting, free, audience, at=at, now=at), waiting, strict=True
    ):
        if judgement.match in (Match.MISSING, Match.AMBIGUOUS):
            assert is_over(dispatch, at)
            assert judgement.diagnosis
        elif judgement.match is Match.WAITING:
            assert not is_over(dispatch, at)
            assert judgement.look_at is not None


@given(
    st.floats(0, 10**6).map(lambda seconds: seconds * SECOND),
    st.integers(1, 10**6).map(lambda seconds: seconds * SECOND),
)
def test_looks_go_on_until_the_last_and_then_end(age: timedelta, within: timedelta) -> None:
    dispatch = a_dispatch(expect_within=within)
    now = T0 + timedelta(days=400)  # whatever our own clock says
    look = next_look(dispatch, T0 + age, now)
    end = max(LAST_LOOK, within)
    if age >= end:
        assert look is None
    else:
        assert look is not None
        assert now < look <= now + end - age
        assert look - now <= max(timedelta(minutes=5), LAST_LOOK - timedelta(minutes=5))


@given(st.floats(0, 10**8).map(lambda seconds: seconds * SECOND))
def test_a_run_that_goes_on_is_looked_at_again_and_not_for_ever(age: timedelta) -> None:
    look = next_look_at_run(a_run(1), T0 + age)
    assert (look is None) == (age > FOLLOWED_FOR)
    if look is not None:
        assert 5 * SECOND <= look - (T0 + age) <= timedelta(minutes=10)
    assert next_look_at_run(a_run(1, status="completed"), T0 + age) is None


def test_the_youngest_id_is_meant_and_only_whole_ids_count() -> None:
    first, second = IDS.dispatch(T0), IDS.dispatch(T0 + SECOND)
    assert named(a_run(1, title=f"{second} after {first}")) == second
    assert named(a_run(1, title=f"[{first}]")) == first
    assert named(a_run(1, title=f"x{first}0")) == ""
    assert named(a_run(1, title="dsp_short")) == ""


@given(st.text(max_size=2000), st.sampled_from(["push", "pull_request", "schedule", ""]))
def test_of_other_events_no_title_names_anything(title: str, event: str) -> None:
    id_ = IDS.dispatch(T0)
    assert named(a_run(1, title=f"{title} [{id_}]", event=event)) == ""


def test_what_was_never_sent_owns_no_run() -> None:
    dispatch = replace(a_dispatch(), sent_at=None)
    assert not may_be(a_run(1), dispatch)
    assert not Strangers([a_run(1)]).candidates(dispatch, None)


def test_of_a_workflow_that_shows_ids_a_run_without_one_is_somebody_elses() -> None:
    assert not Strangers([a_run(1)]).candidates(a_dispatch(), SHOWN)
    assert [*Strangers([a_run(1)]).candidates(a_dispatch(), PLAIN)] == [a_run(1)]


@pytest.mark.parametrize(
    ("audience", "seen", "expected"),
    [
        (SHOWN, [a_run(1)], Absent),
        (PLAIN, [], Absent),
        (PLAIN, [a_run(1)], Unclear),
        (PLAIN, [a_run(1, workflow="lint.yml")], Absent),
        (PLAIN, [a_run(1, after=-3600)], Absent),
    ],
)
def test_what_became_of_a_lost_answer_is_told_by_the_runs_since(
    audience: Workflows, seen: list[Run], expected: type
) -> None:
    assert isinstance(found_out(a_dispatch(), T0, seen, audience), expected)


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        ([], ""),
        (["success"], "success"),
        (["success", "failure"], "failure"),
        (["cancelled", "success"], "cancelled"),
        (["success", ""], "in_progress"),
        (["unheard-of", "success"], "unheard-of"),
    ],
)
def test_several_runs_are_summed_up_by_what_matters_most(outcomes: list[str], word: str) -> None:
    ended = [
        a_run(number, status="completed" if outcome else "in_progress", conclusion=outcome)
        for number, outcome in enumerate(outcomes, 1)
    ]
    assert summary(ended) == word


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["workflow_runs", "id", "run_attempt", "created_at", "updated_at", "path", "event",
             "display_title", "status", "conclusion", "html_url", "repository", "workflow_run",
             "full_name"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@given(values)
@example({"workflow_runs": [{"id": 2**70, "created_at": "2026-03-01T12:00:00Z"}]})
@example({"workflow_runs": [{"id": 1, "created_at": "0001-01-01T00:00:00+23:59"}]})
@example({"workflow_runs": [{"id": True, "created_at": "2026-03-01T12:00:00Z"}]})
def test_whatever_github_answers_becomes_runs_or_is_refused(document: object) -> None:
    try:
        body = json.dumps(document).encode()
    except ValueError:
        return
    reply = Reply(200, {}, body, None, T0)
    try:
        found = listed(reply, "acme/shop").runs
    except FetchError:
        found = []
    with suppress(FetchError):
        found.append(told(reply, "acme/shop"))
    delivery = Delivery(
        "/h", "POST", "/h", {"x-github-event": "workflow_run"}, {}, {}, body, "192.0.2.1", T0
    )
    found += [run for run in [heard(delivery)] if run is not None]
    for run in found:
        assert 0 < run.id < 2**63
        assert run.created_at.tzinfo is not None
        assert run.title.isprintable()
        assert len(run.title) <= 500


def test_a_list_is_asked_for_without_a_filter() -> None:
    """Filtered lists come from an index that lags behind."""
    assert list_question("acme/shop").path == "/repos/acme/shop/actions/runs?per_page=100"
    assert list_question("acme/shop", 3).path.endswith("?per_page=100&page=3")
