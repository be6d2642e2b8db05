"""Forms, plain and multipart: fields, files, and the bounds that they have."""

from __future__ import annotations

import json
import tracemalloc
from urllib.parse import parse_qsl, unquote_plus, urlencode

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.body import DEPTH_MAX, FORM_FIELDS_MAX, parse_body
from daemon.body.multipart_body import BOUNDARY_MAX, PART_HEADER_BYTES_MAX, PART_HEADERS_MAX
from daemon.errors import Refused
from daemon.expressions import JSON

AS_FORM = {"content-type": "application/x-www-form-urlencoded"}
AS_MULTIPART = {"content-type": "multipart/form-data; boundary=42"}


def part(content: bytes, *headers: str, disposition: str = 'form-data; name="a"') -> bytes:
    lines = [f"Content-Disposition: {disposition}", *headers, "", ""]
    return b"--42\r\n" + "\r\n".join(lines).encode() + content + b"\r\n"


def multipart(*parts: bytes) -> JSON:
    return parse_body(AS_MULTIPART, b"".join(parts) + b"--42--\r\n")


# Plain


@pytest.mark.parametrize("value", [{"ref": "main", "ids": [1, 2]}, [1, {"a": None}], {}])
def test_a_form_whose_only_field_is_a_payload_of_json_is_that_value(value: JSON) -> None:
    assert parse_body(AS_FORM, urlencode({"payload": json.dumps(value)}).encode()) == value
    indented = " \n" + json.dumps(value, indent=2)
    assert parse_body(AS_FORM, urlencode({"payload": indented}).encode()) == value


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": '{"ref": "main"}', "token": "x"},
        {"payload": "hello"},
        {"payload": "42"},
        {"payload": ""},
        {"payload": "[see above"},
        {"payload": '{"ref": '},
        {"Payload": "{}"},
        {"payload": ["{}", "{}"]},
    ],
)
def test_any_other_form_stays_one(fields: dict[str, JSON]) -> None:
    assert parse_body(AS_FORM, urlencode(fields, doseq=True).encode()) == fields


def test_a_payload_in_a_form_is_made_to_fit_as_any_json_is() -> None:
    assert parse_body(AS_FORM, urlencode({"payload": r'{"a": "\u0000"}'}).encode()) == {"a": "�"}
    deep = "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1)
    assert parse_body(AS_FORM, urlencode({"payload": deep}).encode()) == {"payload": deep}


@given(
    st.lists(st.sampled_from(["a", "b=", "&", "%", "%4", "%41", "%e4", "%C3%A4", "+", "=", "ä"]))
)
def test_a_form_is_read_as_the_standard_library_reads_it(parts: list[str]) -> None:
    text = "".join(parts)
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    expected = {name: each if len(each) > 1 else each[0] for name, each in fields.items()}
    assert parse_body(AS_FORM, text.encode()) == (expected if text else None)


@pytest.mark.parametrize("unit", [b"%C3%A4", b"a%41", b"+", b"ab%4"])
def test_a_long_field_is_decoded_whole_in_little_more_room_than_it_takes(unit: bytes) -> None:
    body = b"a=" + unit * (2**20 // len(unit))
    tracemalloc.start()
    try:
        value = parse_body(AS_FORM, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert value == {"a": unquote_plus(body[2:].decode())}
    assert peak < 10 * len(body)


# Multipart


async def test_a_body_that_a_client_makes_is_read_with_its_files_told_and_not_kept() -> None:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("subject", "Grüße")
    form.add_field("label", "a")
    form.add_field("label", "b")
    form.add_field("meta", '{"n": 1}', content_type="application/json")
    form.add_field("file", b"\x89PNG\0", filename='ä "b".png', content_type="image/png")
    writer = form()
    headers = {"content-type": writer.headers["Content-Type"]}
    assert parse_body(headers, await writer.as_bytes()) == {
        "subject": "Grüße",
        "label": ["a", "b"],
        "meta": {"n": 1},
        "file": {"filename": 'ä "b".png', "content_type": "image/png", "size": 5},
    }


@pytest.mark.parametrize(
    ("each", "value"),
    [
        (part(b"x"), "x"),
        (part(b""), ""),
        (part(b"--42 \r\n-42"), "--42 \r\n-42"),
        (part(b"a\0b"), "a�b"),
        (part(b"\xff"), "�"),
        (part(b"\xe9", "Content-Type: text/plain; charset=iso-8859-1"), "é"),
        (part(b"{}", "Content-Type: text/plain"), "{}"),
        (part(b"[1]", "content-type: application/vnd.a+json"), [1]),
        (part(b"12", disposition='form-data; name="a"; filename="b.txt"'),
         {"filename": "b.txt", "content_type": "", "size": 2}),
        (part(b"{", "Content-Type: application/JSON", disposition='form-data; name=a; filename=""'),
         {"filename": "", "content_type": "application/json", "size": 1}),
        (part(b"", "Content-Type: image/png", disposition="form-data; filename=x; name=a"),
         {"filename": "x", "content_type": "image/png", "size": 0}),
    ],
)  # fmt: skip
def test_a_part_is_a_text_a_json_value_or_what_is_known_of_a_file(each: bytes, value: JSON) -> None:
    assert multipart(each) == {"a": value}


def test_a_list_from_a_part_of_json_is_not_taken_for_a_repeated_field() -> None:
    a = part(b"[1]", "Content-Type: application/json")
    assert multipart(a, a) == {"a": [[1], [1]]}
    assert multipart(a, part(b"x")) == {"a": [[1], "x"]}


def test_a_form_without_parts_is_an_empty_object() -> None:
    assert multipart() == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (part(b"x"), "malformed multipart body: Unexpected end"),
        (b"--42\r\nContent-Disp", "malformed multipart body: Unexpected end"),
        (b"hello", "malformed multipart body: "),
        (b"--42\r\n\r\nx\r\n--42--", "Missing Content-Disposition"),
        (part(b"x", disposition="attachment") + b"--42--", "Wrong type"),
        (part(b"x", disposition="form-data") + b"--42--", "Missing name"),
        (part(b"x", "no colon") + b"--42--", "malformed multipart body: Malformed"),
        (b"--42\r\nContent-Disposition: \xff\r\n\r\n", "header failed to decode$"),
        (part(b"{", "Content-Type: application/json") + b"--42--", "malformed JSON body"),
        (part(b"[" * 64 + b"]" * 64, "Content-Type: application/json") + b"--42--",
         f"the multipart body is nested more than {DEPTH_MAX} levels"),
        (part(b"") * (FORM_FIELDS_MAX + 1) + b"--42--", f"more than {FORM_FIELDS_MAX} parts"),
        (part(b"", *["X-A: b"] * PART_HEADERS_MAX) + b"--42--", "more than 8 headers"),
        (part(b"", "X-A: " + "b" * PART_HEADER_BYTES_MAX) + b"--42--", "one of over 4,096 bytes"),
        (b"--42\r\n" + b"a" * 2 * PART_HEADER_BYTES_MAX, "one of over 4,096 bytes"),
    ],
)  # fmt: skip
def test_a_malformed_body_is_refused_with_the_reason(body: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        parse_body(AS_MULTIPART, body)
    assert caught.value.status == 400


def test_a_part_in_a_character_set_that_is_not_supported_is_told_so() -> None:
    with pytest.raises(Refused, match="character set 'koi8-r' is not supported") as caught:
        multipart(part(b"x", "Content-Type: text/plain; charset=koi8-r"))
    assert caught.value.status == 415


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'x' * (BOUNDARY_MAX + 1)}",
                                      "; boundary=ä"])  # fmt: skip
def test_a_boundary_that_is_none_is_asked_for(boundary: str) -> None:
    with pytest.raises(Refused, match="it reads multipart/form-data; boundary=… with 1 to 70"):
        parse_body({"content-type": f"multipart/form-data{boundary}"}, b"--\r\n")


def test_a_boundary_may_be_quoted_and_have_70_characters() -> None:
    boundary = "a;b=c, " * 10
    body = part(b"x").replace(b"42", boundary.encode()) + f"--{boundary}--".encode()
    header = f'multipart/form-data; charset=utf-8; BOUNDARY="{boundary}"'
    assert parse_body({"content-type": header}, body) == {"a": "x"}
