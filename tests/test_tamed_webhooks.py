"""Bursts, rate limits, addresses, replays and the answers of triggers, over real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.dispatch import State
from daemon.facts import EventRecorded, RequestRefused
from tests.inprocess import Serving, serving
from tests.specs import SECRET, SIGNED, trigger_entry

LATER = {"window": "2s", "max_wait": "10s", "key": "body.ref"}
HMAC = {
    "scheme": "hmac",
    "secret": "env:GH_WEBHOOK_SECRET",
    "header": "x-signature",
    "delivery_header": "x-id",
}


def signed_by_hmac(body: bytes, **headers: str) -> dict[str, str]:
    proof = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "x-signature": proof, **headers}


async def post(
    daemon: Serving, body: object, headers: Mapping[str, str] | None = None, path: str = "/hook"
) -> tuple[int, Any]:
    return await daemon.call("POST", path, key=None, json=body, headers=headers or {})


async def state(daemon: Serving, dispatch_id: str) -> str:
    _, dispatch = await daemon.call("GET", f"/api/v1/dispatches/{dispatch_id}")
    return str(dispatch["state"])


def refused(daemon: Serving) -> Sequence[RequestRefused]:
    return [fact for fact in daemon.seen if isinstance(fact, RequestRefused)]


# Bursts


async def test_of_a_burst_the_last_delivery_is_dispatched_and_each_is_answered_202(
    tmp_path: Path,
) -> None:
    payload = {"event_type": "build", "client_payload": {"n": "{{ body.n }}"}}
    entry = trigger_entry(coalesce=LATER, dispatch=payload)
    async with serving(tmp_path, triggers=[entry]) as daemon:
        answers = [await post(daemon, {"ref": "main", "n": n}) for n in range(3)]
        other = await post(daemon, {"ref": "dev", "n": 9})
        assert {status for status, _ in (*answers, other)} == {202}
        ids = [answer["dispatches"][0] for _, answer in answers]
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        sent = [each.client_payload["n"] for each in daemon.simulator.received]
        assert set(sent) == {2, 9}
        superseded = [State.SUPERSEDED.value] * 2
        assert [await state(daemon, each) for each in ids[:2]] == superseded


async def test_a_replay_by_hand_waits_for_no_burst(tmp_path: Path) -> None:
    entry = trigger_entry(coalesce={"window": "1h"}, rate_limit={"max": 1, "per": "1h"})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        _, answer = await post(daemon, {"n": 1})
        await daemon.call("POST", f"/api/v1/replay/{answer['event_id']}")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        assert await state(daemon, answer["dispatches"][0]) == State.PENDING.value


# Rate limits


async def test_above_its_rate_limit_a_delivery_is_answered_429_with_the_time_to_wait(
    tmp_path: Path,
) -> None:
    entry = trigger_entry(rate_limit={"max": 2, "per": "1h", "key": "body.who"})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        statuses = [(await post(daemon, {"who": "a"}))[0] for _ in range(2)]
        response = await daemon.session.post(daemon.url + "/hook", json={"who": "a"})
        assert statuses == [202, 202]
        assert response.status == 429
        assert 3590 <= int(response.headers["Retry-After"]) <= 3600
        assert "rate limit" in (await response.json())["error"]
        assert (await post(daemon, {"who": "b"}))[0] == 202
        (event,) = (
            fact.event
            for fact in daemon.seen
            if isinstance(fact, EventRecorded) and fact.verdicts[0].outcome == "limited"
        )
        _, stored = await daemon.call("GET", f"/api/v1/events/{event.id}")
        assert stored["verdicts"][0]["outcome"] == "limited"


async def test_what_one_trigger_limits_another_may_take(tmp_path: Path) -> None:
    entries = [trigger_entry("few", rate_limit={"max": 1, "per": "1h"}), trigger_entry("all")]
    async with serving(tmp_path, triggers=entries) as daemon:
        await post(daemon, {"n": 1})
        status, answer = await post(daemon, {"n": 2})
        assert status == 202
        assert answer["matched"] == ["all"]


async def test_an_unmatched_delivery_is_no_matter_of_the_rate(tmp_path: Path) -> None:
    entry = trigger_entry(when="body.go", rate_limit={"max": 1, "per": "1h"})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        statuses = [(await post(daemon, {"go": go}))[0] for go in (False, False, True, False, True)]
        assert statuses == [200, 200, 202, 200, 429]


# Repetitions


async def test_a_captured_delivery_under_a_made_up_id_is_a_duplicate(tmp_path: Path) -> None:
    """The id is not signed, the body is: the answer names the event that it repeats."""
    async with serving(tmp_path, triggers=[trigger_entry(auth=SIGNED)]) as daemon:
        first = await daemon.deliver("/hook", {"n": 1}, headers={"x-github-delivery": "genuine"})
        again = await daemon.deliver("/hook", {"n": 1}, headers={"x-github-delivery": "made-up"})
        none = await daemon.deliver("/hook", {"n": 1})
        assert (first[0], again[0], none[0]) == (202, 200, 200)
        assert again[1]["duplicate_of"] == none[1]["duplicate_of"] == first[1]["event_id"]
        _, stored = await daemon.call("GET", f"/api/v1/events/{again[1]['event_id']}")
        assert "captured" in stored["verdicts"][0]["reason"]


@pytest.mark.parametrize("relabelled", ["text/plain", "application/x-www-form-urlencoded"])
async def test_another_content_type_makes_no_other_delivery(
    tmp_path: Path, relabelled: str
) -> None:
    """Nobody signs it, and the id is in the body."""
    entry = trigger_entry(auth={"scheme": "stripe", "secret": "env:GH_WEBHOOK_SECRET"})
    body, moment = b'{"id": "evt_1"}', str(int(time.time()))
    proof = hmac.new(SECRET.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    async with serving(tmp_path, triggers=[entry]) as daemon:
        statuses = []
        for kind in ("application/json", relabelled):
            headers = {"content-type": kind, "stripe-signature": f"t={moment},v1={proof}"}
            answer = await daemon.call("POST", "/hook", key=None, data=body, headers=headers)
            statuses.append(answer[0])
        assert statuses == [202, 200]


async def test_a_signed_request_without_an_id_is_taken_once_while_its_time_holds(
    tmp_path: Path,
) -> None:
    """Slack's slash commands name no id; the same words a second later are another command."""
    entry = trigger_entry(auth={"scheme": "slack", "secret": "env:GH_WEBHOOK_SECRET"})
    body, now = b"command=%2Fdeploy&text=main", int(time.time())

    def sent(moment: int) -> dict[str, str]:
        signed = f"v0:{moment}:".encode() + body
        proof = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        return {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": str(moment),
            "x-slack-signature": f"v0={proof}",
        }

    async with serving(tmp_path, triggers=[entry]) as daemon:
        for moment in (now, now, now - 1):
            await daemon.session.post(daemon.url + "/hook", data=body, headers=sent(moment))
        recorded = [fact for fact in daemon.seen if isinstance(fact, EventRecorded)]
        told = [fact.verdicts[0].outcome.value for fact in recorded]
        assert told == ["dispatched", "duplicate", "dispatched"]


async def test_a_long_key_is_stored_as_its_hash(tmp_path: Path) -> None:
    entry = trigger_entry(dedupe={"key": "body.key"})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        keys = ["x" * 100_000, "x" * 100_000, "x" * 99_999 + "y"]
        statuses = [(await post(daemon, {"key": key}))[0] for key in keys]
        assert statuses == [202, 200, 202]
        recorded = [fact for fact in daemon.seen if isinstance(fact, EventRecorded)]
        stored = [fact.verdicts[0].dedupe for fact in recorded]
        assert all(each is not None and len(each.key) < 100 for each in stored)


async def test_of_a_stranger_a_compressed_body_is_taken_only_if_it_comes_to_little(
    tmp_path: Path,
) -> None:
    """A hundred bytes must not become five megabytes that everybody waits for."""
    bomb = gzip.compress(gzip.compress(b"[" + b"[]," * 1_000_000 + b"[]]"))
    usual = gzip.compress(
        json.dumps([{"n": n, "name": f"number {n}"} for n in range(9000)]).encode()
    )
    async with serving(tmp_path, triggers=[trigger_entry()]) as daemon:
        statuses = []
        for coding, body in (("gzip, gzip", bomb), ("gzip", usual)):
            headers = {"content-type": "application/json", "content-encoding": coding}
            answer = await daemon.call("POST", "/hook", key=None, data=body, headers=headers)
            statuses.append(answer[0])
        assert statuses == [413, 202]


async def test_a_secret_within_the_body_is_neither_stored_nor_shown(tmp_path: Path) -> None:
    entry = trigger_entry(
        auth={"scheme": "microsoft_graph", "secret": "env:GH_WEBHOOK_SECRET"},
        dispatch={"event_type": "b", "client_payload": {"all": "{{ body }}"}},
    )
    body = {"value": [{"id": "1", "clientState": SECRET, "resource": "me/events"}]}
    async with serving(tmp_path, triggers=[entry]) as daemon:
        status, answer = await post(daemon, body)
        assert status == 202
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        sent = daemon.simulator.received[0].client_payload["all"]
        assert sent == {"value": [{"id": "1", "clientState": "***", "resource": "me/events"}]}
        _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        assert SECRET not in json.dumps(event)


async def test_a_key_of_ones_own_leaves_equal_bodies_apart(tmp_path: Path) -> None:
    entry = trigger_entry(auth=HMAC, dedupe={"key": "headers['x-id']"})
    body = b'{"build": "nightly"}'
    async with serving(tmp_path, triggers=[entry]) as daemon:
        statuses = []
        for id_ in ("1", "2", "1"):
            headers = signed_by_hmac(body, **{"x-id": id_})
            answer = await daemon.call("POST", "/hook", key=None, data=body, headers=headers)
            statuses.append(answer[0])
        assert statuses == [202, 202, 200]


async def test_without_an_id_of_the_sender_equal_bodies_are_deliveries_of_their_own(
    tmp_path: Path,
) -> None:
    """A nightly ping of somebody's own service says the same every night."""
    auth = {key: value for key, value in HMAC.items() if key != "delivery_header"}
    body = b'{"build": "nightly"}'
    async with serving(tmp_path, triggers=[trigger_entry(auth=auth)]) as daemon:
        for _ in range(2):
            status, _ = await daemon.call(
                "POST", "/hook", key=None, data=body, headers=signed_by_hmac(body)
            )
            assert status == 202


async def test_cloudevents_are_told_apart_by_source_and_id(tmp_path: Path) -> None:
    payload = {"event_type": "b", "client_payload": {"type": "{{ event.cloudevent.type }}"}}
    async with serving(tmp_path, triggers=[trigger_entry(dispatch=payload)]) as daemon:
        statuses = []
        for source, id_ in (("/a", "1"), ("/a", "1"), ("/b", "1"), ("/a", "2")):
            event = {"specversion": "1.0", "id": id_, "source": source, "type": "com.example.made"}
            headers = {"content-type": "application/cloudevents+json"}
            data = json.dumps(event).encode()
            answer = await daemon.call("POST", "/hook", key=None, data=data, headers=headers)
            statuses.append(answer[0])
        assert statuses == [202, 200, 202, 202]
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 3)
        assert daemon.simulator.received[0].client_payload["type"] == "com.example.made"


# Addresses


async def test_who_is_not_allowed_is_turned_away_before_its_body_is_read(tmp_path: Path) -> None:
    entry = trigger_entry(allow_from=["192.0.2.0/24"], max_body=10)
    async with serving(tmp_path, triggers=[entry]) as daemon:
        status, answer = await post(daemon, {"n": "x" * 100})
        assert (status, answer) == (403, {"error": "Forbidden"})
        assert "127.0.0.1 is not in its allow_from" in refused(daemon)[-1].reason


@pytest.mark.parametrize(
    ("forwarded", "status"), [("192.0.2.7", 202), ("203.0.113.9", 403), ("192.0.2.7, junk", 403)]
)
async def test_behind_a_trusted_proxy_the_client_is_whom_it_names(
    tmp_path: Path, forwarded: str, status: int
) -> None:
    entry = trigger_entry(allow_from=["192.0.2.0/24"])
    async with serving(
        tmp_path, triggers=[entry], settings={"trusted_proxies": ["127.0.0.0/8"]}
    ) as daemon:
        headers = {"x-forwarded-for": forwarded}
        assert (await post(daemon, {}, headers))[0] == status
        if status == 202:
            recorded = next(fact for fact in daemon.seen if isinstance(fact, EventRecorded))
            assert recorded.event.cause.client_ip == "192.0.2.7"  # type: ignore[union-attr]


async def test_what_an_untrusted_peer_says_of_its_address_counts_for_nothing(
    tmp_path: Path,
) -> None:
    entry = trigger_entry(allow_from=["192.0.2.0/24"])
    async with serving(tmp_path, triggers=[entry]) as daemon:
        assert (await post(daemon, {}, {"x-forwarded-for": "192.0.2.7"}))[0] == 403


async def test_a_trigger_of_the_path_that_takes_everybody_still_does(tmp_path: Path) -> None:
    entries = [trigger_entry("inside", allow_from=["192.0.2.0/24"]), trigger_entry("open")]
    async with serving(tmp_path, triggers=entries) as daemon:
        status, answer = await post(daemon, {})
        assert (status, answer["matched"]) == (202, ["open"])
        _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        outcomes = {each["entry"]: each["outcome"] for each in event["verdicts"]}
        assert outcomes == {"inside": "unauthorized", "open": "dispatched"}


async def test_github_is_let_in_by_the_addresses_that_it_names(tmp_path: Path) -> None:
    """The stand-in names this machine's own among them, so its deliveries come in; a stranger's,
    by a proxy, do not."""
    entry = trigger_entry(auth=SIGNED, allow_from=["github"])
    async with serving(
        tmp_path, triggers=[entry], settings={"trusted_proxies": ["127.0.0.1"]}
    ) as daemon:

        async def status() -> int:
            return (await daemon.deliver("/hook", {"n": 1}))[0]

        async with asyncio.timeout(10):
            while (first := await status()) == 403:
                assert "could not be fetched yet" in refused(daemon)[-1].reason
        assert first == 202
        stranger = {"x-forwarded-for": "203.0.113.9"}
        assert (await daemon.deliver("/hook", {"n": 2}, headers=stranger))[0] == 403


# Answers


async def test_a_get_trigger_takes_its_values_from_the_query(tmp_path: Path) -> None:
    entry = trigger_entry(
        methods=["GET"],
        auth={"scheme": "token", "query": "token", "secret": "env:GH_WEBHOOK_SECRET"},
        when="query.?job.orValue('') != '' && body == null",
        dispatch={"event_type": "b", "client_payload": {"job": "{{ query.job }}"}},
        response={"status": 201, "body": "started {{ query.job }}", "content_type": "text/plain"},
    )
    async with serving(tmp_path, triggers=[entry]) as daemon:
        path = daemon.url + "/hook"
        answer = await daemon.session.get(path, params={"token": SECRET, "job": "deploy"})
        assert (answer.status, await answer.text()) == (201, "started deploy")
        assert (await daemon.session.get(path, params={"token": "x"})).status == 401
        assert (await daemon.session.post(path, json={})).status == 405


async def test_a_sender_that_insists_on_200_gets_it(tmp_path: Path) -> None:
    entry = trigger_entry(auth={"scheme": "meta", "secret": "env:GH_WEBHOOK_SECRET"})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        status, answer = await daemon.deliver("/hook", {"n": 1})
        assert status == 200
        assert answer["matched"] == ["trigger"]


async def test_the_own_answer_of_a_trigger_comes_before_that_of_its_scheme(tmp_path: Path) -> None:
    auth = {"scheme": "meta", "secret": "env:GH_WEBHOOK_SECRET"}
    entry = trigger_entry(auth=auth, response={"status": 204})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        body = b"{}"
        proof = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": f"sha256={proof}", "content-type": "application/json"}
        answer = await daemon.session.post(daemon.url + "/hook", data=body, headers=headers)
        assert answer.status == 204


# The times of a restart


async def test_a_restart_within_a_burst_and_within_a_rate_changes_nothing(tmp_path: Path) -> None:
    entry = trigger_entry(
        coalesce={"window": "3s"}, rate_limit={"max": 2, "per": "1h"}, auth={"scheme": "none"}
    )
    async with serving(tmp_path, triggers=[entry]) as daemon:
        _, first = await post(daemon, {"n": 1})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        _, second = await post(daemon, {"n": 2})
        assert (await post(daemon, {"n": 3}))[0] == 429
        assert await state(daemon, first["dispatches"][0]) == State.SUPERSEDED.value
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        (sent,) = daemon.simulator.received
        metadata = sent.client_payload["dispatchd"]
        assert isinstance(metadata, dict)
        assert metadata["id"] == second["dispatches"][0]
