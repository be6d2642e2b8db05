"""The bound of an expression's work is one: it covers what every function makes, and a loop that
was made linear comes to what it came to before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ExpressionError
from daemon.expressions import JSON, Bindings, Vocabulary
from daemon.expressions.appending import SHORT
from daemon.expressions.bounds import Bound, Unknown, size
from daemon.expressions.syntax import parsed
from daemon.expressions.work import GIVEN_BYTE, GIVEN_NODE, work
from tests.test_reach import bodies, sources

TRIGGER = Vocabulary.for_trigger([])


def evaluated(source: str, body: JSON) -> JSON:
    return TRIGGER.expression(source).evaluate(Bindings({"body": body}))


def covered(source: str, body: JSON, value: JSON) -> bool:
    """Whether the bound is at least what it takes to hand over the value that came about."""
    expression = TRIGGER.expression(source)
    bound = work(parsed(expression.checked), expression.reach.within({"body": body}))
    found = size(value)
    return bound >= found.nodes * GIVEN_NODE + found.text * GIVEN_BYTE


@given(
    st.sampled_from(
        [
            "body.map(x, x + 1)",
            "body.map(x, 1.5)",
            "body.filter(x, x > 3)",
            "body.map(x, x > 3, [x])",
            "body.map(x, 7 / x)",
            "body.filter(x, 7 / x > 1)",
            "body.map(x, 7 / x > 1, x)",
            "body.filter(x, x > 3).map(x, x + 1)",
            "body.map(x, body.filter(y, y > x).size())",
            "{'k': [body.map(x, [x].map(y, {'y': y}))]}",
            "cel.bind(l, body.map(x, x), l == body ? l : [])",
            "body.exists(x, [x].map(y, y) == [body[0]])",
            "body.map(x, x).filter(x, true) + body",
        ]
    ),
    st.integers(0, 12) | st.integers(SHORT - 2, SHORT + 2) | st.integers(2 * SHORT, 3 * SHORT),
    st.booleans(),
)
def test_a_linear_loop_comes_to_what_the_engines_own_comes_to(
    source: str, length: int, has_zero: bool
) -> None:
    """The same list, or the same error: one of the items is 0 perhaps."""
    expression = TRIGGER.expression(source)
    values = {"body": [(number % 9) + 1 for number in range(length)] + [0] * has_zero}
    outcomes = []
    for compiled in (expression.compiled, expression.env.compile(source)):
        try:
            result = compiled.eval(data=values)
            outcomes.append((result.type().name(), result.plain_value()))
        except RuntimeError as error:
            outcomes.append(("raised", str(error)))
    assert outcomes[0] == outcomes[1]


@given(sources(), bodies())
def test_the_bound_covers_at_least_what_the_result_itself_takes(source: str, body: JSON) -> None:
    try:
        value = evaluated(source, body)
    except ExpressionError:
        return  # of what does not compile or fails there is nothing to cover
    assert covered(source, body, value)


LARGE: tuple[dict[str, Any], ...] = (
    {"t": "ab" * 400, "u": "ab", "v": "xyz" * 200, "l": ["item"] * 80},
    {"t": "a" * 900, "u": "a", "v": "\n" * 900, "l": ["", "x" * 300] * 20},
    {"t": "é\x01" * 300, "u": "", "v": "é" * 90, "l": ['"', "é"] * 30},
    {"t": "", "u": "", "v": "", "l": []},
)


@pytest.mark.parametrize("body", LARGE, ids=["words", "repeats", "escapes", "nothing"])
@pytest.mark.parametrize(
    "source",
    [
        "body.t.replace(body.u, body.v)",
        "body.t.replace('a', body.v)",
        "body.t.replace('', body.v)",
        "body.t.split(body.u)",
        "body.t.split('ab')",
        "body.l.join(body.v)",
        "body.l.join()",
        "'%s and %s'.format([body.l, body.t])",
        "json.encode(body)",
        "strings.quote(body.t)",
        "body.t + body.u + body.v",
        "body.l.map(x, x + body.t)",
        "body.l.map(x, [1, 2, 3, 4, 5])",
        "body.l.map(x, body.l.map(y, [x, y]))",
        "body.l.map(x, body.l.map(y, y > x ? x : y))",
        "body.l.map(x, [body.t, x]).filter(x, size(x) > 0)",
        "cel.bind(d, body.t + body.t, d + d + d)",
        "[body.l, [body.l, body.l]]",
        "{'t' + body.t: body.l, body.u: body.v}",
        "body.l.filter(x, x in body.l)",
        "body.l + body.l.map(x, x)",
        "sha256(body.t)",
        "regex.extract(body.t, '(a*).*')",
        "body.t.reverse() + body.t.lowerAscii() + body.t.trim() + body.t.substring(0)",
        "body.?l[?0].orValue(body.t)",
        "body.u == 'a' ? body.l : [body.t]",
    ],
)
def test_the_bound_covers_what_every_function_makes(source: str, body: dict[str, Any]) -> None:
    assert covered(source, body, evaluated(source, body))


amounts = st.integers(0, 100)


@given(st.lists(amounts, max_size=5), amounts, amounts, amounts, amounts)
def test_a_bound_summed_over_a_loop_covers_the_sum_of_its_rounds(
    items: list[int], a: int, b: int, c: int, d: int
) -> None:
    """(a + bx)(c + dx) summed over the items is at most what the product says."""
    item = Unknown(max(items, default=0))
    product = Bound(a, {item: b}) * Bound(c, {item: d})
    total = product.over(Bound(len(items)), {item: Bound(sum(items))})
    actual = sum((a + b * x) * (c + d * x) for x in items)
    assert total.peak >= actual
