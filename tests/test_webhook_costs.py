"""No bytes whatever take the rules that look at a delivery long: at most 50 ms of processor time
for every 10 KB of it, on whatever is built to make them slow."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.addresses import Networks, called_url, client_address
from daemon.body import parse_body
from daemon.cloudevents import cloud_event
from daemon.errors import Refused
from daemon.event import Delivery, Event
from daemon.judge import judge_delivery
from daemon.secret import Secret
from daemon.signatures import SCHEMES, Request, parse
from tests.specs import trigger
from tests.test_webhook_properties import PUBLIC_KEYS, TEXT, auth, names_of

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
ALLOWED = 0.05
"""Seconds of processor time for each 10 KB."""
MARGIN = 3
"""The machine of the tests may be slow, and have a collection of garbage to do."""
UNIT = 10 * 1024
BODY = 64 * 1024
HEADER = 8190
"""Bytes of a header's value that the HTTP server takes."""

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n'
SLOW_BODIES: dict[str, tuple[str, bytes, bytes, bytes]] = {
    "deep lists": ("application/json", b"", b"[", b""),
    "deep objects": ("application/json", b"", b'{"":', b""),
    "nested to the limit": ("application/json", b"[0", b"," + b"[" * 60 + b"]" * 60, b"]"),
    "many lists": ("application/json", b"[[]", b",[]", b"]"),
    "many keys": ("application/json", b'{"a":0', b',"%d":0', b"}"),
    "one key many times": ("application/json", b'{"a":0', b',"a":0', b"}"),
    "a long number": ("application/json", b"", b"9", b""),
    "long numbers": ("application/json", b"[1", b"," + b"9" * 4000, b"]"),
    "huge exponents": ("application/json", b"[1", b",1e999999999", b"]"),
    "long decimals": ("application/json", b"[1", b",0." + b"1" * 2000, b"]"),
    "halves of pairs": ("application/json", b'"', b"\\ud800", b'"'),
    "escaped nulls": ("application/json", b'["', b"\\u0000", b'"]'),
    "white space": ("application/json", b"", b" ", b"x"),
    "an open string": ("application/json", b'"', b'\\"', b""),
    "form fields": (FORM, b"a=1", b"&%d=1", b""),
    "empty form fields": (FORM, b"", b"&", b"a"),
    "per cent": (FORM, b"a=", b"%", b""),
    "per cent encoded": (FORM, b"a=", b"%ff", b""),
    "plus signs": (FORM, b"a=", b"+", b""),
    "a field of JSON": (FORM, b"payload=", b"[", b""),
    "tiny parts": (MULTIPART, b"", PART + b"\r\n\r\n", b"--x--"),
    "line ends": (MULTIPART, PART + b"\r\n", b"\r\n", b"\r\n--x--"),
    "dashes": (MULTIPART, PART + b"\r\n", b"--", b"\r\n--x--"),
    "almost boundaries": (MULTIPART, PART + b"\r\n", b"\r\n--", b"\r\n--x--"),
    "part headers": (MULTIPART, PART, b"a: b\r\n", b"\r\n\r\n--x--"),
    "part parameters": (MULTIPART, PART[:-3], b"; a=b", b"\r\n\r\n--x--"),
    "quoted parameters": (MULTIPART, PART[:-3], b'; a="\\"', b"\r\n\r\n--x--"),
    "elements": ("text/xml", b"<a>", b"<b/>", b"</a>"),
    "attributes": ("text/xml", b"<a", b" b%d=''", b"/>"),
    "elements with a namespace": ("text/xml", b"<a>", b"<b xmlns:c='d'/>", b"</a>"),
    "characters by number": ("text/xml", b"<a>", b"&#65;", b"</a>"),
    "sections of characters": ("text/xml", b"<a>", b"<![CDATA[]]>", b"</a>"),
    "comments": ("text/xml", b"<a>", b"<!---->", b"</a>"),
    "open elements": ("text/xml", b"", b"<a>", b""),
    "an open declaration": ("text/xml", b"<?xml ", b"encoding ", b"?><a/>"),
    "entities": ("text/xml", b"<!DOCTYPE a [", b'<!ENTITY b%d "&b;&b;">', b"]><a>&b;</a>"),
    "halves in UTF-16": ("text/plain; charset=utf-16", b"", b"\x00\xd8", b""),
    "invalid text": ("text/plain", b"", b"\xc3", b""),
}  # fmt: skip


def filled(prefix: bytes, piece: bytes, suffix: bytes, size: int) -> bytes:
    """``size`` bytes, about: the piece over and over, ``%d`` in it as a number."""
    times = size // len(piece)
    middle = b"".join(piece % n for n in range(times)) if b"%d" in piece else piece * times
    return prefix + middle + suffix


def judged(request: Request) -> None:
    """All that is done with a delivery before it is stored, but for the schemes."""
    try:
        body = parse_body(request.headers, request.body)
        delivery = Delivery(
            route="/hook",
            method="POST",
            path="/hook",
            headers=request.headers,
            query=request.query,
            params={},
            body=request.body,
            client_ip="127.0.0.1",
            received_at=NOW,
        )
        judge_delivery(Event("evt_1", delivery), delivery, body, [TRIGGER], lambda: "dsp_1")
    except Refused:
        return


TRIGGER = trigger(
    when="body != null || size(headers) > 0",
    dispatch={"event_type": "build", "client_payload": {"a": "{{ body }}", "b": "{{ headers }}"}},
)


def posted(body: bytes, content_type: str, **headers: str) -> Request:
    return Request("POST", "/hook", {"content-type": content_type, **headers}, {}, body)


def seconds(act: Callable[[], object], size: int) -> float:
    """The processor time of this thread, the least of a few tries if the first was too long."""
    took = []
    for _ in range(3):
        began = time.thread_time()
        act()
        took.append(time.thread_time() - began)
        if took[-1] < allowed(size):
            break
    return min(took)


def allowed(size: int) -> float:
    return ALLOWED * MARGIN * max(1, size / UNIT)


@pytest.mark.parametrize("case", SLOW_BODIES)
def test_no_body_takes_long(case: str) -> None:
    content_type, prefix, piece, suffix = SLOW_BODIES[case]
    body = filled(prefix, piece, suffix, BODY)
    request = posted(body, content_type)
    assert seconds(lambda: judged(request), len(body)) < allowed(len(body))
    small = posted(body[: UNIT // 2], content_type)
    assert seconds(lambda: judged(small), 0) < allowed(0)


@given(
    st.sampled_from(sorted(SLOW_BODIES)),
    st.lists(st.sampled_from([case[2] for case in SLOW_BODIES.values()]), min_size=1, max_size=3),
    st.integers(1, 40),
)
@settings(max_examples=40, deadline=None)
def test_no_mixture_of_them_takes_long(case: str, pieces: list[bytes], kibibytes: int) -> None:
    content_type, prefix, _, suffix = SLOW_BODIES[case]
    body = filled(prefix, b"".join(pieces).replace(b"%d", b""), suffix, kibibytes * 1024)
    request = posted(body, content_type)
    assert seconds(lambda: judged(request), len(body)) < allowed(len(body))


@pytest.mark.parametrize("case", SLOW_BODIES)
def test_a_compressed_body_takes_no_longer_than_what_it_holds_would(case: str) -> None:
    """A small body can hold a large one: of that there is a limit (``max_body``)."""
    content_type, prefix, piece, suffix = SLOW_BODIES[case]
    packed = zlib.compress(gzip.compress(filled(prefix, piece, suffix, BODY)))
    request = posted(packed, content_type, **{"content-encoding": "gzip, deflate"})
    assert seconds(lambda: judged(request), BODY) < allowed(BODY)


def test_a_bomb_takes_no_longer_than_the_limit_on_what_it_holds() -> None:
    limit = 64 * 1024
    bomb = gzip.compress(gzip.compress(bytes(50_000_000)))
    headers = {"content-type": "text/plain", "content-encoding": "gzip, gzip"}

    def read() -> None:
        with pytest.raises(Refused, match="larger than"):
            parse_body(headers, bomb, limit)

    assert len(bomb) < 1000
    assert seconds(read, limit) < allowed(limit)


SLOW_VALUES = [
    '"', '\\"', '"\\', "\\", ",", ", ", ";", "; ", "=", "t=1,", "v1=,", "v1,a ", "v1a,", "sha256=",
    "a=b;", 'a="b";', 'for="\\', "for=a;", "[", ":", ".", "%", "%ff", " ", "\t", "a", "0", "é",
    "9999999999", "Bearer ", "YWJj", "eyJ", ".e30", "1.1.1.1,", "unknown,", "-", "_", "\ud800",
]  # fmt: skip
NAMES = sorted(
    {name for scheme in SCHEMES for name in names_of(scheme)}
    | {"x-twilio-signature", "x-webhook-signature", "x-signature-timestamp", "content-type"}
)
SCHEME_LIST = [
    (parse(auth(name)), Secret(PUBLIC_KEYS.get(name, TEXT), "env:X")) for name in SCHEMES
]
TRUSTED = Networks.parse(["0.0.0.0/0", "::/0"])
FORWARDING = ("x-forwarded-for", "forwarded", "x-forwarded-host", "x-forwarded-proto")
ATTRIBUTES = ("ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-dataschema")


@pytest.mark.parametrize("piece", SLOW_VALUES)
def test_no_header_takes_long(piece: str) -> None:
    """Each header that any rule looks at, as long as the server takes them: more than one of that
    length it does not take."""
    value = piece * (HEADER // len(piece))
    for start in ("", "t=1772366400,v1=", '"', "a/b; c="):
        for look in lookers(start + value):
            assert seconds(look, 0) < allowed(0), look


def lookers(value: str) -> Iterator[Callable[[], object]]:
    """Each rule that looks at headers, given headers that hold this."""
    request = Request("POST", "/hook", dict.fromkeys(NAMES, value), {}, b"{}", "https://a/hook")
    for scheme, secret in SCHEME_LIST:
        yield partial(scheme.verify, request, [secret], NOW)
        yield partial(scheme.delivery_id, request, {})
    forwarded = dict.fromkeys(FORWARDING, value)
    yield partial(client_address, "::1", forwarded, TRUSTED)
    yield partial(called_url, "", "http", "a", forwarded, "/", proxied=True)
    for name in ATTRIBUTES:
        yield partial(told, {**dict.fromkeys(ATTRIBUTES, "1.0"), name: value})
    yield partial(judged, posted(b"a", f"text/plain; charset={value}"))
    yield partial(judged, posted(b"a", "text/plain", **{"content-encoding": value}))


def told(headers: dict[str, str]) -> None:
    try:
        cloud_event(headers, None, b"")
    except Refused:
        return


@pytest.mark.parametrize("case", ["deep lists", "many keys", "form fields", "long numbers"])
def test_no_scheme_takes_long_over_a_body(case: str) -> None:
    """Some of them read it before the sender is believed."""
    content_type, prefix, piece, suffix = SLOW_BODIES[case]
    body = filled(prefix, piece, suffix, BODY)
    request = posted(body, content_type, **dict.fromkeys(NAMES, "1772366400"))
    for scheme, secret in SCHEME_LIST:
        took = seconds(lambda: scheme.verify(request, [secret], NOW), len(body))  # noqa: B023
        assert took < allowed(len(body)), scheme.name
