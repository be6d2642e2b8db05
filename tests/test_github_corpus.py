"""All 329 payloads of GitHub's webhooks that ``@octokit/webhooks-examples`` has, by triggers whose
expressions use most of what the language offers: in rules alone, and through a whole daemon."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from daemon.body import parse_body
from daemon.dispatch import Dispatch, State
from daemon.event import Delivery, Event, Outcome
from daemon.facts import Trouble
from daemon.github import dispatch_request
from daemon.judge import Judgement, judge_delivery
from daemon.signatures import Reply, Request
from daemon.spec import TriggerSpec
from tests.corpus import Example, examples
from tests.github_limits import refusals
from tests.inprocess import serving
from tests.specs import SECRET, SIGNED, config, trigger_entry

pytestmark = pytest.mark.no_cover

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
PATH = "/hooks/{team}"
EVENTS_OF = Counter(example.event for example in examples())
EVENTS = sorted(EVENTS_OF)

EVENT = "headers['x-github-event']"
TRIGGERS: list[dict[str, Any]] = [
    trigger_entry(
        "everything",
        path=PATH,
        auth=SIGNED,
        variables={
            "action": "body.?action.orValue('')",
            "kind": f"{EVENT} + (variables.action == '' ? '' : '.' + variables.action)",
            "where": "body.?repository.?full_name.or(body.?organization.?login).orValue('nowhere')",
        },
        when="variables.kind.matches('^[a-z0-9_]+([.][a-z_-]+)?$') && size(body) > 0",
        dispatch={
            "event_type": "github",
            "client_payload": {
                "kind": "{{ variables.kind }}",
                "line": "{{ variables.kind.upperAscii() }} in {{ variables.where }} by "
                "{{ body.?sender.?login.orValue('nobody') }} for {{ params.team }}",
                "owner": "{{ variables.where.split('/')[0].lowerAscii() }}",
                "keys": "{{ size(body) }}",
                "objects": "{{ size(body.map(key, body[key]).filter(v, type(v) == map)) }}",
                "links": "{{ body.filter(key, key.endsWith('_url') || key == 'url')"
                ".map(key, {'name': key, 'secure': body[key] == null || "
                "string(body[key]).startsWith('https://')}) }}",
                "digest": "{{ sha256(json.encode(body)).substring(0, 12) }}",
                "delivery": "{{ headers[?'x-github-delivery'].orValue('') }}",
            },
        },
    ),
    trigger_entry(
        "whole", path=PATH, auth=SIGNED, dispatch={
            "event_type": "{{ " + EVENT + " }}",
            "event_types": [event for event in EVENTS if event != "ping"],
            "client_payload": {"body": "{{ body }}", "headers": "{{ headers }}"},
        },
    ),
    trigger_entry(
        "pulls",
        path=PATH,
        auth=SIGNED,
        when=f"{EVENT} == 'pull_request' && !body.pull_request.?draft.orValue(false)",
        dispatch={
            "event_type": "pull",
            "client_payload": {
                "title": "#{{ body.number }}: {{ body.pull_request.title.trim() }}",
                "labels": "{{ body.pull_request.labels.map(l, l.name).join(', ') }}",
                "range": "{{ cel.bind(pull, body.pull_request, [pull.base, pull.head]"
                ".map(end, end.ref + '@' + end.sha.substring(0, 7)).join('...')) }}",
                "fork": "{{ has(body.pull_request.head.repo) && body.pull_request.head.repo != null"
                " && body.pull_request.head.repo.fork }}",
                "opened": "{{ timestamp(body.pull_request.created_at) + duration('1h') }}",
                "text": "{{ optional.ofNonZeroValue(body.pull_request.body).orValue('-')"
                ".replace('\\r\\n', ' ') }}",
            },
        },
    ),
    trigger_entry(
        "pushes",
        path=PATH,
        auth=SIGNED,
        when=f"{EVENT} == 'push' && !body.deleted && body.ref.startsWith('refs/')",
        dispatch={
            "event_type": "push",
            "client_payload": {
                "branch": "{{ regex.extract(body.ref, '^refs/(?:heads|tags)/(.+)$') }}",
                "files": "{{ body.commits.map(c, size(c.added + c.modified + c.removed)) }}",
                "all_distinct": "{{ body.commits.all(c, c.distinct) }}",
                "one_by_pusher": "{{ body.commits.exists_one(c, c.author.name == "
                "body.pusher.name) }}",
                "head": "{{ {'sha': body.after, ?'title': body.?head_commit.?message} }}",
            },
        },
    ),
]  # fmt: skip


def expected(example: Example, delivery: str) -> dict[str, Any]:
    """What ``everything`` has to come to, said in Python."""
    body = example.payload
    kind = ".".join(filter(None, (example.event, body.get("action", ""))))
    where = body.get("repository", {}).get("full_name") or (
        body.get("organization", {}).get("login", "nowhere")
    )
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    by = body.get("sender", {}).get("login", "nobody")
    links = sorted(key for key in body if key.endswith("_url") or key == "url")
    return {
        "kind": kind,
        "line": f"{kind.upper()} in {where} by {by} for core",
        "owner": where.partition("/")[0].lower(),
        "keys": len(body),
        "objects": sum(isinstance(value, dict) for value in body.values()),
        "links": [
            {"name": key, "secure": body[key] is None or str(body[key]).startswith("https://")}
            for key in links
        ],
        "digest": hashlib.sha256(text.encode()).hexdigest()[:12],
        "delivery": delivery,
    }


def expected_pull(body: Mapping[str, Any]) -> dict[str, Any]:
    pull = body["pull_request"]
    ends = [f"{pull[end]['ref']}@{pull[end]['sha'][:7]}" for end in ("base", "head")]
    opened = datetime.fromisoformat(pull["created_at"]) + timedelta(hours=1)
    return {
        "title": f"#{body['number']}: {pull['title'].strip()}",
        "labels": ", ".join(label["name"] for label in pull["labels"]),
        "range": "...".join(ends),
        "fork": bool(pull["head"].get("repo") and pull["head"]["repo"]["fork"]),
        "opened": opened.isoformat().replace("+00:00", "Z"),
        "text": (pull["body"] or "-").replace("\r\n", " "),
    }


def expected_push(body: Mapping[str, Any]) -> dict[str, Any]:
    commits, head = body["commits"], body.get("head_commit")
    by_pusher = [each["author"]["name"] == body["pusher"]["name"] for each in commits]
    return {
        "branch": body["ref"].split("/", 2)[2],
        "files": [sum(len(each[k]) for k in ("added", "modified", "removed")) for each in commits],
        "all_distinct": all(each["distinct"] for each in commits),
        "one_by_pusher": sum(by_pusher) == 1,
        "head": {"sha": body["after"], **({"title": head["message"]} if head else {})},
    }


def request(example: Example, delivery: str) -> Request:
    """The payload as GitHub sends it."""
    body = json.dumps(example.payload).encode()
    return Request("POST", "/hooks/core", headers(example, delivery, body), {}, body)


def headers(example: Example, delivery: str, body: bytes) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/044aadd",
        "x-github-delivery": delivery,
        "x-github-event": example.event,
        "x-hub-signature-256": f"sha256={signature}",
    }


@pytest.fixture(scope="module")
def triggers() -> tuple[TriggerSpec, ...]:
    return config(TRIGGERS).triggers


def numbered(event: str) -> list[tuple[str, Example]]:
    """The examples of one event, with an id for each."""
    return [
        (f"00000000-0000-0000-0000-{number:012}", example)
        for number, example in enumerate(examples())
        if example.event == event
    ]


def judged(sent: Request, triggers: tuple[TriggerSpec, ...]) -> Mapping[str, Judgement]:
    delivery = Delivery(
        route=PATH,
        method=sent.method,
        path=sent.path,
        headers=sent.headers,
        query=sent.query,
        params={"team": "core"},
        body=sent.body,
        client_ip="127.0.0.1",
        received_at=NOW,
    )
    ids = count()
    judgements = judge_delivery(
        Event("evt_1", delivery),
        delivery,
        parse_body(sent.headers, sent.body),
        triggers,
        lambda: f"dsp_{next(ids)}",
    )
    return {judgement.verdict.entry: judgement for judgement in judgements}


def sendable(dispatch: Dispatch) -> Mapping[str, Any]:
    """The dispatch's payload without the metadata, seen to be one that GitHub takes."""
    assert (dispatch.state, dispatch.reason) == (State.PENDING, "")
    assert refusals(dispatch_request(dispatch, "https://api.github.com").body) == []
    payload: dict[str, Any] = json.loads(dispatch.client_payload)
    assert payload.pop("dispatchd")["entry"] == dispatch.entry
    return payload


def test_the_corpus_is_whole() -> None:
    assert (len(examples()), len(EVENTS)) == (329, 58)


@pytest.mark.parametrize("event", [event for event in EVENTS if event != "ping"])
def test_every_payload_is_believed_and_rendered_within_githubs_limits(
    event: str, triggers: tuple[TriggerSpec, ...]
) -> None:
    """No verdict is an error, no dispatch is dead, and what comes out is what Python makes of the
    same payload."""
    auth = triggers[0].auth
    for delivery, example in numbered(event):
        sent = request(example, delivery)
        assert auth.scheme.verify(sent, auth.secrets, NOW) is None
        found = judged(sent, triggers)
        outcomes = {each.verdict.outcome for each in found.values()}
        assert outcomes <= {Outcome.DISPATCHED, Outcome.UNMATCHED}
        payloads = {
            dispatch.entry: sendable(dispatch)
            for judgement in found.values()
            for dispatch in judgement.verdict.dispatches
        }
        assert payloads.pop("whole") == {
            "body": example.payload,
            "headers": dict(sent.headers),
        }
        everything = dict(payloads.pop("everything"))
        everything["links"] = sorted(everything["links"], key=itemgetter("name"))
        assert everything == expected(example, delivery)
        body = example.payload
        wanted: dict[str, Any] = {}
        if event == "pull_request" and not body["pull_request"].get("draft", False):
            wanted["pulls"] = expected_pull(body)
        if event == "push" and not body["deleted"]:
            wanted["pushes"] = expected_push(body)
        assert payloads == wanted


@pytest.mark.parametrize(("delivery", "example"), numbered("ping"))
def test_a_ping_is_a_handshake(
    delivery: str, example: Example, triggers: tuple[TriggerSpec, ...]
) -> None:
    auth, sent = triggers[0].auth, request(example, delivery)
    handshake = auth.scheme.handshake
    assert handshake is not None
    assert handshake.opening(sent, ()) is None
    assert auth.scheme.verify(sent, auth.secrets, NOW) is None
    assert handshake.proven(sent, example.payload, auth.secrets) == Reply()


async def test_a_daemon_takes_the_whole_corpus(tmp_path: Path) -> None:
    """Over real sockets, into a real database, and out to the stand-in for GitHub, which holds each
    dispatch against GitHub's limits. A payload that is there twice is a replay under a new id."""
    distinct = {json.dumps(each.payload) for each in examples() if each.event != "ping"}
    async with serving(tmp_path, triggers=TRIGGERS) as daemon:
        told = Counter[tuple[int, int]]()
        for event in EVENTS:
            for delivery, example in numbered(event):
                sent = request(example, delivery)
                status, answer = await daemon.deliver(
                    "/hooks/core", sent.body, headers=sent.headers
                )
                told[status, len(answer["dispatches"]) > 0] += 1
        pings = EVENTS_OF["ping"]
        replays = len(examples()) - pings - len(distinct)
        assert told == {(202, True): len(distinct), (200, False): pings + replays}
        _, listed = await daemon.call("GET", "/api/v1/events?limit=1000")
        outcomes = Counter(
            (verdict["entry"], verdict["outcome"])
            for event in listed["events"]
            for verdict in event["verdicts"]
        )
        for entry in ("everything", "whole"):
            assert outcomes[entry, "dispatched"] == len(distinct)
            assert outcomes[entry, "duplicate"] == replays
            assert outcomes[entry, "handshake"] == pings
        assert "error" not in {outcome for _, outcome in outcomes}
        owed = sum(n for (_, outcome), n in outcomes.items() if outcome == "dispatched")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) >= owed)
        _, dead = await daemon.call("GET", "/api/v1/dispatches?state=dead")
        assert dead["dispatches"] == []
        assert not [fact for fact in daemon.seen if isinstance(fact, Trouble)]
