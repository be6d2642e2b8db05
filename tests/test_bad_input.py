"""Bad input, byte for byte, against one running daemon: each kind gets a clear answer, takes
nothing down, leaves no trouble in the log, and no secret anywhere."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.simulator import Simulator
from tests.harness import (
    API_KEY,
    PUSH,
    SECRETS,
    WEBHOOK_SECRET,
    Daemon,
    Entry,
    signature,
    stand_in,
)
from tests.harness.raw_http import Answer, Headers, ask, connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEADLINE = 40.0
MIB = 1024 * 1024
MAX_BODY = 5 * MIB
"""What a trigger takes by default."""

JSON = {"Content-Type": "application/json"}
BASIC = base64.b64encode(f"sender:{WEBHOOK_SECRET}".encode()).decode()


def open_to(path: str, **auth: str) -> Entry:
    """A trigger that passes on what it understood of the body."""
    return {
        "name": path.strip("/").translate(str.maketrans("/{}", "---")).strip("-"),
        "path": path,
        "auth": auth or {"scheme": "none"},
        "dispatch": {"event_type": "seen", "client_payload": {"body": "{{ body }}"}},
    }


SECRET = "env:GH_WEBHOOK_SECRET"
TRIGGERS: list[Entry] = [
    PUSH,
    open_to("/open"),
    open_to("/team/{team}"),
    open_to("/token", scheme="token", header="x-token", secret=SECRET),
    open_to("/query", scheme="token", query="token", secret=SECRET),
    open_to("/bearer", scheme="bearer", secret=SECRET),
    open_to("/basic", scheme="basic", username="sender", secret=SECRET),
    open_to("/key", scheme="api_key", secret=SECRET),
]


class Target:
    """The daemon under test, and what it is asked. No answer to anybody may hold a secret."""

    def __init__(self, daemon: Daemon, github: Simulator) -> None:
        self.daemon = daemon
        self.github = github

    @property
    def url(self) -> str:
        return self.daemon.url

    async def ask(self, *parts: bytes, method: str = "GET") -> Answer:
        """The answer to ``parts``; there has to be one."""
        answer = await ask(self.url, *parts, method=method)
        assert answer is not None
        shown = f"{answer.headers}{answer.body!r}"
        assert not [secret for secret in (*SECRETS, BASIC) if secret in shown]
        return answer

    async def post(self, target: str, body: bytes, headers: Headers = JSON) -> Answer:
        return await self.ask(request("POST", target, headers, body))

    async def received(self, answer: Answer) -> Any:
        """What GitHub got under ``body`` of the dispatch that this answer names."""
        (wanted,) = answer.json()["dispatches"]

        def found() -> list[dict[str, Any]]:
            payloads = (dispatch.client_payload for dispatch in self.github.received)
            return [payload for payload in payloads if _id(payload) == wanted]

        async with asyncio.timeout(DEADLINE):
            await self.github.until(lambda: bool(found()))
        return found()[0]["body"]


def _id(payload: Any) -> str:
    return str(payload["dispatchd"]["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    home: Path = tmp_path_factory.mktemp("bad-input")
    async with stand_in() as github, Daemon(home, github.url, triggers=TRIGGERS) as daemon:
        await daemon.start()
        yield Target(daemon, github)


@pytest_asyncio.fixture(loop_scope="module")
async def target(served: Target) -> AsyncIterator[Target]:
    """The one daemon, which afterwards serves as before and has nothing to complain of."""
    began = len(served.daemon.log)
    yield served
    async with asyncio.timeout(DEADLINE):
        ping = await served.ask(request("GET", "/ping"))
        ready = await served.ask(request("GET", "/readyz"))
    assert (ping.status, ping.json()) == (200, {"message": "Pong!"})
    assert (ready.status, ready.json()) == (200, {"status": "ready"})
    assert_untroubled(served.daemon, began)


def assert_untroubled(daemon: Daemon, since: int = 0) -> None:
    text = "\n".join(daemon.log[since:])
    assert not daemon.said("trouble", since), daemon.said("trouble", since)
    assert "Traceback" not in text, text
    assert not [secret for secret in (*SECRETS, BASIC) if secret in text]


# Bodies


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a": 1,}', "line 1, column"),
        (b'{\n  "a": 1\n  "b": 2\n}', "line 3, column 3"),
        (b"{", "line 1, column 2"),
        (b'"\x01"', "line 1, column 2"),
        (b"\xef\xbb\xbf{}{}", "line 1, column"),
        (b"[] []", "line 1, column 4"),
    ],
)
async def test_malformed_json_is_answered_400_with_its_line_and_column(
    target: Target, body: bytes, place: str
) -> None:
    answer = await target.post("/open", body)
    assert answer.status == 400
    assert answer.error.startswith("malformed JSON body: ")
    assert place in answer.error


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a": -Infinity}'])
async def test_numbers_that_json_does_not_have_are_answered_400(
    target: Target, body: bytes
) -> None:
    answer = await target.post("/open", body)
    assert answer.status == 400
    assert "is not JSON" in answer.error


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/xml"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "text/plain; charset=klingon"},
        {**JSON, "Content-Encoding": "gzip"},
        {**JSON, "Content-Encoding": "br, identity"},
    ],
)
async def test_a_body_of_another_kind_is_answered_415_and_told_what_is_taken(
    target: Target, headers: dict[str, str]
) -> None:
    answer = await target.post("/open", b"{}", headers)
    assert answer.status == 415
    assert "is not supported" in answer.error
    assert "send" in answer.error


async def test_a_body_that_says_it_is_too_large_is_answered_413_before_it_is_sent(
    target: Target,
) -> None:
    answer = await target.ask(request("POST", "/open", JSON, b"{", length=30 * MIB))
    assert answer.status == 413
    assert f"{MAX_BODY:,}" in answer.error


@pytest.mark.parametrize("path", ["/open", "/hooks/github"])
async def test_a_body_that_is_too_large_is_answered_413_while_it_still_comes(
    target: Target, path: str
) -> None:
    """In chunks of no told sum; nobody has proved anything yet, and the reading ends early."""
    head = request("POST", path, JSON).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
    async with connected(target.url) as wire:
        await wire.send(head, *[chunk] * 6)
        answer = await wire.answer()
    assert answer is not None
    assert answer.status == 413
    assert f"{MAX_BODY:,}" in answer.error


async def test_30_mb_that_are_really_sent_are_answered_413(target: Target) -> None:
    answer = await target.ask(request("POST", "/open", JSON, b" " * 30 * MIB))
    assert answer.status == 413


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
async def test_json_that_is_nested_too_deep_is_answered_400(
    target: Target, depth: int, opening: bytes, closing: bytes
) -> None:
    answer = await target.post("/open", opening * depth + b"1" + closing * depth)
    assert answer.status == 400
    assert answer.error == "the JSON body is nested more than 64 levels deep"


@pytest.mark.parametrize(
    "body", [b'{"a": "\xff"}', b'"\xc3\x28"', b'["\xed\xa0\x80"]', b'{"a": "\xf0\x9f"}']
)
async def test_invalid_utf_8_is_answered_400_with_the_byte(target: Target, body: bytes) -> None:
    answer = await target.post("/open", body)
    assert answer.status == 400
    assert "not valid UTF-8 (byte " in answer.error


@pytest.mark.parametrize(
    ("body", "received"),
    [
        (b'{"a": "x\\u0000y"}', {"a": "x\N{REPLACEMENT CHARACTER}y"}),
        (b'{"a": "x\\ud800y"}', {"a": "x\N{REPLACEMENT CHARACTER}y"}),
        (b'{"\\udc00": 1}', {"\N{REPLACEMENT CHARACTER}": 1}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
    ],
)
async def test_characters_that_are_none_are_replaced_and_the_rest_arrives(
    target: Target, body: bytes, received: Any
) -> None:
    answer = await target.post("/open", body)
    assert answer.status == 202
    assert await target.received(answer) == received


async def test_an_integer_of_400_digits_is_taken_and_said_to_be_too_large_to_send(
    target: Target,
) -> None:
    """It is no number that GitHub could take: the dispatch is dead with the reason, not lost."""
    answer = await target.post("/open", b'{"a": %b}' % (b"9" * 400))
    assert answer.status == 202
    (id_,) = answer.json()["dispatches"]
    shown = await target.ask(request("GET", f"/api/v1/dispatches/{id_}", {"x-api-key": API_KEY}))
    dispatch = shown.json()
    assert dispatch["state"] == "dead"
    assert "JSON cannot hold" in dispatch["reason"]


async def test_an_integer_of_5000_digits_is_answered_400(target: Target) -> None:
    answer = await target.post("/open", b"9" * 5000)
    assert answer.status == 400


async def test_half_a_body_whose_sender_goes_away_leaves_nothing_behind(target: Target) -> None:
    async with connected(target.url) as wire:
        await wire.send(request("POST", "/open", JSON, b'{"a": ', length=100))
    async with connected(target.url) as wire:
        head = request("POST", "/open", JSON).replace(
            b"Content-Length: 0", b"Transfer-Encoding: chunked"
        )
        await wire.send(head, b"5\r\n[1,2,\r\n")


@pytest.mark.parametrize(
    "rest", [b"zz\r\n", b"5\r\n[1]", b"3;x=\x00\r\n[1]\r\n", b"-1\r\n", b"f" * 40 + b"\r\n"]
)
async def test_broken_chunks_are_a_refusal_or_the_end_of_the_connection(
    target: Target, rest: bytes
) -> None:
    async with connected(target.url) as wire:
        head = request("POST", "/open", JSON).replace(
            b"Content-Length: 0", b"Transfer-Encoding: chunked"
        )
        await wire.send(head, rest)
        wire.writer.write_eof()
        answer = await wire.answer()
    assert answer is None or answer.status == 400


# Signatures and keys

BODY = b'{"ref": "refs/heads/main"}'
SIGNATURE = signature(BODY)


def signed(*signatures: str | bytes, **headers: str | bytes) -> list[tuple[str, str | bytes]]:
    """The headers of a push delivery with these signatures."""
    return [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "push"),
        *(("X-Hub-Signature-256", one) for one in signatures),
        *((name.replace("_", "-"), value) for name, value in headers.items()),
    ]


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        [""],
        ["sha256="],
        [SIGNATURE[:-1]],
        [SIGNATURE + "0"],
        [SIGNATURE.removeprefix("sha256=")],
        ["sha256=" + "g" * 64],
        ["sha256=" + "\N{ARABIC-INDIC DIGIT THREE}" * 64],
        [b"sha256=" + b"\xff" * 64],
        ["sha1=" + "0" * 40],
        ["sha256=" + base64.b64encode(bytes.fromhex(SIGNATURE[7:])).decode()],
        ["sha256=" + "0" * 64, "sha256=" + "1" * 64],
        ["sha256=" + "0" * 7000],
    ],
)
async def test_a_signature_that_proves_nothing_is_answered_401_and_no_more(
    target: Target, signatures: list[str | bytes]
) -> None:
    answer = await target.post("/hooks/github", BODY, signed(*signatures))
    assert (answer.status, answer.json()) == (401, {"error": "Unauthorized"})


async def test_a_signature_of_another_body_is_answered_401(target: Target) -> None:
    answer = await target.post("/hooks/github", BODY + b" ", signed(SIGNATURE))
    assert answer.status == 401


async def test_a_good_signature_is_good_beside_another_one(target: Target) -> None:
    """Senders that rotate their secret sign with both."""
    headers = signed("sha256=" + "0" * 64, SIGNATURE, X_GitHub_Delivery="two-signatures")
    assert (await target.post("/hooks/github", BODY, headers)).status == 202


async def test_a_duplicate_delivery_is_answered_200_with_the_first_event(target: Target) -> None:
    headers = signed(SIGNATURE, X_GitHub_Delivery="duplicate")
    first = await target.post("/hooks/github", BODY, headers)
    second = await target.post("/hooks/github", BODY, headers)
    assert (first.status, second.status) == (202, 200)
    assert second.json()["duplicate_of"] == first.json()["event_id"]
    assert second.json()["dispatches"] == []


async def test_delivery_ids_that_are_not_utf_8_are_told_apart(target: Target) -> None:
    answers = [
        await target.post("/hooks/github", BODY, signed(SIGNATURE, X_GitHub_Delivery=id_))
        for id_ in (b"\xff", b"\xfe", b"\xff")
    ]
    assert [answer.status for answer in answers] == [202, 202, 200]


@pytest.mark.parametrize("path", ["/dispatch", "/api/v1/replay/evt_1", "/api/v1/crons/x/fire"])
@pytest.mark.parametrize(
    "keys", [[], [""], [" "], [API_KEY[:-1]], [API_KEY + "0"], [b"\xff"], [API_KEY.upper()]]
)
async def test_a_call_without_the_key_is_answered_401(
    target: Target, path: str, keys: list[str | bytes]
) -> None:
    headers = [("x-api-key", key) for key in keys]
    answer = await target.post(path, b'{"event_type": "x"}', headers)
    assert (answer.status, answer.json()) == (401, {"error": "Unauthorized"})


@pytest.mark.parametrize("key", ["", " ", "unset", "None", "null"])
async def test_an_unset_key_admits_nobody(unset_key: Daemon, key: str) -> None:
    headers = {"x-api-key": key, **JSON}
    calls = [
        request("POST", "/dispatch", headers, b'{"event_type": "x"}'),
        request("POST", "/dispatch", JSON, b'{"event_type": "x"}'),
        request("GET", "/api/v1/status", headers),
    ]
    for call in calls:
        answer = await ask(unset_key.url, call)
        assert answer is not None
        assert (answer.status, answer.json()) == (401, {"error": "Unauthorized"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unset_key(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    home: Path = tmp_path_factory.mktemp("unset-key")
    async with Daemon(home, "http://127.0.0.1:9", environ={"API_KEY": ""}) as daemon:
        await daemon.start()
        yield daemon


# POST /dispatch


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"event_type": 5}',
        b'{"event_type": "\\ud800"}',
        b'{"event_type": "%b"}' % (b"x" * 101),
        b'{"event_type": "x", "client_payload": []}',
        b'{"event_type": "x", "client_payload": {"dispatchd": 1}}',
        b'{"event_type": "x", "client_payload": {"a": "\\ud800"}}',
        b'{"event_type": "x", "client_payload": {"\\ud800": 1}}',
        b'{"event_type": "x", "client_payload": {"a": 1e400}}',
        b'{"event_type": "x", "client_payload": {"a": "%b"}}' % (b"x" * 70_000),
        b'{"event_type": "x", "client_payload": {%b}}'
        % b", ".join(b'"%d": 1' % number for number in range(11)),
    ],
    ids=range(14),
)
async def test_a_call_that_github_could_not_take_is_answered_400(
    target: Target, body: bytes
) -> None:
    answer = await target.post("/dispatch", body, {"x-api-key": API_KEY, **JSON})
    assert answer.status == 400
    assert answer.error


async def test_a_call_of_more_than_a_mebibyte_is_answered_413(target: Target) -> None:
    headers = {"x-api-key": API_KEY, **JSON}
    answer = await target.ask(request("POST", "/dispatch", headers, b"{", length=MIB + 1))
    assert answer.status == 413


@pytest.mark.parametrize("repository", [b'"evil/repo"', b"5", b'"\\ud800/x"', b'"acme/shop/.."'])
async def test_a_repository_off_the_list_is_answered_403(target: Target, repository: bytes) -> None:
    body = b'{"event_type": "x", "repository": %b}' % repository
    answer = await target.post("/dispatch", body, {"x-api-key": API_KEY, **JSON})
    assert answer.status == 403


@pytest.mark.parametrize("key", ["", "x" * 256, b"\xff", b"\xed\xa0\x80"])
async def test_an_idempotency_key_that_cannot_be_one_is_answered_400(
    target: Target, key: str | bytes
) -> None:
    headers = {"x-api-key": API_KEY, **JSON, "Idempotency-Key": key}
    answer = await target.post("/dispatch", b'{"event_type": "x"}', headers)
    assert answer.status == 400
    assert "Idempotency-Key" in answer.error


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=2026-01-01",
        "since=%00",
        "state=%ff",
        "state=",
        "limit=0",
        "limit=-1",
        "limit=1e3",
        "limit=99999999999999999999",
        "limit=%D9%A3%D9%A3%D9%A3%D9%A3",
    ],
)
async def test_a_list_that_cannot_be_asked_for_is_answered_400(target: Target, query: str) -> None:
    headers = {"x-api-key": API_KEY}
    answer = await target.ask(request("GET", f"/api/v1/dispatches?{query}", headers))
    assert answer.status == 400
    assert query.partition("=")[0] in answer.error


# Paths, methods, headers


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/",
        "//",
        "//open",
        "/open/",
        "/open//",
        "/Open",
        "/hooks%2Fgithub",
        "/./open",
        "/x/../open",
        "/%2e%2e/open",
        "/open%00",
        "/open;x=y",
        "/team/",
        "/team//x",
        "/%",
        "/%zz",
        "/" + "a" * 7000,
        "/api/v1/",
        "/api/v1/nothing",
    ],
)
async def test_a_path_that_nobody_configured_is_answered_404(target: Target, path: str) -> None:
    """No spelling of a path but its own leads to a trigger: what stands before us (a proxy with
    rules by path) would not have known it either."""
    answer = await target.post(path, b"{}")
    assert answer.status == 404
    assert answer.error


@pytest.mark.parametrize("team", ["a%2Fb", "..", "%2e%2e%2f", "%00", "%ff", "%ed%a0%80", "%F0%9F"])
async def test_a_path_parameter_is_one_segment_and_any_text(target: Target, team: str) -> None:
    assert (await target.post(f"/team/{team}", b"{}")).status == 202


@pytest.mark.parametrize("query", ["a=%ff&%00=1", "&&&===", "a=1&a=2", "%", "a=1&" * 1500])
async def test_a_strange_query_is_no_reason_to_refuse(target: Target, query: str) -> None:
    assert (await target.post(f"/open?{query}", b"{}")).status == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/hooks/github", "POST"), ("/team/x", "POST"), ("/dispatch", "POST"), ("/ping", "GET")],
)
async def test_another_method_is_answered_405_with_those_allowed(
    target: Target, method: str, path: str, allowed: str
) -> None:
    answer = await target.ask(request(method, path), method=method)
    if method == allowed:
        assert answer.status == 200
        return
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert answer.body == b"" if method == "HEAD" else allowed in answer.error


@pytest.mark.parametrize(
    "junk",
    [
        request("GET", "/ping", {"X-Long": "a" * 100_000}),
        request("GET", "/ping", [(f"X-{number}", "a" * 100) for number in range(2000)]),
        request("GET", "/" + "a" * 100_000),
        request("POST", "/open", {**JSON, "Content-Length": "5"}, b"{}"),
        request("POST", "/open", {"Transfer-Encoding": "chunked"}, b"{}"),
        request("POST", "/open", JSON, length=-5),
        request("POST", "/open", JSON, length=10**30),
        request("GET", "/ping", {"X-Control": b"\x01"}),
        request("GET", "/ping", {"No Spaces": "here"}),
        request("GET", b"/\xff"),
        request("GET", "ping"),
        request("NOPE", "/ping"),
        b"GET /ping HTTP/1.1\r\n\r\n",
        b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=range(17),
)
async def test_what_is_no_http_or_too_much_of_it_is_answered_400(
    target: Target, junk: bytes
) -> None:
    answer = await target.ask(junk)
    assert answer.status == 400
    assert answer.body


async def test_junk_after_a_good_request_is_refused_and_the_good_one_answered(
    target: Target,
) -> None:
    """Pipelining: what stands in one packet is several requests, one after another."""
    async with connected(target.url) as wire:
        await wire.send(request("GET", "/ping") * 3 + b"\x00junk\r\n\r\n" + request("GET", "/ping"))
        answers = [await wire.answer() for _ in range(5)]
    statuses = [answer and answer.status for answer in answers]
    assert statuses in ([200, 200, 200, 400, None], [400, None, None, None, None])


async def test_silent_and_slow_clients_keep_nobody_else_waiting(target: Target) -> None:
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
        done = asyncio.Event()
        ready = [asyncio.Event() for _ in range(200)]

        async def linger(began: asyncio.Event, number: int) -> None:
            async with connected(target.url) as wire:
                half = request("POST", "/open", JSON, b"[1", length=9)
                await wire.send((b"", b"GET /pi", half)[number % 3])
                began.set()
                await done.wait()

        for number, began in enumerate(ready):
            tasks.create_task(linger(began, number))
        await asyncio.gather(*(began.wait() for began in ready))
        answer = await target.post("/open", b"{}")
        done.set()
    assert answer.status == 202


# Any bytes whatever

CREDENTIALS = st.sampled_from(
    [
        ("x-api-key", API_KEY.encode()),
        ("Authorization", f"Bearer {WEBHOOK_SECRET}".encode()),
        ("Authorization", f"Basic {BASIC}".encode()),
    ]
)
HEADER_NAMES = st.sampled_from(
    [
        "Content-Type",
        "Content-Encoding",
        "X-GitHub-Delivery",
        "X-GitHub-Event",
        "X-Hub-Signature-256",
        "Authorization",
        "Cookie",
        "x-api-key",
        "x-token",
        "Idempotency-Key",
        "Prefer",
        "Expect",
        "Upgrade",
        "X-Forwarded-For",
    ]
) | st.text("abcXYZ-_!#", min_size=1, max_size=12)
HEADER_VALUES = st.sampled_from(
    [
        b"application/json",
        b"text/plain; charset=utf-16",
        b"application/x-www-form-urlencoded",
        b"respond-async",
        b"100-continue",
        b"websocket",
    ]
) | st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n\0"))
HEADERS = st.lists(CREDENTIALS | st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=6)
PATHS = st.sampled_from(
    [
        b"/open",
        b"/team/",
        b"/hooks/github",
        b"/token",
        b"/query?token=",
        b"/bearer",
        b"/basic",
        b"/key",
        b"/dispatch",
        b"/ping",
        b"/readyz",
        b"/api/v1/events",
        b"/api/v1/events/",
        b"/api/v1/dispatches?before=",
        b"/api/v1/dispatches?since=",
        b"/api/v1/replay/evt_",
        b"/api/v1/cancel/",
        b"/api/v1/crons/",
    ]
)
TARGET_REST = st.text("az09%/?&=.;~+{}", max_size=20).map(str.encode) | st.binary(max_size=8).map(
    lambda raw: b"".join(b"%%%02x" % byte for byte in raw)
)
JSON_BODIES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, categories=None), max_size=10)
    | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["event_type", "client_payload", "repository", "a"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
BODIES = JSON_BODIES | st.binary(max_size=200)


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(["GET", "POST", "POST", "POST", "HEAD", "PUT"]),
    path=PATHS,
    rest=TARGET_REST,
    headers=HEADERS,
    proven=st.booleans(),
    body=BODIES,
)
async def test_no_bytes_whatever_are_a_fault_of_ours(
    target: Target,
    method: str,
    path: bytes,
    rest: bytes,
    headers: list[tuple[str, bytes]],
    proven: bool,
    body: bytes,
) -> None:
    """Whatever stands in path, query, headers and body, the answer is no 5xx."""
    if proven:
        proofs = {"x-api-key": API_KEY, "X-Hub-Signature-256": signature(body)}
        headers = [*((name, value.encode()) for name, value in proofs.items()), *headers]
        headers.append(("Prefer", b"respond-async"))
    answer = await target.ask(request(method, path + rest, headers, body), method=method)
    assert answer.status < 500


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(junk=st.binary(min_size=1, max_size=300))
async def test_no_junk_on_the_wire_is_a_fault_of_ours(target: Target, junk: bytes) -> None:
    async with connected(target.url) as wire:
        await wire.send(junk)
        wire.writer.write_eof()
        answer = await wire.answer()
    assert answer is None or 400 <= answer.status < 500


# What must not be found anywhere


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/token", {"x-token": WEBHOOK_SECRET}),
        (f"/query?a=1&token={WEBHOOK_SECRET}", {}),
        ("/bearer", {"Authorization": f"Bearer {WEBHOOK_SECRET}"}),
        ("/basic", {"Authorization": f"Basic {BASIC}"}),
        ("/key", {"x-api-key": WEBHOOK_SECRET}),
        ("/open", {"Authorization": f"Bearer {WEBHOOK_SECRET}", "Cookie": f"key={API_KEY}"}),
        ("/open", {"x-api-key": API_KEY}),
    ],
    ids=["token", "query", "bearer", "basic", "api_key", "not asked for", "our own key"],
)
async def test_a_delivery_with_a_credential_is_taken_and_the_credential_not_kept(
    target: Target, path: str, headers: dict[str, str]
) -> None:
    answer = await target.post(path, b'{"seen": true}', {**JSON, "X-Kept": "yes", **headers})
    assert answer.status == 202
    event = await target.ask(
        request("GET", f"/api/v1/events/{answer.json()['event_id']}", {"x-api-key": API_KEY})
    )
    assert event.json()["headers"]["x-kept"] == "yes"
    assert await target.received(answer) == {"seen": True}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/token", {"x-token": f"{API_KEY} "}),
        (f"/query?token={API_KEY}", {}),
        ("/bearer", {"Authorization": f"Basic {BASIC}"}),
        ("/dispatch", {"x-api-key": WEBHOOK_SECRET}),
        (f"/nowhere?token={WEBHOOK_SECRET}", {}),
        ("/open", {"Authorization": f"Bearer {WEBHOOK_SECRET}\x01"}),
    ],
    ids=["token", "query", "bearer", "key", "unknown path", "unreadable header"],
)
async def test_a_credential_in_a_refused_request_gets_into_no_log_line(
    target: Target, path: str, headers: dict[str, str]
) -> None:
    began = len(target.daemon.log)
    answer = await ask(target.url, request("POST", path, {**JSON, **headers}, b"{}"))
    assert answer is not None
    assert answer.status in (400, 401, 404)
    async with asyncio.timeout(DEADLINE):
        await target.daemon.until(lambda: bool(target.daemon.said("request refused", began)))


async def test_after_all_this_it_stops_in_order_and_has_kept_no_secret(served: Target) -> None:
    """What came in above was stored, credentials taken out: the files' bytes hold none."""
    async with asyncio.timeout(DEADLINE):
        answer = await served.post("/open", b'{"last": "one"}', {**JSON, "Cookie": f"k={API_KEY}"})
        await served.received(answer)
        assert await served.daemon.terminate() == 0
    assert_untroubled(served.daemon)
    stored = served.daemon.stored_bytes()
    assert b'{"last": "one"}' in stored
    assert not [secret for secret in (*SECRETS, BASIC) if secret.encode() in stored]
    payloads = json.dumps([dispatch.client_payload for dispatch in served.github.received])
    assert not [secret for secret in SECRETS if secret in payloads]
