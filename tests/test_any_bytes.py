"""No bytes whatever that a client may send are a fault of ours: never a 5xx, never trouble in the
log (the fixture looks after each test)."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness import API_KEY, WEBHOOK_SECRET, signature
from tests.harness.raw_http import connected, request
from tests.harness.target import BASIC, Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
    ]
) | st.text("abcXYZ-_!#", min_size=1, max_size=12)
HEADER_VALUES = st.sampled_from(
    [
        b"application/json",
        b"text/plain; charset=utf-16",
        b"application/x-www-form-urlencoded",
        b"application/xml",
        b"multipart/form-data; boundary=x",
        b"application/cloudevents+json",
        b"gzip",
        b"deflate",
        b"1.0",
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
PLAIN_BODIES = JSON_BODIES | st.binary(max_size=200)
BODIES = PLAIN_BODIES | PLAIN_BODIES.map(gzip.compress)


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
