"""A branch that a run is to push, asked of GitHub by way of the daemon."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.errors import FetchError
from daemon.github import Reply
from daemon.github_branches import NAME_BYTES_MAX, branch_fault, branch_question, branch_told
from daemon.simulator import Fault, FaultKind
from daemon.simulator.faults import FaultPlace
from tests.inprocess import Serving, serving

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
NAMES = [
    *("main", "job/7", "a.b", "a-", "ä", "a@b", "job/a{b}", "x" * 200, "a/b/c", "#1", "a'b", "%2e"),
    *("a b", "a..b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a@{b", "a//b", "/a", "a/"),
    *(".a", "a/.b", "a.lock", "a.lock/b", "a.", "@", "a\x7fb", "a\nb", "..", "../../../user"),
]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle")
@pytest.mark.parametrize("name", NAMES)
def test_names_are_taken_as_git_takes_them(name: str) -> None:
    asked = subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], capture_output=True)
    assert (branch_fault(name) == "") == (asked.returncode == 0)


@pytest.mark.parametrize("name", ["", "-a", "a\u202eb", "\udc80", "ä" * (NAME_BYTES_MAX // 2 + 1)])
def test_names_that_are_empty_too_long_or_unprintable_are_refused(name: str) -> None:
    assert branch_fault(name)


def test_a_name_stays_within_its_place_in_the_address() -> None:
    path = branch_question("acme/shop", "job/50% #1?x=ü".replace("?", "")).path
    assert path == "/repos/acme/shop/git/ref/heads/job/50%25%20%231x%3D%C3%BC"


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (404, b"{}", None),
        (409, b'{"message": "Git Repository is empty."}', None),
        (200, b'{"ref": "refs/heads/x", "object": {"sha": "%s"}}' % (b"a" * 40), "a" * 40),
        (200, b'{"ref": "refs/heads/xy", "object": {"sha": "%s"}}' % (b"a" * 40), None),
    ],
)
def test_an_answer_says_where_the_branch_is(status: int, body: bytes, found: str | None) -> None:
    assert branch_told(Reply(status, {}, body, None, NOW), "x", NOW) == found


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, b"{}"), (500, b""), (200, b"[]"), (200, b"<html>"), (200, b'{"ref": "refs/heads/x"}')],
)
def test_any_other_answer_says_nothing(status: int, body: bytes) -> None:
    with pytest.raises(FetchError):
        branch_told(Reply(status, {}, body, None, NOW), "x", NOW)


async def test_the_daemon_asks_for_those_who_have_no_token(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        place = await dispatched(daemon)
        status, told = await daemon.call("GET", f"{place}?name=main")
        assert (status, told["repository"], told["found"]) == (200, "octo-org/octo-repo", True)
        assert await daemon.call("GET", f"{place}?name=main") == (200, told)  # by its ETag
        absent = {**told, "name": "job/1", "found": False, "sha": None}
        assert await daemon.call("GET", f"{place}?name=job/1") == (200, absent)
        repository = daemon.simulator.world.repository("octo-org/octo-repo")
        assert repository is not None
        repository.add_branch("job/1")
        _, there = await daemon.call("GET", f"{place}?name=job/1")
        assert there["found"]


async def test_what_cannot_be_asked_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        place = await dispatched(daemon)
        for name in ("", "../../../user", "a%20b"):
            status, _ = await daemon.call("GET", f"{place}?name={name}")
            assert status == 400
        assert (await daemon.call("GET", place))[0] == 400
        nobody = "/api/v1/dispatches/dsp_nope/branch?name=main"
        assert (await daemon.call("GET", nobody))[0] == 404
        assert (await daemon.call("GET", f"{place}?name=main", key=None))[0] == 401
        fault = Fault(FaultKind.STATUS, status=403, on=FaultPlace.READ)
        daemon.simulator.inject(fault)
        status, told = await daemon.call("GET", f"{place}?name=main")
        assert (status, "contents: read" in told["error"]) == (502, True)


async def test_while_github_wants_us_to_wait_it_is_not_asked(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        place = await dispatched(daemon)
        fault = Fault(FaultKind.SECONDARY, retry_after=60, on=FaultPlace.READ)
        daemon.simulator.inject(fault)
        assert (await daemon.call("GET", f"{place}?name=main"))[0] == 502
        status, told = await daemon.call("GET", f"{place}?name=main")
        assert (status, "try again in" in told["error"]) == (503, True)


async def dispatched(daemon: Serving) -> str:
    _, sent = await daemon.call("POST", "/dispatch", json={"event_type": "x"})
    return f"/api/v1/dispatches/{sent['dispatch_id']}/branch"
