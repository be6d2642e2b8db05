"""docs/bodies.md is true: each request that it shows has the body, the CloudEvent or the refusal
that stands below it, and the limits that it names are those of the code."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from daemon.body import DEPTH_MAX, FORM_FIELDS_MAX, parse_body
from daemon.body.compression import ENCODINGS_MAX
from daemon.body.multipart_body import PART_HEADER_BYTES_MAX, PART_HEADERS_MAX
from daemon.body.xml_body import XML_DEPTH_MAX, XML_NODES_MAX
from daemon.cloudevents import cloud_event
from daemon.errors import Refused
from tests.examples import Example, examples

PAGE = Path(__file__).parents[1] / "docs" / "bodies.md"


def shown() -> list[Any]:
    pairs = [(one, below) for one, below in pairwise(examples(PAGE)) if one.name == "request"]
    assert {below.name for _, below in pairs} == {"body", "cloudevent", "refused"}
    return [pytest.param(one, below, id=f"line {one.line}") for one, below in pairs]


def sent(example: Example) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a request as the page shows it."""
    head, _, body = example.text.partition("\n\n")
    lines = [line.partition(": ") for line in head.splitlines()[1:]]
    headers = {name.lower(): value for name, _, value in lines}
    text = body.strip()
    if "multipart" in headers["content-type"]:
        text = text.replace("\n", "\r\n")
    return headers, text.encode()


@pytest.mark.parametrize(("request_", "below"), shown())
def test_a_request_comes_to_what_is_shown_below_it(request_: Example, below: Example) -> None:
    headers, body = sent(request_)
    if below.name == "refused":
        with pytest.raises(Refused) as caught:
            cloud_event(headers, parse_body(headers, body), body)
        assert str(caught.value.status) == below.directives["status"]
        assert caught.value.message == below.text.strip()
        return
    value = parse_body(headers, body)
    if below.name == "cloudevent":
        assert cloud_event(headers, value, body) == json.loads(below.text)
    else:
        assert value == json.loads(below.text)
        assert cloud_event(headers, value, body) is None


def test_the_limits_named_are_those_of_the_code() -> None:
    assert ENCODINGS_MAX == 2
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    figures = [
        f"at most {DEPTH_MAX} levels deep",
        f"At most {FORM_FIELDS_MAX:,} fields",
        f"At most {FORM_FIELDS_MAX:,} parts, each with at most {PART_HEADERS_MAX} headers of "
        f"{PART_HEADER_BYTES_MAX:,} bytes",
        f"At most {XML_DEPTH_MAX} elements within each other, and {XML_NODES_MAX:,} elements and "
        "attributes",
        "at most two on top of each other",
    ]
    assert [figure for figure in figures if figure not in text] == []
