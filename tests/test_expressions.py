"""Conditions and templates: what they may name, what they come to, and what goes wrong."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ExpressionError
from daemon.expressions import JSON, Bindings, Path, Vocabulary, as_text, compact, to_json

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
TRIGGER = Vocabulary.for_trigger(["team"])


def bindings(body: JSON = None, **values: Any) -> Bindings:
    return Bindings(
        {
            "body": body,
            "headers": {"x-github-event": "push"},
            "query": {},
            "method": "POST",
            "event.id": "evt_1",
            "event.received_at": NOW,
            "event.client_ip": "192.0.2.1",
            "params.team": "core",
            **values,
        }
    )


def evaluated(source: str, body: JSON = None) -> JSON:
    return TRIGGER.expression(source).evaluate(bindings(body))


def rendered(text: str, body: JSON = None, *, lenient: bool = False) -> JSON:
    return TRIGGER.template(text, lenient=lenient).render(bindings(body))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("body.ref.split('/')[2]", "main"),
        ("body.?missing.?deeper.orValue('x')", "x"),
        ("headers['x-github-event']", "push"),
        ("params.team", "core"),
        ("regex.extract('CONFIDENCE_SCORE: 9/10', '([0-9]+)/10')", "9"),
        ("regex.extract('abc', 'b.')", "bc"),
        ("regex.extract('abc', 'x')", ""),
        ("json.encode(body.commits)", '[{"id":"é"}]'),
        ("json.encode({'a': [1, 2.5, null, true]})", '{"a":[1,2.5,null,true]}'),
        ("sha256('a')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("event.received_at", "2026-11-23T04:05:06Z"),
        ("event.received_at - duration('1h')", "2026-11-23T03:05:06Z"),
        ("duration('90s')", "90s"),
        ("b'abc'", "YWJj"),
        ("body.commits.map(c, c.id)", ["é"]),
        ("{1: 'x'}", {"1": "x"}),
        ("type(body)", "map"),
        ("[type(1), type('')]", ["int", "string"]),
        ("body.count == 3 && body.count == 3.0", True),
    ],
)
def test_an_expression_comes_to_json(source: str, value: JSON) -> None:
    assert evaluated(source, {"ref": "a/b/main", "commits": [{"id": "é"}], "count": 3}) == value


@pytest.mark.parametrize(
    ("source", "words", "column"),
    [
        ("event.nope", "did you mean 'event.id'", 6),
        ("params.tem", "did you mean 'params.team'", 7),
        ("heders['x']", "did you mean 'headers'", 1),
        ("bod.after.x", "did you mean 'body'", 10),
        ("variables.x", "unknown name 'variables.x'", 10),
        ("dispatch_id", "unknown name 'dispatch_id'", 1),
        ("regexp.extract('a', 'b')", "unknown name 'regexp'", 1),
        ("body.a ==", "Syntax error: mismatched input '<EOF>'", 10),
        ("body.a = 1", "a comparison is ==", 8),
        ("body.a and body.b", "and is &&", 8),
        ("body.a ?? 'x'", "orValue", 9),
        ("body.s.len()", "unknown function 'len': did you mean 'size'", 11),
        ("now()", "unknown function 'now': docs/expressions.md lists them", 4),
        ("headers.x-github-event == 'push'", "brackets: headers['x-github-event']", 11),
        ("headers['X-GitHub-Event']", "in lower case here: 'x-github-event'", 10),
        ("body.s.matches('(')", "invalid regular expression: missing )", 16),
        ("regex.extract(body.s, r'(')", "invalid regular expression: missing )", 23),
        ("event.id + 1", "no matching overload", 10),
        ("body.?x", ".orValue", 0),
        ("[body.?x]", ".orValue", 0),
        ("(" * 200 + "1" + ")" * 200, "nested too deeply: the engine takes 32 levels", 0),
        ("body" + ".a" * 200, "nested too deeply: the engine takes 32 levels", 0),
        ("'" + "a" * 100_000 + "'", "longer than the 100,000 characters", 0),
    ],
)
def test_a_fault_is_found_when_the_expression_is_compiled(
    source: str, words: str, column: int
) -> None:
    with pytest.raises(ExpressionError) as caught:
        TRIGGER.expression(source)
    assert words in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize(
    "source",
    [
        "json.encode({'ref': body.?ref})",
        "{'a': dyn(body.?x)}",
        "[{'a': dyn(body.?x)}]",
        "dyn({'a': optional.of(1)})",
        "dyn([optional.of(1)])",
        "[1, body.?x].size()",
        "{'a': 1, 'b': body.?x}.size()",
        "body.?x.orValue({'a': dyn(optional.none())})",
        "cel.bind(v, body.?x, json.encode({'a': v}))",
        "json.encode(body.l.map(i, body.?x))",
        "[body.?x.optMap(v, {'k': v})]",
        "[[[{'a': {'b': [body.?x]}}]]]",
        "{'a': body.l.exists(i, [body.?x, 1] == [])}",
    ],
)
def test_an_optional_gets_into_no_list_and_no_map(source: str) -> None:
    """The binding crashes the whole process when it converts one there (a segmentation fault)."""
    with pytest.raises(ExpressionError, match="orValue"):
        TRIGGER.expression(source)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("json.encode({'ref': body.?ref.orValue('none')})", '{"ref":"none"}'),
        ("json.encode({?'ref': body.?ref})", "{}"),
        ("[?body.?ref, ?body.?n, 2]", [1, 2]),
        ("{?'n': body.?n, 'm': 2}", {"n": 1, "m": 2}),
        ("body.?n.hasValue() ? [body.n] : []", [1]),
        ("body.l.map(i, body.?x.orValue(i))", [1, 2]),
        ("body.?n.optMap(v, [v, v]).orValue([])", [1, 1]),
    ],
)
def test_an_optional_that_was_given_a_value_may_go_anywhere(source: str, value: JSON) -> None:
    assert evaluated(source, {"n": 1, "l": [1, 2]}) == value


@pytest.mark.parametrize("source", ["{1.5: 1}", "{b'x': 1}", "{null: 1}", "{[1]: 1}"])
def test_a_map_key_that_cel_does_not_know_is_a_fault(source: str) -> None:
    with pytest.raises(ExpressionError):
        TRIGGER.expression(source)


def test_white_space_around_dots_does_not_hide_a_late_name() -> None:
    values = bindings().extended({"event.trigger": "push"})
    assert TRIGGER.expression("event . trigger").evaluate(values) == "push"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("body.nope", "there is no key 'nope' (where it may be absent: .?nope.orValue"),
        ("headers['x-no']", "there is no key 'x-no' (where it may be absent: [?\"x-no\"].orValue"),
        ("1 / 0", "divide by zero"),
        ("body.n + 'a'", "does not fit the types"),
        ("double('nan')", "JSON cannot hold"),
        ("regex.extract('a', body.p)", "invalid regular expression: missing )"),
        ("body.l[5]", "index"),
    ],
)
def test_a_failure_is_an_error_and_never_a_value(source: str, words: str) -> None:
    """The engine returns its errors as values whose plain form is a truthy string."""
    with pytest.raises(ExpressionError, match=re.escape(words)):
        evaluated(source, {"n": 1, "l": [], "p": "("})


def test_a_condition_must_be_a_bool() -> None:
    with pytest.raises(ExpressionError, match="of type string"):
        TRIGGER.condition("event.id")
    with pytest.raises(ExpressionError, match="came to 'yes'"):
        TRIGGER.condition("body").holds(bindings("yes"))
    assert TRIGGER.condition("body").holds(bindings(True)) is True


def test_one_expression_alone_keeps_its_type_and_others_join_as_text() -> None:
    body: JSON = {"n": 3, "o": {"a": [1, None]}, "s": "x"}
    assert rendered("{{ body.n }}", body) == 3
    assert rendered("{{body.o}}", body) == {"a": [1, None]}
    assert rendered("n={{ body.n }}, o={{ body.o }}, s={{ body.s }}", body) == (
        'n=3, o={"a":[1,null]}, s=x'
    )
    assert rendered("at {{ event.received_at }}", body) == "at 2026-11-23T04:05:06Z"
    assert rendered("no expression, } and {") == "no expression, } and {"
    assert rendered("") == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("{{ '}}' }}", "}}"),
        ("{{ \"}}\" + 'a' }}!", "}}a!"),
        ("{{ '''}}''' }}", "}}"),
        (r"{{ r'\d}}' }}", r"\d}}"),
        ("{{ '\\'}}' }}", "'}}"),
        ("{{ '{{' }}", "{{"),
    ],
)
def test_braces_within_an_expression_belong_to_it(text: str, value: JSON) -> None:
    assert rendered(text) == value


@pytest.mark.parametrize(
    ("text", "words", "column"),
    [
        ("ab {{ event.id", "never closed", 4),
        ("{{ }}", "empty", 1),
        ("ab {{  event.nope }}", "did you mean", 13),
        ("{{ event.id }} {{ body. }}", "Syntax error", 24),
    ],
)
def test_the_column_of_a_fault_counts_within_the_whole_template(
    text: str, words: str, column: int
) -> None:
    with pytest.raises(ExpressionError) as caught:
        TRIGGER.template(text)
    assert words in caught.value.message
    assert caught.value.column == column


def test_a_lenient_template_renders_what_fails_as_nothing() -> None:
    assert rendered("a{{ body.x.y }}b{{ body.n }}", {"n": None}, lenient=True) == "ab"
    assert rendered("{{ body.x }}", "text", lenient=True) == ""


def test_every_string_of_a_tree_is_a_template_and_every_fault_is_reported_with_its_path() -> None:
    errors: list[tuple[Path, ExpressionError]] = []
    TRIGGER.tree({"a": ["{{ body.x }}", "{{ nope }}"], "b": {"c": "{{"}, "d": 1}, errors)
    assert [path for path, _ in errors] == [("a", 1), ("b", "c")]


def test_a_tree_renders_to_json_and_names_the_place_of_a_failure() -> None:
    tree = TRIGGER.tree({"a": ["{{ body.x }}", "é", 1, None], "{{ body.x }}": True}, [])
    assert tree.render(bindings({"x": [1]})) == {"a": [[1], "é", 1, None], "{{ body.x }}": True}
    with pytest.raises(ExpressionError, match=r"a\[0\]: there is no key 'x'"):
        tree.render(bindings({}))
    assert not tree.literal
    assert TRIGGER.tree(["plain"], []).literal


def test_variables_are_typed_and_see_only_those_before_them() -> None:
    first = TRIGGER.expression("size(event.id)")
    after = TRIGGER.with_variable("n", first)
    with pytest.raises(ExpressionError, match="no matching overload"):
        after.expression("variables.n + 'a'")
    values = bindings().extended({"variables.n": first.native(bindings())})
    assert after.expression("variables.n + 1").evaluate(values) == 6


def test_a_timestamp_variable_stays_a_timestamp() -> None:
    first = TRIGGER.expression("event.received_at + duration('1m')")
    after = TRIGGER.with_variable("t", first)
    values = bindings().extended({"variables.t": first.native(bindings())})
    assert after.expression("variables.t.getMinutes()").evaluate(values) == 6


def test_bindings_can_be_shared_by_the_expressions_of_several_entries() -> None:
    """The body is converted once: one activation serves vocabularies with other names."""
    shared = bindings({"a": 1})
    one, other = Vocabulary.for_trigger(["team"]), Vocabulary.for_trigger([])
    assert one.expression("body.a").evaluate(shared) == 1
    assert other.expression("body.a + 1").evaluate(shared) == 2
    late = shared.extended({"dispatch_id": "dsp_1"})
    template = other.with_dispatch().template("{{ body.a }}-{{ dispatch_id }}")
    assert template.render(late) == "1-dsp_1"
    assert template.render(shared.extended({"dispatch_id": "dsp_2"})) == "1-dsp_2"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_a_body_passes_through_the_engine_unchanged(value: JSON) -> None:
    assert rendered("{{ body }}", value) == value
    assert json.loads(str(evaluated("json.encode(body)", [value]))) == [value]


@given(st.text(max_size=60))
def test_any_text_is_a_template_or_an_explained_fault(text: str) -> None:
    fault: ExpressionError | None = None
    try:
        template = TRIGGER.template(text)
    except ExpressionError as error:
        fault = error
    if fault is None:
        assert "{{" in text or template.literal == text
    else:
        assert fault.message
        assert 0 <= fault.column <= len(text) + 1


def test_values_become_text_as_people_write_them() -> None:
    assert as_text({"a": [1, "é"]}) == '{"a":[1,"é"]}'
    assert as_text("x") == "x"
    assert compact({"a": None}) == '{"a":null}'
    assert to_json(timedelta(seconds=1.5)) == "1.5s"
    assert to_json(timedelta(days=20_719, seconds=51_323)) == "1790172923s"
    assert to_json(timedelta(microseconds=-1)) == "-0.000001s"
