"""No bytes whatever in a body and its headers make anything but a value or a refusal, and every
value is one that expressions can take."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.body import parse_body, parse_json
from daemon.body.json_body import refuse_depth
from daemon.cloudevents import cloud_event
from daemon.errors import Refused
from daemon.expressions import JSON, Bindings, Vocabulary

EVENT = {"specversion": "1.0", "id": "1", "source": "/a", "type": "b"}
LIMIT = 2000
EXPRESSION = Vocabulary.for_trigger([]).expression("[body]")

CONTENT_TYPES = st.sampled_from(
    [
        "",
        "application/json",
        "text/plain",
        "text/plain; charset=utf-16",
        "text/html;charset=windows-1252",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        'multipart/form-data; boundary="',
        "application/xml",
        "image/svg+xml; charset=utf-16be",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    ]
) | st.text(max_size=40)
ENCODINGS = st.sampled_from(["gzip", "deflate", "gzip, deflate", "br"]) | st.text(max_size=12)
CLOUD_EVENT_HEADERS = st.dictionaries(
    st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-specversion", "ce-time", "ce-dataschema"])
    | st.text(max_size=6).map("ce-{}".format),
    st.sampled_from(["1.0", "/a", "2026-11-23T04:05:06Z", '"\\', "%ff", "a%00", "https://a"])
    | st.text(st.characters(codec=None, categories=None), max_size=20),
    max_size=6,
)
HEADERS = st.builds(
    lambda content_type, encoding, attributes: {
        **attributes,
        "content-type": content_type,
        **({"content-encoding": encoding} if encoding is not None else {}),
    },
    CONTENT_TYPES,
    st.none() | ENCODINGS,
    st.just({}) | CLOUD_EVENT_HEADERS | CLOUD_EVENT_HEADERS.map(
        lambda more: {**{f"ce-{name}": value for name, value in EVENT.items()}, **more}
    ),
)  # fmt: skip


def pieces(*known: bytes) -> st.SearchStrategy[bytes]:
    """Bytes that get further than random ones: put together of what the format is made of."""
    each = st.sampled_from(known) | st.binary(max_size=4)
    return st.lists(each, max_size=20).map(b"".join)


DISPOSITION = b'Content-Disposition: form-data; name="a"; filename=b'
ATTRIBUTES = st.sampled_from([*EVENT, "data", "data_base64", "datacontenttype", "time", "ext"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["YWJj", "text/xml", "<a/>", "1.0", "\0", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)  # fmt: skip
CLOUD_EVENTS = st.dictionaries(ATTRIBUTES, VALUES).map(
    lambda attributes: json.dumps(EVENT | attributes).encode()
)
PLAIN = (
    st.binary(max_size=60)
    | pieces(
        b"{", b"}", b"[", b"]", b'"', b"\\u", b"d800", b"0000", b":", b",", b"1e999", b"9" * 30
    )
    | pieces(b"--x", b"--", b"\r\n", DISPOSITION, b": ", b"; charset=", b"Content-Type: text/a")
    | pieces(b"<a>", b"</a>", b"<a b='", b"'/>", b"<!DOCTYPE", b"<![CDATA[", b"]]>", b"&#", b";")
    | pieces(b"a=", b"&", b"%", b"%00", b"payload=", b"%7B", b"+", b"{}")
    | CLOUD_EVENTS
)
BODIES = PLAIN | PLAIN.map(gzip.compress) | PLAIN.map(zlib.compress)


def refusal(read: Callable[[], object]) -> Refused | None:
    """What the reading of a body came to, where it came to no value."""
    try:
        read()
    except Refused as refused:
        return refused
    return None


def in_words(refused: Refused) -> bool:
    return refused.status in (400, 413, 415) and refused.message.isprintable()


def held_by_expressions(value: JSON) -> bool:
    refuse_depth(value)
    return EXPRESSION.evaluate(Bindings({"body": finite(value)})) is not None


def finite(value: Any) -> Any:
    """What the engine takes and JSON does not hold is another matter: ``1e999`` is infinite."""
    match value:
        case float() if value in (float("inf"), float("-inf")):
            return 0.0
        case dict():
            return {name: finite(each) for name, each in value.items()}
        case list():
            return [finite(each) for each in value]
    return value


@settings(max_examples=600, deadline=None)
@given(HEADERS, BODIES)
def test_no_bytes_whatever_do_anything_but_parse_or_be_refused(
    headers: dict[str, str], body: bytes
) -> None:
    refused = refusal(partial(parse_body, headers, body, LIMIT))
    if refused is not None:
        assert in_words(refused)
        return
    value = parse_body(headers, body, LIMIT)
    assert held_by_expressions(value)
    refused = refusal(partial(cloud_event, headers, value, body))
    if refused is not None:
        assert in_words(refused)
        return
    assert held_by_expressions(cloud_event(headers, value, body))


@given(HEADERS, BODIES)
def test_what_the_api_takes_is_json_or_refused(headers: dict[str, str], body: bytes) -> None:
    refused = refusal(partial(parse_json, headers, body, LIMIT))
    assert refused is None or in_words(refused)


@pytest.mark.parametrize(
    ("content_type", "whole"),
    [
        ("application/json", b'{"a": [1, "b"]}'),
        ("text/xml", b"<a b='c'><d>e</d>&lt;<![CDATA[f]]><!-- g --></a>"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + DISPOSITION + b"\r\n\r\ny\r\n--x--"),
    ],
)
def test_a_body_cut_off_anywhere_is_refused(content_type: str, whole: bytes) -> None:
    headers = {"content-type": content_type}
    assert parse_body(headers, whole)
    parts = [whole[:end] for end in range(1, len(whole))]
    assert [part for part in parts if refusal(partial(parse_body, headers, part)) is None] == []
