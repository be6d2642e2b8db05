"""Handshakes over real HTTP: answered, recorded, and never a dispatch."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import FetchError
from daemon.facts import EventRecorded, RequestRefused
from daemon.wiring import inward
from tests.inprocess import Serving, serving
from tests.odd_senders import CERTIFICATE_URL, TOPIC, certificate, confirmation, notification, sns
from tests.specs import SECRET, SIGNED, trigger_entry

LEARNT = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"


def of(scheme: str, **auth: Any) -> dict[str, Any]:
    return trigger_entry(auth={"scheme": scheme, "secret": "env:GH_WEBHOOK_SECRET", **auth})


def outcomes(daemon: Serving) -> list[str]:
    """Those of all verdicts so far."""
    recorded = [fact for fact in daemon.seen if isinstance(fact, EventRecorded)]
    return [verdict.outcome.value for fact in recorded for verdict in fact.verdicts]


def last_refusal(daemon: Serving) -> str:
    return [fact for fact in daemon.seen if isinstance(fact, RequestRefused)][-1].reason


def by_slack(body: bytes) -> dict[str, str]:
    moment = str(int(time.time()))
    signed = b"v0:" + moment.encode() + b":" + body
    proof = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-slack-request-timestamp": moment,
        "x-slack-signature": f"v0={proof}",
    }


async def asana(daemon: Serving, headers: Mapping[str, str], body: bytes = b"{}") -> int:
    answer = await daemon.session.post(daemon.url + "/hook", data=body, headers=dict(headers))
    if answer.status == 200 and "x-hook-secret" in headers:
        assert answer.headers["X-Hook-Secret"] == headers["x-hook-secret"]
    return answer.status


async def test_slacks_challenge_is_repeated_to_slack_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[of("slack")]) as daemon:
        body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB10F"}).encode()
        url = daemon.url + "/hook"
        stranger = await daemon.session.post(url, data=body)
        slack = await daemon.session.post(url, data=body, headers=by_slack(body))
        assert stranger.status == 401
        assert (slack.status, await slack.text()) == (200, "3eZbrw1aB10F")
        assert outcomes(daemon) == ["handshake"]
        assert daemon.simulator.received == []


async def test_githubs_ping_is_a_handshake_and_no_delivery(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[trigger_entry(auth=SIGNED)]) as daemon:
        status, answer = await daemon.deliver(
            "/hook", {"zen": "Design for failure."}, headers={"x-github-event": "ping"}
        )
        assert status == 200
        assert answer["dispatches"] == answer["matched"] == []
        _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        assert [each["outcome"] for each in event["verdicts"]] == ["handshake"]
        replayed, told = await daemon.call("POST", f"/api/v1/replay/{answer['event_id']}")
        assert replayed == 409
        assert "no delivery" in told["error"]


async def test_metas_check_comes_by_get_and_needs_the_verify_token(tmp_path: Path) -> None:
    entry = of("meta", verify_token="env:API_KEY")
    async with serving(tmp_path, triggers=[entry]) as daemon:
        url = daemon.url + "/hook"
        asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
        right = {**asked, "hub.verify_token": "an API key of 25 characters"}
        good = await daemon.session.get(url, params=right)
        bad = await daemon.session.get(url, params={**asked, "hub.verify_token": "guessed"})
        other = await daemon.session.get(url)
        assert (good.status, await good.text()) == (200, "1158201444")
        assert bad.status == 401
        assert other.status == 405
        recorded = next(fact for fact in daemon.seen if isinstance(fact, EventRecorded))
        assert "an API key" not in repr(recorded.event)


async def test_a_sender_of_cloudevents_may_ask_whether_it_may_send(tmp_path: Path) -> None:
    entry = trigger_entry(auth={"scheme": "bearer", "secret": "env:GH_WEBHOOK_SECRET"})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        url = daemon.url + "/hook"
        asked = {"WebHook-Request-Origin": "eventgrid.azure.net"}
        answer = await daemon.session.options(url, headers=asked)
        assert answer.status == 200
        assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
        assert outcomes(daemon) == ["handshake"]
        assert (await daemon.session.options(url)).status == 405


async def test_a_check_that_anybody_may_ask_is_answered_always_and_recorded_once_a_minute(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, triggers=[of("dropbox")]) as daemon:
        for number in range(5):
            answer = await daemon.session.get(
                daemon.url + "/hook", params={"challenge": f"c{number}"}
            )
            assert (answer.status, await answer.text()) == (200, f"c{number}")
        assert outcomes(daemon) == ["handshake"]


async def test_a_secret_is_taken_while_the_trigger_is_armed_and_proves_deliveries_then(
    tmp_path: Path,
) -> None:
    entry = trigger_entry("tasks", auth={"scheme": "asana"})
    body = b'{"events": [{"action": "changed"}]}'
    proof = hmac.new(LEARNT.encode(), body, hashlib.sha256).hexdigest()
    delivery = {"x-hook-signature": proof, "content-type": "application/json"}
    async with serving(tmp_path, triggers=[entry]) as daemon:
        assert await asana(daemon, {"x-hook-secret": LEARNT}) == 401
        assert "`dispatchd arm tasks`" in last_refusal(daemon)
        assert await asana(daemon, delivery, body) == 401

        status, armed = await daemon.call("POST", "/api/v1/triggers/tasks/arm")
        assert status == 200
        assert armed["armed_until"]
        assert await asana(daemon, {"x-hook-secret": LEARNT}) == 200
        assert await asana(daemon, delivery, body) == 200
        assert outcomes(daemon) == ["handshake", "dispatched"]
        # It is not overwritten, by nobody and not by arming alone.
        assert await asana(daemon, {"x-hook-secret": "0" * 64}) == 401
        assert (await daemon.call("POST", "/api/v1/triggers/tasks/arm"))[0] == 409
        assert all(LEARNT not in repr(fact) for fact in daemon.seen)
        _, events = await daemon.call("GET", "/api/v1/events")
        assert LEARNT not in json.dumps(events)
    async with serving(tmp_path, triggers=[entry]) as daemon:  # nor forgotten by a restart
        again = body.replace(b"changed", b"deleted")
        proof = hmac.new(LEARNT.encode(), again, hashlib.sha256).hexdigest()
        assert await asana(daemon, {**delivery, "x-hook-signature": proof}, again) == 200
        status, _ = await daemon.call("POST", "/api/v1/triggers/tasks/arm?forget=true")
        assert status == 200
        assert await asana(daemon, {**delivery, "x-hook-signature": proof}, again) == 401
        assert await asana(daemon, {"x-hook-secret": "1" * 64}) == 200


async def test_each_of_two_triggers_on_a_path_learns_a_secret_of_its_own(tmp_path: Path) -> None:
    entries = [trigger_entry(name, auth={"scheme": "asana"}) for name in ("first", "second")]
    async with serving(tmp_path, triggers=entries) as daemon:
        await daemon.call("POST", "/api/v1/triggers/second/arm")
        assert await asana(daemon, {"x-hook-secret": LEARNT}) == 200
        body = b"[1]"
        proof = hmac.new(LEARNT.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hook-signature": proof, "content-type": "application/json"}
        assert await asana(daemon, headers, body) == 200
        recorded = [fact for fact in daemon.seen if isinstance(fact, EventRecorded)][-1]
        told = {each.entry: each.outcome.value for each in recorded.verdicts}
        assert told == {"first": "unauthorized", "second": "dispatched"}


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("nobody", 404, "no trigger"),
        ("signed", 409, "hand no secret over"),
        ("configured", 409, "take it out"),
        ("off", 409, "disabled"),
    ],
)
async def test_only_a_trigger_whose_sender_hands_its_secret_over_can_be_armed(
    tmp_path: Path, name: str, status: int, words: str
) -> None:
    entries = [
        trigger_entry("signed", auth=SIGNED),
        trigger_entry("configured", auth={"scheme": "asana", "secret": "env:API_KEY"}),
        trigger_entry("off", auth={"scheme": "asana"}, enabled=False),
    ]
    async with serving(tmp_path, triggers=entries) as daemon:
        answered, told = await daemon.call("POST", f"/api/v1/triggers/{name}/arm")
        assert answered == status
        assert words in told["error"]


async def test_a_secret_that_was_handed_over_is_shown_over_the_unix_socket_only(
    tmp_path: Path,
) -> None:
    import aiohttp

    entry = trigger_entry("tasks", auth={"scheme": "asana"})
    path = "/api/v1/triggers/tasks/secret"
    async with serving(tmp_path, triggers=[entry]) as daemon:
        await daemon.call("POST", "/api/v1/triggers/tasks/arm")
        await asana(daemon, {"x-hook-secret": LEARNT})
        assert (await daemon.call("GET", path))[0] == 404
        connector = aiohttp.UnixConnector(daemon.socket)
        async with aiohttp.ClientSession(connector=connector) as admin:
            answer = await admin.get(f"http://dispatchd{path}")
            assert await answer.json() == {"trigger": "tasks", "secret": LEARNT}


async def test_an_open_trigger_beside_one_that_learns_still_gets_its_deliveries(
    tmp_path: Path,
) -> None:
    """What looks like a handshake that nobody waits for is a delivery to who believes it."""
    entries = [trigger_entry("notes", auth={"scheme": "notion"}), trigger_entry("open")]
    async with serving(tmp_path, triggers=entries) as daemon:
        status, answer = await daemon.call(
            "POST",
            "/hook",
            key=None,
            json={"verification_token": "secret_tMrlL1qK5vuQAh1b6cZGhFCh"},
        )
        assert (status, answer["matched"]) == (202, ["open"])


class Amazon:
    """Stands where the daemon fetches from: the certificate, and the confirmation, of which it
    notes the URL."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.away = False
        day, now = timedelta(days=1), datetime.now(UTC)
        self.certificate = certificate(begins=now - day, ends=now + day)

    async def __aenter__(self) -> Amazon:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """There is nothing to close."""

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if url == CERTIFICATE_URL:
            return self.certificate
        if self.away:
            raise FetchError("sns.eu-west-1.amazonaws.com could not be asked: timed out")
        return b"<ConfirmSubscriptionResponse/>"


async def test_a_subscription_is_confirmed_where_amazon_says_and_its_messages_dispatched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    amazon = Amazon()
    monkeypatch.setattr(inward, "Fetcher", lambda: amazon)
    entry = trigger_entry(
        auth={"scheme": "sns", "topic_arn": TOPIC},
        dispatch={"event_type": "b", "client_payload": {"said": "{{ body.Message }}"}},
    )
    plain = {"content-type": "text/plain; charset=UTF-8"}
    async with serving(tmp_path, triggers=[entry]) as daemon:
        url = daemon.url + "/hook"
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        address = (
            "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
            f"&TopicArn={TOPIC}&Token=2336412f37"
        )
        asked = {**confirmation("SubscriptionConfirmation"), "SubscribeURL": address}
        check = sns({**asked, "Timestamp": stamp}).request.body
        amazon.away = True
        assert (await daemon.session.post(url, data=check, headers=plain)).status == 503
        assert outcomes(daemon) == []
        amazon.away = False
        assert (await daemon.session.post(url, data=check, headers=plain)).status == 200
        assert amazon.fetched[-1] == address
        assert outcomes(daemon) == ["handshake"]
        message = sns(notification(Timestamp=stamp)).request.body
        assert (await daemon.session.post(url, data=message, headers=plain)).status == 202
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        said = daemon.simulator.received[0].client_payload["said"]
        assert said == json.loads(message)["Message"]
        assert amazon.fetched.count(CERTIFICATE_URL) == 1
