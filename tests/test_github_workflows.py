"""What GitHub tells of workflows is read, and what is not GitHub's is refused."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import FetchError
from daemon.github import Reply
from daemon.github_workflows import (
    actions_told,
    file_question,
    file_told,
    files_told,
    repository_told,
    workflows_told,
)
from daemon.workflow_file import TEXT_MAX
from tests.github_caller import T0

TELLERS: list[Callable[[Reply], object]] = [
    lambda reply: repository_told(reply, T0),
    lambda reply: workflows_told(reply, T0),
    lambda reply: files_told(reply, T0),
    lambda reply: file_told(reply, T0),
]


def reply(document: object, status: int = 200) -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status, {"x-github-request-id": "1"}, body, None, T0)


def a_file(text: bytes, **other: object) -> Reply:
    told = {
        "sha": "1",
        "size": len(text),
        "encoding": "base64",
        "content": b64encode(text).decode(),
    }
    return reply(told | other)


def test_a_file_is_its_text_and_its_hash() -> None:
    assert file_told(a_file("on: push # é".encode()), T0) == ("on: push # é", "1")
    assert file_told(a_file(b"\xef\xbb\xbfon: push"), T0) == ("on: push", "1")
    assert file_told(a_file(b"on: \xff"), T0) == ("on: \ufffd", "1")


def test_a_file_that_is_gone_or_too_large_is_none() -> None:
    assert file_told(reply({}, 404), T0) is None
    assert file_told(a_file(b"", size=TEXT_MAX + 1, encoding="none"), T0) is None
    assert file_told(a_file(b"x", size=TEXT_MAX + 1), T0) is None


def test_only_files_that_github_reads_as_workflows_are_listed() -> None:
    listed = [
        {"type": "file", "path": ".github/workflows/a.yml", "sha": "1"},
        {"type": "file", "path": ".github/workflows/b.yaml", "sha": "2"},
        {"type": "file", "path": ".github/workflows/README.md", "sha": "3"},
        {"type": "dir", "path": ".github/workflows/old.yml", "sha": "4"},
        {"type": "file", "path": 5, "sha": "5"},
    ]
    assert [each.sha for each in files_told(reply(listed), T0)] == ["1", "2"]


def test_whether_actions_are_allowed_may_not_be_for_the_token_to_know() -> None:
    assert actions_told(reply({"enabled": True})) is True
    assert actions_told(reply({"enabled": False})) is False
    for other in (reply({}), reply({"enabled": 1}), reply([]), reply(b"<html>"), reply({}, 403)):
        assert actions_told(other) is None


def test_a_path_is_quoted() -> None:
    asked = file_question("octo/site", ".github/workflows/a b#?.yml")
    assert asked.path == "/repos/octo/site/contents/.github/workflows/a%20b%23%3F.yml"


@pytest.mark.parametrize(
    "other",
    [
        b"", b"<html>", "text", 5, None, {}, {"workflows": {}}, {"workflows": [{}]},
        {"full_name": "a/b"}, {"sha": "1", "size": 1, "content": "?", "encoding": "base64"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("told", TELLERS)
def test_what_is_not_githubs_is_an_error(told: Callable[[Reply], object], other: object) -> None:
    with pytest.raises(FetchError, match="is not GitHub's"):
        told(reply(other))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["full_name", "default_branch", "permissions", "workflows", "id",
                                 "name", "path", "state", "sha", "size", "content", "encoding"])
                | st.text(),
                inner,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from([200, 301, 403, 404, 500]),
)  # fmt: skip
def test_any_answer_is_read_or_an_error(document: object, status: int) -> None:
    for told in TELLERS:
        try:
            told(reply(document, status))
        except FetchError:
            continue
