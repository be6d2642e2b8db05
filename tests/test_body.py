"""From the bytes of a request to what expressions see as ``body``: JSON, text, and which content
type is read as what."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.body import DEPTH_MAX, FORM_FIELDS_MAX, fit_text, parse_body, parse_json
from daemon.errors import Refused
from daemon.expressions import JSON

AS_JSON = {"content-type": "application/json"}
AS_FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json", b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ("application/cloudevents+json; charset=utf-8", b"[]", []),
        ("", b'"no type is read as JSON"', "no type is read as JSON"),
        ("application/json", b"\xef\xbb\xbf{}", {}),
        ("application/x-www-form-urlencoded", b"a=1&b=x+y&a=2&c=&a=3",
         {"a": ["1", "2", "3"], "b": "x y", "c": ""}),
        ("application/x-www-form-urlencoded", b"a=%ff", {"a": "�"}),
        ("text/plain", "h\u00e9".encode(), "hé"),
        ("text/plain; charset=ISO-8859-1", b"h\xe9", "hé"),
        ("text/html ; Charset=\"windows-1252\"", b"\x80", "€"),
        (r'text/plain; charset="windows\-1252"', b"\x80", "€"),
        ("text/plain; note=\"a;charset=ascii\"; charset=latin1", b"\xe9", "é"),
        ("text/plain; charset=utf-16", "hé".encode("utf-16-le"), "hé"),
        ("text/plain; charset=UTF-16BE", "hé".encode("utf-16-be"), "hé"),
        ("text/plain; charset=ascii", "\ufeffhé".encode(), "hé"),
        ("text/plain; charset=utf-16le", "\ufeffhé".encode("utf-16-be"), "hé"),
        ("application/json", b"", None),
        ("image/png", b"", None),
    ],
)  # fmt: skip
def test_a_body_is_read_by_its_content_type(content_type: str, body: bytes, value: JSON) -> None:
    assert parse_body({"content-type": content_type}, body) == value


@pytest.mark.parametrize(
    ("content_type", "body", "status", "words"),
    [
        ("application/json", b'{"a": 1,}', 400, "line 1, column [89]"),
        ("application/json", b"{'a': 1}", 400, "malformed JSON"),
        ("application/json", b"\xff\xfe", 400, "malformed JSON|UTF-8"),
        ("application/json", b'{"a": "\xff"}', 400, "not valid UTF-8 .byte 7"),
        ("application/json", b"[NaN]", 400, "NaN is not JSON"),
        ("application/json", b"1" * 5000, 400, "digits"),
        ("application/json", b"[" * 100 + b"]" * 100, 400, "nested more than 64"),
        ("application/json", b"[" * 200_000, 400, "nested more than 64|malformed"),
        ("image/png", b"\x89PNG", 415, "'image/png' is not supported; send application/json"),
        ("application/x-ndjson", b"{}\n{}\n", 415, "each as application/json in a request of its"),
        ("text/plain; charset=utf-7", b"a", 415, "utf-7"),
        ("text/plain; charset=punycode", b"a", 415, "punycode"),
        ("text/plain; charset=cp037", b"a", 415, "'cp037' is not supported; send UTF-8"),
        ("text/plain", b"\xff", 400, "not valid utf-8 .byte 0.; send UTF-8, or name"),
        ("text/plain", b"\xef\xbb\xbfa\xff", 400, "not valid utf-8 .byte 4"),
        ("text/plain; charset=us-ascii", b"\xe9", 400, "not valid us-ascii"),
        ("text/plain; charset=utf-16", b"\x00\xd8", 400, "not valid utf-16 .byte 0"),
        ("application/x-www-form-urlencoded", b"a=\xff", 400, "form is not valid utf-8 .byte 2"),
        ("application/x-www-form-urlencoded", b"a&" * (FORM_FIELDS_MAX + 1), 400, "1000 fields"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    content_type: str, body: bytes, status: int, words: str
) -> None:
    with pytest.raises(Refused, match=words) as caught:
        parse_body({"content-type": content_type}, body)
    assert caught.value.status == status


def test_nesting_up_to_the_limit_is_taken_and_brackets_in_strings_do_not_count() -> None:
    assert parse_body(AS_JSON, b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)
    assert parse_body(AS_JSON, json.dumps({"url": "{/sha}[" * 100}).encode())
    with pytest.raises(Refused, match="nested"):
        parse_body(AS_JSON, b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1))


def test_what_the_engine_cannot_hold_is_replaced() -> None:
    body = rb'{"nul": "a\u0000b", "lone": "\ud800x", "pair": "\ud83d\ude00", "big": 1' + b"0" * 30
    assert parse_body(AS_JSON, body + b"}") == {
        "nul": "a�b",
        "lone": "�x",
        "pair": "😀",
        "big": 1e30,
    }
    assert parse_body(AS_FORM, b"a%00=b%00") == {"a�": "b�"}
    assert parse_body({"content-type": "text/plain"}, b"a\0b") == "a�b"


@pytest.mark.parametrize("levels", [0, 1, DEPTH_MAX])
def test_an_integer_beyond_64_bits_becomes_a_fraction_however_deep_it_stands(levels: int) -> None:
    value = parse_body(AS_JSON, b"[" * levels + str(2**64).encode() + b"]" * levels)
    for _ in range(levels):
        assert isinstance(value, list)
        (value,) = value
    assert (value, type(value)) == (float(2**64), float)


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 10**18])
def test_an_integer_of_64_bits_stays_one(number: int) -> None:
    value = parse_body(AS_JSON, str(number).encode())
    assert (value, type(value)) == (number, int)


def test_json_for_the_api_is_exactly_as_received() -> None:
    assert parse_json(AS_JSON, b'{"n": 123456789012345678901234567890, "s": "\\u0000"}') == {
        "n": 123456789012345678901234567890,
        "s": "\0",
    }
    with pytest.raises(Refused, match="send application/json"):
        parse_json(AS_FORM, b"a=1")


def test_a_delivery_of_sns_is_json_though_it_says_it_is_text() -> None:
    headers = {
        "content-type": "text/plain; charset=UTF-8",
        "x-amz-sns-message-type": "Notification",
    }
    assert parse_body(headers, b'{"Type": "Notification"}') == {"Type": "Notification"}


@given(st.text())
def test_fit_text_holds_no_nul_and_no_lone_surrogate(text: str) -> None:
    fit = fit_text(text)
    assert "\0" not in fit
    assert fit.encode().decode() == fit
