"""``POST /dispatch`` and ``/api/v1``, asked over real HTTP."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon import app, dispatch_route
from daemon.app import wall_clock
from daemon.errors import StoreUnavailable
from daemon.facts import AttemptMade, DispatchSettled, Trouble
from daemon.simulator import Fault, FaultKind, Simulator
from daemon.store import Store
from tests.inprocess import serving
from tests.specs import API_KEY, cron_entry, trigger_entry

CALL: dict[str, Any] = {"event_type": "build", "client_payload": {"a": [1, None]}}


def permissions(path: str) -> int:
    return Path(path).stat().st_mode & 0o777


async def test_a_call_is_answered_once_github_took_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        status, answer = await daemon.call("POST", "/dispatch", json=CALL)
        assert status == 200
        dispatch_id = answer.pop("dispatch_id")
        assert answer == {"success": True, **CALL}
        (received,) = daemon.simulator.received
        assert received.event_type == "build"
        assert received.client_payload == {
            "a": [1, None],
            "dispatchd": {"id": dispatch_id, "entry": "/dispatch", "depth": 0},
        }


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "Missing event_type field"),
        ({"event_type": ""}, 400, "Missing event_type field"),
        ({"event_type": 7}, 400, "event_type must be a string"),
        ([], 400, "the body must be a JSON object with an event_type"),
        ({"event_type": "x" * 101}, 400, "1 more than GitHub's 100"),
        ({"event_type": "x", "client_payload": []}, 400, "client_payload must be an object"),
        (
            {"event_type": "x", "client_payload": {str(n): n for n in range(11)}},
            400,
            "1 more than GitHub's 10",
        ),
        ({"event_type": "x", "client_payload": {"a": "x" * 65_600}}, 400, "more than GitHub's"),
        ({"event_type": "x", "client_payload": {"dispatchd": {}}}, 400, "reserved"),
        ({"event_type": "x", "client_payload": {"a": "\ud800"}}, 400, "written as JSON"),
        ({"event_type": "x", "repository": "other/repo"}, 403, "not on the list"),
        ({"event_type": "x", "repository": 1}, 403, "not on the list"),
    ],
)
async def test_a_call_that_github_would_refuse_is_refused_at_once(
    tmp_path: Path, body: object, status: int, error: str
) -> None:
    async with serving(tmp_path) as daemon:
        got, answer = await daemon.call("POST", "/dispatch", json=body)
        assert got == status
        assert error in answer["error"]
        assert daemon.simulator.requests == 0


async def test_ten_keys_go_out_without_the_reserved_one_and_with_a_warning(tmp_path: Path) -> None:
    payload = {str(n): n for n in range(10)}
    async with serving(tmp_path) as daemon:
        status, answer = await daemon.call(
            "POST", "/dispatch", json={"event_type": "x", "client_payload": payload}
        )
        assert status == 200
        assert "cannot be told from others" in answer["warning"]
        assert daemon.simulator.received[0].client_payload == payload


@pytest.mark.parametrize("path", ["/dispatch", "/api/v1/status", "/api/v1/events"])
@pytest.mark.parametrize("configured", ["an API key of 25 characters", ""])
@pytest.mark.parametrize("given", [None, "", "wrong", "an API key of 25 character"])
async def test_only_the_key_opens_and_an_unset_one_never_does(
    tmp_path: Path, path: str, configured: str, given: str | None
) -> None:
    async with serving(tmp_path, environ={"API_KEY": configured}) as daemon:
        method = "POST" if path == "/dispatch" else "GET"
        status, answer = await daemon.call(method, path, key=given)
        assert (status, answer) == (401, {"error": "Unauthorized"})


async def test_a_refusal_of_githubs_reaches_the_caller_in_its_words(tmp_path: Path) -> None:
    github = Simulator(wall_clock, repositories=[])
    async with serving(tmp_path, simulator=github) as daemon:
        status, answer = await daemon.call("POST", "/dispatch", json=CALL)
        assert status == 500
        assert answer["error"] == "Failed to dispatch workflow"
        assert "Not Found" in answer["reason"]
        assert answer["dispatch_id"].startswith("dsp_")


async def test_a_caller_who_prefers_not_to_wait_gets_202_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STALL, seconds=None))
        async with daemon.session.post(
            daemon.url + "/dispatch",
            json=CALL,
            headers={"x-api-key": "an API key of 25 characters", "Prefer": "wait=1, respond-async"},
        ) as response:
            assert response.status == 202
            assert response.headers["Preference-Applied"] == "respond-async"
            answer = await response.json()
            location = response.headers["Location"]
        dispatch_id = answer.pop("dispatch_id")
        assert answer == {"status": "queued", **CALL}
        status, shown = await daemon.call("GET", location)
        assert (status, shown["id"]) == (200, dispatch_id)
        await daemon.simulator.until(lambda: daemon.simulator.stalled == 1)
        daemon.simulator.release()


async def test_what_is_not_settled_in_time_is_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch_route, "SETTLED_WITHIN", 0.1)
    async with serving(tmp_path) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STALL, seconds=None))
        status, answer = await daemon.call("POST", "/dispatch", json=CALL)
        assert (status, answer["status"]) == (202, "queued")
        await daemon.simulator.until(lambda: daemon.simulator.stalled == 1)
        daemon.simulator.release()


async def test_a_caller_who_still_waits_when_the_daemon_stops_is_told_that_it_is_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "DRAIN", timedelta(seconds=0.05))
    github = Simulator(wall_clock)
    async with aiohttp.ClientSession(headers={"x-api-key": API_KEY}) as session:
        async with serving(tmp_path, simulator=github) as daemon:
            github.inject(Fault(FaultKind.STALL, seconds=None))
            call = asyncio.create_task(session.post(daemon.url + "/dispatch", json=CALL))
            await github.until(lambda: github.stalled == 1)
        async with await call as response:
            assert response.status == 202
            assert (await response.json())["status"] == "queued"


async def test_a_repeated_idempotency_key_sends_nothing_and_gets_the_first_answer(
    tmp_path: Path,
) -> None:
    key = {"Idempotency-Key": "k1"}
    async with serving(tmp_path) as daemon:
        first = await daemon.call("POST", "/dispatch", json=CALL, headers=key)
        again = await daemon.call("POST", "/dispatch", json=CALL, headers=key)
        assert first == again
        assert len(daemon.simulator.received) == 1
        other = {"event_type": "other"}
        status, answer = await daemon.call("POST", "/dispatch", json=other, headers=key)
        assert status == 422
        assert "another request" in answer["error"]
        assert len(daemon.simulator.received) == 1
        for bad in ("", "x" * 256):
            status, _ = await daemon.call(
                "POST", "/dispatch", json=CALL, headers={"Idempotency-Key": bad}
            )
            assert status == 400


async def test_a_repeated_idempotency_key_joins_the_request_in_flight(tmp_path: Path) -> None:
    key = {"Idempotency-Key": "k1"}
    async with serving(tmp_path) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STALL, seconds=None))
        calls = [
            asyncio.create_task(daemon.call("POST", "/dispatch", json=CALL, headers=key))
            for _ in range(5)
        ]
        await daemon.simulator.until(lambda: daemon.simulator.stalled == 1)
        daemon.simulator.release()
        answers = [await call for call in calls]
        assert {status for status, _ in answers} == {200}
        assert len({answer["dispatch_id"] for _, answer in answers}) == 1
        assert len(daemon.simulator.received) == 1


async def test_an_idempotency_key_keeps_the_answer_of_a_failure(tmp_path: Path) -> None:
    key = {"Idempotency-Key": "k1"}
    async with serving(tmp_path) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STATUS, status=403))
        first = await daemon.call("POST", "/dispatch", json=CALL, headers=key)
        again = await daemon.call("POST", "/dispatch", json=CALL, headers=key)
        assert first == again
        assert first[0] == 500


async def test_a_wrong_content_type_or_method_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        status, answer = await daemon.call("POST", "/dispatch", data={"event_type": "x"})
        assert status == 415
        assert "send application/json" in answer["error"]
        for method, path in (("GET", "/dispatch"), ("POST", "/ping"), ("DELETE", "/api/v1/events")):
            status, answer = await daemon.call(method, path)
            assert status == 405
            assert "not allowed" in answer["error"]


async def test_a_key_that_means_nothing_is_named_in_a_warning(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        call = {"event_type": "x", "client_paylod": {"a": 1}}
        status, answer = await daemon.call("POST", "/dispatch", json=call)
        assert status == 200
        assert answer["warning"] == "the key 'client_paylod' means nothing here"


async def test_monitors_may_ask_with_head(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        for path in ("/ping", "/healthz", "/readyz"):
            async with daemon.session.head(daemon.url + path) as response:
                assert (response.status, await response.read()) == (200, b"")


async def test_the_open_routes_need_no_key(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        assert await daemon.call("GET", "/ping", key=None) == (200, {"message": "Pong!"})
        assert await daemon.call("GET", "/healthz", key=None) == (200, {"status": "alive"})
        assert await daemon.call("GET", "/readyz", key=None) == (200, {"status": "ready"})


async def test_a_store_that_takes_no_write_is_not_ready_and_tells_only_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as daemon:

        async def full(_: Store) -> None:
            raise StoreUnavailable("no space left for /var/lib/d.sqlite")

        monkeypatch.setattr(Store, "ping", full)
        status, answer = await daemon.call("GET", "/readyz", key=None)
        assert status == 503
        assert answer["reasons"] == ["the database does not take writes; the daemon's log says why"]
        assert Trouble("store", "no space left for /var/lib/d.sqlite") in daemon.seen


async def test_the_status_says_how_long_github_has_us_wait(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        _, before = await daemon.call("GET", "/api/v1/status")
        assert before["limited_until"] is None
        daemon.simulator.inject(Fault(FaultKind.SECONDARY, retry_after=300))
        await daemon.call("POST", "/dispatch", json=CALL, headers={"Prefer": "respond-async"})
        await daemon.until(lambda fact: isinstance(fact, AttemptMade))
        _, after = await daemon.call("GET", "/api/v1/status")
        wait = datetime.fromisoformat(after["limited_until"]) - wall_clock()
        assert timedelta(seconds=280) < wait <= timedelta(seconds=300)


async def test_the_unix_socket_needs_no_key_and_serves_no_webhooks(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[trigger_entry()]) as daemon:
        assert permissions(daemon.socket) == 0o660
        connector = aiohttp.UnixConnector(daemon.socket)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get("http://localhost/api/v1/status") as response:
                assert response.status == 200
                assert (await response.json())["ready"] is True
            async with session.post("http://localhost/hook", json={}) as response:
                assert response.status == 404


async def test_events_and_dispatches_can_be_listed_and_shown(tmp_path: Path) -> None:
    async with serving(
        tmp_path, triggers=[trigger_entry()], crons=[cron_entry(name="nightly")]
    ) as daemon:
        _, delivered = await daemon.deliver("/hook", {"x": "é"})
        _, fired = await daemon.call("POST", "/api/v1/crons/nightly/fire")
        _, listed = await daemon.call("GET", "/api/v1/events")
        ids = [event["id"] for event in listed["events"]]
        assert ids == [fired["event_id"], delivered["event_id"]]
        _, event = await daemon.call("GET", f"/api/v1/events/{delivered['event_id']}")
        assert event["body"] == '{"x": "\\u00e9"}'
        assert event["verdicts"][0]["outcome"] == "dispatched"
        assert [each["id"] for each in event["dispatches"]] == delivered["dispatches"]
        _, page = await daemon.call("GET", f"/api/v1/events?before={ids[0]}&limit=1")
        assert [event["id"] for event in page["events"]] == ids[1:]
        _, some = await daemon.call("GET", "/api/v1/dispatches?entry=nightly")
        assert [each["id"] for each in some["dispatches"]] == fired["dispatches"]
        for path in (
            "/api/v1/events?before=zzz",
            "/api/v1/dispatches?before=dsp_",
            "/api/v1/events?limit=0",
            "/api/v1/events?limit=x",
            "/api/v1/events?outcome=nope",
            "/api/v1/dispatches?state=nope",
            "/api/v1/dispatches?since=yesterday",
        ):
            status, _ = await daemon.call("GET", path)
            assert status == 400, path
        for path in ("/api/v1/events/evt_x", "/api/v1/dispatches/dsp_x"):
            status, _ = await daemon.call("GET", path)
            assert status == 404, path


async def test_a_dispatch_shows_its_payload_and_every_try(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        _, answer = await daemon.call("POST", "/dispatch", json=CALL)
        _, shown = await daemon.call("GET", f"/api/v1/dispatches/{answer['dispatch_id']}")
        assert shown["state"] == "accepted"
        assert shown["client_payload"].startswith('{"a":[1,null],"dispatchd":{"id":"dsp_')
        (attempt,) = shown["tries"]
        assert (attempt["number"], attempt["status"], attempt["outcome"]) == (1, 204, "accepted")
        assert attempt["request_id"]


async def test_firing_an_unknown_cron_names_the_known_ones(tmp_path: Path) -> None:
    async with serving(tmp_path, crons=[cron_entry(name="nightly")]) as daemon:
        status, answer = await daemon.call("POST", "/api/v1/crons/nihgtly/fire")
        assert status == 404
        assert "nightly" in answer["error"]


async def test_what_waits_can_be_cancelled_and_what_is_final_cannot(tmp_path: Path) -> None:
    pace = {"GH_WRITES_PER_SECOND": "0.001", "GH_WRITE_BURST": "1"}
    async with serving(tmp_path, environ=pace) as daemon:
        _, sent = await daemon.call("POST", "/dispatch", json=CALL)
        _, waits = await daemon.call(
            "POST", "/dispatch", json=CALL, headers={"Prefer": "respond-async"}
        )
        path = f"/api/v1/cancel/{waits['dispatch_id']}"
        status, answer = await daemon.call("POST", path)
        assert (status, answer["state"]) == (200, "cancelled")
        status, answer = await daemon.call("POST", f"/api/v1/cancel/{sent['dispatch_id']}")
        assert status == 409
        assert "accepted" in answer["error"]
        status, _ = await daemon.call("POST", "/api/v1/cancel/dsp_x")
        assert status == 404
        assert any(
            isinstance(fact, DispatchSettled) and fact.dispatch.id == waits["dispatch_id"]
            for fact in daemon.seen
        )


async def test_a_dispatch_is_replayed_under_a_new_id(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        _, first = await daemon.call("POST", "/dispatch", json=CALL)
        status, again = await daemon.call("POST", f"/api/v1/replay/{first['dispatch_id']}")
        assert status == 202
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        one, two = daemon.simulator.received
        assert two.client_payload == {
            "a": [1, None],
            "dispatchd": {"id": again["dispatches"][0], "entry": "/dispatch", "depth": 0},
        }
        assert one.client_payload["a"] == two.client_payload["a"]
        assert again["dispatches"][0] != first["dispatch_id"]


async def test_replaying_what_is_unknown_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        for target, expected in (("evt_x", 404), ("dsp_x", 404), ("abc", 400)):
            status, answer = await daemon.call("POST", f"/api/v1/replay/{target}")
            assert status == expected
            assert target in answer["error"]


async def test_every_attempt_is_told_with_githubs_request_id(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await daemon.call("POST", "/dispatch", json=CALL)
        (made,) = (fact for fact in daemon.seen if isinstance(fact, AttemptMade))
        assert made.attempt.request_id
        assert made.dispatch.attempts == 1
