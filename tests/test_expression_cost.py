"""No body and no expression stops the daemon: what could take long is refused before it is begun,
in words, and nothing that people do is. The bounds on time have ten times their room."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from daemon.errors import ExpressionError
from daemon.expressions import JSON, Bindings, Vocabulary
from daemon.expressions.syntax import parsed
from daemon.expressions.work import MOST, ROUNDS_MAX, work

TRIGGER = Vocabulary.for_trigger([])
NUMBERS = list(range(9000))
COMMITS = [
    {
        "id": f"{number:040}",
        "message": f"Change {number}\n" + "and say why. " * 30,
        "author": {"name": "mona", "email": "mona@example.com"},
        "added": ["src/some/where.py"] * 2,
        "modified": ["docs/index.md"] * 2,
    }
    for number in range(2000)
]
PUSH: dict[str, Any] = {"ref": "refs/heads/main", "commits": COMMITS}


@contextmanager
def at_once(seconds: float = 3.0) -> Iterator[None]:
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < seconds


def evaluated(source: str, body: JSON) -> JSON:
    return TRIGGER.expression(source).evaluate(Bindings({"body": body}))


def bound(source: str, body: JSON) -> float:
    expression = TRIGGER.expression(source)
    return work(parsed(expression.checked), expression.reach.within({"body": body}))


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("body.a.filter(x, x in body.b)", {"a": NUMBERS, "b": [-1] * 9000}),
        ("body.a.exists(x, body.b == body.c)", {"a": NUMBERS, "b": NUMBERS, "c": NUMBERS}),
        ("body.a.map(x, body)", {"a": NUMBERS}),
        ("body.a.map(x, body.b + body.b)", {"a": NUMBERS, "b": NUMBERS}),
        ("body.a.map(x, [body.b, body.b])", {"a": NUMBERS, "b": "x" * 100_000}),
        ("body.a.map(x, body.a.map(y, [body.a, body.a]))", {"a": NUMBERS[:99]}),
        ("body.a.exists(x, json.encode(body.t) == '')", {"a": NUMBERS, "t": "x" * 100_000}),
        ("body.a.exists(x, sha256(body.t) == '')", {"a": NUMBERS, "t": "x" * 100_000}),
        ("body.a.exists(x, '%s'.format([body.b]) == '')", {"a": NUMBERS, "b": NUMBERS}),
        ("body.a.exists(x, body.a.join(body.t) == '')", {"a": ["a"] * 9000, "t": "x" * 100}),
        ("body.a.exists(x, body.t.split(',').size() == 1)", {"a": NUMBERS, "t": "," * 50_000}),
        ("body.a.exists(x, regex.extract(body.t, 'a+b') == '')", {"a": NUMBERS, "t": "a" * 50_000}),
        ("body.a.exists(x, x.matches('^[a-z]{1,100}[0-9]{1,100}$'))", {"a": ["ab"] * 9000}),
        ("body.t.matches('([a-z]{0,30}x){5}[a-c]{50}q')", {"t": "abcx" * 1_000_000}),
        ("body.t.matches(body.p)", {"t": "a" * 30_000, "p": "a?" * 100_000}),
        ("body.t.replace('', body.t)", {"t": "x" * 100_000}),
        ("body.t.replace('x', body.t)", {"t": "x" * 100_000}),
        ("body.t.contains(body.u)", {"t": "x" * 4_000_000, "u": "x" * 10_000 + "y"}),
        ("cel.bind(a, body.t + body.t, cel.bind(b, a + a, b + b + b + b))", {"t": "x" * 5_000_000}),
        ("json.encode([body, body, body, body])", {"l": [{"a": 1}] * 90_000}),
        ("json.encode(body)", {"l": [0] * 800_000}),
    ],
)  # fmt: skip
def test_what_could_take_long_is_refused_before_it_is_begun(source: str, body: JSON) -> None:
    """Some of these took minutes, or all memory."""
    with (
        at_once(),
        pytest.raises(ExpressionError, match="is the most for one expression") as refused,
    ):
        evaluated(source, body)
    assert refused.value.source == source


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("body.commits.exists(c, c.message.contains(body.ref))", False),
        ("body.commits.all(c, c.author.name in ['mona', 'hubot'])", True),
        ("body.commits.map(c, c.id).size()", 2000),
        ("body.commits.map(c, c.added + c.modified).exists(fs, fs.size() > 4)", False),
        ("body.commits.filter(c, c.message.startsWith('Change 7')).map(c, c.id).size()", 111),
        ("body.commits.exists(c, c.message.lowerAscii().contains('[skip ci]'))", False),
        ("body.commits.exists(c, c.message.matches('^(fix|feat)!?: '))", False),
        ("body.commits.map(c, regex.extract(c.message, '([0-9]+)/10')).exists(s, s != '')", False),
        ("body.commits.map(c, c.id + ': ' + c.message).join('\\n').size()", 888_889),
        ("body.commits[size(body.commits) - 1].message.split('\\n')[0]", "Change 1999"),
        ("cel.bind(last, body.commits[1999], last.author.name + ' ' + last.id).size()", 45),
        ("body.commits.map(c, json.encode(c.author)).exists(a, a == '')", False),
        ("body.commits.map(c, sha256(c.id)).size()", 2000),
        ("sha256(json.encode(body.commits.map(c, c.id))).size()", 64),
        ("body.commits.map(c, c.message.replace('\\n', ' ')).size()", 2000),
        ("json.encode(body).size() > 1000000", True),
    ],
)  # fmt: skip
def test_a_push_of_2000_commits_is_not_too_much_for_anything_that_people_ask(
    source: str, value: JSON
) -> None:
    with at_once():
        assert evaluated(source, PUSH) == value


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("body.a.filter(x, x in body.b)", {"a": NUMBERS[:3400], "b": [-1] * 3400}),
        ("body.a.map(x, body.b)", {"a": NUMBERS[:800], "b": NUMBERS[:1000]}),
        ("body.t.replace('', body.t)", {"t": "x" * 7000}),
        ("body.t.contains(body.u)", {"t": "x" * 1_400_000, "u": "x" * 10_000 + "y"}),
        ("body.a.exists(x, body.t.split(',') == [])", {"a": NUMBERS[:50], "t": "," * 100_000}),
        ("body.t.split('').size()", {"t": "x" * 5_000_000}),
        ("body.a.exists(x, json.encode(body.b) == '')", {"a": NUMBERS[:900], "b": NUMBERS[:1000]}),
        ("body.a.exists(x, size(body.t + body.t) == 1)", {"a": NUMBERS[:350], "t": "x" * 100_000}),
        ("body.t.matches('([a-z]{0,30}x){5}[a-c]{50}q')", {"t": "abcx" * 100_000}),
        ("json.encode(body)", {"l": [{"a": number} for number in range(150_000)]}),
        ("body.l.size()", {"l": [0] * 1_800_000}),
    ],
)  # fmt: skip
def test_what_is_just_allowed_is_over_soon(source: str, body: JSON) -> None:
    """The limit is 0.3 s by what the factors say; a busy machine may need longer."""
    assert MOST * 0.6 < bound(source, body) <= MOST
    with at_once(10.0):
        evaluated(source, body)


def test_each_way_into_the_body_counts_for_what_is_at_its_end() -> None:
    """Not for what is elsewhere: if it did, this could take minutes."""
    body: JSON = {"l": [{"few": [1, 2, 3], "many": [0] * 20_000, "text": "x" * 200_000}]}
    source = "body.l[0].few.map(x, size(body.l[0].many) + size(body.l[0].text) + x)"
    with at_once(), pytest.raises(ExpressionError, match="Index error"):
        evaluated("body.l[0].few.exists(x, body.l[7].many == body.l[0].many)", body)
    with at_once():
        assert evaluated(source, body) == [220_001, 220_002, 220_003]
        assert evaluated("body.l[0].few.map(x, body.l[0].many).size()", body) == 3


def test_a_loop_over_too_many_items_is_an_error_that_says_so() -> None:
    items: JSON = list(range(100_000))
    with at_once(), pytest.raises(ExpressionError, match="goes over more than 10,000 items"):
        evaluated("body.exists(x, x == -1)", items)
    with at_once(), pytest.raises(ExpressionError, match="lists within lists counted together"):
        evaluated("body.exists(x, body.exists(y, x + y == -1))", list(range(200)))
    with at_once():
        assert evaluated("body.exists(x, x == 7)", items) is True
        assert evaluated("size(body)", items) == 100_000
        assert evaluated("body[99999]", items) == 99_999
        assert evaluated("99999 in body", items) is True


def test_the_engine_goes_no_further_than_the_reckoning_assumes() -> None:
    assert evaluated("body.all(x, x >= 0)", list(range(ROUNDS_MAX - 1))) is True
    with pytest.raises(ExpressionError, match="more than 10,000 items"):
        evaluated("body.all(x, x >= 0)", list(range(ROUNDS_MAX)))


def test_map_and_filter_take_linear_time_and_space() -> None:
    """The engine itself takes two seconds and more than a gigabyte for the first."""
    items: JSON = list(range(9998))
    with at_once(1.0):
        assert evaluated("body.map(x, x)", items) == items
        assert evaluated("body.filter(x, x % 2 == 0)", items) == list(range(0, 9998, 2))


def test_bodies_of_the_usual_size_are_not_even_measured() -> None:
    """Up to so many bytes it is known when the config loads that nothing can take long."""
    assert TRIGGER.expression("body.ref == 'refs/heads/main' && !body.deleted").light >= 256 * 1024
    assert TRIGGER.expression("body.labels.exists(l, l.name == 'x')").light >= 256 * 1024
    assert TRIGGER.expression("body.commits.map(c, c.id)").light >= 128 * 1024
    assert TRIGGER.expression("body.a.filter(x, x in body.b)").light >= 2 * 1024


@pytest.mark.parametrize(
    "source",
    [
        *("(" * n + "1" + ")" * n for n in (100, 40_000)),
        *("[" * n + "1" + "]" * n for n in (100, 40_000)),
        *("{1:" * n + "1" + "}" * n for n in (100, 20_000)),
        *("body" + ".a" * n for n in (100, 40_000)),
        *("1" + "+1" * n for n in (100, 20_000)),
        *("[1].exists(x, " * n + "true" + ")" * n for n in (100, 5_000)),
        *("[1].map(x, " * n + "x" + ")" * n for n in (12, 100)),
        *("true ? 1 : " * n + "1" for n in (100, 8_000)),
        "cel.bind(x, 1, " * 5_000 + "x" + ")" * 5_000,
        "'" + "a" * 200_000 + "'",
        "@" * 20_000,
        "1 " * 20_000,
    ],
    ids=lambda source: f"{source[:12]} {len(source)}",
)
def test_an_expression_that_no_one_can_read_is_a_fault_and_no_crash(source: str) -> None:
    with at_once(5.0), pytest.raises(ExpressionError) as refused:
        TRIGGER.expression(source)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    "source", ["!" * 40_000 + "true", "true" + " && true" * 5_000, "[" + "1," * 5_000 + "1]"]
)
def test_an_expression_that_is_only_long_is_evaluated(source: str) -> None:
    with at_once(5.0):
        assert json.dumps(evaluated(source, None))
