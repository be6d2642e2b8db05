"""The engine is given only what an expression reaches, and the expression comes to the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cel_expr_python import cel
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.errors import ExpressionError
from daemon.expressions import JSON, Bindings, Reach, Vocabulary
from tests.specs import config, trigger_entry

TRIGGER = Vocabulary.for_trigger([])
FIELDS = st.sampled_from(["a", "b", "c"])


def reached(source: str) -> dict[str, Any]:
    """What is reached of each name: None for all of it, ``...`` for each item of a list."""
    return dict(TRIGGER.expression(source).reach.names)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("body.a.b == body['a']['c']", {"body": {"a": {"b": None, "c": None}}}),
        ("body.a.b == body.a", {"body": {"a": None}}),
        ("body.?a.?b.orValue('x')", {"body": {"a": {"b": None}}}),
        ("body[?'a'].hasValue()", {"body": {"a": {}}}),
        ("has(body.a.b)", {"body": {"a": {"b": {}}}}),
        ("has(body.a) && body.a.b", {"body": {"a": {"b": None}}}),
        ("body.l[0].id", {"body": {"l": {...: {"id": None}}}}),
        ("size(body.l) > 0", {"body": {"l": {...: {}}}}),
        ("body.l.exists(x, x.a == body.b)", {"body": {"l": {...: {"a": None}}, "b": None}}),
        ("body.l.map(x, x.m.exists(y, y.z))", {"body": {"l": {...: {"m": {...: {"z": None}}}}}}),
        ("body.l.filter(x, x.a)", {"body": {"l": {...: None}}}),
        ("cel.bind(v, body.a, v.b + v.c)", {"body": {"a": {"b": None, "c": None}}}),
        ("body.?a.optMap(v, v.b).orValue(1)", {"body": {"a": {"b": None}}}),
        ("body[body.k]", {"body": None}),
        ("'a' in body", {"body": None}),
        ("body == null", {"body": None}),
        ("headers['x'] + headers[?'y'].orValue('')", {"headers": {"x": None, "y": None}}),
        ("[1].exists(body, body == .body.a)", {"body": {"a": None}}),
        ("event.id + method", {"event.id": None, "method": None}),
        ("1 + 1", {}),
    ],
)
def test_what_an_expression_reaches_is_told_by_its_text(
    source: str, names: dict[str, object]
) -> None:
    assert reached(source) == names


def test_what_is_missing_stays_missing_and_what_is_there_keeps_its_type() -> None:
    reach = TRIGGER.expression("has(body.l) && body.l[0].id == body.s.x && has(body.n)").reach
    body = {"l": [{"id": 1, "more": 2}, 3], "s": "text", "big": [0] * 1000}
    assert reach.within({"body": body}) == {"body": {"l": [{"id": 1}, 3], "s": "text"}}


def test_what_is_reached_together_is_what_any_of_them_reaches() -> None:
    reaches = [TRIGGER.expression(each).reach for each in ("body.a.b", "body.a", "body.c.d")]
    assert Reach.together(reaches).names == {"body": {"a": None, "c": {"d": None}}}
    assert Reach.together([]).names == {}


def test_triggers_on_one_path_are_fed_together_with_what_they_judge_by() -> None:
    """And with no more: what only renders, what differs between them, and what needs no engine is
    no part of it."""
    one, other, elsewhere = config(
        [
            trigger_entry("one", when="body.a == 1", dedupe={"key": "body.id + 'x'"}),
            trigger_entry(
                "other",
                variables={"whole": "body", "b": "body.b + 1"},
                when="variables.b == 2 && body.late",
                dispatch={"event_type": "x", "client_payload": {"c": "{{ body.c + 1 }}"}},
            ),
            trigger_entry("elsewhere", path="/elsewhere", when="body.d == 1"),
        ]
    ).triggers
    assert one.when is not None
    assert one.dedupe is not None
    assert one.dedupe.key is not None
    assert one.when.expression.fed.names == {"body": {"a": None, "b": None, "id": None}}
    assert one.dedupe.key.fed == one.when.expression.fed == dict(other.variables)["b"].fed
    assert other.when is not None
    assert other.when.expression.fed.names == {"body": {"late": None}, "variables.b": None}
    assert elsewhere.when is not None
    assert elsewhere.when.expression.fed.names == {"body": {"d": None}}


def outcome(value: cel.Value) -> tuple[str, str]:
    plain = value.plain_value()
    return value.type().name(), json.dumps(plain, sort_keys=True, default=str)


def evaluated(expression: cel.Expression, values: dict[str, Any]) -> tuple[str, str]:
    try:
        return outcome(expression.eval(data=values))
    except RuntimeError as error:
        return "raised", str(error)


def bodies() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"])
    any_value = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
        max_leaves=12,
    )
    return st.dictionaries(FIELDS, any_value, min_size=2) | any_value


@st.composite
def sources(draw: st.DrawFn, names: tuple[str, ...] = ("body",), depth: int = 3) -> str:
    """An expression of any type over ``names``, most of which fit some body."""

    def within(*more: str) -> str:
        return draw(sources((*names, *more), depth - 1))

    path = draw(st.sampled_from(names))
    for _ in range(draw(st.integers(0, 3))):
        field = draw(FIELDS)
        path += draw(st.sampled_from([f".{field}", f".{field}", f"['{field}']", "[0]"]))
    field = draw(FIELDS)
    shape = draw(st.integers(0, 25 if depth else 5))
    item = f"x{depth}"
    match shape:
        case 0 | 1 | 2:
            return path
        case 3:
            return draw(st.sampled_from(["1", "'a'", "null", "true", "[]", "{}"]))
        case 4:
            return f"has({path}.{field})"
        case 5:
            return f"{path}.?{field}.?b.orValue('none')"
        case 6:
            return f"size({path})"
        case 7:
            return f"'{field}' in {path}"
        case 8:
            return f"{within()} in {path}"
        case 9:
            return f"type({within()}) == map"
        case 10:
            return f"({within()}) == ({within()})"
        case 11:
            return f"({within()}) && ({within()})"
        case 12:
            return f"({within()}) || ({within()})"
        case 13:
            return f"({within()}) ? ({within()}) : ({within()})"
        case 14:
            return f"({within()}) + ({within()})"
        case 15:
            return f"[{within()}, {within()}]"
        case 16:
            return f"{{'k': {within()}}}.k"
        case 17:
            return f"{path}[{within()}]"
        case 18:
            return f"cel.bind({item}, {within()}, {within(item)})"
        case 19:
            return f"json.encode({within()})"
        case 20:
            return f"{path}.exists({item}, {within(item)})"
        case 21:
            return f"{path}.all({item}, {within(item)})"
        case 22:
            return f"{path}.map({item}, {within(item)})"
        case 23:
            return f"{path}.filter({item}, {within(item)})"
        case 24:
            return f"{path}.?{field}.hasValue()"
        case _:
            return f"{path}.?{field}.optMap({item}, {within(item)}).orValue('none')"


@given(sources(), bodies())
@example("body.exists(body, body.a == .body)", {"a": 1})
@example("body.a.exists(k, k == 'b')", {"a": {"b": 1}})
@example("body.a.map(k, 1) == [1] && size(body.a)", {"a": {"b": 1}})
@example("has(body.a.b.c)", {"a": {"b": [1]}})
@example("body.a[0].b", {"a": {"0": {"b": 1}}})
@example("body.map(x, [body].filter(body, body.a))", [{"a": True}])
def test_an_expression_comes_to_the_same_on_what_it_reaches_as_on_all(
    source: str, body: JSON
) -> None:
    """The same value, or an error in the same words: also where more than it reaches is given, and
    where the engine is not asked at all."""
    try:
        expression = TRIGGER.expression(source)
    except ExpressionError:
        return
    values = {"body": body}
    whole = evaluated(expression.env.compile(source), values)
    assert evaluated(expression.compiled, expression.reach.within(values)) == whole
    more = Reach.together([expression.reach, TRIGGER.expression("body.a.b == body.c").reach])
    assert evaluated(expression.compiled, more.within(values)) == whole
    kind, plain = whole
    if kind not in ("raised", "ERROR"):
        value = expression.native(Bindings(values))
        assert json.dumps(value, sort_keys=True, default=str) == plain
    else:
        with pytest.raises(ExpressionError):
            expression.native(Bindings(values))
