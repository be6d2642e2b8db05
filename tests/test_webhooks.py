"""The webhook routes, over real HTTP: who is believed, what matches, and what the sender hears."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import StoreUnavailable
from daemon.facts import AttemptMade, EventRecorded, RequestRefused, Trouble
from daemon.simulator import Fault, FaultKind
from daemon.store import Store
from tests.inprocess import Serving, serving
from tests.specs import SIGNED, cron_entry, trigger_entry

PUSH = {"ref": "refs/heads/main", "after": "abc", "repository": {"full_name": "o/r"}}


def signed(name: str = "push", **keys: Any) -> dict[str, Any]:
    return trigger_entry(name, auth=SIGNED, **keys)


async def events(daemon: Serving) -> list[dict[str, Any]]:
    _, answer = await daemon.call("GET", "/api/v1/events")
    found: list[dict[str, Any]] = answer["events"]
    return found


async def test_a_signed_delivery_becomes_a_dispatch(tmp_path: Path) -> None:
    entry = signed(
        path="/hooks/{team}",
        variables={"branch": "body.ref.split('/')[2]"},
        when="headers['x-github-event'] == 'push' && variables.branch == 'main'",
        dispatch={
            "event_type": "build",
            "client_payload": {
                "sha": "{{ body.after }}",
                "by": "{{ event.trigger }} of {{ params.team }}",
                "id": "{{ dispatch_id }}",
                "repo": "{{ body.repository }}",
            },
        },
    )
    async with serving(tmp_path, triggers=[entry]) as daemon:
        status, answer = await daemon.deliver("/hooks/core", PUSH)
        assert status == 202
        assert answer["matched"] == ["push"]
        (dispatch_id,) = answer["dispatches"]
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        (received,) = daemon.simulator.received
        assert (received.repository, received.event_type) == ("octo-org/octo-repo", "build")
        assert received.client_payload == {
            "sha": "abc",
            "by": "push of core",
            "id": dispatch_id,
            "repo": {"full_name": "o/r"},
            "dispatchd": {"id": dispatch_id, "entry": "push", "depth": 0},
        }


async def test_what_does_not_match_is_recorded_and_answered_200(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[signed(when="body.ref == 'x'")]) as daemon:
        status, answer = await daemon.deliver("/hook", PUSH)
        assert (status, answer["matched"], answer["dispatches"]) == (200, [], [])
        (event,) = await events(daemon)
        assert event["id"] == answer["event_id"]
        assert event["verdicts"][0]["outcome"] == "unmatched"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-hub-signature-256": "sha256=" + "0" * 64},
        {"x-hub-signature-256": "sha256=abc"},
        {"x-hub-signature-256": ""},
    ],
)
async def test_an_unproven_sender_learns_nothing_and_leaves_nothing(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with serving(tmp_path, triggers=[signed()]) as daemon:
        assert await daemon.deliver("/hook", PUSH, headers=headers) == (
            401,
            {"error": "Unauthorized"},
        )
        assert await events(daemon) == []
        (refusal,) = (fact for fact in daemon.seen if isinstance(fact, RequestRefused))
        assert refusal.reason.startswith("push: ")


async def test_a_malformed_body_of_an_unproven_sender_is_a_401(tmp_path: Path) -> None:
    """Authentication comes before parsing: nobody else may make us parse."""
    async with serving(tmp_path, triggers=[signed()]) as daemon:
        status, _ = await daemon.deliver("/hook", b"{", headers={"x-hub-signature-256": "x"})
        assert status == 401
        status, answer = await daemon.deliver("/hook", b"{")
        assert status == 400
        assert "line 1, column 2" in answer["error"]


async def test_the_same_delivery_again_is_a_duplicate_of_the_first(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[signed()]) as daemon:
        header = {"x-github-delivery": "d1"}
        first, second = [await daemon.deliver("/hook", PUSH, headers=header) for _ in range(2)]
        another = {**PUSH, "after": "0f1e2d"}
        other = await daemon.deliver("/hook", another, headers={"x-github-delivery": "d2"})
        assert (first[0], second[0], other[0]) == (202, 200, 202)
        assert second[1]["duplicate_of"] == first[1]["event_id"]
        assert second[1]["dispatches"] == []
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)


async def test_of_equal_deliveries_at_once_exactly_one_is_the_first(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[signed()]) as daemon:
        header = {"x-github-delivery": "d1"}
        answers = await asyncio.gather(
            *(daemon.deliver("/hook", PUSH, headers=header) for _ in range(20))
        )
        assert sorted(status for status, _ in answers) == [200] * 19 + [202]


async def test_a_delivery_whose_dispatches_died_can_be_sent_again(tmp_path: Path) -> None:
    """The sender's Redeliver button works once what was wrong is mended."""
    async with serving(tmp_path, triggers=[signed()]) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STATUS, status=404))
        header = {"x-github-delivery": "d1"}
        await daemon.deliver("/hook", PUSH, headers=header)
        await daemon.until(lambda fact: isinstance(fact, AttemptMade))
        status, _ = await daemon.deliver("/hook", PUSH, headers=header)
        assert status == 202
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)


async def test_a_key_of_ones_own_and_no_deduplication(tmp_path: Path) -> None:
    entries = [
        signed("keyed", path="/keyed", dedupe={"key": "body.after", "window": "1h"}),
        signed("every", path="/every", dedupe=False),
    ]
    async with serving(tmp_path, triggers=entries) as daemon:
        answers = [
            (await daemon.deliver(path, PUSH, headers={"x-github-delivery": str(n)}))[0]
            for path in ("/keyed", "/every")
            for n in (1, 1, 2)
        ]
        assert answers == [202, 200, 200, 202, 202, 202]


async def test_an_expression_that_fails_is_acknowledged_and_can_be_replayed(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[signed(when="body.nope == 1")]) as daemon:
        status, answer = await daemon.deliver("/hook", PUSH)
        assert (status, answer["matched"]) == (202, ["push"])
        (event,) = await events(daemon)
        (verdict,) = event["verdicts"]
        assert verdict["outcome"] == "error"
        assert "when: there is no key 'nope'" in verdict["reason"]


async def test_a_template_that_fails_leaves_a_dead_dispatch_that_says_why(tmp_path: Path) -> None:
    entry = signed(dispatch={"event_type": "b", "client_payload": {"a": {"b": "{{ body.nope }}"}}})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        status, answer = await daemon.deliver("/hook", PUSH)
        assert status == 202
        _, dispatch = await daemon.call("GET", f"/api/v1/dispatches/{answer['dispatches'][0]}")
        assert dispatch["state"] == "dead"
        assert dispatch["reason"].startswith("client_payload.a.b: there is no key 'nope'")
        assert daemon.simulator.requests == 0
        status, refusal = await daemon.call("POST", f"/api/v1/replay/{dispatch['id']}")
        assert status == 409
        assert answer["event_id"] in refusal["error"]


async def test_a_rendered_payload_over_githubs_limit_is_dead_and_says_by_how_much(
    tmp_path: Path,
) -> None:
    entry = signed(dispatch={"event_type": "b", "client_payload": {"a": "{{ body.big }}"}})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        _, answer = await daemon.deliver("/hook", {"big": "é" * 40_000})
        _, dispatch = await daemon.call("GET", f"/api/v1/dispatches/{answer['dispatches'][0]}")
        assert dispatch["state"] == "dead"
        assert "bytes" in dispatch["reason"]


async def test_each_trigger_on_a_path_is_judged_on_its_own(tmp_path: Path) -> None:
    entries = [
        signed("main", when="body.ref == 'refs/heads/main'"),
        signed("tags", when="body.ref.startsWith('refs/tags/')"),
        trigger_entry("keyed", auth={"scheme": "api_key", "secret": "env:API_KEY"}),
        signed("small", max_body=10),
        signed("put", methods=["PUT"]),
        signed("off", enabled=False),
    ]
    async with serving(tmp_path, triggers=entries) as daemon:
        status, answer = await daemon.deliver("/hook", PUSH)
        assert status == 202
        (event,) = await events(daemon)
        assert [(v["entry"], v["outcome"]) for v in event["verdicts"]] == [
            ("main", "dispatched"),
            ("tags", "unmatched"),
            ("keyed", "unauthorized"),
            ("small", "unauthorized"),
        ]
        assert "over its max_body, 10" in event["verdicts"][3]["reason"]
        assert answer["matched"] == ["main"]


async def test_the_first_dispatching_triggers_own_answer_wins(tmp_path: Path) -> None:
    entries = [
        signed("no", when="false", response={"body": {"never": True}}),
        signed(
            "job",
            response={"status": 201, "body": {"job_id": "{{ dispatch_id }}", "n": "{{ 1 + 1 }}"}},
        ),
        signed("later", response={"body": {"never": True}}),
    ]
    async with serving(tmp_path, triggers=entries) as daemon:
        status, answer = await daemon.deliver("/hook", PUSH, headers={"x-github-delivery": "d"})
        assert status == 201
        assert answer["n"] == 2
        _, dispatch = await daemon.call("GET", f"/api/v1/dispatches/{answer['job_id']}")
        assert dispatch["entry"] == "job"
        again, _ = await daemon.deliver("/hook", PUSH, headers={"x-github-delivery": "d"})
        assert again == 200


async def test_an_answer_that_cannot_be_rendered_does_not_undo_the_dispatch(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[signed(response={"body": "{{ body.nope }}"})]) as daemon:
        status, answer = await daemon.deliver("/hook", PUSH)
        assert status == 202
        assert answer["dispatches"]
        (trouble,) = (fact for fact in daemon.seen if isinstance(fact, Trouble))
        assert "response.body: there is no key 'nope'" in trouble.message


async def test_credentials_are_neither_stored_nor_shown_to_expressions(tmp_path: Path) -> None:
    entry = trigger_entry(
        auth={"scheme": "token", "header": "X-Token", "secret": "env:GH_WEBHOOK_SECRET"},
        dispatch={"event_type": "b", "client_payload": {"headers": "{{ json.encode(headers) }}"}},
    )
    async with serving(tmp_path, triggers=[entry]) as daemon:
        secret = "a secret of 24 characters"
        headers = {
            "X-Token": secret,
            "Authorization": "Bearer zzz",
            "Cookie": "zzz",
            "X-Other": "o",
        }
        status, answer = await daemon.call("POST", "/hook", key=None, json={}, headers=headers)
        assert status == 202
        _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        sent = json.dumps(daemon.simulator.received[0].client_payload)
        for text in (json.dumps(event), sent):
            assert secret not in text
            assert "zzz" not in text
            assert "x-other" in text


async def test_no_trigger_sees_the_credentials_of_another_one_on_its_path(tmp_path: Path) -> None:
    token = {"scheme": "token", "header": "X-Token", "secret": "env:GH_WEBHOOK_SECRET"}
    in_query = {"scheme": "token", "query": "key", "secret": "env:GH_WEBHOOK_SECRET"}
    seen = {"headers": "{{ json.encode(headers) }}", "query": "{{ json.encode(query) }}"}
    entries = [
        trigger_entry("guarded", auth=token),
        trigger_entry("asked", auth=in_query),
        trigger_entry(
            "open", methods=["PUT"], dispatch={"event_type": "b", "client_payload": seen}
        ),
    ]
    async with serving(tmp_path, triggers=entries) as daemon:
        secret = {"X-Token": "secret-1", "X-GitHub-Webhook-Secret-Token": "secret-2"}
        status, answer = await daemon.call(
            "PUT", "/hook?key=secret-3&a=b", key=None, json={}, headers=secret
        )
        assert status == 202
        _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        sent = json.dumps(daemon.simulator.received[0].client_payload)
        assert "secret-" not in json.dumps(event) + sent
        assert event["query"] == {"a": "b"}


async def test_the_limit_of_another_method_is_not_ours(tmp_path: Path) -> None:
    entries = [signed(max_body="1 KiB"), signed("put", methods=["PUT"], max_body="1 MiB")]
    async with serving(tmp_path, triggers=entries) as daemon:
        status, answer = await daemon.deliver("/hook", {"a": "x" * 2000})
        assert status == 413
        assert "1,024 bytes allowed" in answer["error"]


async def test_forms_and_text_are_read_by_their_content_type(tmp_path: Path) -> None:
    payload = {"event_type": "b", "client_payload": {"body": "{{ body }}"}}
    async with serving(tmp_path, triggers=[trigger_entry(dispatch=payload)]) as daemon:
        await daemon.call("POST", "/hook", data={"a": "1", "b": "x y"})
        await daemon.call("POST", "/hook", data="plain", headers={"content-type": "text/plain"})
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        bodies = [each.client_payload["body"] for each in daemon.simulator.received]
        assert bodies == [{"a": "1", "b": "x y"}, "plain"]


async def test_a_store_that_takes_no_write_is_a_503_and_nothing_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, triggers=[signed()]) as daemon:

        async def full(*_: object) -> None:
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(Store, "record", full)
            status, answer = await daemon.deliver("/hook", PUSH)
            assert (status, answer) == (
                503,
                {"error": "nothing could be stored, so nothing was taken; send it again"},
            )
            call = {"event_type": "x"}
            assert (await daemon.call("POST", "/dispatch", json=call))[0] == 503
        assert not any(isinstance(fact, EventRecorded) for fact in daemon.seen)
        told = [fact.reason for fact in daemon.seen if isinstance(fact, RequestRefused)]
        assert told == ["the disk is full", "the disk is full"]
        assert (await daemon.deliver("/hook", PUSH))[0] == 202


async def test_an_event_is_judged_again_under_the_config_of_its_replay(tmp_path: Path) -> None:
    header = {"x-github-delivery": "d1"}
    async with serving(tmp_path, triggers=[signed(when="body.nope")]) as daemon:
        _, answer = await daemon.deliver("/hook", PUSH, headers=header)
    async with serving(tmp_path, triggers=[signed(when="body.after == 'abc'")]) as daemon:
        status, replayed = await daemon.call("POST", f"/api/v1/replay/{answer['event_id']}")
        assert status == 202
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        _, event = await daemon.call("GET", f"/api/v1/events/{replayed['event_id']}")
        assert event["replay_of"] == answer["event_id"]
        assert event["verdicts"][0]["outcome"] == "dispatched"
        # and once more: a replay is not held back as a duplicate
        status, _ = await daemon.call("POST", f"/api/v1/replay/{answer['event_id']}")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
    async with serving(tmp_path, triggers=[]) as daemon:
        status, refusal = await daemon.call("POST", f"/api/v1/replay/{answer['event_id']}")
        assert status == 409
        assert "/hook" in refusal["error"]


async def test_a_replay_does_not_reach_a_trigger_that_did_not_believe_the_sender(
    tmp_path: Path,
) -> None:
    entries = [
        signed("believes"),
        trigger_entry("doubts", auth={"scheme": "api_key", "secret": "env:API_KEY"}),
    ]
    async with serving(tmp_path, triggers=entries) as daemon:
        _, answer = await daemon.deliver("/hook", PUSH)
        event_id = answer["event_id"]
        for _ in range(3):  # a replay of a replay neither
            _, replayed = await daemon.call("POST", f"/api/v1/replay/{event_id}")
            assert [verdict["entry"] for verdict in replayed["verdicts"]] == ["believes"]
            event_id = replayed["event_id"]


async def test_calls_and_firings_are_replayed_too(tmp_path: Path) -> None:
    async with serving(tmp_path, crons=[cron_entry("nightly")]) as daemon:
        await daemon.call("POST", "/dispatch", json={"event_type": "x"})
        _, fired = await daemon.call("POST", "/api/v1/crons/nightly/fire")
        for event in await events(daemon):
            status, answer = await daemon.call("POST", f"/api/v1/replay/{event['id']}")
            assert status == 202
            assert len(answer["dispatches"]) == 1
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 4)
        assert sorted(each.event_type for each in daemon.simulator.received) == [
            "nightly",
            "nightly",
            "x",
            "x",
        ]
    async with serving(tmp_path) as daemon:
        status, answer = await daemon.call("POST", f"/api/v1/replay/{fired['event_id']}")
        assert status == 409
        assert "gone" in answer["error"]
