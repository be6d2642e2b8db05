"""Bodies of every content type and encoding. The first line may say how the body is compressed
after it was changed: otherwise hardly any input would get past a checksum."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from daemon.body import parse_body, parse_json
from daemon.errors import Refused
from daemon.expressions import JSON, Bindings, Vocabulary
from tests.fuzz.message import Message

LIMIT = 200_000
"""Bytes that a body may have once it is decompressed."""

EXPRESSION = Vocabulary.for_trigger([]).expression("[body]")
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}

WORDS = (
    b"content-type: ", b"content-encoding: ", b"application/json", b"+json", b"+xml", b"text/plain",
    b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"; charset=",
    b"utf-16be", b"windows-1252", b"x-amz-sns-message-type: a", b"gzip", b"deflate", b"identity",
    b"--x\r\n", b"\r\n--x--", b"Content-Disposition: form-data; name=", b'filename="', b"\r\n\r\n",
    b"<?xml version='1.0' encoding='", b"<!DOCTYPE a [", b"<!ENTITY b 'c'>", b"<![CDATA[", b"]]>",
    b"&#x", b"xmlns:a='b'", b"payload=", b"%7B", b"&", b"=", b"\\u0000", b"\\ud800", b"1e999",
    b"-0", b"[[[[[[[[[[[[[[[[", b'{"a":', b"NaN", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b\x08",
)  # fmt: skip


def run(data: bytes) -> None:
    """Raises for a value that no expression can hold, and for whatever is not Refused."""
    message = Message.parse(data)
    content = message.body
    for name in message.first.split(",")[:3]:
        content = PACKERS.get(name.strip(), bytes)(content)
    try:
        parse_json(message.headers, content, LIMIT)
    except Refused as refused:
        check_refusal(refused)
    try:
        value = parse_body(message.headers, content, LIMIT)
    except Refused as refused:
        check_refusal(refused)
        return
    check_value(value)


def check_refusal(refused: Refused) -> None:
    assert refused.status in (400, 413, 415), refused.status
    assert refused.message.isprintable(), refused.message
    assert len(refused.message) < 400, refused.message


def check_value(value: JSON) -> None:
    """Raises where expressions could not look at it."""
    assert EXPRESSION.evaluate(Bindings({"body": _finite(value)})) is not None


def _finite(value: Any) -> Any:
    """An infinity, as of ``1e999``, is one for the engine, and cannot be written as JSON again."""
    match value:
        case float() if value in (float("inf"), float("-inf")):
            return 0.0
        case dict():
            return {name: _finite(each) for name, each in value.items()}
        case list():
            return [_finite(each) for each in value]
    return value


def seeds() -> list[bytes]:
    return [
        b'\ncontent-type: application/json\n\n{"a": [1, -2.5e3, "b\\u00e9", null, true]}',
        b'gzip\ncontent-encoding: gzip\n\n{"a": {"b": [[[]]]}}',
        b"gzip, deflate\ncontent-encoding: gzip, deflate\ncontent-type: text/plain\n\nabc",
        b"\ncontent-type: application/x-www-form-urlencoded\n\na=1&b=%C3%A9+c&a=2&d",
        b'\ncontent-type: application/x-www-form-urlencoded\n\npayload=%7B"a"%3A1%7D',
        b"\ncontent-type: text/xml; charset=utf-8\n\n<?xml version='1.0' encoding='utf-8'?>"
        b"<a b='c' xmlns:x='y'><x:d>e</x:d><d/>&lt;<![CDATA[f]]><!-- g --></a>",
        b'\ncontent-type: multipart/form-data; boundary="x"\n\n--x\r\nContent-Disposition: '
        b'form-data; name="a"\r\n\r\nb\r\n--x\r\nContent-Disposition: form-data; name="f"; '
        b'filename="g.txt"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nh\r\n--x--\r\n',
        b"\ncontent-type: text/plain; charset=utf-16\n\n\xff\xfea\x00b\x00",
        b'\ncontent-type: text/plain\nx-amz-sns-message-type: Notification\n\n{"Type": "a"}',
    ]
