"""Bodies made to bring a daemon to its knees, through the judge and through the whole daemon: each
gets a verdict that says so, at once, and whoever else is there is served."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.body import parse_body
from daemon.dispatch import State
from daemon.errors import ExpressionError
from daemon.event import Delivery, Event, Outcome
from daemon.expressions import Bindings, Vocabulary
from daemon.expressions.templates import RENDERED_MAX
from daemon.ids import IdSource
from daemon.judge import Judgement, judge_delivery
from tests.inprocess import serving
from tests.specs import SIGNED, trigger, trigger_entry

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
SQUARE = {"a": list(range(9000)), "b": [-1] * 9000}
LONG = {"text": "x" * 100_000}


def judged(body: object, **keys: Any) -> Judgement:
    """What becomes of a delivery with this body, which must be told within two seconds."""
    encoded = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    delivery = Delivery("/hook", "POST", "/hook", headers, {}, {}, encoded, "192.0.2.1", NOW)
    ids, spec = IdSource(), trigger(**keys)
    parsed = parse_body(headers, encoded)
    start = time.perf_counter()
    (judgement,) = judge_delivery(
        Event("evt_1", delivery), delivery, parsed, [spec], lambda: ids.dispatch(NOW)
    )
    assert time.perf_counter() - start < 2
    return judgement


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"when": "body.a.exists(x, x in body.b)"}, "when"),
        ({"variables": {"both": "body.a.filter(x, x in body.b)"}}, "variables.both"),
        ({"dedupe": {"key": "json.encode(body.a.map(x, body.b))"}}, "dedupe.key"),
    ],
)
def test_a_judgement_that_could_take_long_is_an_error_with_its_place_and_expression(
    keys: dict[str, Any], place: str
) -> None:
    verdict = judged(SQUARE, **keys).verdict
    assert verdict.outcome is Outcome.ERROR
    assert verdict.reason.startswith(f"{place}: could take ")
    assert "it looks at 18,0" in verdict.reason
    assert " — in: " in verdict.reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"a": ["{{ body.text.replace('x', body.text) }}"]}, "client_payload.a[0]: could take "),
        ({"a": "{{ body.text.split('').map(x, body.text) }}"}, "client_payload.a: could take "),
        ({"a": "{{ body }}" * 100}, "client_payload.a: what is rendered grows beyond 8 MiB"),
        (
            {"a": {str(n): "{{ body.text + body.text }}" for n in range(50)}},
            "client_payload.a.41: what is rend",
        ),
        (
            {"a": ["{{ [body.text] }}"] * 100},
            "client_payload.a[83]: what is rendered grows beyond 8 MiB",
        ),
        ({"a": "{{ body.text }}"}, "client_payload has 100,"),
    ],
)
def test_a_payload_that_explodes_is_a_dead_dispatch_with_the_reason(
    payload: dict[str, Any], reason: str
) -> None:
    verdict = judged(LONG, dispatch={"event_type": "x", "client_payload": payload}).verdict
    (dispatch,) = verdict.dispatches
    assert (verdict.outcome, dispatch.state) == (Outcome.DISPATCHED, State.DEAD)
    assert dispatch.reason.startswith(reason)
    assert dispatch.client_payload == ""


def test_a_text_is_given_up_before_it_is_put_together() -> None:
    text = Vocabulary.for_trigger([]).template("{{ body }}" * 100)
    with pytest.raises(ExpressionError, match="grows beyond 8 MiB"):
        text.render(Bindings({"body": LONG}))


def test_an_answer_that_explodes_is_left_out_and_the_verdict_stands() -> None:
    judgement = judged(LONG, response={"body": "{{ body }}" * 100})
    assert judgement.verdict.outcome is Outcome.DISPATCHED
    assert judgement.answer is None
    assert judgement.answer_fault.startswith("response.body: what is rendered grows beyond")
    fits = judged(LONG, response={"body": "{{ body }}" * (RENDERED_MAX // 100_100)})
    assert fits.answer is not None


def test_variables_cannot_double_a_body_without_end() -> None:
    """Each is linear in what it is given; what it is given is not the body any more."""
    doubling = {f"v{n}": f"variables.v{n - 1} + variables.v{n - 1}" for n in range(1, 40)}
    verdict = judged(LONG, variables={"v0": "body.text", **doubling}).verdict
    assert verdict.outcome is Outcome.ERROR
    assert ": could take " in verdict.reason


def test_variables_cannot_be_nested_until_the_engine_runs_out_of_stack() -> None:
    """It recurses natively: some thousands of levels would be the end of the process."""
    brackets = "[" * 20 + "variables.v{}" + "]" * 20
    nesting = {f"v{n}": brackets.format(n - 1) for n in range(1, 60)}
    verdict = judged([1], variables={"v0": "body", **nesting}).verdict
    assert verdict.outcome is Outcome.ERROR
    assert "variables.v13: variables.v13 is nested more than 256 levels deep" in verdict.reason


async def test_a_daemon_answers_such_a_delivery_and_everybody_else(tmp_path: Path) -> None:
    entries = [
        trigger_entry("square", auth=SIGNED, path="/hook", when="body.a.exists(x, x in body.b)"),
        trigger_entry(
            "explodes",
            auth=SIGNED,
            path="/hook",
            when="size(body.a) == 9000",
            dispatch={
                "event_type": "x",
                "client_payload": {"all": "{{ body.a.map(x, body.b) }}"},
            },
        ),
        trigger_entry("walks", auth=SIGNED, path="/hook", when="(body.a + body.b).all(x, x < 9e9)"),
        trigger_entry("other", auth=SIGNED, path="/other", when="body.ref == 'main'"),
    ]
    async with serving(tmp_path, triggers=entries) as daemon:
        start = time.perf_counter()
        status, answer = await daemon.deliver("/hook", SQUARE)
        assert status == 202
        assert time.perf_counter() - start < 5
        status, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        verdicts = {each["entry"]: each for each in event["verdicts"]}
        assert verdicts["square"]["outcome"] == "error"
        assert verdicts["square"]["reason"].startswith("when: could take ")
        assert verdicts["walks"]["outcome"] == "error"
        assert "goes over more than 10,000 items" in verdicts["walks"]["reason"]
        assert verdicts["explodes"]["outcome"] == "dispatched"
        (dispatch,) = event["dispatches"]
        assert dispatch["state"] == "dead"
        assert dispatch["reason"].startswith("client_payload.all: could take ")
        status, answer = await daemon.deliver("/other", {"ref": "main"})
        assert (status, answer["matched"]) == (202, ["other"])


async def test_compression_hides_no_work_from_the_bound(tmp_path: Path) -> None:
    """What 300 bytes come to is what counts."""
    body = gzip.compress(b'{"a":[%b],"b":[%b]}' % (b"1," * 40_000 + b"1", b"2," * 40_000 + b"2"))
    entry = trigger_entry(auth=SIGNED, when="body.a.exists(x, x in body.b)")
    async with serving(tmp_path, triggers=[entry]) as daemon:
        status, answer = await daemon.deliver("/hook", body, headers={"content-encoding": "gzip"})
        assert status == 202
        _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        assert event["verdicts"][0]["outcome"] == "error"
        assert "could take" in event["verdicts"][0]["reason"]
