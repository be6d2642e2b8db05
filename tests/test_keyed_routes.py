"""Made-up calls of every route that wants a key: a short run of what ``make fuzz`` does at length,
doctored answers, so that a fault is known to be found, and what was found once."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from daemon.facts import Fact, Trouble
from tests.harness.raw_http import Answer, ask, request
from tests.harness.target import UNSEEN
from tests.inprocess import Serving, serving
from tests.keyed.calls import Call
from tests.keyed.judge import faults
from tests.keyed.routes import Route
from tests.keyed.watch import Watch, watched
from tests.specs import trigger_entry

CALLS = 2500
PAGE = Path(__file__).parents[1] / "docs" / "http.md"


async def test_no_call_of_a_route_that_wants_a_key_is_a_fault_of_ours(
    tmp_path: Path, chance: random.Random
) -> None:
    """With the key or without it, in order or hostile: none is answered with a 5xx, an error that
    does not explain itself, or a secret. The daemon is ready afterwards, without a complaint."""
    watch, routes = await watched(tmp_path, chance, until=lambda watch: watch.count >= CALLS)
    assert not watch.findings, watch.findings
    statuses = {str(route): set[int]() for route in routes}
    for route, status in watch.statuses:
        statuses[route].add(status)
    # Over the socket there is no key, and nobody to turn away.
    assert all(401 in statuses[str(route)] for route in routes if not route.admin)
    taken_up = [route for route, seen in statuses.items() if seen & {200, 201, 202, 409}]
    assert len(taken_up) > 0.8 * len(routes)


async def test_the_routes_that_are_asked_are_those_of_the_page(
    tmp_path: Path, chance: random.Random
) -> None:
    """They are read off the daemon, and the page has them all."""
    _, routes = await watched(tmp_path, chance, until=lambda _: True)
    keyed = r"^\| `(\w+ /[^`]*)` \| (?:`(?:dispatch|read|admin)`|\[socket only\])"
    rows = re.findall(keyed, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(map(str, routes)) == sorted(rows)
    by_name = {str(route): route for route in routes}
    assert by_name["GET /api/v1/events"].query >= {"limit", "before", "outcome", "source"}
    assert by_name["POST /api/v1/pause"].body == frozenset({"entries", "reason"})
    assert by_name["GET /api/v1/status"].body is None


STATUS = Route("GET", "/api/v1/status")
JSON = {"content-type": "application/json; charset=utf-8"}


def answer(status: int, body: bytes | object, headers: Mapping[str, str] = JSON) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, headers, data)


def found(given: Answer | None, *, method: str = "GET", keyed: bool = True) -> list[str]:
    return list(faults(Call(STATUS, method, b"", keyed=keyed, clean=True), given))


@pytest.mark.parametrize(
    "given",
    [
        answer(200, {"fine": 1}),
        answer(400, {"error": "limit='x' is not a number from 1 to 1000"}),
        answer(401, {"error": "Unauthorized"}),
        answer(404, {"error": "there is no event 'evt_01m8580es1710xc47c3398repy'"}),
    ],
)
def test_an_answer_in_order_is_no_finding(given: Answer) -> None:
    assert found(given) == []


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (None, "no answer"),
        (answer(500, {"error": "internal error; the daemon's log says more"}), "500: "),
        (answer(503, {"error": "nothing could be stored"}), "503: "),
        (answer(200, {"key": UNSEEN[0]}), "a secret is shown"),
        (answer(200, b"hello", {"content-type": "text/plain"}), "200 of the type 'text/plain'"),
        (answer(200, b"hello"), "200 that is no JSON"),
        (answer(200, b"[NaN]"), "200 that is no JSON: NaN"),
        (answer(404, {"error": "Not Found"}), "404 does not explain itself"),
        (answer(404, ["no"]), "404 does not explain itself"),
        (answer(400, {"error": 'File "/x/daemon/api.py", line 1'}), "400 tells of the insides"),
        (answer(409, {"error": "(sqlite3.OperationalError) x"}), "409 tells of the insides"),
    ],
)
def test_an_answer_that_is_a_fault_is_found(given: Answer | None, fault: str) -> None:
    assert any(each.startswith(fault) for each in found(given)), found(given)


def test_what_is_answered_without_the_key_is_found_and_so_is_a_body_for_head() -> None:
    assert found(answer(200, {}), keyed=False) == ["200 without the key"]
    assert found(answer(401, {"error": "Unauthorized"}), keyed=False) == []
    assert found(answer(200, {}), method="HEAD") == ["HEAD has a body"]


def test_a_finding_is_kept_with_its_call(tmp_path: Path) -> None:
    watch = Watch()
    for data in (b"first", b"second"):
        watch.hear(Call(STATUS, "GET", data, keyed=True, clean=True), None, 0.1)
    ((place, file),) = watch.save(tmp_path).items()
    assert place == "GET /api/v1/status: no answer"
    assert Path(file).read_bytes() == b"first"


# What was found


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, triggers=[trigger_entry("push")]) as daemon:
        yield daemon


def trouble(fact: Fact) -> bool:
    return isinstance(fact, Trouble)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/release", rb'{"entry": "\udfff\ud800"}'),
        ("/api/v1/pause", rb'{"entries": ["push", "\ud800"]}'),
        ("/api/v1/triggers/push/hook", rb'{"params": {"\ud800": "x"}}'),
    ],
)
async def test_half_of_a_surrogate_pair_is_refused_before_it_comes_to_the_database(
    daemon: Serving, path: str, body: bytes
) -> None:
    """It was answered with a 503 (send it again) and a complaint of the store."""
    status, told = await daemon.call(
        "POST", path, data=body, headers={"content-type": "application/json"}
    )
    assert status == 400
    assert "holds half of a surrogate pair, which is no character" in told["error"]
    assert not any(map(trouble, daemon.seen))


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/a%0Ab"), ("POST", "/api/v1/nothing"), ("OPTIONS", "*")]
)
async def test_what_is_nowhere_is_told_by_name_at_every_door(
    daemon: Serving, method: str, target: str
) -> None:
    """A line feed in a path, and whatever the Unix socket has not, was "Not Found" and no more."""
    for url in (daemon.url, daemon.socket):
        got = await ask(url, request(method, target))
        assert got is not None
        assert got.status == 404
        assert len(got.error) > len("Not Found")


async def test_an_expectation_is_passed_over_at_the_admins_door(daemon: Serving) -> None:
    """aiohttp's own answer to one was a text."""
    got = await ask(daemon.socket, request("GET", "/nowhere", {"Expect": "the unexpected"}))
    assert got is not None
    assert (got.status, got.error) == (
        404,
        "nothing is served at '/nowhere'; docs/http.md has every route",
    )
