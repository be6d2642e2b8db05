"""docs/bodies.md is true: of each request that it shows `dispatchd test` makes the body, the
CloudEvent, the refusal or the error below it; and the limits that it names are the code's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from daemon.body import DEPTH_MAX, FORM_FIELDS_MAX
from daemon.body.compression import ENCODINGS_MAX
from daemon.body.multipart_body import PART_HEADER_BYTES_MAX, PART_HEADERS_MAX
from daemon.body.xml_body import XML_DEPTH_MAX, XML_NODES_MAX
from tests.examples import Example, examples
from tests.shell import Shell
from tests.specs import trigger_entry

PAGE = Path(__file__).parents[1] / "docs" / "bodies.md"


CONDITION = "event.cloudevent.type.startsWith('dev.cdevents.')"

TRIGGERS = [
    trigger_entry("body", dispatch={"event_type": "x", "client_payload": {"seen": "{{ body }}"}}),
    trigger_entry(
        "event", dispatch={"event_type": "x", "client_payload": {"seen": "{{ event.cloudevent }}"}}
    ),
    trigger_entry("asking", when=CONDITION),
    trigger_entry("asking-first", when=f"event.cloudevent != null && {CONDITION}"),
]


def shown() -> list[Any]:
    pairs = [(one, below) for one, below in pairwise(examples(PAGE)) if one.name == "request"]
    assert {below.name for _, below in pairs} == {"body", "cloudevent", "refused", "error"}
    return [pytest.param(one, below, id=f"line {one.line}") for one, below in pairs]


async def tried(shell: Shell, example: Example) -> dict[str, Any]:
    """What becomes of a request as the page shows it, by the trigger's name."""
    shell.write(triggers=TRIGGERS)
    head, _, body = example.text.partition("\n\n")
    headers = head.splitlines()[1:]
    text = body.strip()
    if any("multipart" in header for header in headers):
        text = text.replace("\n", "\r\n")
    options = [word for header in headers for word in ("--header", header)]
    ran = await shell.run("test", "body", "--payload", "-", *options, "--json", stdin=text.encode())
    return {each["trigger"]: each for each in (ran.json, *ran.json["others"])}


def seen(result: Mapping[str, Any]) -> Any:
    return result["requests"][0]["body"]["client_payload"]["seen"]


@pytest.mark.parametrize(("request_", "below"), shown())
async def test_a_request_comes_to_what_is_shown_below_it(
    tmp_path: Path, request_: Example, below: Example
) -> None:
    became = await tried(Shell(tmp_path), request_)
    if below.name == "refused":
        reason = f"{below.directives['status']}: {below.text.strip()}"
        assert {each["reason"] for each in became.values()} == {reason}
    elif below.name == "error":
        assert became["asking"]["outcome"] == "error"
        assert became["asking"]["reason"] == below.text.strip()
        assert became["body"]["outcome"] == "dispatched"
        assert f"`{CONDITION}`" in PAGE.read_text(encoding="utf-8")
    elif below.name == "cloudevent":
        assert seen(became["event"]) == json.loads(below.text)
    else:
        assert seen(became["body"]) == json.loads(below.text)
        assert seen(became["event"]) is None
        assert became["asking-first"]["outcome"] == "unmatched"


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
