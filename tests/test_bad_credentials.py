"""Signatures and keys that prove nothing, and the way that those which do must not take: into an
answer, a log line or the database (the fixture looks after each test)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness import API_KEY, WEBHOOK_SECRET, Daemon, signature
from tests.harness.raw_http import ask, request
from tests.harness.target import BASIC, DEADLINE, JSON, KEY, Target, target_at

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
    body = BODY + b" "
    headers = signed(signature(body), X_GitHub_Delivery="duplicate")
    first = await target.post("/hooks/github", body, headers)
    second = await target.post("/hooks/github", body, headers)
    assert (first.status, second.status) == (202, 200)
    assert second.json()["duplicate_of"] == first.json()["event_id"]
    assert second.json()["dispatches"] == []


async def test_delivery_ids_that_are_not_utf_8_are_told_apart(target: Target) -> None:
    answers = []
    for spaces, id_ in enumerate((b"\xff", b"\xfe", b"\xff"), start=2):
        body = BODY + b" " * spaces
        headers = signed(signature(body), X_GitHub_Delivery=id_)
        answers.append(await target.post("/hooks/github", body, headers))
    assert [answer.status for answer in answers] == [202, 202, 200]


PATHS = ("/dispatch", "/api/v1/replay/evt_1", "/api/v1/crons/x/fire")
WRONG = (" ", API_KEY[:-1], API_KEY + "0", b"\xff", API_KEY.upper())


# Fewer wrong ones than an address may try.
@pytest.mark.parametrize(
    ("path", "keys"),
    [
        *((path, keys) for path in PATHS for keys in ([], [""])),
        *((path, [key]) for path, key in zip(cycle(PATHS), WRONG, strict=False)),
    ],
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
    home = tmp_path_factory.mktemp("unset-key")
    async with Daemon(home, "http://127.0.0.1:9", environ={"API_KEY": ""}) as daemon:
        await daemon.start()
        yield daemon


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
    event = await target.ask(request("GET", f"/api/v1/events/{answer.json()['event_id']}", KEY))
    assert event.json()["headers"]["x-kept"] == "yes"
    assert await target.received(answer) == {"seen": True}


def _refused(daemon: Daemon, since: int) -> bool:
    return bool(daemon.said("request refused", since))


CREDENTIALS = [
    ("/token", {"x-token": f"{API_KEY} "}),
    (f"/query?token={API_KEY}", {}),
    ("/bearer", {"Authorization": f"Basic {BASIC}"}),
    ("/dispatch", {"x-api-key": WEBHOOK_SECRET}),
    (f"/nowhere?token={WEBHOOK_SECRET}", {}),
    ("/open", {"Authorization": f"Bearer {WEBHOOK_SECRET}\x01"}),
]


async def test_a_credential_in_a_refused_request_gets_into_no_log_line(tmp_path: Path) -> None:
    """Of a daemon that has not refused so many yet that it keeps lines back."""
    async with target_at(tmp_path) as target:
        for path, headers in CREDENTIALS:
            began = len(target.daemon.log)
            answer = await ask(target.url, request("POST", path, {**JSON, **headers}, b"{}"))
            assert answer is not None
            assert answer.status in (400, 401, 404)
            async with asyncio.timeout(DEADLINE):
                await target.daemon.until(partial(_refused, target.daemon, began))
        target.assert_untroubled()


async def test_what_was_delivered_is_stored_without_the_credentials_that_came_with_it(
    target: Target,
) -> None:
    credentials = {"Cookie": f"key={API_KEY}", "Authorization": f"Bearer {WEBHOOK_SECRET}"}
    answer = await target.post("/open", b'{"last": "one"}', {**JSON, **credentials})
    assert await target.received(answer) == {"last": "one"}
    assert b'{"last": "one"}' in target.daemon.stored_bytes()
    target.assert_kept_no_secret()
