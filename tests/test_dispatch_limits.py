"""No template's output passes a limit of GitHub's unnoticed: it goes out within all of them, or it
is a dead dispatch that says why."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from daemon.body import parse_body
from daemon.dispatch import State
from daemon.event import Delivery, Event
from daemon.expressions import JSON, Template, Tree, Vocabulary
from daemon.github import dispatch_request
from daemon.judge import judge_delivery
from daemon.spec import DispatchSpec
from tests.github_limits import refusals
from tests.specs import trigger

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
VOCABULARY = Vocabulary.for_trigger([]).with_dispatch()
TRIGGER = trigger()
"""Its dispatch gets another payload each time."""

EXPRESSIONS = st.sampled_from(
    [
        "body",
        "body.a",
        "body.?b.orValue(null)",
        "[body, body]",
        "{'a': body, 'b': [headers]}",
        "body.map(x, x)",
        "body.map(x, [x, x])",
        "json.encode(body)",
        "json.encode(json.encode(body))",
        "string(body.a) + body.b",
        "body.a + body.a + body.a",
        "'%s%s'.format([body.a, body.b])",
        "[body.a, body.b].join(body.a)",
        "body.a.split('')",
        "body.a.replace('', body.b)",
        "1.0 / body.n",
        "double('NaN')",
        "bytes(body.a)",
        "dispatch_id",
        "timestamp(0) + duration('1s')",
    ]
)
TEMPLATES = st.lists(
    EXPRESSIONS.map("{{{{ {} }}}}".format) | st.text('aé\U0001f600"\\ ', max_size=8),
    min_size=1,
    max_size=3,
).map("".join) | EXPRESSIONS.map("{{{{ {} }}}}".format)
KEYS = st.sampled_from(["a", "b", "dispatchd", "é" * 50, "k" * 1000]) | st.text(
    st.characters(codec="utf-8", exclude_characters="{}"), max_size=4
)
PAYLOADS = st.dictionaries(
    KEYS,
    st.recursive(
        TEMPLATES | st.none() | st.booleans() | st.integers() | st.just("x" * 30_000),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=8,
    ),
    max_size=12,
)
NEAR = st.integers(65_535 - 90, 65_540)
"""Lengths around the limit: the metadata takes some fifty bytes."""
TEXTS = st.builds(
    lambda piece, length: (piece * length)[:length],
    st.text(st.characters(codec=None, categories=None), min_size=1, max_size=4)
    | st.sampled_from(["x", "é", "\U0001f600", '"', "\0", "\ud800"]),
    st.integers(0, 150) | NEAR | NEAR.map(lambda length: length // 2),
)
NUMBERS = st.integers() | st.floats(allow_nan=False) | st.sampled_from([0, 10**400, -0.0])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=6)
    | st.dictionaries(st.sampled_from(["a", "b", "n"]) | st.text(max_size=3), inner, max_size=12),
    max_leaves=12,
)  # fmt: skip
BODIES = (VALUES | st.fixed_dictionaries({"a": TEXTS, "b": TEXTS, "n": NUMBERS})).map(
    lambda value: json.dumps(value).replace("Infinity", "1e999").encode()
)


def spec(payload: JSON, event_type: str, *, metadata: bool) -> DispatchSpec:
    faults: list[Any] = []
    tree: Tree = VOCABULARY.tree(payload, faults)
    assert not faults, faults
    kind: Template = VOCABULARY.template(event_type)
    return replace(
        TRIGGER.dispatches[0], client_payload=tree, event_type=kind, inject_metadata=metadata
    )


@settings(max_examples=200, deadline=None)
@given(
    payload=PAYLOADS,
    event_type=st.sampled_from(["build", "build", "{{ body.a }}"]) | TEMPLATES,
    metadata=st.booleans(),
    body=BODIES,
)
def test_what_goes_out_is_within_githubs_limits_or_dead_with_the_reason(
    payload: dict[str, JSON], event_type: str, metadata: bool, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    delivery = Delivery("/hook", "POST", "/hook", headers, {}, {}, body, "127.0.0.1", NOW)
    made = replace(TRIGGER, dispatches=(spec(payload, event_type, metadata=metadata),))
    (judgement,) = judge_delivery(
        Event("evt_1", delivery),
        delivery,
        parse_body(headers, body),
        [made],
        lambda: "dsp_01kb0000000000000000000000",
    )
    (dispatch,) = judgement.verdict.dispatches
    event(f"{dispatch.state}: {dispatch.reason[:40]}")
    if dispatch.state is State.DEAD:
        assert dispatch.reason
        assert dispatch.client_payload == ""
        return
    assert dispatch.state is State.PENDING
    assert refusals(dispatch_request(dispatch, "https://api.github.com").body) == []
