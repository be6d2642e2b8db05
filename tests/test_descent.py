"""What a delivery says of the dispatch that it descends from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.chain import IDS_MAX, Descent, Place, ids_in, place
from daemon.descent import told_by_github
from daemon.ids import encode

A, B, C = ("dsp_" + encode(number << 100) for number in (1, 2, 3))
REPOSITORY: dict[str, Any] = {"full_name": "Acme/Shop"}
RUN = ("acme/shop", 7)


def told(event: str, **body: Any) -> Descent | None:
    return told_by_github({"x-github-event": event}, {"repository": REPOSITORY, **body})


def about_run(**keys: Any) -> Descent | None:
    run = {"id": 7, "event": "repository_dispatch", "head_branch": "main", **keys}
    return told("workflow_run", workflow_run=run)


def test_a_run_tells_its_number_its_title_and_its_branch() -> None:
    assert about_run(display_title=f"Build [{A}]") == Descent((A,), RUN)
    assert about_run(display_title="Build", head_branch=f"job/{B}") == Descent((B,), RUN)
    assert about_run(display_title=None, head_branch=None) == Descent((), RUN)


@pytest.mark.parametrize("event", ["push", "pull_request", "schedule", None])
def test_the_title_of_a_run_that_nobody_dispatched_is_somebodys_words(event: str | None) -> None:
    assert about_run(event=event, display_title=f"mention {A}") == Descent((), RUN)


@pytest.mark.parametrize(
    ("event", "body", "expected"),
    [
        (
            "workflow_job",
            {"workflow_job": {"run_id": 7, "head_branch": f"job/{A}"}},
            Descent((A,), RUN),
        ),
        ("pull_request", {"pull_request": {"head": {"ref": f"job/{A}"}}}, Descent((A,))),
        ("pull_request_review", {"pull_request": {"head": {"ref": f"job/{A}"}}}, Descent((A,))),
        ("push", {"ref": f"refs/heads/job/{A}"}, Descent((A,))),
        ("create", {"ref": f"job/{A}", "ref_type": "branch"}, Descent((A,))),
        ("repository_dispatch", {"client_payload": {"dispatchd": {"id": A}}}, Descent((A,))),
        ("workflow_dispatch", {"inputs": {"dispatchd": A}}, Descent((A,))),
        ("workflow_dispatch", {"inputs": None}, None),
        ("pull_request", {"pull_request": {"title": A, "head": {"ref": "topic"}}}, None),
        ("issues", {"issue": {"title": A}}, None),
    ],
)
def test_each_event_tells_by_what_it_is_about(
    event: str, body: dict[str, Any], expected: Descent | None
) -> None:
    assert told(event, **body) == expected


@pytest.mark.parametrize("number", [0, -1, True, 7.5, "7", None, 2**63])
def test_a_run_without_a_number_is_none(number: object) -> None:
    assert about_run(id=number, display_title="Build") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{A}", (A,)),
        (f"job/{A}-retry, {B}; {A}", (A, B)),
        (f"x{A}", ()),
        (f"{A}0", ()),
        (A.upper(), ()),
        (A[:-1], ()),
        (A[:-1] + "u", ()),  # no letter of ours
        (None, ()),
        (7, ()),
    ],
)
def test_ids_are_found_within_a_text(text: object, found: tuple[str, ...]) -> None:
    assert ids_in(text) == found


def test_no_more_than_some_ids_of_a_text_are_looked_up() -> None:
    many = ["dsp_" + encode(number) for number in range(100)]
    assert ids_in(" ".join(many)) == tuple(many[:IDS_MAX])


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(A),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
EVENTS = [
    *("workflow_run", "workflow_job", "pull_request", "push", "create"),
    *("repository_dispatch", "workflow_dispatch"),
]
KEYS = [
    *("workflow_run", "workflow_job", "pull_request", "repository", "head", "client_payload"),
    *("inputs", "dispatchd", "id", "run_id", "event", "full_name", "ref", "head_branch"),
    "display_title",
]
bodies = st.recursive(
    json, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=20
)


@given(
    st.sampled_from(EVENTS),
    bodies,
)
def test_whatever_the_body_it_tells_something_or_nothing(event: str, body: Any) -> None:
    found = told_by_github({"x-github-event": event}, body)
    assert found is None or set(found.ids) <= {A}


depths = st.dictionaries(st.sampled_from([A, B, C]), st.integers(0, 20))


@given(st.lists(st.sampled_from([A, B, C])), depths, st.lists(st.sampled_from([A, B, C])))
def test_naming_more_parents_never_makes_a_chain_shorter(
    named: list[str], known: dict[str, int], started: list[str]
) -> None:
    by_run = {RUN: started}
    alone = place(Descent((), RUN), known, by_run)
    both = place(Descent(tuple(named), RUN), known, by_run)
    assert both.depth >= alone.depth
    assert (both.parent_id is None) is (both == Place(remark=both.remark))
    if both.parent_id is not None:
        assert both.depth == known[both.parent_id] + 1
