"""CloudEvents, as the official SDK sends them in both modes, and by the letter of the
specification."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from daemon.body import parse_body
from daemon.cloudevents import cloud_event
from daemon.errors import Refused
from daemon.expressions import JSON

EVENT = {"specversion": "1.0", "id": "A-1", "source": "/shop/orders", "type": "com.acme.order"}
STRUCTURED = "application/cloudevents+json"

CDEVENT: dict[str, Any] = {
    "context": {
        "version": "0.4.1",
        "id": "8c1f7e5a-0b7d-4f0e-9d0b-5b6f3f6f2c11",
        "source": "/ci/jenkins/eu",
        "type": "dev.cdevents.pipelinerun.finished.0.2.0",
        "timestamp": "2026-11-23T04:05:06.789Z",
        "links": [{"linkType": "END", "from": {"contextId": "0d6f8a52-7a52-4fd5-8a3c-1b6f0c7c"}}],
    },
    "subject": {
        "id": "/shop/run/41",
        "type": "pipelineRun",
        "content": {"pipelineName": "shop", "outcome": "failure", "errors": "unit: 2 failed"},
    },
}  # fmt: skip


def of(message: HTTPMessage) -> dict[str, JSON] | None:
    headers = {name.lower(): value for name, value in message.headers.items()}
    return cloud_event(headers, parse_body(headers, message.body), message.body)


def binary(body: bytes = b"", content_type: str = "", **attributes: str) -> dict[str, JSON] | None:
    """The event of a request with these attributes beside the required ones, if it is one."""
    headers = {f"ce-{name}": value for name, value in (EVENT | attributes).items() if value}
    if content_type:
        headers["content-type"] = content_type
    return cloud_event(headers, parse_body(headers, body), body)


def structured(**members: Any) -> dict[str, JSON] | None:
    headers, body = {"content-type": STRUCTURED}, json.dumps(EVENT | members).encode()
    return cloud_event(headers, parse_body(headers, body), body)


# As the SDK sends them

SENT = {
    "time": datetime(2026, 11, 23, 4, 5, 6, 789000, UTC),
    "subject": 'Grüße, "100 %" 😀',
    "dataschema": "https://example.com/order.json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01",
}
SEEN = EVENT | SENT | {"time": "2026-11-23T04:05:06.789000Z"}


@pytest.mark.parametrize("send", [to_binary_event, to_structured_event])
@pytest.mark.parametrize(
    ("content_type", "data", "seen"),
    [
        ("application/json", {"total": 1.5, "of": [1, None]}, {"total": 1.5, "of": [1, None]}),
        ("application/vnd.acme+json", [1], [1]),
        ("text/plain", "hé", "hé"),
        ("application/xml", "<a b='1'/>", {"a": {"@b": "1"}}),
        ("text/plain; charset=utf-8", "hé".encode(), "hé"),
    ],
)  # fmt: skip
def test_an_event_of_the_sdk_is_the_same_in_both_modes(
    send: Any, content_type: str, data: Any, seen: JSON
) -> None:
    event = CloudEvent(EVENT | SENT | {"datacontenttype": content_type}, data)
    assert of(send(event)) == SEEN | {"datacontenttype": content_type, "data": seen}


@pytest.mark.parametrize("send", [to_binary_event, to_structured_event])
def test_an_event_of_the_sdk_without_data_has_none(send: Any) -> None:
    found = of(send(CloudEvent(EVENT | SENT)))
    assert found is not None
    assert {name: found[name] for name in SEEN} == SEEN
    assert found.get("data") is None


@pytest.mark.parametrize("send", [to_binary_event, to_structured_event])
def test_a_cdevent_is_a_cloud_event(send: Any) -> None:
    """By its binding (https://github.com/cdevents/spec/blob/main/cloudevents-binding.md)."""
    context, subject = CDEVENT["context"], CDEVENT["subject"]
    attributes = {
        "specversion": "1.0",
        "id": context["id"],
        "source": context["source"],
        "type": context["type"],
        "subject": subject["id"],
        "time": context["timestamp"],
        "datacontenttype": "application/cdevents+json",
    }
    sent = {**attributes, "time": datetime.fromisoformat(context["timestamp"])}
    found = of(send(CloudEvent(sent, CDEVENT)))
    assert found is not None
    assert found.pop("time") == "2026-11-23T04:05:06.789000Z"
    del attributes["time"]
    assert found == attributes | {"data": CDEVENT}


# What is one


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json"},
        {"ce-id": "1", "ce-type": "b"},
        {"ce-flavour": "x"},
        {"cespecversion": "1.0"},
    ],
)
def test_another_request_is_none(headers: dict[str, str]) -> None:
    assert cloud_event(headers, {"specversion": "1.0"}, b"{}") is None


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("application/cloudevents-batch+json", "a batch of CloudEvents is not supported"),
        ("Application/CloudEvents-Batch+JSON; charset=utf-8", "send each in a request of its own"),
        ("application/cloudevents+xml", "'application/cloudevents.xml' are not supported; send"),
        ("application/cloudevents", "send application/cloudevents.json"),
    ],
)
def test_batches_and_other_formats_are_refused(content_type: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        cloud_event({"content-type": content_type}, [], b"[]")
    assert caught.value.status == 415


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"null", b""])
def test_a_structured_event_that_is_no_object_is_refused(body: bytes) -> None:
    headers = {"content-type": STRUCTURED}
    with pytest.raises(Refused, match="is a JSON object, and this is none"):
        cloud_event(headers, parse_body(headers, body), body)


# Attributes


@pytest.mark.parametrize("name", list(EVENT))
def test_a_required_attribute_that_is_missing_is_named(name: str) -> None:
    words = f"the CloudEvent's attribute '{name}': it is missing"
    without: dict[str, Any] = {name: ""}  # no such header
    with pytest.raises(Refused, match=words) as caught:
        binary(**without)
    assert caught.value.status == 400
    with pytest.raises(Refused, match=words):
        structured(**{name: None})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("specversion", "0.3", "only 1.0 is supported"),
        ("specversion", "1.0.2", "only 1.0 is supported"),
        ("id", "", "it is empty"),
        ("id", "a\x7fb", "control characters"),
        ("id", "a\ufdd0", "control characters, or others"),
        ("id", "a\U0001fffe", "control characters, or others"),
        ("source", "a b", "it is no URI"),
        ("source", "/a%zz", "it is no URI"),
        ("source", "/ä", "percent-encode"),
        ("type", "", "it is empty"),
        ("subject", "", "it is empty"),
        ("time", "yesterday", "it is no RFC 3339 timestamp"),
        ("time", "2026-11-23", "it is no RFC 3339 timestamp"),
        ("time", "2026-11-23T04:05:06", "it is no RFC 3339 timestamp"),
        ("time", "2026-02-30T04:05:06Z", "it is no RFC 3339 timestamp"),
        ("time", "2026-11-23T04:05:61Z", "it is no RFC 3339 timestamp"),
        ("time", "2026-11-23T04:05:06+24:00", "it is no RFC 3339 timestamp"),
        ("time", "2026-11-23T04:05:06.٧Z", "it is no RFC 3339 timestamp"),
        ("dataschema", "/relative", "it is no absolute URI"),
        ("datacontenttype", "json", "it is no media type"),
        ("data-set", "a", "lower-case letters and digits only"),
        ("äxt", "a", "lower-case letters and digits only"),
        ("ext", "a\tb", "control characters"),
    ],
)  # fmt: skip
def test_a_malformed_attribute_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(Refused, match=f"the CloudEvent's attribute '{name}': .*{words}") as caught:
        structured(**{name: value})
    assert caught.value.status == 400
    headers = {f"ce-{each}": text for each, text in (EVENT | {name: value}).items()}
    if name == "datacontenttype":
        headers = {"content-type": value, **{f"ce-{each}": EVENT[each] for each in EVENT}}
    with pytest.raises(Refused, match=f"the CloudEvent's attribute '{name}': .*{words}"):
        cloud_event(headers, None, b"")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"id": 5}, "'id': it is no string"),
        ({"subject": True}, "'subject': it is no string"),
        ({"ext": {"a": 1}}, "'ext': it is neither a string nor a bool nor an integer"),
        ({"ext": [1]}, "'ext': it is neither"),
        ({"ext": 1.5}, "'ext': it is neither"),
        ({"Ext": "a"}, "'Ext': a name has lower-case letters"),
        ({"": "a"}, "'': a name has lower-case letters"),
        ({"data": 1, "data_base64": "MQ=="}, "'data_base64': there is `data` as well"),
        ({"data_base64": "MQ="}, "'data_base64': it is not Base64"),
        ({"data_base64": "ä"}, "'data_base64': it is not Base64"),
        ({"data_base64": {}}, "'data_base64': it is not Base64"),
        ({"data": "<a>", "datacontenttype": "text/xml"}, "'data': malformed XML body"),
        ({"data_base64": "ew==", "datacontenttype": "text/json"}, None),
        ({"data_base64": "ew==", "datacontenttype": "a/b+json"}, "'data': malformed JSON body"),
    ],
)  # fmt: skip
def test_what_json_can_get_wrong_is_named(members: dict[str, Any], words: str | None) -> None:
    if words is None:
        assert structured(**members) == EVENT | {"datacontenttype": "text/json", "data": "{"}
        return
    with pytest.raises(Refused, match=f"the CloudEvent's attribute {words}") as caught:
        structured(**members)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "time",
    ["2026-11-23T04:05:06Z", "2026-11-23t04:05:06z", "2026-11-23T04:05:06.123456789+01:30",
     "2016-12-31T23:59:60Z", "0001-01-01T00:00:00-23:59"],
)  # fmt: skip
def test_any_rfc_3339_timestamp_is_taken_as_it_is(time: str) -> None:
    assert structured(time=time) == binary(time=time) == EVENT | {"time": time}


def test_extensions_are_what_json_has_and_strings_in_headers() -> None:
    assert structured(n=5, yes=True, unset=None) == EVENT | {"n": 5, "yes": True}
    assert binary(n="5", yes="true") == EVENT | {"n": "5", "yes": "true"}


# Header values


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%41%2f%2F", "A//"),
        ("%2541", "%41"),
        ("100%", "100%"),
        ("a+b", "a+b"),
        ('"a b"', "a b"),
        (r'"a \"b\" \\ c"', r'a "b" \ c'),
        ('"%41"', "A"),
        ("%22a%22", '"a"'),
        ('"a', '"a'),
        ("é", "é"),
    ],
)
def test_a_header_is_unquoted_and_percent_decoded_once(value: str, seen: str) -> None:
    assert binary(subject=value) == EVENT | {"subject": seen}


@pytest.mark.parametrize("value", ["%C0%A0", "a%ff", "%ED%A0%80", "\udcff"])
def test_a_header_that_is_not_utf_8_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="'subject': it is not valid UTF-8; percent-encode"):
        binary(subject=value)


def test_the_content_type_of_a_binary_event_is_the_content_type() -> None:
    found = binary(b"{}", "application/json; charset=utf-8", datacontenttype="text/plain")
    assert found == EVENT | {"datacontenttype": "application/json; charset=utf-8", "data": {}}
    assert binary(datacontenttype="text/plain") == EVENT


def test_data_is_no_header() -> None:
    with pytest.raises(Refused, match=r"'data': a name has .* and is not `data`"):
        binary(data="x")


# Data


@pytest.mark.parametrize(
    ("members", "data"),
    [
        ({"data": "<not xml"}, "<not xml"),
        ({"data": "[1]", "datacontenttype": "application/json"}, "[1]"),
        ({"data": {"a": 1}, "datacontenttype": "text/xml"}, {"a": 1}),
        ({"data": "é", "datacontenttype": "text/plain; charset=iso-8859-1"}, "é"),
        ({"data": "a=1&b=2", "datacontenttype": "application/x-www-form-urlencoded"},
         {"a": "1", "b": "2"}),
        ({"data": "raw", "datacontenttype": "application/thrift"}, "raw"),
        ({"data_base64": "eyJhIjogMX0=", "datacontenttype": "application/json"}, {"a": 1}),
        ({"data_base64": "6Q==", "datacontenttype": "text/plain; charset=iso-8859-1"}, "é"),
        ({"data_base64": "AAE=", "datacontenttype": "application/thrift"}, "AAE="),
        ({"data_base64": "AAE="}, "AAE="),
        ({"data_base64": "AAE=", "data": None}, "AAE="),
        ({"data": None}, None),
        ({"data": False}, False),
    ],
)  # fmt: skip
def test_data_is_read_by_its_content_type(members: dict[str, Any], data: JSON) -> None:
    found = structured(**members)
    assert found is not None
    assert "data" in found
    assert found["data"] == data


def test_an_event_without_data_has_no_such_key() -> None:
    assert structured() == EVENT
    assert binary() == EVENT
    assert binary(b"null") == EVENT | {"data": None}


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Co"]), min_size=1))
def test_any_text_in_an_attribute_comes_through_both_modes_of_the_sdk(text: str) -> None:
    event = CloudEvent(EVENT | {"subject": text}, {})
    for send in (to_binary_event, to_structured_event):
        found = of(send(event))
        assert found is not None
        assert found["subject"] == text
