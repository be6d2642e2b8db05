"""What is asked of GitHub about webhooks, held against its own description, and what its answers
are taken to say."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import FetchError
from daemon.github import Question, Reply, refusal
from daemon.github_hooks import (
    Hook,
    create_question,
    delete_question,
    deliveries_question,
    deliveries_told,
    following,
    hooks_question,
    hooks_told,
    is_place,
    ping_question,
    redeliver_question,
    update_question,
)
from daemon.secret import Secret
from tests.openapi import check_request, operation_of

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = Secret("the secret of the hook", "env:X")
URL = "https://hooks.example.com/hooks/github"
DELIVERY = {
    "id": 42,
    "guid": "58474f00-b361-11eb-836d-0e4f3503ccbe",
    "delivered_at": "2026-03-01T12:00:00Z",
    "redelivery": False,
    "duration": 0.03,
    "status": "OK",
    "status_code": 202,
    "event": "push",
    "action": None,
    "installation_id": None,
    "repository_id": 1,
}


def hook(place: str = "acme/shop") -> Hook:
    return Hook(place, 12, URL, frozenset({"push"}), active=True, content_type="json")


def reply(document: object, link: str = "") -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(200, {"link": link} if link else {}, body, None, T0)


@pytest.mark.parametrize("place", ["acme/shop", "acme"])
def test_every_request_is_one_that_github_describes(place: str) -> None:
    one = hook(place)
    questions = [
        hooks_question(place),
        hooks_question(place, "2"),
        create_question(place, URL, SECRET, {"push", "workflow_run"}),
        update_question(one, SECRET, {"push"}),
        delete_question(one),
        ping_question(one),
        deliveries_question(one),
        deliveries_question(one, "v1_12"),
        redeliver_question(one, 42),
    ]
    for question in questions:
        operation = operation_of(question.method, question.path.partition("?")[0])
        if question.body:
            check_request(operation, json.loads(question.body))


def test_what_is_asked_of_a_github_apps_webhook_is_what_github_describes() -> None:
    one = hook("app:acme")
    for question in (
        hooks_question("app:acme"),
        deliveries_question(one, "v1_12"),
        redeliver_question(one, 42),
    ):
        assert operation_of(question.method, question.path.partition("?")[0])
        assert question.path.startswith("/app/hook/")


def test_the_secret_is_in_the_body_and_nowhere_else() -> None:
    question = create_question("acme/shop", URL, SECRET, {"push"})
    assert json.loads(question.body)["config"] == {
        "url": URL,
        "content_type": "json",
        "insecure_ssl": "0",
        "secret": SECRET.reveal(),
    }
    assert SECRET.reveal() not in question.path


def test_an_odd_name_stays_within_its_place_in_the_path() -> None:
    assert hooks_question("a?b/c#d").path.startswith("/repos/a%3Fb/c%23d/hooks?")
    assert not is_place("acme/..")
    assert not is_place("acme/shop/x")
    assert is_place("acme/shop.js")
    assert is_place("acme")


@pytest.mark.parametrize(
    ("link", "cursor"),
    [
        ('<https://api.github.com/x?per_page=100&cursor=v1_1>; rel="next"', "v1_1"),
        (
            '<https://api.github.com/x?cursor=a>; rel="prev", <https://h/x?cursor=b>; rel="next"',
            "b",
        ),
        ("<https://api.github.com/x?cursor=c>; rel=next", "c"),
        ('<https://api.github.com/x?cursor=a%26per_page%3D1>; rel="next"', "a%26per_page=1"),
        ('<https://api.github.com/x?cursor=a>; rel="prev"', ""),
        ('<https://api.github.com/x>; rel="next"', ""),
        ('<https://[/x?cursor=a>; rel="next"', ""),
        ("", ""),
    ],
)
def test_of_the_next_page_only_its_mark_is_taken(link: str, cursor: str) -> None:
    assert following(reply([], link), "cursor") == cursor


def test_a_delivery_is_read_also_where_nobody_answered_it() -> None:
    found = deliveries_told(
        reply([DELIVERY, {**DELIVERY, "status_code": None, "status": "timed out"}])
    )
    assert [(each.code, each.status, each.arrived) for each in found] == [
        (202, "OK", True),
        (0, "timed out", False),
    ]


@pytest.mark.parametrize(
    "document", [{"message": "x"}, [1], [{**DELIVERY, "id": "1"}], [{"id": 1}], b"<html>", b"\xff"]
)
def test_an_answer_that_is_not_githubs_is_refused_whole(document: object) -> None:
    with pytest.raises(FetchError, match="check GH_API_URL"):
        deliveries_told(reply(document))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*DELIVERY, "config", "events", "active", "last_response"]), inner
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=3), st.text(max_size=80))
def test_no_answer_does_anything_but_be_read_or_refused(document: Any, link: str) -> None:
    for read in (deliveries_told, lambda given: hooks_told("acme", given)):
        with contextlib.suppress(FetchError):
            read(reply(document))
    following(reply(document, link), "cursor")


@pytest.mark.parametrize(
    ("question", "status", "says"),
    [
        (hooks_question("acme/shop"), 404, "'webhooks: write' on the repository"),
        (hooks_question("acme/shop"), 403, "admin:repo_hook"),
        (redeliver_question(hook(), 1), 403, "admin:repo_hook"),
        (hooks_question("acme"), 404, "The organisation's name is misspelt"),
        (hooks_question("acme"), 403, "admin:org_hook"),
        (create_question("acme/shop", URL, SECRET, {"x"}), 422, "the names of the events"),
        (Question("/repos/acme/hooks/dispatches", "POST"), 403, "'contents: write'"),
    ],
)
def test_a_refusal_says_which_right_is_missing(question: Question, status: int, says: str) -> None:
    answer = Reply(status, {"x-github-request-id": "1"}, b'{"message": "No"}', None, T0)
    assert says in refusal(answer, question.path, T0)
