"""CloudEvents, in headers or as JSON: whatever is sent is one, is none, or is refused."""

from __future__ import annotations

from daemon.body import parse_body
from daemon.cloudevents import cloud_event
from daemon.errors import Refused
from tests.fuzz.body import check_refusal, check_value
from tests.fuzz.message import Message

STRUCTURED = b"\ncontent-type: application/cloudevents+json\n\n"

WORDS = (
    b"ce-specversion: 1.0", b"ce-id: ", b"ce-source: /", b"ce-type: ", b"ce-time: ", b"ce-subject:",
    b"ce-dataschema: https://a", b"ce-ext: ", b"2026-11-23T04:05:60.5Z", b"+23:59", b"%C3%A9", b"%",
    b'"', b'\\"', b"\\\\", b"\xc3\xa9", b"\xff", b"application/cloudevents+json", b"-batch",
    b"content-type: ", b'"specversion":"1.0"', b'"data":', b'"data_base64":"YWJj"',
    b'"datacontenttype":"text/xml"', b"; charset=utf-16", b'"\\ud800"', b"null", b"{}", b"[]",
    b'"ext":-1', b'"time":"', b"\xef\xbf\xbe",
)  # fmt: skip


def run(data: bytes) -> None:
    """Raises for an event that no expression can hold, and for whatever is not Refused."""
    message = Message.parse(data)
    try:
        body = parse_body(message.headers, message.body, 200_000)
        event = cloud_event(message.headers, body, message.body)
    except Refused as refused:
        check_refusal(refused)
        return
    if event is not None:
        assert {"specversion", "id", "source", "type"} <= event.keys()
        check_value(event)


def seeds() -> list[bytes]:
    required = b'{"specversion": "1.0", "id": "1", "source": "/a", "type": "b"'
    return [
        b"\nce-specversion: 1.0\nce-id: 1\nce-source: /a\nce-type: b\nce-time: 2026-11-23T04:05:06Z"
        b'\nce-ext: "c \\" %C3%A9"\ncontent-type: application/json\n\n{"d": 1}',
        STRUCTURED + required + b', "data": {"c": 1}, "ext": 1}',
        STRUCTURED + required + b', "datacontenttype": "text/xml", "data": "<a/>"}',
        STRUCTURED + required + b', "datacontenttype": "text/plain", "data_base64": "YWJj"}',
        STRUCTURED + required + b', "time": "2026-11-23T04:05:06+01:00", "dataschema": "a:b"}',
    ]
