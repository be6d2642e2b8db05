"""The GitHub stand-in: it checks, answers and remembers as GitHub does, and fails when told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from daemon.simulator import ANY_EVENT, Fault, FaultKind, Listener, Simulator
from daemon.simulator import world as simulated_world
from tests.github_caller import HEADERS, SHOP, T0, Caller, Clock
from tests.github_fixtures import call, clock, simulator

__all__ = ["call", "clock", "simulator"]


@asynccontextmanager
async def asking(simulator: Simulator) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer to a dispatch, of which only the head has been read."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{simulator.url}{SHOP}/dispatches", json={"event_type": "x"}, headers=HEADERS
        ) as response,
    ):
        yield response


async def test_a_dispatch_is_answered_204_with_an_empty_body_and_githubs_headers(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    clock.move(0.7)
    body = {"event_type": "build", "client_payload": {"a": 1}}
    status, answer, headers = await call(simulator, "POST", f"{SHOP}/dispatches", body)
    assert (status, answer) == (204, b"")
    assert headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT"
    assert headers["X-RateLimit-Limit"] == "5000"
    assert headers["X-RateLimit-Remaining"] == "4999"
    assert headers["X-RateLimit-Used"] == "1"
    assert headers["X-RateLimit-Resource"] == "core"
    assert headers["X-RateLimit-Reset"] == str(int(T0.timestamp()) + 3600)
    (received,) = simulator.received
    assert (received.repository, received.event_type) == ("acme/shop", "build")
    assert received.client_payload == {"a": 1}
    assert received.at == clock.now
    assert received.request_id == headers["X-GitHub-Request-Id"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{not json", 400, "Problems parsing JSON"),
        (b'{"event_type": "x", "client_payload": {"a": NaN}}', 400, "Problems parsing JSON"),
        (b"[" * 100_000, 400, "Problems parsing JSON"),
        ([1], 400, "Body should be a JSON object"),
        ({}, 422, 'Invalid request.\n\n"event_type" wasn\'t supplied.'),
        ({"event_type": 5}, 422, "For 'properties/event_type', 5 is not a string."),
        ({"event_type": ""}, 422, "only 0 were supplied"),
        (
            {"event_type": "e" * 101},
            422,
            "Invalid request.\n\nOnly 100 characters are allowed; 101 were supplied.",
        ),
        (
            {"event_type": "x", "client_payload": None},
            422,
            "For 'properties/client_payload', nil is not an object.",
        ),
        (
            {"event_type": "x", "client_payload": {f"k{n}": n for n in range(14)}},
            422,
            "Invalid request.\n\nNo more than 10 properties are allowed; 14 were supplied.",
        ),
        (
            {"event_type": "x", "client_payload": {"a": "é" * 32_764}},
            422,
            "client_payload is too large.",
        ),
    ],
)
async def test_a_dispatch_that_github_would_refuse_is_refused_in_its_words(
    simulator: Simulator, call: Caller, body: object, status: int, message: str
) -> None:
    given, answer, _ = await call(simulator, "POST", f"{SHOP}/dispatches", body)
    assert given == status
    assert message in answer["message"]
    assert answer["status"] == str(status)
    assert answer["documentation_url"].startswith("https://docs.github.com/rest/repos/repos#")
    assert simulator.received == []


async def test_what_is_just_within_the_limits_is_taken(simulator: Simulator, call: Caller) -> None:
    payload: dict[str, object] = {f"k{n}": n for n in range(9)}
    frame = len(json.dumps({**payload, "text": ""}, separators=(",", ":")))
    payload["text"] = "x" * (65_535 - frame)
    assert await call.dispatch(simulator, "e" * 100, **payload) == 204


async def test_a_body_of_megabytes_is_refused(simulator: Simulator, call: Caller) -> None:
    status, answer, _ = await call(simulator, "POST", f"{SHOP}/dispatches", b"x" * 2_000_000)
    assert (status, answer["status"]) == (413, "413")
    assert await call.dispatch(simulator) == 204


async def test_a_body_without_a_payload_has_an_empty_one(
    simulator: Simulator, call: Caller
) -> None:
    status, _, _ = await call(simulator, "POST", f"{SHOP}/dispatches", {"event_type": "x"})
    assert status == 204
    assert simulator.received[0].client_payload == {}


async def test_a_token_is_wanted_and_must_be_the_right_one(clock: Clock, call: Caller) -> None:
    agent = {"User-Agent": "test/1"}
    async with Simulator(clock, tokens={"good"}) as simulator:

        async def message(authorization: str | None) -> str:
            headers = agent if authorization is None else agent | {"Authorization": authorization}
            status, answer, _ = await call(simulator, "GET", SHOP, headers=headers)
            return "" if status == 200 else f"{status} {answer['message']}"

        assert await message(None) == "401 Requires authentication"
        assert await message("Bearer ") == "401 Requires authentication"
        assert await message("Bearer bad") == "401 Bad credentials"
        assert await message("Bearer good") == ""
        assert await message("token good") == ""


async def test_a_request_without_a_user_agent_is_turned_away(
    simulator: Simulator, call: Caller
) -> None:
    headers = {"Authorization": "Bearer x"}
    status, answer, _ = await call(simulator, "GET", SHOP, headers=headers)
    assert status == 403
    assert b"make sure your request has a User-Agent header" in answer


async def test_only_versions_of_the_api_that_exist_are_served(
    simulator: Simulator, call: Caller
) -> None:
    for version, expected in [
        ("2022-11-28", 200),
        ("2026-03-10", 200),
        ("2021-01-01", 410),
        ("2030-01-01", 400),
    ]:
        headers = HEADERS | {"X-GitHub-Api-Version": version}
        status, _, _ = await call(simulator, "GET", SHOP, headers=headers)
        assert status == expected


async def test_what_does_not_exist_is_404(clock: Clock, call: Caller) -> None:
    async with Simulator(clock, repositories={"Acme/Shop"}) as simulator:
        for method, path in [
            ("POST", "/repos/acme/other/dispatches"),
            ("GET", "/repos/acme/other/actions/runs"),
            ("GET", f"{SHOP}/actions/runs/1"),
            ("POST", "/repositories/77/dispatches"),
            ("GET", f"{SHOP}/dispatches"),
            ("GET", "/nowhere"),
        ]:
            status, answer, _ = await call(simulator, method, path, {"event_type": "x"})
            assert (status, answer["message"]) == (404, "Not Found"), path
        assert await call.dispatch(simulator) == 204  # names have no case


async def test_each_listening_workflow_gets_a_run(clock: Clock, call: Caller) -> None:
    listeners = {
        "acme/shop": [
            Listener("any.yml", "Any"),
            Listener(
                "build.yml", "Build", frozenset({"build"}), run_name="${{ github.event.action }}"
            ),
            Listener("deploy.yml", "Deploy", frozenset({"deploy"})),
            Listener("off.yml", "Off", enabled=False),
        ]
    }
    async with Simulator(clock, listeners=listeners) as simulator:
        assert await call.dispatch(simulator, "build") == 204
        assert await call.dispatch(simulator, "unheard") == 204
        assert [(run.workflow.name, run.display_title) for run in simulator.runs] == [
            ("Any", "build"),
            ("Build", "build"),
            ("Any", "unheard"),
        ]
        _, found, _ = await call(simulator, "GET", f"{SHOP}/actions/workflows")
        assert [(each["path"], each["state"]) for each in found["workflows"]] == [
            (".github/workflows/any.yml", "active"),
            (".github/workflows/build.yml", "active"),
            (".github/workflows/deploy.yml", "active"),
            (".github/workflows/off.yml", "disabled_manually"),
        ]


async def test_a_repository_without_listeners_takes_a_dispatch_and_starts_nothing(
    clock: Clock, call: Caller
) -> None:
    async with Simulator(clock, listeners={}) as simulator:
        assert await call.dispatch(simulator) == 204
        assert simulator.runs == []


async def test_a_run_shows_the_dispatchs_id_and_goes_from_queued_to_success(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await call.dispatch(simulator, "build", dispatchd={"id": "dsp_7"})
    run = simulator.runs[0]
    states = []
    for seconds in (0, 2, 5):
        clock.move(seconds)
        _, found, _ = await call(simulator, "GET", f"{SHOP}/actions/runs/{run.id}")
        states.append((found["status"], found["conclusion"], found["updated_at"]))
    assert states == [
        ("queued", None, "2026-03-01T12:00:00Z"),
        ("in_progress", None, "2026-03-01T12:00:02Z"),
        ("completed", "success", "2026-03-01T12:00:07Z"),
    ]
    assert found["display_title"] == "Build [dsp_7]"
    assert found["event"] == "repository_dispatch"
    assert found["created_at"] == "2026-03-01T12:00:00Z"
    assert found["head_branch"] == "main"
    _, workflows, _ = await call(simulator, "GET", f"{SHOP}/actions/workflows")
    assert workflows["workflows"][0]["id"] == found["workflow_id"]


async def test_runs_are_listed_newest_first_in_pages(simulator: Simulator, call: Caller) -> None:
    for n in range(5):
        await call.dispatch(simulator, "build", dispatchd={"id": n})
    await call(simulator, "POST", "/repos/acme/other/dispatches", {"event_type": "x"})

    async def titles(query: str) -> list[str]:
        _, found, _ = await call(simulator, "GET", f"{SHOP}/actions/runs{query}")
        assert found["total_count"] == 5
        return [run["display_title"] for run in found["workflow_runs"]]

    assert await titles("") == [f"Build [{n}]" for n in (4, 3, 2, 1, 0)]
    assert await titles("?per_page=2") == ["Build [4]", "Build [3]"]
    assert await titles("?per_page=2&page=3") == ["Build [0]"]
    assert await titles("?per_page=2&page=9") == []
    assert len(await titles("?per_page=zero&page=-1")) == 5


async def test_the_oldest_is_forgotten_when_too_much_is_remembered(
    clock: Clock, call: Caller
) -> None:
    async with Simulator(clock, keep=3) as simulator:
        for n in range(5):
            await call.dispatch(simulator, "build", n=n)
        assert [each.client_payload["n"] for each in simulator.received] == [2, 3, 4]
        assert len(simulator.runs) == 3


async def test_large_payloads_are_forgotten_sooner(
    clock: Clock, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_world, "KEPT_BYTES", 100_000)
    async with Simulator(clock) as simulator:
        for n in range(5):
            await call.dispatch(simulator, "build", n=n, text="x" * 40_000)
        assert [each.client_payload["n"] for each in simulator.received] == [3, 4]


async def test_the_hours_requests_can_be_used_up_and_come_back(clock: Clock, call: Caller) -> None:
    async with Simulator(clock, rate_limit=2) as simulator:
        assert await call.dispatch(simulator) == 204
        assert await call.dispatch(simulator) == 204
        status, answer, headers = await call(simulator, "GET", SHOP)
        assert status == 403
        assert "API rate limit exceeded" in answer["message"]
        assert headers["X-RateLimit-Remaining"] == "0"
        _, rate, _ = await call(simulator, "GET", "/rate_limit")  # which costs nothing
        assert rate["resources"]["core"]["used"] == 2
        clock.move(3600)
        assert await call.dispatch(simulator) == 204


async def test_a_status_fault_shows_as_often_as_asked_and_does_not_act(
    simulator: Simulator, call: Caller
) -> None:
    simulator.inject(Fault(FaultKind.STATUS, times=2, status=500))
    simulator.inject(Fault(FaultKind.STATUS, status=502))
    assert await call.dispatch(simulator) == 500
    assert await call.dispatch(simulator) == 500
    status, page, headers = await call(simulator, "POST", f"{SHOP}/dispatches", {"event_type": "x"})
    assert (status, headers["Content-Type"].partition(";")[0]) == (502, "text/html")
    assert b"502 Bad Gateway" in page
    assert simulator.received == []
    assert await call.dispatch(simulator) == 204


async def test_an_answer_can_be_lost_after_github_acted(simulator: Simulator, call: Caller) -> None:
    simulator.inject(Fault(FaultKind.STATUS, acts=True))
    simulator.inject(Fault(FaultKind.RESET, acts=True))
    assert await call.dispatch(simulator) == 503
    with pytest.raises(aiohttp.ClientConnectionError):
        await call.dispatch(simulator)
    assert len(simulator.received) == len(simulator.runs) == 2


async def test_a_reset_without_acting_leaves_no_trace(simulator: Simulator, call: Caller) -> None:
    simulator.inject(Fault(FaultKind.RESET))
    with pytest.raises(aiohttp.ClientConnectionError):
        await call.dispatch(simulator)
    assert simulator.received == []


async def test_a_stalled_answer_is_held_until_it_is_released(
    simulator: Simulator, call: Caller
) -> None:
    simulator.inject(Fault(FaultKind.STALL))
    waiting = asyncio.create_task(call.dispatch(simulator))
    await simulator.until(lambda: simulator.stalled == 1)
    assert not waiting.done()
    assert len(simulator.received) == 1
    simulator.release()
    assert await waiting == 204
    assert simulator.stalled == 0


async def test_a_stall_ends_by_itself_where_it_has_a_length(
    simulator: Simulator, call: Caller
) -> None:
    simulator.inject(Fault(FaultKind.STALL, seconds=0.01))
    assert await call.dispatch(simulator) == 204


async def test_stopping_does_not_wait_for_what_is_stalled(clock: Clock, call: Caller) -> None:
    simulator = Simulator(clock)
    await simulator.start()
    simulator.inject(Fault(FaultKind.STALL))
    waiting = asyncio.create_task(call.dispatch(simulator))
    await simulator.until(lambda: simulator.stalled == 1)
    await simulator.stop()
    assert await waiting == 204


async def test_an_endless_answer_goes_on_for_as_long_as_it_is_read(simulator: Simulator) -> None:
    simulator.inject(Fault(FaultKind.ENDLESS, status=502))
    async with asking(simulator) as response:
        assert (response.status, response.headers["X-RateLimit-Remaining"]) == (502, "4999")
        text = (await response.content.readexactly(1_000_000)).decode()
        assert text.startswith('{"message": " Bad Gateway Bad Gateway ')
        assert simulator.stalled == 1
    await simulator.until(lambda: simulator.stalled == 0)
    assert simulator.received == []


async def test_an_endless_answer_breaks_off_when_it_is_released(simulator: Simulator) -> None:
    simulator.inject(Fault(FaultKind.ENDLESS))
    async with asking(simulator) as response:
        await response.content.readexactly(1000)
        simulator.release()
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_a_dripping_answer_begins_at_once_and_ends_when_it_is_released(
    simulator: Simulator,
) -> None:
    simulator.inject(Fault(FaultKind.DRIP, acts=True))
    async with asking(simulator) as response:
        assert response.status == 503
        assert await response.content.readexactly(1) == b"{"
        simulator.release()
        rest = await response.read()
        assert json.loads(b"{" + rest)["message"] == "Service Unavailable"
    assert len(simulator.received) == 1


async def test_a_secondary_limit_comes_with_plenty_remaining(
    simulator: Simulator, call: Caller
) -> None:
    simulator.inject(Fault(FaultKind.SECONDARY, retry_after=30))
    simulator.inject(Fault(FaultKind.SECONDARY, status=429))
    body = {"event_type": "x"}
    status, answer, headers = await call(simulator, "POST", f"{SHOP}/dispatches", body)
    assert (status, headers["Retry-After"]) == (403, "30")
    assert "secondary rate limit" in answer["message"]
    assert headers["X-RateLimit-Remaining"] == "4999"
    status, _, headers = await call(simulator, "POST", f"{SHOP}/dispatches", body)
    assert status == 429
    assert "Retry-After" not in headers


async def test_a_primary_limit_names_its_reset(simulator: Simulator, call: Caller) -> None:
    simulator.inject(Fault(FaultKind.PRIMARY, seconds=90))
    status, _, headers = await call(simulator, "POST", f"{SHOP}/dispatches", {"event_type": "x"})
    assert (status, headers["X-RateLimit-Remaining"]) == (403, "0")
    assert headers["X-RateLimit-Reset"] == str(int(T0.timestamp()) + 90)


async def test_a_renamed_repository_answers_at_its_number(
    simulator: Simulator, call: Caller
) -> None:
    simulator.inject(Fault(FaultKind.REDIRECT))
    body = {"event_type": "x"}
    status, _, headers = await call(simulator, "POST", f"{SHOP}/dispatches", body)
    assert status == 307
    place = headers["Location"].removeprefix(simulator.url)
    assert (await call(simulator, "POST", place, body))[0] == 204
    assert simulator.received[0].repository == "acme/shop"


async def test_where_webhooks_come_from_is_told_to_everybody_but_a_wrong_token(
    clock: Clock, call: Caller
) -> None:
    async with Simulator(clock, tokens=["ghp_x"]) as simulator:
        agent = {"User-Agent": "test/1"}
        for headers in (HEADERS, agent):
            status, answer, told = await call(simulator, "GET", "/meta", headers=headers)
            assert status == 200
            assert {"192.30.252.0/22", "127.0.0.1/32", "::1/128"} <= set(answer["hooks"])
        wrong = agent | {"Authorization": "Bearer ghp_y"}
        assert (await call(simulator, "GET", "/meta", headers=wrong))[0] == 401
        known = HEADERS | {"If-None-Match": told["ETag"]}
        status, answer, _ = await call(simulator, "GET", "/meta", headers=known)
        assert (status, answer) == (304, b"")
        other = HEADERS | {"If-None-Match": '"other"'}
        assert (await call(simulator, "GET", "/meta", headers=other))[0] == 200


async def test_faults_can_be_set_watched_and_cleared_over_http(
    simulator: Simulator, call: Caller
) -> None:
    place = "/_simulator/faults"
    fault = {"kind": "status", "status": 500, "times": None}
    status, answer, _ = await call(simulator, "POST", place, fault, headers={})
    assert status == 201
    assert answer["faults"][0]["kind"] == "status"
    for _ in range(3):
        assert await call.dispatch(simulator) == 500
    status, _, _ = await call(simulator, "DELETE", place, headers={})
    assert status == 204
    assert await call.dispatch(simulator, "build", a=1) == 204
    _, log, _ = await call(simulator, "GET", "/_simulator/log", headers={})
    assert log["simulated"] is True
    assert log["requests"] == simulator.requests == 4
    assert log["unchanged"] == simulator.unchanged == 0
    assert [each["client_payload"] for each in log["received"]] == [{"a": 1}]
    assert [each["status"] for each in log["runs"]] == ["queued"]
    assert (log["faults"], log["stalled"]) == ([], 0)


@pytest.mark.parametrize(
    ("fault", "help_"),
    [
        (b"{", "line 1"),
        ([], "a fault is an object"),
        ({}, "kind must be one of status, stall"),
        ({"kind": ["status"]}, "kind must be one of"),
        ({"kind": "status", "tims": 1}, "unknown key 'tims'; there are acts, kind"),
        ({"kind": "status", "times": 0}, "times must be a whole number"),
        ({"kind": "status", "times": True}, "times must be a whole number"),
        ({"kind": "status", "status": 204}, "status must be a status from 300 to 599"),
        ({"kind": "status", "acts": 1}, "acts must be true or false"),
        ({"kind": "stall", "seconds": -1}, "seconds must be a number"),
        ({"kind": "redirect", "location": 1}, "location must be a URL"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_with_what_is_allowed(
    simulator: Simulator, call: Caller, fault: object, help_: str
) -> None:
    status, answer, _ = await call(simulator, "POST", "/_simulator/faults", fault, headers={})
    assert status == 400
    assert help_ in answer["error"]
    assert await call.dispatch(simulator) == 204


async def test_it_can_stop_and_serve_again_on_the_same_port_with_its_memory(
    clock: Clock, call: Caller
) -> None:
    simulator = Simulator(clock)
    await simulator.start()
    port = int(simulator.url.rpartition(":")[2])
    await call.dispatch(simulator)
    await simulator.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await call.dispatch(simulator)
    await simulator.start(port=port)
    await call.dispatch(simulator)
    assert len(simulator.received) == 2
    await simulator.stop()


async def test_a_port_in_use_is_an_error(simulator: Simulator, clock: Clock) -> None:
    port = int(simulator.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        await Simulator(clock).start(port=port)


async def test_the_workflow_of_simulate_listens_to_everything(
    simulator: Simulator, call: Caller
) -> None:
    await call.dispatch(simulator, "whatever")
    assert [run.workflow.file for run in simulator.runs] == [ANY_EVENT.workflow]
