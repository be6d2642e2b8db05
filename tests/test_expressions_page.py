"""docs/expressions.md is true: what stands behind ``//`` is what the expression comes to, every
template and recipe gives what is shown below it, and no name or function is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from daemon.body import parse_body
from daemon.errors import ExpressionError
from daemon.event import Delivery, Event, Outcome
from daemon.expressions import DECLARED, JSON, Bindings, Vocabulary
from daemon.expressions import Path as ValuePath
from daemon.ids import IdSource
from daemon.judge import Judgement, bindings_of, judge_delivery
from daemon.routes import Routes
from tests.console import agrees
from tests.examples import Example, examples
from tests.specs import trigger

PAGE = Path(__file__).parents[1] / "docs" / "expressions.md"
EXAMPLES = examples(PAGE)
NOW = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)

FIRING: dict[str, object] = {
    "event.id": "evt_1",
    "firing.cron": "nightly",
    "firing.scheduled_at": NOW,
    "firing.fired_at": NOW + timedelta(milliseconds=12),
    "firing.catch_up": False,
    "dispatch_id": "dsp_1",
}


@dataclass(frozen=True)
class Sample:
    """A request that the page shows, as the receiver would hand it on."""

    path: str
    delivery: Delivery

    @classmethod
    def read(cls, example: Example) -> Sample:
        head, _, body = example.text.partition("\n\n")
        request, *lines = head.splitlines()
        method, target, _ = request.split(" ")
        url = urlsplit(target)
        headers = {name.lower(): value for name, value in (line.split(": ") for line in lines)}
        match = Routes([trigger(path=example.directives["path"])]).match(url.path)
        assert match is not None
        delivery = Delivery(
            route=match.route.path,
            method=method,
            path=url.path,
            headers=headers,
            query=dict(parse_qsl(url.query)),
            params=match.params,
            body=body.strip().encode(),
            client_ip="192.0.2.1",
            received_at=NOW,
        )
        return cls(match.route.path, delivery)

    @property
    def body(self) -> JSON:
        return parse_body(self.delivery.headers, self.delivery.body)

    def values(self) -> dict[str, object]:
        bindings = bindings_of(self.event, self.delivery, self.body)
        return {**bindings.values, "event.trigger": "trigger", "dispatch_id": "dsp_1"}

    @property
    def event(self) -> Event:
        return Event("evt_1", self.delivery)

    def judged(self, recipe: dict[str, Any]) -> Judgement:
        ids = IdSource()
        spec = trigger(path=self.path, **recipe)
        (judgement,) = judge_delivery(
            self.event, self.delivery, self.body, [spec], lambda: ids.dispatch(NOW)
        )
        return judgement


SAMPLES = {each.name: Sample.read(each) for each in EXAMPLES if each.language == "http"}


def scope(name: str) -> tuple[Vocabulary, Bindings]:
    """The names that an example may use, and their values."""
    if name == "cron":
        return Vocabulary.for_cron().with_dispatch(), Bindings(FIRING)
    sample = SAMPLES[name]
    vocabulary = Vocabulary.for_trigger(sample.delivery.params).with_dispatch()
    return vocabulary, Bindings(sample.values())


def stated() -> Iterator[Any]:
    for example in EXAMPLES:
        if example.language == "cel":
            for number, line in enumerate(example.text.splitlines(), example.line):
                source, _, result = line.rpartition(" // ")
                on = example.directives["on"]
                yield pytest.param(on, source.strip(), result.strip(), id=f"line {number}")


@pytest.mark.parametrize(("on", "source", "result"), list(stated()))
def test_an_expression_comes_to_what_stands_behind_it(on: str, source: str, result: str) -> None:
    vocabulary, bindings = scope(on)
    expression = vocabulary.expression(source)
    if result.startswith("error: "):
        with pytest.raises(ExpressionError, match=re.escape(result.removeprefix("error: "))):
            expression.evaluate(bindings)
    else:
        value, shown = expression.evaluate(bindings), json.loads(result)
        assert (value, type(value)) == (shown, type(shown))


def followed_by(name: str, answer: str) -> list[Any]:
    """The examples called ``name``, each with the one below it that shows what it gives."""
    pairs = [(one, other) for one, other in pairwise(EXAMPLES) if one.directives.get("on")]
    found = [(one, other) for one, other in pairs if one.name.endswith(name)]
    assert found
    assert {other.name for _, other in found} == {answer}
    return [pytest.param(one, other, id=f"line {one.line}") for one, other in found]


@pytest.mark.parametrize(("example", "rendered"), followed_by("template", "rendered"))
def test_a_template_renders_as_shown_below_it(example: Example, rendered: Example) -> None:
    vocabulary, bindings = scope(example.directives["on"])
    faults: list[tuple[ValuePath, ExpressionError]] = []
    tree = vocabulary.tree(json.loads(example.text), faults)
    assert faults == []
    assert tree.render(bindings) == json.loads(rendered.text)


@pytest.mark.parametrize(("recipe", "sent"), followed_by("recipe", "sent"))
def test_a_recipe_sends_what_is_shown_below_it(recipe: Example, sent: Example) -> None:
    verdict = SAMPLES[recipe.directives["on"]].judged(json.loads(recipe.text)).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.DISPATCHED, "")
    assert [each.reason for each in verdict.dispatches if each.reason] == []
    made = []
    for dispatch in verdict.dispatches:
        payload = json.loads(dispatch.client_payload)
        if dispatch.workflow:
            assert payload.pop("dispatchd") == dispatch.id
            made.append({"workflow": dispatch.workflow, "ref": dispatch.ref, "inputs": payload})
            continue
        assert payload.pop("dispatchd")["id"] == dispatch.id
        made.append({"event_type": dispatch.event_type, "client_payload": payload})
    for shown, actual in zip(json.loads(sent.text), made, strict=True):
        assert agrees(
            json.dumps(shown, ensure_ascii=False, sort_keys=True),
            json.dumps(actual, sort_keys=True),
        )
    if key := sent.directives.get("key"):
        assert verdict.dedupe is not None
        assert verdict.dedupe.key == key


def test_every_name_in_scope_is_in_the_table_and_no_other() -> None:
    _, _, table = PAGE.read_text(encoding="utf-8").partition("| name | type |")
    shown = set(re.findall(r"^\| `([\w.]+)` \|", table.partition("\n\n")[0], re.MULTILINE))
    vocabularies = (Vocabulary.for_trigger(["NAME"]), Vocabulary.for_cron())
    names = {name for each in vocabularies for name in each.with_dispatch().names}
    assert shown == names | {"variables.NAME"}


def test_every_function_of_ours_is_explained_in_its_own_words() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [each.signature for each in DECLARED if f"`{each.signature}`" not in text] == []


@pytest.mark.parametrize(
    "source", ['"9" > 8', "body.in", "body.?ref", 'event.nope == ""', "variables.x", "dispatch_ids"]
)
def test_what_the_page_says_is_refused_at_load_is_refused_at_load(source: str) -> None:
    vocabulary, _ = scope("push")
    with pytest.raises(ExpressionError):
        vocabulary.expression(source)
